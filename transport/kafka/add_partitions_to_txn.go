package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// AddPartitionsToTxn takes partitions into a producer's transaction, all of them or none (S91). v2 has a code for who is fenced, v3 is
// flexible; v4 asks for several transactions, and may only verify, as brokers do among each other (KIP-890), v5 is transaction version 2.
var addPartitionsToTxnAPI = api{key: 24, min: 0, max: 5, start: decoded(onAddPartitionsToTxn), shape: "s@-3 8@-3 2@-3 (s [4])@-3 (s 8 2 1 (s [4]))@4+"}

func onAddPartitionsToTxn(c stage.Context, r *Request, q *kmsg.AddPartitionsToTxnRequest) {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	if r.Version < 4 {
		g.left++
		addedByClient(r, q, resp).begin(c, r, g.arrived)
	}
	resp.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(q.Transactions))
	for i := range q.Transactions {
		g.left++
		addedByBroker(r, &q.Transactions[i], &resp.Transactions[i]).begin(c, r, g.arrived)
	}
	g.begin(c)
}

// addedByClient is the question of a client, with the places of its answer.
func addedByClient(r *Request, q *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) *enlisting {
	e := &enlisting{ask: message.Enlist{TransactionalID: q.TransactionalID, Producer: q.ProducerID, Epoch: q.ProducerEpoch}}
	resp.Topics = make([]kmsg.AddPartitionsToTxnResponseTopic, len(q.Topics))
	for i, t := range q.Topics {
		rt := &resp.Topics[i]
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.AddPartitionsToTxnResponseTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			rt.Partitions[j].Partition = p
			e.part(r, t.Topic, p, &rt.Partitions[j].ErrorCode)
		}
	}
	return e
}

// addedByBroker is one question of a broker, with the places of its answer.
func addedByBroker(r *Request, q *kmsg.AddPartitionsToTxnRequestTransaction, resp *kmsg.AddPartitionsToTxnResponseTransaction) *enlisting {
	e := &enlisting{ask: message.Enlist{TransactionalID: q.TransactionalID, Producer: q.ProducerID, Epoch: q.ProducerEpoch, VerifyOnly: q.VerifyOnly}}
	resp.TransactionalID, resp.Topics = q.TransactionalID, make([]kmsg.AddPartitionsToTxnResponseTransactionTopic, len(q.Topics))
	for i, t := range q.Topics {
		rt := &resp.Topics[i]
		rt.Topic, rt.Partitions = t.Topic, make([]kmsg.AddPartitionsToTxnResponseTransactionTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			rt.Partitions[j].Partition = p
			e.part(r, t.Topic, p, &rt.Partitions[j].ErrorCode)
		}
	}
	return e
}
