package message

import "time"

// The words between doors and the coordinators of transactions on the same node. Every ask may also be answered by *Uncoordinated.

// TransactionVersionFeature is the feature that says how transactions work (KIP-890): from 1 on their records have tagged fields, from 2 on
// every transaction has an epoch of its own, and partitions take themselves into it.
const TransactionVersionFeature = "transaction.version"

// InitProducer asks for the producer id and the epoch of a transactional id. Whoever had them before is fenced, and its open transaction is
// aborted first: then the answer is ConcurrentTransactions, and the producer asks again.
type InitProducer struct {
	TransactionalID string
	Timeout         time.Duration // of a transaction
	Producer        int64         // what the producer has had so far (KIP-360); -1: nothing
	Epoch           int16         // -1: nothing
}

// ProducerInitiated answers InitProducer. Code is OK, ConcurrentTransactions, InvalidTransactionTimeout, or ProducerFenced.
type ProducerInitiated struct {
	Code     Code
	Producer int64 // -1 on error
	Epoch    int16 // -1 on error
}

// EndTransaction asks for a producer's open transaction to be committed or aborted.
type EndTransaction struct {
	TransactionalID string
	Producer        int64
	Epoch           int16
	Commit          bool
	Version         int16 // transaction.version that the producer speaks: 2 raises its epoch (KIP-890)
}

// TransactionEnded answers EndTransaction when it is written what becomes of the transaction: its end in the partitions follows. Code is OK,
// ConcurrentTransactions, InvalidProducerIDMapping, ProducerFenced, or InvalidTxnState.
type TransactionEnded struct {
	Code     Code
	Producer int64 // of the next transaction, in version 2; -1 on error
	Epoch    int16
}

// DescribeTransactions asks for transactions in full.
type DescribeTransactions struct{ TransactionalIDs []string }

// TransactionsDescribed answers DescribeTransactions in the order of the question.
type TransactionsDescribed struct{ Transactions []DescribedTransaction }

// DescribedTransaction is what a coordinator knows of a transactional id. Code is TransactionalIDNotFound where that is nothing.
type DescribedTransaction struct {
	Code     Code
	State    string
	Timeout  time.Duration
	Started  int64 // milliseconds since 1970; -1: none is open
	Producer int64
	Epoch    int16
	// Partitions take part, and have not been told its end.
	Partitions []NamedPartition
}

// ListTransactions asks for the transactional ids of one coordinator. Empty lists mean all (KIP-664).
type ListTransactions struct {
	Producers []int64
	States    []string
	Longer    time.Duration // only what was begun so long ago or longer (KIP-994); negative: all
}

// TransactionsListed answers ListTransactions, by transactional id.
type TransactionsListed struct{ Transactions []ListedTransaction }

// ListedTransaction is one transactional id in a list.
type ListedTransaction struct {
	TransactionalID, State string
	Producer               int64
}

// TransactionStates are the states of transactions, by their names on the wire.
func TransactionStates() []string {
	return []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
}
