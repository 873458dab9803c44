package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// createPartitions raises topics' partition counts (S105).
var createPartitions = api{key: 37, min: 0, max: 3, shape: "(s 4 ([4])) 4 1", start: decoded(onCreatePartitions)}

func onCreatePartitions(c stage.Context, r *Request, q *kmsg.CreatePartitionsRequest) {
	ask := &message.CreatePartitions{ValidateOnly: q.ValidateOnly}
	for _, t := range q.Topics {
		more := message.MorePartitions{Name: t.Topic, Count: t.Count}
		for _, a := range t.Assignment {
			more.Assignment = append(more.Assignment, nodes(a.Replicas))
		}
		ask.Topics = append(ask.Topics, more)
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, results *message.Results, p message.Problem) {
		resp := kmsg.NewPtrCreatePartitionsResponse()
		for i, p := range problems(results, p, len(ask.Topics)) {
			resp.Topics = append(resp.Topics, kmsg.CreatePartitionsResponseTopic{Topic: ask.Topics[i].Name, ErrorCode: int16(p.Code), ErrorMessage: note(p.Message)})
		}
		r.Answer(c, resp)
	})
}
