// Package coordinator is the actor that keeps shared state over the log: one beside each replica of an internal topic's partition, at
// work where that replica leads.
//
// What it is asked its brain decides (brain/ says what one is; group/, txn/). Records that follow are appended to the partition, several questions' at a time while the
// batch before is being replicated, and answers leave when everything that was decided before them is committed: nobody reads what a
// crash could take back. Where the log cannot be written the brain is thrown away and made again by replaying the log.
//
// It refuses to answer while it does not lead, and while it replays. A record that it cannot read is left out and named.
package coordinator

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Options say which coordinator an actor is.
type Options struct {
	ID     message.PartitionID              // of the internal topic
	New    func(at brain.Place) brain.Brain // makes who decides, for each term anew
	Static setting.Values                   // what the node was started with: dynamic settings rest on it
	// RecordMax is how many bytes go into a batch at most, where one question has not more written.
	RecordMax int
	// AppendPatience is how long a commit may take; zero: 5 s.
	AppendPatience time.Duration
}

// Coordinator is one partition's coordinator.
//
//	ask ─▶ brain ─▶ records ─▶ Append ─▶ partition ─▶ Appended ─▶ answers
type Coordinator struct {
	opts  Options
	epoch int32 // of the leadership; -1: another node leads
	phase phase

	load    load
	brain   brain.Brain
	callers callers
	asks    asks
	proofs  proofs
	pen     pen
	gone    []string     // topics that were removed while the log was replayed
	image   *image.Image // that the brain knows
	timer   stage.Timer
	due     time.Time // of the timer
}

type phase uint8

const (
	idle    phase = iota // another node leads
	loading              // the log is being replayed
	active
)

// Messages to self.
type (
	expire struct{} // time has something to say
	reload struct{} // the log may be readable now
)

// New is how a stage makes a coordinator.
func New(o Options) func() stage.Actor {
	if o.AppendPatience <= 0 {
		o.AppendPatience = 5 * time.Second
	}
	return func() stage.Actor { return &Coordinator{opts: o, epoch: -1} }
}

// Receive is the table of contents.
func (k *Coordinator) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
	case *message.Leadership:
		k.lead(c, m)
	case *message.TopicsChanged:
		k.topicsChanged(c, m)
	case *message.Progressed:
		k.progressed(c, m)
	case *chunk:
		k.replay(c, m)
	case *reload:
		k.reload(c)
	case *message.Appended:
		k.appended(c, m)
	case *message.Confirmed:
		k.confirmed(c)
	case *expire:
		k.expire(c)
	case *stage.TimedOut, *stage.Down:
		k.unanswered(c)
	case *stage.Stopping:
		k.dismiss(c, message.NotCoordinator)
	default:
		if c.Answers() != 0 {
			k.heard(c, m)
			return
		}
		k.ask(c, m)
	}
}

// lead takes a new word on who leads. A new epoch of one's own is one in which the log has to be read again.
func (k *Coordinator) lead(c stage.Context, m *message.Leadership) {
	epoch := int32(-1)
	if m.Leader == c.Self().Node {
		epoch = m.LeaderEpoch
	}
	if epoch == k.epoch {
		return
	}
	k.epoch = epoch
	k.dismiss(c, message.NotCoordinator)
	if k.phase = idle; epoch >= 0 {
		k.open(c)
	}
}

// dismiss answers everybody who waits and forgets what is known.
func (k *Coordinator) dismiss(c stage.Context, code message.Code) {
	k.timer.Stop()
	k.timer, k.due = stage.Timer{}, time.Time{}
	k.callers.dismiss(c, code)
	k.brain, k.pen, k.load, k.asks, k.proofs = nil, pen{}, load{}, asks{}, proofs{}
}

// ask has the brain decide.
func (k *Coordinator) ask(c stage.Context, ask any) {
	switch k.phase {
	case idle:
		c.Answer(c.Caller(), &message.Uncoordinated{Code: message.NotCoordinator})
		return
	case loading:
		c.Answer(c.Caller(), &message.Uncoordinated{Code: message.CoordinatorLoadInProgress})
		return
	}
	if !k.sure(c) {
		c.Answer(c.Caller(), &message.Uncoordinated{Code: message.NotCoordinator})
		return
	}
	from := k.callers.add(c.Caller())
	out, known := k.brain.Decide(c.Now(), from, ask)
	if !known {
		k.callers.take(from)
		c.Unhandled()
		return
	}
	k.carryOut(c, out)
}

// sure shows the brain the newest metadata. Where it doubts, who is held is told that another node may have news.
func (k *Coordinator) sure(c stage.Context) bool {
	k.know(c)
	if !k.doubts(c) {
		return true
	}
	if b, holds := k.brain.(brain.Holder); holds {
		for _, n := range b.Abandon() {
			c.Answer(k.callers.take(n), &message.Uncoordinated{Code: message.NotCoordinator})
		}
	}
	return false
}

// carryOut is the only place where a decision becomes an effect: write, or have it proved, then answer and ask.
func (k *Coordinator) carryOut(c stage.Context, out brain.Out) {
	if k.isUnproved(out) {
		k.proofs.later, out.Replies = append(k.proofs.later, out.Replies...), nil
		k.prove(c)
	}
	k.pen.add(c.Now(), out, k.opts.RecordMax)
	k.write(c)
	k.wind(c)
}

// wind sets the timer for what is due next.
func (k *Coordinator) wind(c stage.Context) {
	due := k.brain.Due()
	if due.IsZero() || !k.due.IsZero() && !due.Before(k.due) {
		return // one that rings too early is set again
	}
	k.timer.Stop()
	k.due = due
	k.timer = c.After(max(due.Sub(c.Now()), 0), &expire{})
}

// expire lets time speak, but not while another node may have heard meanwhile from whose time would be over here.
func (k *Coordinator) expire(c stage.Context) {
	if k.due = (time.Time{}); k.phase != active {
		return
	}
	if !k.sure(c) {
		k.due = c.Now().Add(doubtPause)
		k.timer = c.After(doubtPause, &expire{})
		return
	}
	k.carryOut(c, k.brain.Expire(c.Now()))
}

// doubtPause is how soon who doubts looks again.
const doubtPause = 100 * time.Millisecond

// topicsChanged tells the brain what has become of topics.
func (k *Coordinator) topicsChanged(c stage.Context, m *message.TopicsChanged) {
	switch k.phase {
	case loading:
		k.gone = append(k.gone, m.Gone...)
	case active:
		k.sure(c)
		k.carryOut(c, k.brain.TopicsChanged(c.Now(), m.Gone, m.Grown))
	}
}

// unanswered is a question of ours that nobody answers.
func (k *Coordinator) unanswered(c stage.Context) {
	switch id := c.Answers(); {
	case id == 0:
	case id == k.pen.asked:
		k.fail(c, message.CoordinatorNotAvailable, "the partition is silent")
	case id == k.load.asked:
		k.openLater(c)
	case id == k.proofs.asked:
		k.unconfirmed(c)
	default:
		k.heard(c, nil)
	}
}

// Members are how many members the groups have, and Deaf names one whose heartbeat is held though there is news for it: for those who look on.
func (k *Coordinator) Members() int {
	if b, holds := k.brain.(brain.Holder); holds {
		return b.Members()
	}
	return 0
}

// Deaf is empty if there is none.
func (k *Coordinator) Deaf() string {
	if b, holds := k.brain.(brain.Holder); holds && k.phase == active {
		return b.Deaf()
	}
	return ""
}

// Parked is how many wait here, for those who look on.
func (k *Coordinator) Parked() int { return len(k.callers.waiting) }
