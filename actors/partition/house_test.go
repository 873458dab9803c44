package partition

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

var (
	here = message.PartitionID{Topic: message.TopicID{1}, Index: 3}
	noon = time.UnixMilli(1_700_000_000_000)
)

// house holds one partition by the hand: the test delivers every message and plays the disk, so that it sees each state
// in between. The partition beside its neighbours on a real stage is the node's and the simulator's to test.
type house struct {
	t    testing.TB
	fs   *vfs.MemoryFS
	over vfs.FS // takes the place of fs, if set
	now  time.Time
	new  func() stage.Actor
	me   stage.Actor
	self message.Address

	mail    []letter
	current letter
	number  stage.RequestID
	timers  []*timer

	enlists   []enlist          // the transactions' coordinator was asked
	image     any               // what the broker publishes
	knows     message.Recovered // what the disk answers
	mute      bool              // the disk does not answer Recover
	disk      []any             // what it was sent
	answers   map[stage.RequestID]any
	owed      map[stage.RequestID]bool // what the stage will answer with Down
	published any
	views     int
	failed    error
	restarts  int
	stopped   bool
	quiet     bool // a benchmark: nothing is kept
}

// enlist is a question to the coordinator of a transaction.
type enlist struct {
	message.Enlist
	to message.Address
	id stage.RequestID
}

type letter struct {
	what    any
	from    stage.Caller
	answers stage.RequestID
}

type timer struct {
	at   time.Time
	what any
	off  bool
}

func office() *message.Leadership {
	return &message.Leadership{Name: "t", Leader: 1, LeaderEpoch: 5, Replicas: []message.NodeID{1}, ISR: []message.NodeID{1},
		Config: setting.Topic{CleanupDelete: true, RetentionMillis: -1, RetentionBytes: -1, SegmentBytes: 1 << 20, SegmentMillis: 1 << 40,
			MaxMessageBytes: 1 << 16, MinInsyncReplicas: 1, TimestampBeforeMaxMillis: 1 << 62, TimestampAfterMaxMillis: 3_600_000,
			FlushMessages: 1 << 62, FlushMillis: 1 << 62, IndexIntervalBytes: 4096, Fsync: true, ProducerExpiry: 24 * time.Hour}}
}

// raise starts a partition on an empty disk, or on what change makes of it.
func raise(t testing.TB, change ...func(h *house, o *message.Leadership)) *house {
	h := &house{t: t, fs: vfs.Memory(vfs.MemoryOptions{}), now: noon, self: message.PartitionAt(1, here), answers: map[stage.RequestID]any{},
		owed: map[stage.RequestID]bool{}}
	o := office()
	for _, f := range change {
		f(h, o)
	}
	h.new = New(Options{ID: here, Leadership: o})
	h.start()
	return h
}

func (h *house) start() {
	h.me = h.new()
	h.mail = append([]letter{{what: &stage.Started{}}}, h.mail...)
	h.run()
}

// run delivers until nothing is left.
func (h *house) run() {
	for len(h.mail) > 0 && !h.stopped {
		h.now = h.now.Add(time.Nanosecond)
		h.current, h.mail = h.mail[0], h.mail[1:]
		if id := h.current.from.Request; id != 0 && !h.quiet {
			h.owed[id] = true
		}
		h.deliver()
	}
	if h.stopped {
		h.down()
	}
}

// down is what the stage does for an instance that has ended.
func (h *house) down() {
	for id := range h.owed {
		h.answers[id] = &stage.Down{To: h.self}
	}
	clear(h.owed)
}

type failure struct{ error }

func (h *house) deliver() {
	defer func() {
		if v := recover(); v != nil {
			f, ok := v.(failure)
			if !ok {
				panic(v)
			}
			h.failed = f.error
			h.down()
			if h.restarts++; h.restarts > 5 {
				h.stopped = true
				return
			}
			h.me = h.new()
			h.mail = append([]letter{{what: &stage.Started{}}}, h.mail...)
		}
	}()
	h.me.Receive(h)
}

// send delivers a message from nobody.
func (h *house) send(what any) {
	h.mail = append(h.mail, letter{what: what})
	h.run()
}

// ask delivers a request of connection 1 and returns its number.
func (h *house) ask(what any) stage.RequestID { return h.askAs(1, what) }

func (h *house) askAs(connection uint64, what any) stage.RequestID {
	h.number++
	id := h.number
	h.mail = append(h.mail, letter{what: what, from: stage.Caller{Address: message.ConnectionAt(1, connection), Request: id}})
	h.run()
	return id
}

// told is the answer to a request of this kind; it must be there.
func told[T any](h *house, id stage.RequestID) T {
	h.t.Helper()
	a, ok := h.answers[id].(T)
	if !ok {
		h.t.Fatalf("request %d was answered with %T %+v", id, h.answers[id], h.answers[id])
	}
	return a
}

func (h *house) unanswered(id stage.RequestID) {
	h.t.Helper()
	if a := h.answers[id]; a != nil {
		h.t.Fatalf("request %d was answered with %+v", id, a)
	}
}

// sync plays the disk: it makes durable what it was sent until now, by syncing the files, and says so.
func (h *house) sync() {
	h.t.Helper()
	asked := h.disk
	h.disk = nil
	var last *message.Commit
	commits := 0
	for _, m := range asked {
		if m, ok := m.(*message.Commit); ok {
			for _, f := range m.Files {
				if err := f.Sync(); err != nil {
					h.t.Fatal(err)
				}
			}
			last = m
			commits++
		}
	}
	if last != nil {
		h.send(&message.Synced{Incarnation: last.Incarnation, End: last.End, Commits: commits})
	}
}

// commits are the commits that the disk has been sent and has not made durable.
func (h *house) commits() (out []*message.Commit) {
	for _, m := range h.disk {
		if m, ok := m.(*message.Commit); ok {
			out = append(out, m)
		}
	}
	return out
}

// pass lets time go by.
func (h *house) pass(d time.Duration) {
	h.now = h.now.Add(d)
	due := h.timers
	h.timers = nil
	for _, t := range due {
		switch {
		case t.off:
		case t.at.After(h.now):
			h.timers = append(h.timers, t)
		default:
			h.send(t.what)
		}
	}
}

// again starts the partition anew, over what is on the disk.
func (h *house) again(knows message.Recovered) {
	h.knows, h.disk, h.published, h.stopped = knows, nil, nil, false
	h.start()
}

func (h *house) bounds() message.Bounds {
	h.t.Helper()
	v, ok := h.published.(message.View)
	if !ok {
		h.t.Fatal("nothing is published")
	}
	return v.Bounds()
}

// batch has n records with the given producer, or none where id is -1.
func batch(n int, id int64, sequence int32) *message.Append {
	b := record.NewBuilder(0)
	for i := range n {
		b.Add(noon.UnixMilli(), fmt.Appendf(nil, "key %d", i), []byte("value"))
	}
	if b.ProducerID = id; id >= 0 {
		b.ProducerEpoch, b.BaseSequence = 0, sequence
	}
	built, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return &message.Append{Batch: built, Acks: -1, MaxTimestamp: noon.UnixMilli(), FromClient: true}
}

func plain(n int) *message.Append { return batch(n, -1, 0) }

// The rest makes the house a stage.Context.

func (h *house) Self() message.Address    { return h.self }
func (h *house) Message() any             { return h.current.what }
func (h *house) Caller() stage.Caller     { return h.current.from }
func (h *house) Answers() stage.RequestID { return h.current.answers }
func (h *house) Now() time.Time           { return h.now }
func (h *house) Fail(err error)           { panic(failure{err}) }
func (h *house) Unhandled()               { h.t.Errorf("%T was not understood", h.current.what) }
func (h *house) Watch(message.Address)    {}
func (h *house) Stop(a message.Address)   { h.stopped = a == h.self }
func (h *house) Log() *slog.Logger        { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func (h *house) Published(at message.Address) any {
	if at.Kind == message.KindBroker {
		return h.image
	}
	return h.published
}
func (h *house) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(uint64(h.restarts), uint64(len(h.answers))))
}
func (h *house) Spawn(message.Address, func() stage.Actor) bool { return false }

func (h *house) FS() vfs.FS {
	if h.over != nil {
		return h.over
	}
	return h.fs
}

func (h *house) Publish(view any) {
	h.published = view
	h.views++
}

func (h *house) Answer(to stage.Caller, what any) {
	if h.quiet || to.Request == 0 {
		return
	}
	if h.answers[to.Request] != nil {
		h.t.Errorf("request %d was answered twice", to.Request)
	}
	h.answers[to.Request] = what
	delete(h.owed, to.Request)
}

func (h *house) Send(to message.Address, what any) {
	switch {
	case to == h.self:
		h.mail = append(h.mail, letter{what: what})
	case !h.quiet || len(h.disk) == 0:
		h.disk = append(h.disk, what)
	default:
		h.disk[0] = what
	}
}

func (h *house) Ask(to message.Address, what any, _ time.Duration) stage.RequestID {
	h.number++
	if m, ok := what.(*message.Enlist); ok {
		h.enlists = append(h.enlists, enlist{*m, to, h.number})
		return h.number
	}
	if knows := h.knows; !h.mute {
		h.mail = append(h.mail, letter{what: &knows, answers: h.number})
	}
	return h.number
}

func (h *house) Offload(_ time.Duration, work func() any) stage.RequestID {
	h.number++
	h.mail = append(h.mail, letter{what: work(), answers: h.number})
	return h.number
}

func (h *house) After(d time.Duration, what any) stage.Timer {
	t := &timer{at: h.now.Add(d), what: what}
	h.timers = append(h.timers, t)
	return stage.Timer{}
}
