package message

import "github.com/troupe-broker/troupe/actors/message/setting"

// Leadership tells a partition's replica its part: who leads in which epoch, who keeps copies, who is in sync.
// The broker actor sends it when the replica is started and whenever the image changes it.
type Leadership struct {
	Name           string // the topic's name, for logs and errors
	Leader         NodeID
	LeaderEpoch    int32 // rises with every change of leader and every unclean restart
	PartitionEpoch int32 // rises with every change of the partition's record
	Replicas       []NodeID
	ISR            []NodeID
	Config         setting.Topic
	Internal       bool // of an internal topic: clients may not write
	// LeaderThrottled says that this node, where it leads, sends at the throttled rate to followers that are not in sync;
	// FollowerThrottled, that it copies at that rate while it is not (KIP-73).
	LeaderThrottled, FollowerThrottled bool
}

// Deleted tells a replica that its topic is gone, or that it is kept elsewhere now: answer everybody, delete the files, stop.
type Deleted struct {
	// Elsewhere: the partition goes on, and may come back to this node. What the journal has of it must not come back with it.
	Elsewhere bool
}

// Sweep reminds a replica of its housekeeping: delete what retention no longer keeps, forget producers that were silent
// for too long, let go of memory that nobody uses. The broker actor sends it to every replica once per
// log.retention.check.interval.ms, spread over the interval; a replica with nothing on disk that could expire ignores it.
type Sweep struct{}

// Append asks the leader to append one record batch.
//
// Batch is exactly one v2 batch that the door has checked in full: magic, length, CRC, offset deltas, count. The
// partition sets base offset and leader epoch in place, so the bytes are the partition's alone until it answers; when
// it has answered nobody else looks at them and the asker may reuse the memory. Behind TimedOut or Down a commit may
// still be reading them: leave that memory to the garbage collector.
//
// What needs a look at the records is the door's: compression.type (S25) and the keys of a compacted topic (S139) are
// seen to before the batch is sent here.
type Append struct {
	Batch        []byte
	Acks         int16 // -1 all in-sync replicas, 1 leader, 0 nobody waits (an Appended is sent all the same)
	MaxTimestamp int64 // of the batch's records, milliseconds since 1970; -1 none
	FromClient   bool  // refused on internal topics
	Verified     bool  // transaction version 2: a first sequence other than 0 is refused, and the partition adds itself to the transaction (KIP-890)
	// TransactionalID is that of a transactional batch from a client: its coordinator is asked before a transaction begins here.
	TransactionalID string
	Trace           Trace
}

// Appended answers Append.
type Appended struct {
	Code          Code
	Message       string // for people; empty on success
	BaseOffset    int64  // -1 on error
	LogAppendTime int64  // milliseconds; -1 on CreateTime topics
	LogStart      int64
	Leader        NodeID // on NotLeaderOrFollower: who leads, as far as known
	LeaderEpoch   int32
	RecordErrors  []RecordError
}

// RecordError says which record of a refused batch is at fault (KIP-467).
type RecordError struct {
	Index   int32 // from 0, within the batch
	Message string
}

// Await asks to be told (Progressed) once the partition's published view is no longer the one with this high watermark
// and log start, or leadership changes, or the partition goes. It is answered at once when that is so already, and it
// makes a replica that has not yet opened its log open it. HighWatermark -1 asks only for that: the answer comes as
// soon as a view is published.
type Await struct {
	HighWatermark int64
	LogStart      int64
	LeaderEpoch   int32
}

// Progressed answers Await: look at the view again. Code is not OK when there is no view to look at.
type Progressed struct{ Code Code }

// Forget withdraws an Await of the sender (a connection that closes).
type Forget struct{}

// DeleteRecords asks the leader to move the log start up to Offset; -1 means the high watermark.
type DeleteRecords struct{ Offset int64 }

// RecordsDeleted answers DeleteRecords.
type RecordsDeleted struct {
	Code         Code
	LowWatermark int64 // the new log start; -1 on error
}

// DescribeProducers asks for the idempotent and transactional producers that a partition remembers.
type DescribeProducers struct{}

// ProducersDescribed answers DescribeProducers.
type ProducersDescribed struct {
	Code      Code
	Producers []ProducerState
}

// ProducerState is what one partition knows of one producer (KIP-664).
type ProducerState struct {
	ID               int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    int64 // milliseconds
	CoordinatorEpoch int32 // -1 before the first marker
	TxnStart         int64 // -1: no open transaction
}

// Unreached tells a replica that its node has not reached another node for a while, though the controller may: while it leads, a follower
// there need not be waited for. Nothing answers it.
type Unreached struct{ Node NodeID }
