package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// deleteRecords moves the start of partitions up (S52).
var deleteRecords = api{key: 21, min: 0, max: 2, shape: "(s (4 8)) 4", start: decoded(onDeleteRecords)}

func onDeleteRecords(c stage.Context, r *Request, q *kmsg.DeleteRecordsRequest) {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	resp.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(q.Topics))
	for i, t := range q.Topics {
		out := &resp.Topics[i]
		out.Topic = t.Topic
		out.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		refusal := undeletable(r, t.Topic)
		for j, p := range t.Partitions {
			a := &out.Partitions[j]
			a.Partition, a.LowWatermark, a.ErrorCode = p.Partition, -1, int16(refusal)
			if refusal != message.OK {
				continue
			}
			g.askLeader(c, r, t.Topic, p.Partition, &message.DeleteRecords{Offset: p.Offset}, patience(q.TimeoutMillis), func(_ stage.Context, answer any, code message.Code) {
				a.ErrorCode = int16(code)
				if d, ok := answer.(*message.RecordsDeleted); ok {
					a.ErrorCode, a.LowWatermark = int16(d.Code), d.LowWatermark
				}
			})
		}
	}
	g.begin(c)
}

// undeletable says why no records of a topic may be deleted: it is internal, or keeps the newest of each key for ever.
func undeletable(r *Request, name string) message.Code {
	t := r.Image.Topic(name)
	switch {
	case t == nil:
		return message.OK // told for each partition
	case t.Internal:
		return message.InvalidTopicException
	}
	if s := r.Topic(t); s.CleanupCompact && !s.CleanupDelete {
		return message.PolicyViolation
	}
	return message.OK
}
