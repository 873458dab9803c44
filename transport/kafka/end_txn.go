package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// EndTxn commits or aborts a producer's transaction: it is answered when that is decided and written (S93). v2 has a code for who is
// fenced, v3 is flexible, v5 is transaction version 2, in which the producer goes on with the id and epoch that it is told (S94, KIP-890).
var endTxnAPI = api{key: 26, min: 0, max: 5, start: decoded(onEndTxn), shape: "s 8 2 1"}

func onEndTxn(c stage.Context, r *Request, q *kmsg.EndTxnRequest) {
	ask := &message.EndTransaction{TransactionalID: q.TransactionalID, Producer: q.ProducerID, Epoch: q.ProducerEpoch, Commit: q.Commit}
	if r.Version >= 5 {
		ask.Version = 2
	}
	askTransaction(c, r, q.TransactionalID, ask, func(c stage.Context, is *message.TransactionEnded, code message.Code) {
		resp := kmsg.NewPtrEndTxnResponse()
		resp.ProducerID, resp.ProducerEpoch = -1, -1
		if resp.ErrorCode = int16(r.fenced(either(code, is.Code), 2)); resp.ErrorCode == 0 {
			resp.ProducerID, resp.ProducerEpoch = is.Producer, is.Epoch
		}
		r.Answer(c, resp)
	})
}
