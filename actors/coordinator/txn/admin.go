package txn

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// describe is S98.
func (t *Transactions) describe(m *message.DescribeTransactions) *message.TransactionsDescribed {
	answer := &message.TransactionsDescribed{Transactions: make([]message.DescribedTransaction, len(m.TransactionalIDs))}
	for i, id := range m.TransactionalIDs {
		x := t.named[id]
		if x == nil {
			answer.Transactions[i].Code = message.TransactionalIDNotFound
			continue
		}
		answer.Transactions[i] = message.DescribedTransaction{State: x.state.String(), Timeout: x.timeout, Started: x.started, Producer: x.producer,
			Epoch: x.epoch, Partitions: slices.Clone(x.parts)}
	}
	return answer
}

// list is S98, of what this coordinator has (L9).
func (t *Transactions) list(now time.Time, m *message.ListTransactions) *message.TransactionsListed {
	answer := &message.TransactionsListed{}
	for _, x := range t.all() {
		switch {
		case len(m.Producers) > 0 && !slices.Contains(m.Producers, x.producer):
		case len(m.States) > 0 && !slices.Contains(m.States, x.state.String()):
		case m.Longer >= 0 && now.UnixMilli()-x.started <= m.Longer.Milliseconds():
		default:
			answer.Transactions = append(answer.Transactions, message.ListedTransaction{TransactionalID: x.id, State: x.state.String(), Producer: x.producer})
		}
	}
	return answer
}
