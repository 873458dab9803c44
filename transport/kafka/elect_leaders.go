package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// electLeaders asks for elections (KIP-460): type 0 preferred, 1 unclean; v0 knows only the first.
var electLeaders = api{key: 43, min: 0, max: 2, shape: "1@1+ (s [4]) 4", start: decoded(onElectLeaders)}

func onElectLeaders(c stage.Context, r *Request, q *kmsg.ElectLeadersRequest) {
	ask := &message.ElectLeaders{Unclean: q.ElectionType == 1, All: q.Topics == nil}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			ask.Partitions = append(ask.Partitions, message.NamedPartition{Topic: t.Topic, Index: p})
		}
	}
	if q.TimeoutMillis <= 0 { // no time at all: Kafka times out even where there is nothing to elect (S125)
		r.Answer(c, notElected(ask, message.Problem{Code: message.RequestTimedOut}))
		return
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, elected *message.LeadersElected, p message.Problem) {
		if p.Code != message.OK {
			r.Answer(c, notElected(ask, p))
			return
		}
		resp := kmsg.NewPtrElectLeadersResponse()
		for _, e := range elected.Results {
			if !ask.All || e.Code != message.ElectionNotNeeded { // asked for all, told what was done
				addElected(resp, e)
			}
		}
		r.Answer(c, resp)
	})
}

// notElected says that nothing came of the request: at the top, and at each partition for version 0, which has no top.
func notElected(ask *message.ElectLeaders, p message.Problem) *kmsg.ElectLeadersResponse {
	resp := kmsg.NewPtrElectLeadersResponse()
	resp.ErrorCode = int16(p.Code)
	for _, at := range ask.Partitions {
		addElected(resp, message.LeaderElected{Problem: p, NamedPartition: at})
	}
	return resp
}

// addElected adds a partition to its topic, which begins anew where another one was before.
func addElected(resp *kmsg.ElectLeadersResponse, e message.LeaderElected) {
	if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != e.Topic {
		resp.Topics = append(resp.Topics, kmsg.ElectLeadersResponseTopic{Topic: e.Topic})
	}
	last := &resp.Topics[len(resp.Topics)-1]
	last.Partitions = append(last.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: e.Index, ErrorCode: int16(e.Code), ErrorMessage: note(e.Message)})
}
