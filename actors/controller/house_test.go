package controller_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker"
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// world runs the controllers and brokers of a few nodes on one goroutine, with a clock of its own and a disk actor that
// syncs what it is given. A node's power can go.
type world struct {
	t      *testing.T
	now    time.Time
	chance *rand.Rand
	opts   controller.Options
	// realDisk: the disk actor itself stands where the toy would.
	realDisk bool
	nodes    map[message.NodeID]*node
	queue    []letter
	timers   []timer
	cut      map[message.NodeID]bool // hears nobody and is not heard
	watches  []watch                 // of other nodes' controllers
	lose     func(l letter) bool     // letters that never arrive
	lost     int

	asked    stage.RequestID
	failures []error
	logs     strings.Builder
	answers  map[stage.RequestID]any
}

type requestID = stage.RequestID

type node struct {
	id        message.NodeID
	life      int
	files     *vfs.MemoryFS
	directory message.TopicID
	actors    map[message.Address]stage.Actor
	published map[message.Address]any
	told      map[message.Address][]any // what partitions heard
	disk      []any                     // what the disk heard
	unsynced  bool                      // the disk holds its answers back
	held      []letter
}

type letter struct {
	to      message.Address
	from    stage.Caller
	answers stage.RequestID
	msg     any
	life    int // of the receiver's node, 0: any
	work    bool
}

type watch struct{ by, at message.Address }

type timer struct {
	at     time.Time
	number int
	letter letter
}

func newWorld(t *testing.T, o controller.Options) *world {
	w := &world{t: t, now: time.Unix(1_700_000_000, 0), chance: rand.New(rand.NewPCG(7, 7)), opts: o, nodes: map[message.NodeID]*node{},
		cut: map[message.NodeID]bool{}, answers: map[stage.RequestID]any{}}
	var founders []controller.Voter
	for _, id := range o.Contacts {
		w.nodes[id] = newNode(id)
		founders = append(founders, controller.Voter{Node: id, Directory: w.nodes[id].directory})
	}
	for _, id := range o.Contacts {
		if err := controller.Found(w.nodes[id].files, founders); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func newNode(id message.NodeID) *node {
	return &node{id: id, files: vfs.Memory(vfs.MemoryOptions{}), directory: message.TopicID{0: byte(id), 3: 1}}
}

// wipe puts an empty disk into the place of that of a node that is down.
func (w *world) wipe(id message.NodeID) {
	n := w.nodes[id]
	n.files = vfs.Memory(vfs.MemoryOptions{})
	n.directory[3]++
}

// controller is a node's controller.
func (w *world) controller(n *node) stage.Actor {
	o := w.opts
	o.Directory = n.directory
	return controller.New(o)
}

// start raises a node's controller and broker.
func (w *world) start(ids ...message.NodeID) {
	for _, id := range ids {
		n := w.nodes[id]
		n.life++
		n.actors, n.published, n.told, n.disk, n.held, n.unsynced = map[message.Address]stage.Actor{}, map[message.Address]any{}, map[message.Address][]any{}, nil, nil, false
		if w.realDisk {
			w.spawn(message.DiskAt(id), disk.New(disk.Options{FileBytes: 1 << 16, Files: 2, GrowBytes: 1 << 12, Parallel: 1})())
		} else {
			w.spawn(message.DiskAt(id), stage.Receiver(w.disk))
		}
		w.spawn(message.ControllerAt(id), w.controller(n))
		w.spawn(message.BrokerAt(id), w.broker(n))
	}
}

// broker is a node's broker, whose partitions only listen.
func (w *world) broker(n *node) stage.Actor {
	return broker.New(broker.Options{Static: w.opts.Static, Directory: n.directory, NewPartition: func(p message.PartitionID, l *message.Leadership) func() stage.Actor {
		at := message.PartitionAt(n.id, p)
		return func() stage.Actor {
			n.told[at] = append(n.told[at], l)
			return stage.Receiver(func(c stage.Context) {
				n.told[at] = append(n.told[at], c.Message())
				if _, deleted := c.Message().(*message.Deleted); deleted {
					c.Stop(at)
				}
			})
		}
	}})
}

func (w *world) spawn(at message.Address, a stage.Actor) {
	w.nodes[at.Node].actors[at] = a
	w.queue = append(w.queue, letter{to: at, msg: &stage.Started{}, life: w.nodes[at.Node].life})
}

// crash takes a node's power.
func (w *world) crash(id message.NodeID) {
	n := w.nodes[id]
	n.actors = nil
	w.queue = slices.DeleteFunc(w.queue, func(l letter) bool { return l.to.Node == id && l.to.Kind != message.KindOther })
	w.timers = slices.DeleteFunc(w.timers, func(t timer) bool { return t.letter.to.Node == id })
	n.files = n.files.Crash(w.chance)
}

// down tells everybody that a node's connections are lost.
func (w *world) down(id message.NodeID) {
	var rest []watch
	for _, a := range w.watches {
		switch {
		case a.at.Node == id || a.by.Node == id:
			w.queue = append(w.queue, letter{to: a.by, msg: &stage.Gone{Address: a.at}})
		default:
			rest = append(rest, a)
		}
	}
	w.watches = rest
	w.timers = slices.DeleteFunc(w.timers, func(t timer) bool {
		m, asks := t.letter.msg.(*stage.TimedOut)
		if asks = asks && m.To.Node != t.letter.to.Node && (m.To.Node == id || t.letter.to.Node == id); asks {
			w.queue = append(w.queue, letter{to: t.letter.to, answers: t.letter.answers, msg: &stage.Down{To: m.To}, work: true, life: t.letter.life})
		}
		return asks
	})
}

// disk makes everything durable that it is given, unless it is told to hold back.
func (w *world) disk(c stage.Context) {
	n := w.nodes[c.Self().Node]
	n.disk = append(n.disk, c.Message())
	switch m := c.Message().(type) {
	case *message.Recover:
		c.Answer(c.Caller(), &message.Recovered{})
	case *message.Commit:
		l := letter{to: c.Caller().Address, msg: &message.Synced{Incarnation: m.Incarnation, End: m.End, Commits: 1}, life: n.life}
		if n.unsynced {
			n.held = append(n.held, l)
			return
		}
		for _, f := range m.Files {
			if err := f.Sync(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				w.t.Fatalf("sync: %v", err)
			}
		}
		w.queue = append(w.queue, l)
	}
}

// run handles everything, and lets time pass until until is true. It fails the test after a simulated minute.
func (w *world) run(what string, until func() bool) {
	w.t.Helper()
	for end := w.now.Add(time.Minute); !until(); {
		if w.step() {
			continue
		}
		if len(w.timers) == 0 || w.now.After(end) {
			w.t.Fatalf("%s did not come about", what)
		}
		w.wait()
	}
}

// wait lets time pass until the next timer is due.
func (w *world) wait() {
	if len(w.timers) > 0 {
		slices.SortFunc(w.timers, func(a, b timer) int {
			if d := a.at.Compare(b.at); d != 0 {
				return d
			}
			return a.number - b.number
		})
		next := w.timers[0]
		w.timers = w.timers[1:]
		w.now = next.at
		w.queue = append(w.queue, next.letter)
	}
}

func (w *world) idle() {
	for w.step() {
	}
}

func (w *world) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	l := w.queue[0]
	w.queue = w.queue[1:]
	if l.to.Kind == message.KindOther {
		if w.answers[l.answers] != nil {
			w.t.Errorf("request %d is answered twice: %+v, %+v", l.answers, w.answers[l.answers], l.msg)
		}
		w.answers[l.answers] = l.msg
		return true
	}
	n := w.nodes[l.to.Node]
	a := n.actors[l.to]
	switch {
	case l.life != 0 && l.life != n.life:
	case l.from.Address.Node != l.to.Node && !l.from.Address.IsZero() && (w.cut[l.to.Node] || w.cut[l.from.Address.Node]):
	case w.lose != nil && w.lose(l):
		w.lost++
	case l.answers != 0 && !w.awaited(l): // asked of one that arrives: whose answer was lost waits until its patience ends
	case a == nil && l.from.Request != 0:
		w.queue = append(w.queue, letter{to: l.from.Address, answers: l.from.Request, msg: &stage.Down{To: l.to}})
	case a != nil:
		w.receive(a, &hold{world: w, node: n, letter: l})
	}
	return true
}

// awaited says that nothing has come yet to a request, or a piece of work, and nothing else will.
func (w *world) awaited(l letter) bool {
	if _, late := l.msg.(*stage.TimedOut); late {
		return true // the timer was not stopped
	}
	answered := func(t timer) bool { return t.letter.answers == l.answers }
	open := slices.ContainsFunc(w.timers, answered)
	w.timers = slices.DeleteFunc(w.timers, answered)
	return open || l.work
}

// failure is what Fail panics with: the actor starts again.
type failure struct{ err error }

func (w *world) receive(a stage.Actor, h *hold) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			w.failures = append(w.failures, r.err)
			if h.Self().Kind != message.KindController || len(w.failures) > 3 {
				w.t.Fatalf("%s failed: %v", h.Self(), r.err)
			}
			w.spawn(h.Self(), w.controller(h.node))
		default:
			panic(r)
		}
	}()
	a.Receive(h)
}

// ask sends a request from outside and waits for the answer.
func (w *world) ask(to message.Address, msg any) any {
	w.t.Helper()
	id := w.send(to, msg)
	w.run(fmt.Sprintf("an answer to %T", msg), func() bool { return w.answers[id] != nil })
	return w.answers[id]
}

func (w *world) send(to message.Address, msg any) stage.RequestID {
	w.asked++
	w.queue = append(w.queue, letter{to: to, from: stage.Caller{Address: message.Address{Node: to.Node, Kind: message.KindOther}, Request: w.asked}, msg: msg})
	return w.asked
}

func (w *world) image(id message.NodeID) *image.Image {
	i, _ := w.nodes[id].published[message.BrokerAt(id)].(*image.Image)
	return i
}

// hold is an actor's context for one message.
type hold struct {
	stage.Context
	world  *world
	node   *node
	letter letter
}

func (h *hold) Send(to message.Address, msg any) {
	h.world.queue = append(h.world.queue, letter{to: to, from: stage.Caller{Address: h.Self()}, msg: msg})
}
func (h *hold) Published(by message.Address) any { return h.world.nodes[by.Node].published[by] }
func (h *hold) Self() message.Address            { return h.letter.to }
func (h *hold) Message() any                     { return h.letter.msg }
func (h *hold) Caller() stage.Caller             { return h.letter.from }
func (h *hold) Answers() stage.RequestID         { return h.letter.answers }
func (h *hold) Now() time.Time                   { return h.world.now }
func (h *hold) Rand() *rand.Rand                 { return h.world.chance }
func (h *hold) FS() vfs.FS                       { return h.node.files }
func (h *hold) Log() *slog.Logger                { return slog.New(slog.NewTextHandler(&h.world.logs, nil)) }
func (h *hold) Publish(v any)                    { h.node.published[h.Self()] = v }
func (h *hold) Fail(err error)                   { panic(failure{err}) }
func (h *hold) Unhandled()                       { h.world.t.Errorf("%s does not know %T", h.Self(), h.Message()) }

func (h *hold) Answer(to stage.Caller, msg any) {
	if to.Request != 0 {
		h.world.queue = append(h.world.queue, letter{to: to.Address, from: stage.Caller{Address: h.Self()}, answers: to.Request, msg: msg})
	}
}

func (h *hold) Ask(to message.Address, msg any, patience time.Duration) stage.RequestID {
	h.After(patience, &stage.TimedOut{To: to})
	h.world.timers[len(h.world.timers)-1].letter.answers = h.world.asked
	h.world.queue = append(h.world.queue, letter{to: to, from: stage.Caller{Address: h.Self(), Request: h.world.asked}, msg: msg})
	return h.world.asked
}

func (h *hold) After(d time.Duration, msg any) stage.Timer {
	h.world.asked++
	h.world.timers = append(h.world.timers, timer{h.world.now.Add(d), int(h.world.asked), letter{to: h.Self(), msg: msg, life: h.node.life}})
	return stage.Timer{}
}

func (h *hold) Offload(_ time.Duration, work func() any) stage.RequestID {
	h.world.asked++
	h.world.queue = append(h.world.queue, letter{to: h.Self(), answers: h.world.asked, msg: work(), life: h.node.life, work: true})
	return h.world.asked
}

// Stop ends an actor; whoever watches it, before or after, is the broker.
func (h *hold) Stop(at message.Address) { h.node.actors[at] = nil }

func (h *hold) Watch(at message.Address) {
	if at.Node != h.Self().Node {
		h.world.watches = append(h.world.watches, watch{h.Self(), at})
		return
	}
	h.world.queue = append(h.world.queue, letter{to: h.Self(), msg: &stage.Gone{Address: at}, life: h.node.life})
}

func (h *hold) Spawn(at message.Address, new func() stage.Actor) bool {
	if h.node.actors[at] != nil {
		return false
	}
	h.world.spawn(at, new())
	return true
}
