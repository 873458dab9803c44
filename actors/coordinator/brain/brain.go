// Package brain is what a coordinator's actor and its brain have to do with each other, whatever the brain keeps: groups, or
// transactions.
//
//	question, time ─▶ Brain ─▶ Out: records to write, then answers to give and questions to ask
//	                   ▲                                                          │
//	                   └────────────────────── Heard ◀────────────────────────────┘
//
// A brain changes its state at once. What it gives out has an effect when the records are committed; where they cannot be written the
// brain is thrown away, and another one is made by replaying the log.
//
// It decides nothing.
package brain

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Brain decides for what one coordinator keeps.
type Brain interface {
	// Know gives it newer metadata to decide on, and the broker's settings in force.
	Know(img *image.Image, layers setting.Layers)
	// Decide answers a question, now or later. known is false where it is none for this brain.
	Decide(now time.Time, from Caller, ask any) (out Out, known bool)
	// Heard takes what a question of its own was answered with; nil: nobody has answered, and nobody knows what became of it.
	Heard(now time.Time, ref, answer any) Out
	// TopicsChanged says which topics are gone, and which are new or have more partitions.
	TopicsChanged(now time.Time, gone, grown []string) Out
	// Due is when Expire has something to do; zero: never.
	Due() time.Time
	// Expire does what the time asks for.
	Expire(now time.Time) Out
	// Replay takes a record of the log. An error says what is wrong with it; it has then changed nothing.
	Replay(now time.Time, r Record) error
	// ReplayMarker takes the end of a transaction that the log has.
	ReplayMarker(now time.Time, m Marker)
	// Loaded says that the log was replayed.
	Loaded(now time.Time) Out
	// Count is how much it keeps, for logs.
	Count() int
}

// Holder is a brain that lets members wait for news.
type Holder interface {
	// Abandon forgets everybody who is held, and says who that was: another coordinator may have news for them.
	Abandon() []Caller
	// Deaf names a member that is held though there is news for it; empty if there is none. It changes nothing, for those who look on.
	Deaf() string
	// Members are how many members there are.
	Members() int
}

// Place is where a brain decides, and in which term.
type Place struct {
	Node      message.NodeID
	Partition message.PartitionID // of the internal topic
	Epoch     int32               // of the leadership
	// Draw makes a new random UUID.
	Draw func() message.TopicID
}

// Caller is who waits for an answer, by a number that only its giver understands. 0 is nobody.
type Caller uint64

// Record is a record to write: a nil Value deletes what the log has of Key.
type Record struct {
	Key, Value []byte
	Txn        *Txn // that it is a part of; nil: none. Read by Replay only
}

// Txn is a producer in one epoch, and so its transaction in a partition.
type Txn struct {
	Producer int64
	Epoch    int16
}

// Marker is the end of a producer's transaction. Its epoch may be above the transaction's (KIP-890).
type Marker struct {
	Txn
	Commit bool
}

// Size is about how many bytes a record takes.
func (r *Record) Size() int { return len(r.Key) + len(r.Value) }

// Reply is an answer that leaves when everything that was decided before it is committed.
type Reply struct {
	To     Caller
	Answer any
}

// Ask is a question of the brain's own, that is asked when everything that was decided before it is committed. What is answered comes to
// Heard with Ref, once.
type Ask struct {
	Ref      any // the brain's
	To       message.Address
	Word     any
	Patience time.Duration
}

// Out is what follows from a question, from an answer, or from time that passes.
type Out struct {
	Records []Record
	Txn     *Txn // nil: the records are nobody's; else they are written as a part of this transaction
	Replies []Reply
	Asks    []Ask
}
