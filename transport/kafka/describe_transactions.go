package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// DescribeTransactions shows transactions of which this broker is the coordinator (KIP-664, S98).
var describeTransactionsAPI = api{key: 65, min: 0, max: 0, start: decoded(onDescribeTransactions), shape: "[s]"}

func onDescribeTransactions(c stage.Context, r *Request, q *kmsg.DescribeTransactionsRequest) {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	resp.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, len(q.TransactionalIDs))
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	for i, id := range q.TransactionalIDs {
		at := &resp.TransactionStates[i]
		at.TransactionalID = id
		g.left++
		ask := &message.DescribeTransactions{TransactionalIDs: []string{id}}
		askTransaction(c, r, id, ask, func(c stage.Context, d *message.TransactionsDescribed, code message.Code) {
			if code == message.OK && len(d.Transactions) != 1 {
				code = message.UnknownServerError
			}
			if at.ErrorCode = int16(code); code == message.OK {
				describeTransaction(&d.Transactions[0], at)
			}
			g.arrived(c)
		})
	}
	g.begin(c)
}

func describeTransaction(d *message.DescribedTransaction, at *kmsg.DescribeTransactionsResponseTransactionState) {
	if at.ErrorCode = int16(d.Code); d.Code != message.OK {
		return
	}
	at.State, at.TimeoutMillis, at.StartTimestamp = d.State, int32(d.Timeout.Milliseconds()), d.Started
	at.ProducerID, at.ProducerEpoch, at.Topics = d.Producer, d.Epoch, namedByTopic(d.Partitions)
}
