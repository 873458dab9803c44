package stage

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-broker/troupe/actors/message"
)

// cell is one actor's place: its mailbox, what it waits for and what it owes, across restarts. Except for mailbox,
// published and what never changes it belongs to whoever runs it.
type cell struct {
	house *house
	self  message.Address
	mark  uint64
	make  func() Actor
	born  uint64

	mailbox   mailbox
	published atomic.Pointer[any]

	system  []any                // proto.actor's own messages, which go before others
	invoker actor.MessageInvoker // proto.actor's context of the actor
	actor   Actor
	message any       // in hand
	caller  Caller    // of the message in hand
	answers RequestID // what the message in hand answers

	last     uint64      // number of requests, offloads, timers and debts
	waits    table[wait] // what is to come: answers, results, timers
	debts    table[debt] // requests that are not answered yet
	pruneAt  int         // how many debts make it worth a look for expired ones
	armed    int64       // when the alarm comes; 0: it is not set
	watchers []watcher
	abroad   atomic.Bool       // it may have something to do with other nodes' actors
	watches  []message.Address // other nodes' actors whose end it wants to know
	failures []int64           // ticks
	delay    time.Duration     // before it starts again
	failed   error             // why it stays down
	ended    bool

	random *rand.Rand
	log    *slog.Logger
	stop   func(id uint64) // Timer.Stop

	link  *cell       // in the queue of ready cells
	on    *worker     // that runs it, on the real stage
	clock *time.Timer // its alarm, on the real stage
	busy  int64       // until when it waits for the disk, on a simulated stage
	alarm uint64      // the event that is its alarm, on a simulated stage: those before it are passed over
}

// wait is something that is to come.
type wait struct {
	at  int64           // when it is over, in ticks; 0: never, or its end is in the mailbox already
	to  message.Address // of a request: who was asked
	msg any             // of a timer: the message
}

// debt is a request that was received and not yet answered.
type debt struct {
	from   *message.Address
	number uint64
	until  int64
}

type watcher struct {
	from *message.Address
	then func() // instead of from: somebody outside
}

// post puts an envelope into the mailbox and sees to it that the cell runs.
func (c *cell) post(e *envelope, by *cell) {
	if c.mailbox.push(e) {
		c.house.driver.ready(c, by)
	}
}

// run handles up to limit messages; more says that there are others. An actor that failed and has to wait keeps its mailbox
// from resting: nobody wakes it but the driver, when the time has come.
func (c *cell) run(limit int) (more bool) {
	for limit > 0 {
		if c.work(&limit) {
			if delay := c.delay; delay > 0 {
				c.delay = 0
				c.house.driver.later(c, delay) // which from now on is who runs it
				return false
			}
			continue
		}
		if limit > 0 && c.mailbox.rest() {
			return false
		}
	}
	return len(c.system) > 0 || !c.mailbox.rest()
}

// work handles messages until there are none, limit is used up, or the actor fails.
func (c *cell) work(limit *int) (failed bool) {
	defer func() {
		if r := recover(); r != nil {
			failed = true
			c.fail(r)
		}
	}()
	for *limit > 0 {
		if len(c.system) > 0 {
			*limit--
			c.manage()
			continue
		}
		e := c.mailbox.pop()
		if e == nil {
			return false
		}
		*limit--
		if c.on != nil {
			c.on.share()
		}
		if c.ended {
			c.refuse(e)
		} else {
			c.handle(e)
		}
	}
	return false
}

// manage lets proto.actor handle the oldest of its own messages.
func (c *cell) manage() {
	m := c.system[0]
	c.system = c.system[1:]
	if len(c.system) == 0 {
		c.system = nil
	}
	c.invoker.InvokeSystemMessage(m)
}

func (c *cell) handle(e *envelope) {
	switch e.kind {
	case kindSend:
		c.deliver(e, 0)
	case kindAnswer:
		if _, awaited := c.waits.remove(e.number); awaited {
			c.deliver(e, RequestID(e.number))
		}
	case kindBroken:
		if _, awaited := c.waits.remove(e.number); awaited {
			panic(e.msg)
		}
	case kindAlarm:
		c.ring()
	case kindDue:
		c.due(e.number)
	case kindWatch:
		c.watched(e)
	case kindForeign:
		c.answered(e)
	case kindGone:
		c.gone(e)
	case kindPeerDown:
		c.peerDown(message.NodeID(e.number))
	case kindStop:
		c.invoker.InvokeSystemMessage(&actor.Stop{})
	}
}

// deliver hands the actor a message, by way of proto.actor's context.
func (c *cell) deliver(e *envelope, answers RequestID) {
	c.message, c.answers, c.caller = e.msg, answers, Caller{}
	if e.from != nil {
		c.caller.Address = *e.from
	}
	if e.kind == kindSend && e.number != 0 {
		c.caller.Request = RequestID(e.number)
		c.caller.debt = c.owe(e)
	}
	c.invoker.InvokeUserMessage(e)
	c.message, c.caller = nil, Caller{}
}

// owe remembers a request until it is answered, so that its sender hears of a failure.
func (c *cell) owe(e *envelope) uint64 {
	if c.debts.live >= max(c.pruneAt, spare) {
		c.prune()
	}
	c.last++
	c.debts.add(c.last, debt{from: e.from, number: e.number, until: e.until})
	return c.last
}

// prune forgets requests that nobody waits for any more: not every actor answers every request.
func (c *cell) prune() {
	now := c.house.driver.ticks()
	c.acquit(func(d *debt) bool { return d.until < now })
	c.pruneAt = 2 * c.debts.live
}

// acquit forgets the debts of which that is true.
func (c *cell) acquit(of func(d *debt) bool) {
	var settled []uint64
	c.debts.each(func(id uint64, d *debt) {
		if of(d) {
			settled = append(settled, id)
		}
	})
	for _, id := range settled {
		c.debts.remove(id)
	}
}

// await notes that something is to come, and sets the alarm if it has an end.
func (c *cell) await(w wait) uint64 {
	c.last++
	c.waits.add(c.last, w)
	if w.at != 0 {
		c.arm(w.at)
	}
	return c.last
}

// arm sets the alarm unless it comes early enough as it is.
func (c *cell) arm(at int64) {
	if c.armed == 0 || at < c.armed {
		c.armed = at
		c.house.driver.alarm(c, at)
	}
}

// ring ends the waits whose time has come, the earliest first, and sets the alarm for the next. Several are messages of their
// own, and so is one that finds others waiting: its answer may be among them.
func (c *cell) ring() {
	c.armed = 0
	now, next := c.house.driver.ticks(), int64(0)
	type end struct {
		at int64
		id uint64
	}
	var room [4]end
	ends := room[:0]
	c.waits.each(func(id uint64, w *wait) {
		switch {
		case w.at == 0:
		case w.at <= now:
			ends = append(ends, end{w.at, id})
			w.at = 0
		case next == 0 || w.at < next:
			next = w.at
		}
	})
	if next != 0 {
		c.arm(next)
	}
	if len(ends) == 1 && c.mailbox.peek() == nil {
		c.due(ends[0].id)
		return
	}
	slices.SortStableFunc(ends, func(a, b end) int { return int(a.at - b.at) })
	for _, e := range ends {
		c.post(&envelope{kind: kindDue, number: e.id}, c)
	}
}

// due delivers the end of a wait, unless an answer or Timer.Stop came first.
func (c *cell) due(id uint64) {
	w, awaited := c.waits.remove(id)
	if !awaited {
		return
	}
	if w.to.IsZero() {
		c.deliver(&envelope{msg: w.msg, from: &c.self}, 0)
		return
	}
	c.deliver(&envelope{msg: &TimedOut{To: w.to}}, RequestID(id))
}

func (c *cell) watched(e *envelope) {
	w := watcher{from: e.from}
	if e.from == nil {
		w.then = e.msg.(func())
	} else if slices.ContainsFunc(c.watchers, func(w watcher) bool { return w.from != nil && *w.from == *e.from }) {
		return
	}
	c.watchers = append(c.watchers, w)
}

// refuse is what a message gets that came too late.
func (c *cell) refuse(e *envelope) {
	switch {
	case e.kind == kindWatch:
		c.tell(watcher{from: e.from, then: callback(e)})
	case e.kind == kindSend && e.number != 0:
		c.down(e.from, e.number)
	case e.kind == kindSend:
		if a, ok := e.msg.(*outsideAsk); ok {
			a.then(&Down{To: a.to})
		}
	}
}

func callback(e *envelope) func() {
	f, _ := e.msg.(func())
	return f
}

func (c *cell) down(to *message.Address, number uint64) {
	if asker := c.house.find(*to); asker != nil {
		asker.post(&envelope{kind: kindAnswer, msg: &Down{To: c.self}, from: &c.self, number: number}, c)
	} else if c.house.abroad(*to) {
		c.write(Letter{To: *to, Kind: LetterDown, Request: number})
	}
}

func (c *cell) tell(w watcher) {
	if w.then != nil {
		w.then()
		return
	}
	if to := c.house.find(*w.from); to != nil {
		to.post(&envelope{kind: kindSend, msg: &Gone{Address: c.self, Failed: c.failed}, from: &c.self}, c)
	} else if c.house.abroad(*w.from) {
		c.write(Letter{To: *w.from, Kind: LetterGone})
	}
}

// forget lets go of what the failed or stopped instance waited for, and answers what it owed with Down.
func (c *cell) forget() {
	c.waits.clear()
	debts := c.debts
	c.debts.clear()
	debts.each(func(_ uint64, d *debt) { c.down(d.from, d.number) })
}

// end takes the cell out of the house and tells who wants to know.
func (c *cell) end() {
	c.ended = true
	c.house.cells.remove(c)
	c.house.driver.disarm(c)
	c.published.Store(nil)
	c.forget()
	c.actor, c.random, c.log = nil, nil, nil
	for _, w := range c.watchers {
		c.tell(w)
	}
	c.watchers = nil
}

// String is for panics and the trace.
func (c *cell) String() string { return fmt.Sprint(c.self) }
