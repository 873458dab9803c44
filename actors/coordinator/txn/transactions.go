// Package txn decides for the transactions of one coordinator: who is the producer of a transactional id, in which epoch, which partitions
// take part in its transaction, and how that ends. A question and the time go in; records to write, answers to give and partitions to
// tell come out.
//
//	         InitProducer              Enlist                EndTransaction, time-out, InitProducer
//	nothing ─────────────▶ Empty ───────────────▶ Ongoing ─────────────────────────────────────────▶ PrepareCommit, PrepareAbort
//	                                                 ▲                                                  │ every partition has
//	                                                 │ Enlist                                           ▼ its marker
//	                                                 └───────────────────────────────────── CompleteCommit, CompleteAbort
//
// What is written as Prepare is decided: its markers are sent until every partition has taken one, by whoever coordinates then (KIP-98).
// In version 2 of transactions each one has an epoch of its own, so that nothing of it can come behind its end (KIP-890).
//
// Sentences are Kafka's (S88-S99 of its protocols, TransactionCoordinator and TransactionMetadata). There are no transitions under way:
// state changes at once, and who could not write it is thrown away. PrepareEpochFence and Dead, states in which Kafka's coordinators
// never rest, have only their names here.
//
// It refuses to know clients, disks and clocks.
package txn

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Settings bound transactions.
type Settings struct {
	TimeoutMax    time.Duration // that a producer may ask for
	AbortCheck    time.Duration // how often transactions that took too long are looked for
	Retention     time.Duration // of a transactional id that is not used
	RetentionScan time.Duration // how often ids to forget are looked for
}

// Transactions are the transactional ids of one coordinator.
type Transactions struct {
	settings Settings
	place    brain.Place
	image    *image.Image
	named    map[string]*transaction
	open     map[*transaction]struct{} // that are ongoing
	ids      ids
	failed   []marking // that are sent again
	again    time.Time // when; zero: there are none
	checked  time.Time // when it was looked for what took too long
	scanned  time.Time // when it was looked for ids to forget
	out      brain.Out
}

// New makes a coordinator's brain that knows no transaction.
func New(s Settings, at brain.Place) *Transactions {
	return &Transactions{settings: s, place: at, image: image.Empty(), named: map[string]*transaction{}, open: map[*transaction]struct{}{}}
}

var _ brain.Brain = (*Transactions)(nil)

// Count is how many transactional ids there are.
func (t *Transactions) Count() int { return len(t.named) }

// Know is part of brain.Brain.
func (t *Transactions) Know(img *image.Image, _ setting.Layers) { t.image = img }

// version is how transactions work that the coordinator ends by itself.
func (t *Transactions) version() int16 { return t.image.Feature(message.TransactionVersionFeature) }

// Decide is part of brain.Brain.
func (t *Transactions) Decide(now time.Time, from brain.Caller, ask any) (out brain.Out, known bool) {
	if !t.decide(now, from, ask, noID) {
		return brain.Out{}, false
	}
	return t.take(), true
}

// decide answers a question, with a producer id that was not used before if it has asked for one.
func (t *Transactions) decide(now time.Time, from brain.Caller, ask any, fresh int64) (known bool) {
	switch m := ask.(type) {
	case *message.InitProducer:
		if answer := t.initiate(now, m, fresh); answer != nil {
			t.reply(from, answer)
			return true
		}
	case *message.EndTransaction:
		if answer := t.end(now, m, fresh); answer != nil {
			t.reply(from, answer)
			return true
		}
	case *message.Enlist:
		t.reply(from, t.enlist(now, m))
		return true
	case *message.DescribeTransactions:
		t.reply(from, t.describe(m))
		return true
	case *message.ListTransactions:
		t.reply(from, t.list(now, m))
		return true
	default:
		return false
	}
	t.draw(from, ask)
	return true
}

// Heard is part of brain.Brain.
func (t *Transactions) Heard(now time.Time, ref, answer any) brain.Out {
	switch ref := ref.(type) {
	case marking:
		t.marked(now, ref, answer)
	case draw:
		t.drawn(now, ref, answer)
	}
	return t.take()
}

// TopicsChanged is part of brain.Brain. A partition that is gone needs no marker, which is seen when the next one is to be sent.
func (t *Transactions) TopicsChanged(time.Time, []string, []string) brain.Out { return brain.Out{} }

func (t *Transactions) take() brain.Out {
	out := t.out
	t.out = brain.Out{}
	return out
}

func (t *Transactions) reply(to brain.Caller, answer any) {
	if to != 0 {
		t.out.Replies = append(t.out.Replies, brain.Reply{To: to, Answer: answer})
	}
}

// write writes down what a transactional id has become.
func (t *Transactions) write(now time.Time, x *transaction) {
	x.updated = now.UnixMilli()
	t.out.Records = append(t.out.Records, x.record(t.version()))
}
