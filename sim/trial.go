package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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

// trial is one run of a scenario: a world with its nodes and clients, and the faults between them.
type trial struct {
	*world.World
	scenario *Scenario
	history  *check.History
	hosts    []*host
	onlooker *onlooker // in a world of several nodes
	stable   *stableWatch
	groups   bool // there are some
	topics   []*check.Topic
	clients  []workload.Client
	nemesis  *nemesis
	trace    func(line string)
	vital    []string                           // files that were damaged and that a node may not be able to do without
	refused  bool                               // it has said so, by the name of one of them
	over     bool                               // and does nothing any more
	states   map[message.Address]message.Bounds // of replicas, as they were noted last
}

// host is a node, and what was done to it.
type host struct {
	*world.Node
	ahead time.Duration // of its clock
	// shutdown: a clean end is due, which steps the world and can not come from within it.
	shutdown      bool
	afterShutdown time.Duration
	rotten        *Fault    // and damage comes behind it
	frozen        FaultKind // its disk takes nothing any more: it ends at the next step, in this way
	worn          bool      // the disk could not be read: a partition that met that too often is down until the node starts anew
	broken        bool      // the disk has failed: partitions may be down for good until somebody starts the node anew
	forgot        bool      // it has lost power and was not up since
}

func newTrial(s *Scenario, o Options) (*trial, error) {
	t := &trial{scenario: s, trace: o.Trace}
	t.nemesis = &nemesis{trial: t}
	t.groups = slices.ContainsFunc(s.Clients, func(c workload.Spec) bool { return c.Kind == workload.Sharing })
	options := world.Options{Seed: s.Seed + s.Order, Network: network.Options{SlowReader: s.Net.SlowReader, Reset: s.Net.Reset},
		Cluster: s.Nodes, Mesh: network.MeshOptions{Credits: s.Net.Credits, Queue: s.Net.Queue, Observe: t.letter}}
	if o.Trace != nil || s.damages() {
		options.Log = slog.New(&logbook{trial: t})
	}
	if o.Trace != nil && o.Messages {
		options.Trace = t.step
	}
	if o.Trace != nil {
		options.Mesh.Trace = t.Note
	}
	t.World = world.New(options)
	t.history = check.New(t.Now)
	t.history.Nodes = s.nodes()
	t.history.OnAck(t.acked)
	t.history.OnNews(t.nemesis.told)
	if s.nodes() > 1 {
		t.onlooker = newOnlooker(t)
	}
	t.stable = watchStable(t)
	return t, t.addHosts()
}

// addHosts makes the nodes, which are down.
func (t *trial) addHosts() error {
	s := t.scenario
	for id := message.NodeID(1); int(id) <= s.nodes(); id++ {
		h, name := &host{}, "disk"
		if id > 1 {
			name = fmt.Sprintf("disk-%d", id)
		}
		disk := vfs.MemoryOptions{Rand: t.World.Rand(name), FullAtSync: s.Disk.FullAtSync, Trace: func(op vfs.Op, path string, _ int64, _ int, err error) {
			t.nemesis.operated(h, name, op, path, err)
		}}
		var err error
		if h.Node, err = t.Add(id, s.Broker, disk); err != nil {
			return err
		}
		t.hosts = append(t.hosts, h)
	}
	return nil
}

// acked hears of every batch that a client is told to be durable.
func (t *trial) acked(b *check.Batch, base int64) {
	if t.onlooker != nil {
		t.onlooker.acked(b, base)
	}
	t.nemesis.acked()
}

// Nodes is part of workload.World.
func (t *trial) Nodes() int { return t.scenario.nodes() }

// Mended is part of workload.World.
func (t *trial) Mended() bool { return t.nemesis.over }

// Rand is part of workload.World.
func (t *trial) Rand(name string) *rand.Rand { return t.World.Rand(name) }

// Dial is part of workload.World.
func (t *trial) Dial(client string, node message.NodeID, h workload.Handler) workload.Conn {
	return t.World.Dial(client, node, h)
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
		steps := t.Time.Steps()
		more := t.World.RunFor(lookEvery, stepsMax)
		if t.Time.Steps() > steps {
			t.look()
		}
		if !more || t.Time.Steps() > stepsMax {
			t.fail(check.EveryoneServed, "The world has taken %d steps in %v and does not come to an end.", stepsMax, t.Now())
		}
	}
	return !t.ended() && holds()
}

// look looks at everything: there is nothing new where no step was made.
func (t *trial) look() {
	t.nemesis.look()
	t.noteStates()
	t.stable.look()
	if t.groups {
		t.listen()
	}
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
	if t.trace == nil && t.onlooker == nil {
		return
	}
	if t.onlooker != nil {
		t.onlooker.look() // first: a replica may know already what only the newest image says
	}
	for _, h := range t.hosts {
		for _, topic := range t.topics {
			for _, p := range topic.Partitions {
				t.noteState(h, p)
			}
		}
	}
}

func (t *trial) noteState(h *host, p *check.Partition) {
	id := p.ID()
	at, view := message.PartitionAt(h.ID, id), h.View(id)
	if view == nil || view.Bounds() == t.states[at] {
		return
	}
	if t.states == nil {
		t.states = map[message.Address]message.Bounds{}
	}
	b := view.Bounds()
	t.states[at] = b
	if t.onlooker != nil {
		t.onlooker.shows(h, p, b)
	}
	if t.trace == nil {
		return
	}
	name := p.String()
	if t.onlooker != nil {
		name += fmt.Sprintf("@%d", h.ID)
	}
	t.Note("state %s leads=%v epoch=%d start=%d high-watermark=%d end=%d", name, b.IsLeader, b.LeaderEpoch, b.LogStart, b.HighWatermark, b.LogEnd)
}

// startAll starts every node that is down.
func (t *trial) startAll() {
	for _, h := range t.hosts {
		t.start(h)
	}
}

// start starts a node.
func (t *trial) start(h *host) {
	if h.Up() {
		return
	}
	t.history.Started()
	if h.forgot { // others may have had all of it until it is back, and leads
		h.forgot = false
		t.history.PowerLoss()
	}
	err := h.Start()
	if err != nil && h.worn && !t.nemesis.over { // its supervisor tries again
		t.nemesis.startAfter(h, startAgain)
		return
	}
	if err != nil {
		t.heard(err.Error())
		t.fail(check.NodeLives, "It does not start: %v.", err)
	}
	t.Note("node %d starts: incarnation %d", h.ID, h.Incarnation)
}

const startAgain = 100 * time.Millisecond

// power lets a node lose power.
func (t *trial) power(h *host) {
	t.Note("node %d loses power", h.ID)
	h.PowerOff()
	h.forgot = true
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
