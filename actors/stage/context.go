package stage

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// A cell is its actor's Context.
var _ Context = (*cell)(nil)

func (c *cell) Self() message.Address                           { return c.self }
func (c *cell) Message() any                                    { return c.message }
func (c *cell) Caller() Caller                                  { return c.caller }
func (c *cell) Answers() RequestID                              { return c.answers }
func (c *cell) Now() time.Time                                  { return c.house.driver.now() }
func (c *cell) FS() vfs.FS                                      { return c.house.Options.FS }
func (c *cell) Published(by message.Address) any                { return c.house.Published(by) }
func (c *cell) Spawn(at message.Address, new func() Actor) bool { return c.house.Spawn(at, new) }
func (c *cell) Publish(view any)                                { c.published.Store(&view) }
func (c *cell) Fail(err error)                                  { panic(&failure{err}) }

func (c *cell) Send(to message.Address, msg any) {
	if target := c.house.find(to); target != nil {
		target.post(&envelope{kind: kindSend, msg: msg, from: &c.self}, c)
	} else {
		c.house.sendAbroad(c.self, to, msg)
	}
}

func (c *cell) Answer(to Caller, msg any) {
	if to.Request == 0 {
		return
	}
	// A request that was handed on is answered by somebody else than who owes it.
	if d := c.debts.find(to.debt); d != nil && d.number == uint64(to.Request) && *d.from == to.Address {
		c.debts.remove(to.debt)
	}
	if target := c.house.find(to.Address); target != nil {
		target.post(&envelope{kind: kindAnswer, msg: msg, from: &c.self, number: uint64(to.Request)}, c)
	} else if c.house.abroad(to.Address) {
		c.write(Letter{To: to.Address, Kind: LetterAnswer, Request: uint64(to.Request), Word: crossing(msg, to.Address)})
	}
}

func (c *cell) Ask(to message.Address, msg any, patience time.Duration) RequestID {
	until := c.house.driver.ticks() + max(int64(patience), 0)
	id := c.await(wait{at: until, to: to})
	if target := c.house.find(to); target != nil {
		target.post(&envelope{kind: kindSend, msg: msg, from: &c.self, number: id, until: until}, c)
	} else if c.house.abroad(to) {
		c.write(Letter{To: to, Kind: LetterWord, Request: id, Word: crossing(msg, to)})
	} else {
		c.post(&envelope{kind: kindAnswer, msg: &Down{To: to}, number: id}, c)
	}
	return RequestID(id)
}

func (c *cell) After(d time.Duration, msg any) Timer {
	if c.stop == nil {
		c.stop = func(id uint64) { c.waits.remove(id) }
	}
	id := c.await(wait{at: c.house.driver.ticks() + max(int64(d), 0), msg: msg})
	return Timer{id: id, stop: c.stop}
}

func (c *cell) Offload(cost time.Duration, work func() any) RequestID {
	id := c.await(wait{})
	c.house.driver.offload(c, id, cost, work)
	return RequestID(id)
}

func (c *cell) Rand() *rand.Rand {
	if c.random == nil {
		c.random = rand.New(rand.NewPCG(c.house.Seed, c.mark))
	}
	return c.random
}

func (c *cell) Stop(at message.Address) {
	if target := c.house.find(at); target != nil {
		target.post(&envelope{kind: kindStop}, c)
	} else {
		c.house.own(at, "stop")
	}
}

func (c *cell) Watch(at message.Address) {
	if target := c.house.find(at); target != nil {
		target.post(&envelope{kind: kindWatch, from: &c.self}, c)
		return
	}
	if c.house.abroad(at) {
		c.watchAbroad(at)
		return
	}
	c.post(&envelope{kind: kindSend, msg: &Gone{Address: at}}, c)
}

func (c *cell) Log() *slog.Logger {
	if c.log == nil {
		c.log = c.house.Options.Log.With("actor", c.self)
	}
	return c.log
}

func (c *cell) Unhandled() {
	c.Log().Warn("message not understood", "type", fmt.Sprintf("%T", c.message), "from", c.caller.Address)
}
