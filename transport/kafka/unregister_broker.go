package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// unregisterBroker takes a node that is gone for good out of the cluster (KIP-631).
var unregisterBroker = api{key: 64, min: 0, max: 0, shape: "4", start: decoded(onUnregisterBroker)}

func onUnregisterBroker(c stage.Context, r *Request, q *kmsg.UnregisterBrokerRequest) {
	ask := &message.UnregisterBroker{Node: message.NodeID(q.BrokerID)}
	askController(c, r, ask, adminPatience, func(c stage.Context, results *message.Results, p message.Problem) {
		fate := problems(results, p, 1)[0]
		resp := kmsg.NewPtrUnregisterBrokerResponse()
		resp.ErrorCode, resp.ErrorMessage = int16(fate.Code), note(fate.Message)
		r.Answer(c, resp)
	})
}
