package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/network"
	"github.com/troupe-broker/troupe/sim/workload"
	"github.com/troupe-broker/troupe/sim/world"
)

// trial is one run of a scenario: a world with a node, its clients, and the faults between them.
type trial struct {
	*world.World
	scenario *Scenario
	history  *check.History
	node     *world.Node
	topics   []*check.Topic
	clients  []workload.Client
	nemesis  *nemesis
	trace    func(line string)
	vital    []string                               // files that were damaged and that a node may not be able to do without
	refused  bool                                   // it has said so, by the name of one of them
	over     bool                                   // and does nothing any more
	states   map[message.PartitionID]message.Bounds // as they were noted last
}

func newTrial(s *Scenario, o Options) (*trial, error) {
	t := &trial{scenario: s, trace: o.Trace}
	t.nemesis = &nemesis{trial: t}
	options := world.Options{Seed: s.Seed + s.Order, Network: network.Options{SlowReader: s.Net.SlowReader, Reset: s.Net.Reset}}
	if o.Trace != nil || s.damages() {
		options.Log = slog.New(&logbook{trial: t})
	}
	if o.Trace != nil && o.Messages {
		options.Trace = t.step
	}
	t.World = world.New(options)
	t.history = check.New(t.Now)
	t.history.OnAck(t.nemesis.acked)
	t.history.OnNews(t.nemesis.told)
	var err error
	t.node, err = t.Add(1, s.Broker, vfs.MemoryOptions{Rand: t.World.Rand("disk"), FullAtSync: s.Disk.FullAtSync, Trace: t.nemesis.operated})
	return t, err
}

// Rand is part of workload.World.
func (t *trial) Rand(name string) *rand.Rand { return t.World.Rand(name) }

// Dial is part of workload.World.
func (t *trial) Dial(client string, h workload.Handler) workload.Conn {
	return t.World.Dial(client, t.node.ID, h)
}

// Note is part of workload.World.
func (t *trial) Note(format string, args ...any) {
	if t.trace != nil {
		t.trace(fmt.Sprintf("%11.6f %s", t.Now().Seconds(), fmt.Sprintf(format, args...)))
	}
}

func (t *trial) step(s stage.Step) {
	if !s.Address.IsZero() {
		t.Note("%v <- %v %T", s.Address, s.Caller, s.Message)
	}
}

// fail notes a broken invariant. A node that has lost what it cannot do without, and names it, need not serve.
func (t *trial) fail(i *check.Invariant, format string, args ...any) {
	if t.refused && (i == check.EveryoneServed || i == check.NodeLives) {
		t.over = true
		return
	}
	t.history.Fail(i, format, args...)
}

// until lets the world go on until a condition holds, which is looked at every now and then; false if it does not within
// the bound, or if something is broken.
func (t *trial) until(bound time.Duration, holds func() bool) bool {
	end := t.Now() + bound
	for t.Now() < end && !t.ended() {
		if holds() {
			return true
		}
		more := t.World.RunFor(lookEvery, stepsMax)
		t.nemesis.look()
		t.noteStates()
		if !more || t.Time.Steps() > stepsMax {
			t.fail(check.EveryoneServed, "The world has taken %d steps in %v and does not come to an end.", stepsMax, t.Now())
		}
	}
	return !t.ended() && holds()
}

func (t *trial) ended() bool { return t.over || t.history.Violation() != nil }

// heard looks for the names of damaged files in what the node says.
func (t *trial) heard(line string) {
	for _, path := range t.vital {
		t.refused = t.refused || strings.Contains(line, path)
	}
}

const (
	lookEvery = 5 * time.Millisecond
	stepsMax  = 1_000_000
)

// noteStates writes into the trace what has changed of the partitions.
func (t *trial) noteStates() {
	if t.trace == nil {
		return
	}
	for _, topic := range t.topics {
		for _, p := range topic.Partitions {
			id := message.PartitionID{Topic: topic.ID, Index: p.Index}
			view := t.node.View(id)
			if view == nil || view.Bounds() == t.states[id] {
				continue
			}
			if t.states == nil {
				t.states = map[message.PartitionID]message.Bounds{}
			}
			b := view.Bounds()
			t.states[id] = b
			t.Note("state %s leads=%v epoch=%d start=%d high-watermark=%d end=%d", p, b.IsLeader, b.LeaderEpoch, b.LogStart, b.HighWatermark, b.LogEnd)
		}
	}
}

// start starts the node.
func (t *trial) start() {
	if t.node.Up() {
		return
	}
	t.history.Started()
	err := t.node.Start()
	if err != nil && t.nemesis.worn && !t.nemesis.over { // its supervisor tries again
		t.nemesis.startAfter(startAgain)
		return
	}
	if err != nil {
		t.heard(err.Error())
		t.fail(check.NodeLives, "It does not start: %v.", err)
	}
	t.Note("node %d starts: incarnation %d", t.node.ID, t.node.Incarnation)
}

const startAgain = 100 * time.Millisecond

// power lets the node lose power.
func (t *trial) power() {
	t.Note("node %d loses power", t.node.ID)
	t.node.PowerOff()
	t.history.PowerLoss()
}

// logbook takes what the node logs into the trace.
type logbook struct {
	trial *trial
	attrs []slog.Attr
}

// Enabled is part of slog.Handler.
func (l *logbook) Enabled(_ context.Context, level slog.Level) bool {
	return l.trial.trace != nil || level >= slog.LevelError && len(l.trial.vital) > 0
}

// Handle is part of slog.Handler.
func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	for _, a := range l.attrs {
		line += " " + a.String()
	}
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	if r.Level >= slog.LevelError {
		l.trial.heard(line)
	}
	l.trial.Note("log %s: %s", r.Level, line)
	return nil
}

// WithAttrs is part of slog.Handler.
func (l *logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logbook{trial: l.trial, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup is part of slog.Handler.
func (l *logbook) WithGroup(string) slog.Handler { return l }
