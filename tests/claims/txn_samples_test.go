package claims

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnSamples are samples for the APIs of transactions.
func (w *world) txnSamples() map[kmsg.Key]sample {
	return map[kmsg.Key]sample{
		kmsg.AddPartitionsToTxn: {good: func(int16) kmsg.Request { return addPartitionsOf(w.producer(), w.topic) },
			bad: func(int16) kmsg.Request { return addPartitionsOf(w.producer(), "nowhere") }},
		kmsg.AddOffsetsToTxn: {good: func(int16) kmsg.Request { return addOffsetsOf(w.producer(), "group") },
			bad: func(int16) kmsg.Request { return addOffsetsOf(w.producer(), "") }},
		kmsg.EndTxn: {good: func(int16) kmsg.Request { return endOf(w.transacting()) }, bad: func(int16) kmsg.Request { return endOf(w.producer()) }},
		kmsg.TxnOffsetCommit: {good: func(int16) kmsg.Request { return txnCommitOf(w.transacting(), w.topic) },
			bad: func(int16) kmsg.Request { return txnCommitOf(w.transacting(), "nowhere") }},
		kmsg.DescribeTransactions: {good: func(int16) kmsg.Request {
			return &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{w.transacting().id}}
		},
			bad: func(int16) kmsg.Request {
				return &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{"nobody"}}
			}},
		kmsg.ListTransactions: {good: func(int16) kmsg.Request { return listTransactionsOf("") }, bad: func(v int16) kmsg.Request {
			if v < 2 {
				return nil // which has nothing to be wrong
			}
			return listTransactionsOf("(")
		}},
	}
}

// transactor is who has a transactional id.
type transactor struct {
	id       string
	producer int64
	epoch    int16
}

// producer is a new one.
func (w *world) producer() transactor {
	x := transactor{id: w.name()}
	q := kmsg.NewPtrInitProducerIDRequest()
	q.TransactionalID, q.TransactionTimeoutMillis = &x.id, 60_000
	for range 100 {
		r := ask[*kmsg.InitProducerIDResponse](w.h, 4, q)
		if x.producer, x.epoch = r.ProducerID, r.ProducerEpoch; r.ErrorCode == 0 {
			return x
		}
		time.Sleep(50 * time.Millisecond) // its coordinator may be loading
	}
	w.h.t.Fatal("nobody gets a producer id")
	return x
}

// transacting is a new one, whose transaction has a partition, and the offsets of group "group".
func (w *world) transacting() transactor {
	x := w.producer()
	r := ask[*kmsg.AddPartitionsToTxnResponse](w.h, 3, addPartitionsOf(x, w.topic))
	w.h.is("a partition", r.Topics[0].Partitions[0].ErrorCode, 0)
	w.h.is("offsets", ask[*kmsg.AddOffsetsToTxnResponse](w.h, 3, addOffsetsOf(x, "group")).ErrorCode, 0)
	return x
}

func addPartitionsOf(x transactor, topic string) *kmsg.AddPartitionsToTxnRequest {
	return &kmsg.AddPartitionsToTxnRequest{TransactionalID: x.id, ProducerID: x.producer, ProducerEpoch: x.epoch,
		Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{0}}},
		Transactions: []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: x.id, ProducerID: x.producer, ProducerEpoch: x.epoch,
			Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: topic, Partitions: []int32{0}}}}}}
}

func addOffsetsOf(x transactor, group string) *kmsg.AddOffsetsToTxnRequest {
	return &kmsg.AddOffsetsToTxnRequest{TransactionalID: x.id, ProducerID: x.producer, ProducerEpoch: x.epoch, Group: group}
}

func endOf(x transactor) *kmsg.EndTxnRequest {
	return &kmsg.EndTxnRequest{TransactionalID: x.id, ProducerID: x.producer, ProducerEpoch: x.epoch, Commit: true}
}

func txnCommitOf(x transactor, topic string) *kmsg.TxnOffsetCommitRequest {
	q := &kmsg.TxnOffsetCommitRequest{TransactionalID: x.id, Group: "group", ProducerID: x.producer, ProducerEpoch: x.epoch, Generation: -1}
	q.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1, LeaderEpoch: -1, Metadata: ptr("")}}}}
	return q
}

func listTransactionsOf(pattern string) *kmsg.ListTransactionsRequest {
	q := kmsg.NewPtrListTransactionsRequest()
	q.StateFilters = []string{"Ongoing"}
	q.TransactionalIDPattern = &pattern
	return q
}
