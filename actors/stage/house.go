package stage

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	cmap "github.com/orcaman/concurrent-map"

	"github.com/troupe-broker/troupe/actors/message"
)

// house is what both stages have in common: who lives where, how they are raised, asked and laid to rest. What differs
// is the driver.
type house struct {
	Options
	driver   driver
	system   *actor.ActorSystem
	template *actor.Props
	cells    *registry

	born    atomic.Uint64
	closing atomic.Bool
	dead    bool // a simulated crash: nobody lives here any more
}

// driver runs cells: worker goroutines and the machine's clock, or one goroutine and a virtual clock.
type driver interface {
	// now is the node's clock.
	now() time.Time
	// ticks is a clock for deadlines: nanoseconds, never set, greater than 0.
	ticks() int64
	// ready runs a cell that has got mail; by is the cell whose handling caused it, nil from outside.
	ready(c, by *cell)
	// visit is ready for a caller with nothing else to do: the cell may run on its goroutine.
	visit(c *cell)
	// alarm posts an alarm to the cell at that tick. It replaces an earlier alarm for the cell or comes in addition.
	alarm(c *cell, at int64)
	// later runs a cell, which nobody else does meanwhile, when d has passed.
	later(c *cell, d time.Duration)
	// disarm forgets the cell's alarm.
	disarm(c *cell)
	// offload does the work and posts its result.
	offload(c *cell, id uint64, cost time.Duration, work func() any)
	// await returns when n values have come out of ended.
	await(ended <-chan struct{}, n int)
}

// newSystem is proto.actor without its noise, and with small maps: 1,024 of them are made for each system.
func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}

func init() { cmap.SHARD_COUNT = 1 }

func newHouse(o Options, d driver, system *actor.ActorSystem) *house {
	h := &house{Options: o.withDefaults(), driver: d, system: system, cells: newRegistry()}
	// An answer from another node may be to this node's last incarnation, whose actors had other numbers.
	h.born.Store(mix(o.Seed, 1) >> 33)
	h.template = actor.PropsFromFunc(nil, actor.WithGuardian((*supervisor)(h)))
	return h
}

// Node is part of Stage.
func (h *house) Node() message.NodeID { return h.Options.Node }

// Now is part of Stage.
func (h *house) Now() time.Time { return h.driver.now() }

// Send is part of Stage.
func (h *house) Send(to message.Address, msg any) {
	if c := h.find(to); c != nil {
		c.post(&envelope{kind: kindSend, msg: msg}, nil)
	} else {
		h.sendAbroad(h.outsideAddress(), to, msg)
	}
}

// Deliver is part of Stage.
func (h *house) Deliver(to message.Address, msg any) {
	c := h.find(to)
	if c == nil {
		h.sendAbroad(h.outsideAddress(), to, msg)
	} else if c.mailbox.push(&envelope{kind: kindSend, msg: msg}) {
		h.driver.visit(c)
	}
}

// Published is part of Stage.
func (h *house) Published(by message.Address) any {
	if c := h.find(by); c != nil {
		if view := c.published.Load(); view != nil {
			return *view
		}
	}
	return nil
}

// Stop is part of Stage.
func (h *house) Stop(at message.Address) {
	if c := h.find(at); c != nil {
		c.post(&envelope{kind: kindStop}, nil)
	} else {
		h.own(at, "stop")
	}
}

// own panics where an address is another node's: what happens there is decided there.
func (h *house) own(at message.Address, what string) {
	if at.Node != h.Options.Node || at.IsZero() {
		panic("stage: node " + h.name() + " was told to " + what + " " + at.String())
	}
}

// Spawn is part of Stage.
func (h *house) Spawn(at message.Address, new func() Actor) bool {
	h.own(at, "spawn")
	c := &cell{house: h, self: at, mark: mark(at), make: new, born: h.born.Add(1)}
	c.last = c.born << 32 // so that no answer to an earlier actor at this address is taken for one to this
	if h.closing.Load() || h.dead || !h.cells.add(c) {
		return false
	}
	c.raise()
	return true
}

func (h *house) name() string { return message.Address{Node: h.Options.Node}.String() }

func (h *house) find(at message.Address) *cell {
	if h.dead {
		return nil
	}
	return h.cells.find(at)
}

// Close is part of Stage. Neighbours in age that are of one kind stop side by side, and everybody else waits for them.
func (h *house) Close() {
	h.closing.Store(true)
	for {
		cells := byAge(h.cells.all())
		if len(cells) == 0 {
			return
		}
		slices.Reverse(cells)
		n := 1
		for n < len(cells) && cells[n].self.Kind == cells[0].self.Kind {
			n++
		}
		h.end(cells[:n])
	}
}

func (h *house) end(cells []*cell) {
	ended := make(chan struct{}, len(cells))
	for _, c := range cells {
		c.post(&envelope{kind: kindWatch, msg: func() { ended <- struct{}{} }}, nil)
		c.post(&envelope{kind: kindStop}, nil)
	}
	h.driver.await(ended, len(cells))
}

// byAge sorts cells: those first that were spawned first.
func byAge(cells []*cell) []*cell {
	slices.SortFunc(cells, func(a, b *cell) int { return int(int64(a.born - b.born)) })
	return cells
}

func addresses(cells []*cell) []message.Address {
	at := make([]message.Address, len(cells))
	for i, c := range cells {
		at[i] = c.self
	}
	return at
}
