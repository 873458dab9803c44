package stage

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// Simulated is the stage of one incarnation of a node in a simulated world. Its methods, too, are for the goroutine that
// steps the scheduler.
type Simulated struct {
	*house
	driver *puppeteer
}

// NewSimulated adds an incarnation of a node to a world. Its actors' random streams depend on the world's seed, the
// node, the incarnation and their addresses; Options.Seed is not looked at.
func NewSimulated(s *Scheduler, o Options, incarnation uint64) *Simulated {
	o.Seed = mix(mix(s.seed, uint64(uint32(o.Node))), incarnation)
	o = o.withDefaults()
	d := &puppeteer{Scheduler: s, max: o.Offloads,
		draw: Stream(s.seed, fmt.Sprintf("offloads of %d in %d", o.Node, incarnation)).Uint64}
	return &Simulated{house: newHouse(o, d, s.system), driver: d}
}

// Crash ends the incarnation as a power cut does: its actors, messages, timers and offloaded work are gone at once, and
// nobody is told.
func (s *Simulated) Crash() {
	s.house.dead = true
	s.driver.waiting, s.driver.under, s.driver.held = nil, nil, nil
	s.driver.drop(s.house)
}

// Crashed says that Crash was called.
func (s *Simulated) Crashed() bool { return s.house.dead }

// Pause stops the node's actors, as a stopped process, until Resume. Time goes on for them.
func (s *Simulated) Pause() {
	d := s.driver
	if d.paused {
		return
	}
	for _, c := range d.Scheduler.ready {
		if c.house == s.house {
			d.held = append(d.held, c)
		}
	}
	d.drop(s.house)
	d.paused = true
}

// Resume lets a paused node go on.
func (s *Simulated) Resume() {
	d := s.driver
	d.paused = false
	d.Scheduler.ready = append(d.Scheduler.ready, d.held...)
	d.held = nil
}

// SetClock sets the node's clock that far ahead of the world's (behind, if negative). Deadlines and timers do not see it.
func (s *Simulated) SetClock(ahead time.Duration) { s.driver.ahead = ahead }

// Slow makes the node's offloaded work take that many times as long, 1 by default. Work that is under way, too, may end
// the earlier for it.
func (s *Simulated) Slow(factor float64) {
	s.driver.slow = factor
	for _, u := range s.driver.under {
		s.driver.schedule(u)
	}
}

// SetDelay says who knows how long the disk makes callers wait: ask is called after every message and every piece of
// offloaded work, and its actor goes on, or its result comes, that much later.
func (s *Simulated) SetDelay(ask func() time.Duration) { s.driver.delay = ask }

// Actors are the addresses of those who live on the stage, in the order they were spawned.
func (s *Simulated) Actors() []message.Address { return addresses(byAge(s.house.cells.all())) }

// ActorsOf are those of one kind.
func (s *Simulated) ActorsOf(kind message.Kind) []message.Address {
	others := func(c *cell) bool { return c.self.Kind != kind }
	return addresses(byAge(slices.DeleteFunc(s.house.cells.all(), others)))
}

// Actor is the instance behind an address, nil if there is none: for looking at what it holds, between two steps.
func (s *Simulated) Actor(at message.Address) Actor {
	if c := s.house.find(at); c != nil {
		return c.actor
	}
	return nil
}

// puppeteer drives cells by a scheduler.
type puppeteer struct {
	*Scheduler
	ahead  time.Duration
	slow   float64
	delay  func() time.Duration
	owed   time.Duration // taken from delay, and not yet waited
	paused bool
	held   []*cell // ready, but paused

	draw    func() uint64 // how long, and when it takes effect
	max     int
	running int
	waiting []chore
	under   []*underway
	last    time.Duration // how long the disk has made the last piece of work wait
}

// chore is offloaded work that waits for its turn.
type chore struct {
	job
	cost time.Duration
}

func (d *puppeteer) now() time.Time { return d.Scheduler.Now().Add(d.ahead) }
func (d *puppeteer) ticks() int64   { return d.Scheduler.now }
func (d *puppeteer) disarm(*cell)   {}

func (d *puppeteer) visit(c *cell) { d.ready(c, nil) }

func (d *puppeteer) ready(c, _ *cell) {
	if !c.house.dead {
		d.enqueue(c)
	}
}

func (d *puppeteer) alarm(c *cell, at int64) {
	d.at(at, event{cell: c})
	c.alarm = d.seq
}

func (d *puppeteer) later(c *cell, delay time.Duration) {
	d.After(delay, func() { d.rejoin(c) })
}

func (d *puppeteer) offload(c *cell, id uint64, cost time.Duration, work func() any) {
	d.waiting = append(d.waiting, chore{job: job{cell: c, id: id, work: work}, cost: cost})
	d.start()
}

// start begins the work that has a place. It takes effect at the beginning or at the end, as chance has it.
func (d *puppeteer) start() {
	for d.running < d.max && len(d.waiting) > 0 {
		w := d.waiting[0]
		d.waiting[0] = chore{}
		d.waiting = d.waiting[1:]
		d.running++
		r := d.draw()
		spread := 0.5 + float64(r>>11)/(1<<53)
		u := &underway{chore: w}
		if r&1 == 0 {
			u.takes = time.Duration(spread * float64(d.expect(w.cost)))
			d.let(u)
			continue
		}
		d.do(u)
		u.takes = time.Duration(spread * float64(u.takes))
		d.let(u)
	}
}

// underway is a piece of work that has begun and whose result is not there yet.
type underway struct {
	chore
	takes  time.Duration // on a disk that is not slowed down
	result *envelope     // nil: it takes effect at the end
	over   bool
}

// expect is how long work will take whose effect comes at the end: as long as the last took. What its actor expects would
// not do, since it may have learnt that from us: it would learn its own expectation, and a slow disk would get slower with
// every sync.
func (d *puppeteer) expect(cost time.Duration) time.Duration {
	if d.last > 0 {
		return d.last
	}
	return cost
}

// do does the work. It takes as long as the disk makes it wait, or, where it does not touch the disk, as its actor says.
func (d *puppeteer) do(u *underway) {
	before := d.waited() // is the caller's own
	u.result = attempt(u.id, u.work)
	u.takes = u.cost
	if waited := d.waited(); waited > 0 {
		u.takes, d.last = waited, waited
	}
	d.owed += before
}

// let lets the work end when it has taken its time.
func (d *puppeteer) let(u *underway) {
	d.under = append(d.under, u)
	d.schedule(u)
}

func (d *puppeteer) schedule(u *underway) {
	d.After(time.Duration(float64(u.takes)*d.factor()), func() { d.finish(u) })
}

// finish posts a result and makes room for the next piece of work.
func (d *puppeteer) finish(u *underway) {
	if u.over || u.cell.house.dead {
		return
	}
	if u.result == nil {
		waited := u.takes
		d.do(u)
		if u.takes -= waited; u.takes > 0 && !u.cell.house.dead {
			d.schedule(u) // it takes longer than expected: this was the middle
			return
		}
	}
	u.over = true
	d.under = slices.DeleteFunc(d.under, func(o *underway) bool { return o == u })
	d.running--
	u.cell.post(u.result, nil)
	d.start()
}

// waited is how long the disk has made its callers wait since the last call.
func (d *puppeteer) waited() time.Duration {
	waited := d.owed
	d.owed = 0
	if d.delay != nil {
		waited += d.delay()
	}
	return waited
}

func (d *puppeteer) factor() float64 {
	if d.slow <= 0 {
		return 1
	}
	return d.slow
}

// await steps until the actors have ended.
func (d *puppeteer) await(ended <-chan struct{}, n int) {
	for len(ended) < n {
		if !d.Step() {
			panic("stage: an actor did not stop, and nothing is left to happen: its node is paused")
		}
	}
}
