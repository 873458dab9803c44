package stage

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-broker/troupe/actors/message"
)

// Scheduler is the time and the chance of a simulated world: several simulated stages may share one. Everything happens
// on the goroutine that calls Step; a world is a function of its seed and of what its events do.
type Scheduler struct {
	// Trace, if set, is called before every step.
	Trace func(Step)
	// StepCost is the virtual time that one message takes; it lets deadlines pass in the midst of work. 1 us by default.
	StepCost time.Duration

	start  time.Time
	now    int64 // ticks
	seq    uint64
	events events
	ready  []*cell
	draw   *rand.Rand
	seed   uint64
	steps  uint64
	hash   uint64
	system *actor.ActorSystem
	types  map[reflect.Type]uint64
}

// Step is what a scheduler is about to do: hand an actor a message, or let an event happen.
type Step struct {
	Number  uint64
	At      time.Time
	Address message.Address // zero: an event
	Message any             // nil: an event, or the stage's own housekeeping
	Caller  message.Address
}

// String is one line of a trace.
func (s Step) String() string {
	if s.Address.IsZero() {
		return fmt.Sprintf("%d %s event", s.Number, s.At.Format("15:04:05.000000"))
	}
	return fmt.Sprintf("%d %s %v <- %v %T", s.Number, s.At.Format("15:04:05.000000"), s.Address, s.Caller, s.Message)
}

// NewScheduler makes a world's time begin at start.
func NewScheduler(seed uint64, start time.Time) *Scheduler {
	return &Scheduler{
		StepCost: time.Microsecond,
		start:    start,
		now:      1,
		seed:     seed,
		draw:     Stream(seed, "scheduler"),
		system:   newSystem(),
		types:    make(map[reflect.Type]uint64),
	}
}

// Now is the world's time, which no node sees whose clock is set differently.
func (s *Scheduler) Now() time.Time { return s.start.Add(time.Duration(s.now - 1)) }

// Elapsed is how long the world has been going.
func (s *Scheduler) Elapsed() time.Duration { return time.Duration(s.now - 1) }

// Hash sums up every step so far: address, type of message and time. Equal worlds have equal hashes.
func (s *Scheduler) Hash() uint64 { return s.hash }

// Steps is how many there were.
func (s *Scheduler) Steps() uint64 { return s.steps }

// Note folds something that happened outside of actors into the hash.
func (s *Scheduler) Note(x uint64) { s.hash = mix(s.hash, x) }

// After lets something happen when d has passed, on the goroutine that steps.
func (s *Scheduler) After(d time.Duration, happen func()) {
	s.at(s.now+max(int64(d), 0), event{fire: happen})
}

func (s *Scheduler) at(at int64, e event) {
	s.seq++
	e.at, e.seq = at, s.seq
	s.events.push(e)
}

// Step does one thing: the next event that is due, else one message of one of the ready actors, else time goes on to the
// next event. False if nothing is left to happen.
func (s *Scheduler) Step() bool {
	switch {
	case len(s.events) > 0 && (s.events[0].at <= s.now || len(s.ready) == 0):
		s.happen()
	case len(s.ready) > 0:
		s.run()
	default:
		return false
	}
	return true
}

// RunFor steps until d has passed, or nothing is left.
func (s *Scheduler) RunFor(d time.Duration) { s.RunUntil(s.Now().Add(d)) }

// RunUntil steps until the world's time is t, or later by the last step's cost.
func (s *Scheduler) RunUntil(t time.Time) {
	for end := t.Sub(s.start); s.StepBefore(end); {
	}
}

// StepBefore does one thing as Step does, unless it would happen when the world has been going for longer than end: then time goes
// on to end. False if it has come to that.
func (s *Scheduler) StepBefore(end time.Duration) bool {
	tick := int64(end) + 1
	if s.now >= tick {
		return false
	}
	if len(s.ready) == 0 && (len(s.events) == 0 || s.events[0].at > tick) {
		s.now = tick
		return false
	}
	return s.Step()
}

// happen lets the earliest event happen. An alarm that was moved is passed over.
func (s *Scheduler) happen() {
	e := s.events.pop()
	s.now = max(s.now, e.at)
	if e.cell != nil {
		if !e.cell.ended && !e.cell.house.dead && e.cell.alarm == e.seq {
			e.cell.post(&envelope{kind: kindAlarm}, nil)
		}
		return
	}
	s.step(0, 0, Step{})
	e.fire()
}

// run lets a ready cell that chance picks handle one message.
func (s *Scheduler) run() {
	i := 0
	if len(s.ready) > 1 {
		i = int(s.draw.Uint64() % uint64(len(s.ready)))
	}
	c, last := s.ready[i], len(s.ready)-1
	s.ready[i], s.ready[last] = s.ready[last], nil
	s.ready = s.ready[:last]
	s.foretell(c)
	s.now += int64(s.StepCost)
	more := c.run(1)
	if waited := c.house.driver.(*puppeteer).waited(); waited > 0 {
		c.busy = s.now + int64(waited)
	}
	if more && !c.house.dead {
		s.enqueue(c)
	}
}

// foretell notes the message that a cell will handle next.
func (s *Scheduler) foretell(c *cell) {
	if len(c.system) > 0 {
		s.step(c.mark, s.kindOf(c.system[0]), Step{Address: c.self})
		return
	}
	e := c.mailbox.peek()
	if e == nil {
		return
	}
	step := Step{Address: c.self, Message: e.msg}
	if e.from != nil {
		step.Caller = *e.from
	}
	s.step(c.mark, mix(s.kindOf(e.msg), uint64(e.kind)), step)
}

func (s *Scheduler) step(who, what uint64, step Step) {
	s.steps++
	s.hash = mix(s.hash^who, what+uint64(s.now))
	if s.Trace != nil {
		step.Number, step.At = s.steps, s.Now()
		s.Trace(step)
	}
}

// kindOf is a message's type as a number that is the same in every process.
func (s *Scheduler) kindOf(msg any) uint64 {
	t := reflect.TypeOf(msg)
	if t == nil {
		return 0
	}
	h, known := s.types[t]
	if !known {
		h = 1
		for _, b := range []byte(t.String()) {
			h = mix(h, uint64(b))
		}
		s.types[t] = h
	}
	return h
}

// enqueue makes a cell ready: now, or when its node goes on, or when the disk lets it.
func (s *Scheduler) enqueue(c *cell) {
	d := c.house.driver.(*puppeteer)
	switch {
	case d.paused:
		d.held = append(d.held, c)
	case c.busy > s.now:
		s.at(c.busy, event{fire: func() { s.rejoin(c) }})
	default:
		s.ready = append(s.ready, c)
	}
}

func (s *Scheduler) rejoin(c *cell) {
	if !c.house.dead {
		s.enqueue(c)
	}
}

// drop forgets the ready cells of a house.
func (s *Scheduler) drop(h *house) {
	kept := s.ready[:0]
	for _, c := range s.ready {
		if c.house != h {
			kept = append(kept, c)
		}
	}
	clear(s.ready[len(kept):])
	s.ready = kept
}
