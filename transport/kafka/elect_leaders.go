package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// electLeaders asks for elections (KIP-460): type 0 preferred, 1 unclean; v0 knows only the first.
var electLeaders = api{key: 43, min: 0, max: 2, shape: "1@1+ (s [4]) 4", start: decoded(onElectLeaders)}

func onElectLeaders(c stage.Context, r *Request, q *kmsg.ElectLeadersRequest) {
	resp := kmsg.NewPtrElectLeadersResponse()
	if q.TimeoutMillis <= 0 { // no time at all: Kafka times out even where there is nothing to elect (S125)
		resp.ErrorCode = int16(message.RequestTimedOut)
		r.Answer(c, resp)
		return
	}
	ask := &message.ElectLeaders{Unclean: q.ElectionType == 1, All: q.Topics == nil}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			ask.Partitions = append(ask.Partitions, message.NamedPartition{Topic: t.Topic, Index: p})
		}
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, elected *message.LeadersElected, p message.Problem) {
		resp.ErrorCode = int16(p.Code)
		for _, e := range elected.Results {
			if ask.All && e.Code == message.ElectionNotNeeded {
				continue // asked for all, told what was done
			}
			if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != e.Topic {
				resp.Topics = append(resp.Topics, kmsg.ElectLeadersResponseTopic{Topic: e.Topic})
			}
			last := &resp.Topics[len(resp.Topics)-1]
			last.Partitions = append(last.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: e.Index, ErrorCode: int16(e.Code), ErrorMessage: note(e.Message)})
		}
		r.Answer(c, resp)
	})
}
