package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// InitProducerId gives an idempotent producer its id (KIP-98); v3 may bump an epoch (KIP-360), v5 is transaction version 2
// (KIP-890). Version 6 (KIP-939) is unstable. A transactional producer's comes from the coordinator of its id (S88-S90).
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
		initTransactional(c, r, q)
		return
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

func initTransactional(c stage.Context, r *Request, q *kmsg.InitProducerIDRequest) {
	ask := &message.InitProducer{TransactionalID: *q.TransactionalID, Timeout: time.Duration(q.TransactionTimeoutMillis) * time.Millisecond, Producer: -1, Epoch: -1}
	if r.Version >= 3 {
		ask.Producer, ask.Epoch = q.ProducerID, q.ProducerEpoch
	}
	askTransaction(c, r, ask.TransactionalID, ask, func(c stage.Context, is *message.ProducerInitiated, code message.Code) {
		resp := kmsg.NewPtrInitProducerIDResponse()
		if resp.ErrorCode, resp.ProducerEpoch = int16(r.fenced(either(code, is.Code), 4)), -1; resp.ErrorCode == 0 {
			resp.ProducerID, resp.ProducerEpoch = is.Producer, is.Epoch
		}
		r.Answer(c, resp)
	})
}
