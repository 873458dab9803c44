package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// InitProducerId gives an idempotent producer its id (KIP-98); v3 may bump an epoch (KIP-360), v5 is transaction version 2
// (KIP-890). Version 6 (KIP-939) is unstable. Transactional producers are told that their coordinator is not there yet.
var initProducerIDAPI = api{key: 22, min: 0, max: 5, start: decoded(onInitProducerID), shape: "s 4 8@3+ 2@3+"}

// producerIDPatience is how long the controller may take to give the broker a new block of ids.
const producerIDPatience = 10 * time.Second

func onInitProducerID(c stage.Context, r *Request, q *kmsg.InitProducerIDRequest) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerEpoch = -1
	switch {
	case q.TransactionalID != nil && *q.TransactionalID == "":
		resp.ErrorCode = int16(message.InvalidRequest)
	case q.TransactionalID != nil:
		resp.ErrorCode = int16(message.CoordinatorNotAvailable)
	default:
		r.Ask(c, message.BrokerAt(r.Node()), &message.NewProducerID{}, producerIDPatience, func(c stage.Context, answer any) {
			resp.ErrorCode = int16(message.CoordinatorNotAvailable)
			if id, ok := answer.(*message.ProducerID); ok {
				if resp.ErrorCode = int16(id.Code); id.Code == message.OK {
					resp.ProducerID, resp.ProducerEpoch = id.ID, 0
				}
			}
			r.Answer(c, resp)
		})
		return
	}
	r.Answer(c, resp)
}
