package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// counted is a Metrics and a Tracer that remember.
type counted struct {
	requests map[int16]int
	took     time.Duration
	in, out  int
	refused  int
	spans    []string
	ended    int
}

func (c *counted) Request(key int16, took time.Duration, in, out int) {
	c.requests[key]++
	c.took, c.in, c.out = took, in, out
}
func (c *counted) Refused(int16)   { c.refused++ }
func (c *counted) Connections(int) {}
func (c *counted) Begin(name string, _ time.Time) (message.Trace, func(time.Time)) {
	c.spans = append(c.spans, name)
	return message.Trace{ID: [16]byte{byte(len(c.spans))}}, func(time.Time) { c.ended++ }
}

// Whoever counts is told of every request, of how long it took and of both sizes; whoever traces gets a span for each
// produce and fetch, which goes with the append.
func TestRequestsAreCountedAndTraced(t *testing.T) {
	m := &counted{requests: map[int16]int{}}
	h := newHouse(t, cluster(map[string]int{"t": 1}), func(o *Options) { o.Metrics, o.Tracer = m, m })
	h.views[address("t", 0)] = newLog()
	f := h.ask(produceOf(-1, "t", batch(1)), 9, 1)
	if a := h.asks[0].what.(*message.Append); a.Trace.ID != [16]byte{1} {
		t.Errorf("the append's trace is %v", a.Trace)
	}
	h.sleep(time.Second)
	h.answer(h.asks[0], &message.Appended{})
	out := len(h.wire.answers[0]) + 4
	if m.took != time.Second || m.in != len(f.Bytes) || m.out != out {
		t.Errorf("counted %+v, the answer has %d bytes", m, out)
	}
	read(h, kmsg.NewPtrProduceResponse(), 9, 1)
	call(h, fetchOf(0, 1, "t", 0), kmsg.NewPtrFetchResponse(), 12)
	h.tell(&Frame{Bytes: []byte{0, 99}})
	if m.requests[0] != 1 || m.requests[1] != 1 || m.refused != 1 || len(m.spans) != 2 || m.ended != 2 {
		t.Errorf("counted %+v", m)
	}
}

// What a produce allocates depends on its partitions, not on its records.
func TestNothingIsAllocatedPerRecord(t *testing.T) {
	allocations := func(records int) float64 {
		h := newHouse(t, cluster(map[string]int{"t": 1}))
		h.quiet, h.wire.quiet = true, true
		appended := &message.Appended{}
		h.plays = func(message.Address, any) any { return appended }
		frame := request(produceOf(-1, "t", batch(records)), 9, 1)
		return testing.AllocsPerRun(100, func() { h.tell(&Frame{Bytes: frame}) })
	}
	if one, many := allocations(1), allocations(10_000); many > one+2 {
		t.Errorf("one record allocates %v times, ten thousand %v times", one, many)
	}
}
