package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const me = message.NodeID(1)

var noon = time.UnixMilli(1_700_000_000_000)

// house holds one connection by the hand: it delivers every message, is the client at the wire, and plays everybody whom
// the connection asks, so that a test sees each state in between.
type house struct {
	t     testing.TB
	now   time.Time
	actor stage.Actor
	wire  *wire
	quiet bool // a benchmark: nothing is kept

	mail    []letter
	current letter
	number  stage.RequestID
	asks    []*asked // not yet answered
	timers  []*alarm
	sent    []sent
	views   map[message.Address]any
	// plays answers what is asked at once; nil, or a nil answer, leaves it in asks.
	plays   func(to message.Address, ask any) any
	stopped bool
	strange int
	logged  bytes.Buffer
}

type letter struct {
	what    any
	answers stage.RequestID
}

type asked struct {
	id       stage.RequestID
	to       message.Address
	what     any
	patience time.Duration
}

type alarm struct {
	at   time.Time
	what any
}

type sent struct {
	to   message.Address
	what any
}

// wire is the client's end.
type wire struct {
	answers [][]byte
	closed  bool
	quiet   bool
	bytes   int
}

func (w *wire) Answer(a *Answer) {
	defer a.Finish()
	if w.quiet {
		w.bytes += a.Size()
		return
	}
	var b []byte
	at := 0
	for _, cut := range a.Cuts {
		b = append(b, a.Bytes[at:cut.At]...)
		part := make([]byte, cut.Slice.Bytes)
		if _, err := cut.Slice.File.ReadAt(part, cut.Slice.At); err != nil && err != io.EOF {
			panic(err)
		}
		b = append(b, part...)
		at = cut.At
	}
	b = append(b, a.Bytes[at:]...)
	if int(binary.BigEndian.Uint32(b)) != len(b)-4 || len(b) != a.Size() {
		panic(fmt.Sprintf("an answer of %d bytes says %d and %d", len(b), binary.BigEndian.Uint32(b), a.Size()))
	}
	w.answers = append(w.answers, b[4:])
}

func (w *wire) Close()                 { w.closed = true }
func (w *wire) Local() (string, int32) { return "192.0.2.1", 19092 }
func (w *wire) Remote() string         { return "198.51.100.7:40000" }

func newHouse(t testing.TB, img *image.Image, change ...func(*Options)) *house {
	h := &house{t: t, now: noon, wire: &wire{}, views: map[message.Address]any{}}
	opts := Options{Node: me, Sessions: NewSessions(10)}
	for _, f := range change {
		f(&opts)
	}
	if img != nil {
		h.views[message.BrokerAt(me)] = img
	}
	h.actor = NewConnection(h.wire, opts)()
	h.deliver(letter{what: stage.Started{}})
	return h
}

// epoch is the leader epoch of every partition.
const epoch = 5

// cluster is an image with this broker (node 1, no configured address) and topics of so many partitions, which it leads.
func cluster(topics map[string]int, more ...message.MetadataRecord) *image.Image {
	records := []message.MetadataRecord{
		&message.ClusterRecord{ID: "tqdkGlfpTdelqaeL-1Jqhw"},
		&message.BrokerRecord{Node: me, Epoch: 1, Incarnation: message.TopicID{9}, Endpoints: []message.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT"}}},
		&message.FeatureRecord{Name: "metadata.version", Level: 30},
		&message.FeatureRecord{Name: "group.version", Level: 1},
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		records = append(records, &message.TopicRecord{Name: name, ID: idOf(name)})
		for i := range topics[name] {
			records = append(records, &message.PartitionRecord{Partition: at(name, i), Leader: me, LeaderEpoch: epoch,
				Replicas: []message.NodeID{me}, ISR: []message.NodeID{me}})
		}
	}
	return with(image.Empty(), append(records, more...)...)
}

func with(img *image.Image, records ...message.MetadataRecord) *image.Image {
	next, _, err := img.Apply(img.Index+1, records...)
	if err != nil {
		panic(err)
	}
	return next
}

func idOf(topic string) (id message.TopicID) {
	copy(id[:], topic)
	id[15] = 1
	return id
}

func at(topic string, index int) message.PartitionID {
	return message.PartitionID{Topic: idOf(topic), Index: int32(index)}
}

func address(topic string, index int) message.Address {
	return message.PartitionAt(me, at(topic, index))
}

// config is a topic's override.
func config(topic, name, value string) message.MetadataRecord {
	return &message.ConfigRecord{Resource: message.Resource{Kind: message.ResourceTopic, Name: topic}, Key: name, Value: &value}
}

// request is a frame as a client sends it, without its length.
func request(q kmsg.Request, version int16, correlation int32) []byte {
	q.SetVersion(version)
	b := binary.BigEndian.AppendUint16(nil, uint16(q.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = append(b, 0, 4, 't', 'e', 's', 't')
	if q.IsFlexible() {
		b = append(b, 1, 77, 3, 'u', 'n', 'k') // a tagged field that nobody knows (KIP-482)
	}
	return q.AppendTo(b)
}

// ask sends a request.
func (h *house) ask(q kmsg.Request, version int16, correlation int32) *Frame {
	f := &Frame{Bytes: request(q, version, correlation)}
	h.tell(f)
	return f
}

// read decodes the next answer, which must be to this request.
func read[R kmsg.Response](h *house, r R, version int16, correlation int32) R {
	h.t.Helper()
	if len(h.wire.answers) == 0 {
		h.t.Fatalf("there is no answer; closed: %v, log: %s", h.wire.closed, h.logged.String())
	}
	b := h.wire.answers[0]
	h.wire.answers = h.wire.answers[1:]
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		h.t.Fatalf("the answer is to request %d, not to %d", got, correlation)
	}
	b = b[4:]
	r.SetVersion(version)
	if r.IsFlexible() && r.Key() != apiVersionsKey {
		b = b[1:]
	}
	if err := r.ReadFrom(b); err != nil {
		h.t.Fatalf("the answer cannot be decoded: %v", err)
	}
	if again := r.AppendTo(nil); !bytes.Equal(again, b) {
		h.t.Fatalf("the answer is not what the codec makes of it:\n%x\n%x", b, again)
	}
	return r
}

// call sends a request and decodes its answer.
func call[R kmsg.Response](h *house, q kmsg.Request, r R, version int16) R {
	h.t.Helper()
	h.ask(q, version, 42)
	return read(h, r, version, 42)
}

// silent fails if there is an answer.
func (h *house) silent() {
	h.t.Helper()
	if len(h.wire.answers) > 0 {
		h.t.Fatalf("there is an answer: %x", h.wire.answers[0])
	}
}

// batch is a batch of so many records of 10 bytes.
func batch(n int, change ...func(*record.Builder)) record.Batch {
	b := record.NewBuilder(0)
	for _, f := range change {
		f(b)
	}
	for range n {
		b.Add(noon.UnixMilli(), []byte("k"), []byte("0123456789"))
	}
	built, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return built
}

// log is a view of batches in memory.
type log struct {
	bounds  message.Bounds
	bytes   []byte
	starts  []int64 // offsets of batches
	at      []int   // and where they are
	epochs  [][2]int64
	reads   int
	aborted []message.Aborted
	failing error
}

// newLog has batches of so many records each, all committed.
func newLog(counts ...int) *log {
	l := &log{bounds: message.Bounds{Leader: me, LeaderEpoch: epoch, IsLeader: true}}
	for _, n := range counts {
		l.append(batch(n))
	}
	return l
}

func (l *log) append(b record.Batch) {
	b.SetBaseOffset(l.bounds.LogEnd)
	b.SetLeaderEpoch(epoch)
	l.starts, l.at = append(l.starts, l.bounds.LogEnd), append(l.at, len(l.bytes))
	l.bytes = append(l.bytes, b...)
	l.bounds.LogEnd = b.NextOffset()
	l.bounds.HighWatermark, l.bounds.LastStable = l.bounds.LogEnd, l.bounds.LogEnd
}

// longer is a copy with one more batch.
func (l *log) longer(n int) *log {
	next := *l
	next.append(batch(n))
	return &next
}

func (l *log) Bounds() message.Bounds                { return l.bounds }
func (l *log) Trimmed(s message.Slice) message.Slice { return s }
func (l *log) Bytes() int64                          { return int64(len(l.bytes)) }

func (l *log) Read(offset, limit int64, maxBytes int, oneAtLeast bool) (message.Slice, error) {
	if l.reads++; l.failing != nil {
		return message.Slice{}, l.failing
	}
	first := 0
	for first+1 < len(l.starts) && l.starts[first+1] <= offset {
		first++
	}
	s := message.Slice{File: bytes.NewReader(l.bytes), At: int64(l.at[first]), First: l.starts[first]}
	for i := first; i < len(l.starts) && l.starts[i] < limit; i++ {
		size := record.Batch(l.bytes[l.at[i]:]).Size()
		if s.Bytes+size > maxBytes && !(oneAtLeast && s.Bytes == 0) {
			break
		}
		s.Bytes += size
		if s.Next = l.bounds.LogEnd; i+1 < len(l.starts) {
			s.Next = l.starts[i+1]
		}
	}
	if s.Bytes == 0 {
		return message.Slice{}, nil
	}
	return s, nil
}

func (l *log) OffsetForTime(millis, limit int64) (message.TimedOffset, bool, error) {
	if millis > noon.UnixMilli() || limit == 0 {
		return message.TimedOffset{}, false, l.failing
	}
	return message.TimedOffset{Offset: l.bounds.LogStart, Timestamp: noon.UnixMilli(), LeaderEpoch: epoch}, true, l.failing
}

func (l *log) MaxTimestamp(limit int64) (message.TimedOffset, bool, error) {
	return message.TimedOffset{Offset: limit - 1, Timestamp: noon.UnixMilli(), LeaderEpoch: epoch}, limit > 0, l.failing
}

// EpochEnd knows epochs as pairs of epoch and end; without any all is of the one epoch.
func (l *log) EpochEnd(asked int32) (int32, int64) {
	if l.epochs == nil {
		l.epochs = [][2]int64{{epoch, l.bounds.LogEnd}}
	}
	found, end := int32(-1), int64(-1)
	for _, e := range l.epochs {
		if int32(e[0]) <= asked {
			found, end = int32(e[0]), e[1]
		}
	}
	return found, end
}

func (l *log) Aborted(from, to int64) ([]message.Aborted, error) { return l.aborted, l.failing }

func (l *log) EpochAt(offset int64) int32 {
	if offset < 0 || offset >= l.bounds.LogEnd {
		return -1
	}
	return epoch
}
func (h *house) deliver(l letter) {
	h.current = l
	h.actor.Receive(h)
}

// run delivers until nobody has anything to say.
func (h *house) run() {
	for len(h.mail) > 0 {
		l := h.mail[0]
		h.mail = h.mail[1:]
		h.deliver(l)
	}
}

// tell sends the connection a word.
func (h *house) tell(what any) {
	h.mail = append(h.mail, letter{what: what})
	h.run()
}

// answer answers what was asked.
func (h *house) answer(a *asked, what any) {
	h.asks = slices.DeleteFunc(h.asks, func(b *asked) bool { return a == b })
	h.mail = append(h.mail, letter{what: what, answers: a.id})
	h.run()
}

// sleep lets time pass.
func (h *house) sleep(d time.Duration) {
	until := h.now.Add(d)
	for {
		slices.SortStableFunc(h.timers, func(a, b *alarm) int { return a.at.Compare(b.at) })
		if len(h.timers) == 0 || h.timers[0].at.After(until) {
			break
		}
		a := h.timers[0]
		h.timers = h.timers[1:]
		h.now = a.at
		h.tell(a.what)
	}
	h.now = until
}

// The rest makes the house a stage.Context.

func (h *house) Self() message.Address                          { return message.ConnectionAt(me, 7) }
func (h *house) Message() any                                   { return h.current.what }
func (h *house) Caller() stage.Caller                           { return stage.Caller{} }
func (h *house) Answers() stage.RequestID                       { return h.current.answers }
func (h *house) Now() time.Time                                 { return h.now }
func (h *house) Fail(err error)                                 { panic(err) }
func (h *house) Unhandled()                                     { h.strange++ }
func (h *house) Watch(message.Address)                          {}
func (h *house) Publish(any)                                    {}
func (h *house) Answer(stage.Caller, any)                       {}
func (h *house) FS() vfs.FS                                     { return vfs.Memory(vfs.MemoryOptions{}) }
func (h *house) Log() *slog.Logger                              { return slog.New(slog.NewTextHandler(&h.logged, nil)) }
func (h *house) Published(at message.Address) any               { return h.views[at] }
func (h *house) Rand() *rand.Rand                               { return rand.New(rand.NewPCG(1, uint64(h.number))) }
func (h *house) Spawn(message.Address, func() stage.Actor) bool { return false }

// Deliver is part of stage.Stage.
func (h *house) Deliver(to message.Address, msg any) { h.Send(to, msg) }

func (h *house) Stop(at message.Address) {
	if at != h.Self() {
		h.t.Errorf("%v was stopped", at)
	}
	h.stopped = true
	h.mail = append(h.mail, letter{what: stage.Stopping{}})
}

func (h *house) Send(to message.Address, what any) { h.sent = append(h.sent, sent{to, what}) }

func (h *house) Ask(to message.Address, what any, patience time.Duration) stage.RequestID {
	h.number++
	if h.plays != nil {
		if answer := h.plays(to, what); answer != nil {
			h.mail = append(h.mail, letter{what: answer, answers: h.number})
			return h.number
		}
	}
	if !h.quiet {
		h.asks = append(h.asks, &asked{h.number, to, what, patience})
	}
	return h.number
}

func (h *house) Offload(_ time.Duration, work func() any) stage.RequestID {
	h.number++
	h.mail = append(h.mail, letter{what: work(), answers: h.number})
	return h.number
}

func (h *house) After(d time.Duration, what any) stage.Timer {
	if !h.quiet {
		h.timers = append(h.timers, &alarm{h.now.Add(d), what})
	}
	return stage.Timer{}
}
