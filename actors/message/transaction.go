package message

// The words of transactions that cross between nodes (KIP-98, KIP-890): a transaction's coordinator lives where its partition of
// __transaction_state is led, the partitions that it writes to are led anywhere.

// TransactionsTopic is the internal topic in which transactions are kept.
const TransactionsTopic = "__transaction_state"

// Mark asks the leader of a partition to end a producer's transaction there: to append a control batch that says so. A transaction's
// coordinator sends it to PartitionAt the leader, and where the partition is one of __consumer_offsets to CoordinatorAt the leader, which
// sends it on to the partition beside it. It may be sent again: a marker that the log has already is answered and, in version 2, not
// written again.
type Mark struct {
	Producer         int64
	Epoch            int16 // of the marker: in version 2 it must be above the transaction's (KIP-890)
	CoordinatorEpoch int32 // leader epoch of the coordinator's partition; one below what was seen is fenced
	Commit           bool  // else it aborts
	Version          int16 // transaction.version: 0, 1 or 2
}

// Marked answers Mark when the marker is committed: synced by all in-sync replicas, and below the high watermark.
type Marked struct {
	// Code is OK, NotLeaderOrFollower, UnknownTopicOrPartition, InvalidProducerEpoch (the marker's epoch is older than the producer's, or in
	// version 2 not above the transaction's), TransactionCoordinatorFenced, NotEnoughReplicas, NotEnoughReplicasAfterAppend, RequestTimedOut,
	// or KafkaStorageError.
	Code    Code
	Message string // for people; empty on success
	Offset  int64  // of the marker; -1 on error, or if it was written before
}

// Enlist asks the coordinator of a transactional id about partitions of the producer's transaction: to take them into it, which begins one
// if none is open, or, if VerifyOnly, only whether they are in it. The door of AddPartitionsToTxn sends it, and a partition's leader before
// it writes the first batch of a transaction. It is answered by Enlisted, or by Uncoordinated.
type Enlist struct {
	TransactionalID string
	Producer        int64
	Epoch           int16
	Partitions      []NamedPartition
	VerifyOnly      bool
}

// Enlisted answers Enlist. Codes are the partitions', in their order; nil if Code is not OK, which then is everybody's:
// ConcurrentTransactions (the last one is being ended: ask again), InvalidProducerIDMapping, ProducerFenced, InvalidTxnState,
// TransactionAbortable (KIP-890).
type Enlisted struct {
	Code    Code
	Message string // for people; empty on success
	Codes   []Code
}
