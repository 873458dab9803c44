// Package stage is what every actor stands on: mailboxes, addresses, clock, chance, files, timers, requests with
// deadlines, spawning and the restart rule. It is the only package that touches proto.actor.
//
// There are two stages. The real one (NewReal) runs actors on a few worker goroutines. The simulated one (NewSimulated)
// runs the same actors on one goroutine, one message a step, with a virtual clock and a seeded scheduler. An actor can
// not tell which it stands on. It gets no goroutine, no channel and no lock: whatever may block or compute for long goes
// through Offload, whose result comes back as a message.
package stage

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Actor holds state that nobody else touches and receives one message at a time.
type Actor interface{ Receive(c Context) }

// Receiver lets a function be an actor, in tests mostly.
type Receiver func(c Context)

// Receive calls the function.
func (f Receiver) Receive(c Context) { f(c) }

// Messages that the stage itself sends.
type (
	// Started is an actor's first message, also after a restart.
	Started struct{}
	// Stopping is an actor's last message when it is stopped, not when it failed. Messages behind it in the mailbox are
	// answered with Down.
	Stopping struct{}
	// TimedOut comes instead of an answer; c.Answers() says to which request.
	TimedOut struct{ To message.Address }
	// Down comes instead of an answer when nobody lives at the address, the actor failed or stopped before it answered, or
	// its node was lost.
	// Whether it did what it was asked for is then unknown.
	Down struct{ To message.Address }
	// Gone tells a watcher that an actor has stopped, or failed too often and stays down. The address is then free again.
	Gone struct {
		Address message.Address
		Failed  error // nil: it was stopped, or it lived on another node that does not say why
	}
)

// RequestID numbers an actor's requests, offloads and the like, rising; 0 is none. Actors that lived at one address one
// after the other have different numbers.
type RequestID uint64

// Caller is who asked, kept by an actor that answers later. The zero Caller asked for no answer.
type Caller struct {
	Address message.Address
	Request RequestID

	debt uint64 // the row in the asked actor's debts
}

// IsZero says that nobody waits for an answer.
func (c Caller) IsZero() bool { return c.Address.IsZero() }

// Timer is a message to oneself that is yet to come. The zero Timer is none.
type Timer struct {
	id   uint64
	stop func(id uint64)
}

// Stop cancels the timer: its message will not come. Stopping twice, or too late, or a zero Timer does nothing. Only
// the actor that made the timer may stop it.
func (t Timer) Stop() {
	if t.stop != nil {
		t.stop(t.id)
	}
}

// Sender is what anybody may do, on or off the stage, from any goroutine.
type Sender interface {
	// Send puts a message into an actor's mailbox. It never blocks. A message to nobody is dropped. One to an actor of another
	// node has to be a message.Word, and so has what is asked or answered there; else the sender panics.
	Send(to message.Address, msg any)
	// Published is what the actor at that address published last: nil if nothing, or it is gone.
	Published(by message.Address) any
}

// Context is an actor's hold on the stage while it handles one message; it must not be kept beyond that, nor used from
// another goroutine.
type Context interface {
	Sender
	// Self is the actor's own address.
	Self() message.Address
	// Message is what arrived.
	Message() any
	// Caller is who sent it, and the number of the request if an answer is awaited (else zero Request).
	Caller() Caller
	// Answers is the request of this actor's own that the message answers (also for TimedOut, Down and offload results),
	// 0 if none.
	Answers() RequestID
	// Answer answers a request, now or later; nothing happens if the caller awaits none. Each request is to be answered
	// once: answers behind the first, or behind the deadline, are dropped.
	Answer(to Caller, msg any)
	// Ask sends a request. Exactly one message comes back with c.Answers() == its id: the answer, *TimedOut or *Down.
	Ask(to message.Address, msg any, patience time.Duration) RequestID
	// After sends msg to the actor itself when d has passed.
	After(d time.Duration, msg any) Timer
	// Offload runs work elsewhere; what it returns comes back as a message with c.Answers() == the id. A panic in it
	// fails the actor. In simulation it runs with the virtual cost given; on the real stage cost says only how long it is
	// expected to take. At most a bounded number run at once, the rest wait in order.
	Offload(cost time.Duration, work func() any) RequestID
	// Now is the stage's clock.
	Now() time.Time
	// Rand is the actor's own random stream.
	Rand() *rand.Rand
	// Spawn starts an actor at an address where none lives; false if one does. New makes it, and makes it again when it
	// failed.
	Spawn(at message.Address, new func() Actor) bool
	// Stop stops an actor, or oneself, once it has handled what is in its mailbox now.
	Stop(at message.Address)
	// Watch asks for one *Gone when the actor at the address ends; at once if nobody lives there.
	Watch(at message.Address)
	// Publish makes an immutable value readable for everybody through Published. It stays readable while the actor
	// restarts, and ends with it.
	Publish(view any)
	// FS are the files of this node's data directory.
	FS() vfs.FS
	// Log is the node's logger with the actor's address.
	Log() *slog.Logger
	// Fail ends this instance with an error, as a panic does, and does not return: the stage logs it once and restarts the
	// actor from New, or leaves it down if that happens too often.
	Fail(err error)
	// Unhandled logs a message that the actor does not know.
	Unhandled()
}

// Stage is a node's house for actors, as seen from outside of it: doors, the node itself, tests.
type Stage interface {
	Sender
	// Node is this node's number.
	Node() message.NodeID
	// Spawn, as in Context.
	Spawn(at message.Address, new func() Actor) bool
	// Stop, as in Context.
	Stop(at message.Address)
	// Deliver is Send by a goroutine that would only wait otherwise: the actor, and those that it wakes in turn, may run on
	// it for a while before Deliver returns. That saves waking a worker. The caller must hold no lock.
	Deliver(to message.Address, msg any)
	// Ask sends a request from outside; then is called once, on some goroutine that must not be blocked, with the answer,
	// *TimedOut or *Down.
	Ask(to message.Address, msg any, patience time.Duration, then func(answer any))
	// Now is the stage's clock.
	Now() time.Time
	// Close stops all actors, those spawned last first, and returns when the last has handled Stopping.
	Close()
}
