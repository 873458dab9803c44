package check

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/persistence/record"
)

// keyed is a batch of one record for each key; one that begins with a bar is a tombstone of what is behind it.
func keyed(t *testing.T, h *History, p *Partition, sequence int32, keys ...string) (*Batch, record.Batch) {
	b := record.NewBuilder(0)
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 0, sequence
	for i, k := range keys {
		value := []byte("value")
		if k[0] == '|' {
			k, value = k[1:], nil
		}
		b.Add(1000, []byte(k), value, record.Header{Key: []byte("n"), Value: []byte{byte(sequence), byte(i)}})
	}
	raw, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	batch := &Batch{Client: "a", Partition: p, Count: int32(len(keys)), Time: 1000, Producer: 7, Sequence: sequence}
	h.Sent(batch, raw)
	return batch, raw
}

// A compacted log may lose what was overtaken, and nothing else.
func TestWhatCompactionMayTake(t *testing.T) {
	for _, c := range []struct {
		broken *Invariant
		name   string
		hollow []int // batches of which only the header is there
		gone   []int
		now    int64
	}{
		{nil, "nothing is gone", nil, nil, 1000},
		{nil, "what was overtaken is gone", nil, []int{0}, 1000},
		{LastIsKept, "the last is gone", []int{1}, nil, 1000},
		{GravesStay, "a tombstone is gone too early", []int{2}, []int{0}, 1000},
		{nil, "a tombstone is gone in time", []int{2}, []int{0}, 2000},
		{GravesStay, "what a tombstone has deleted comes back", []int{2}, nil, 2000},
		{OffsetsWithout, "the end is gone", nil, []int{2}, 1000},
	} {
		h := New(func() time.Duration { return 0 })
		topic := h.NewTopic("topic", 1)
		topic.Compacted, topic.GraveMillis = true, 500
		p := topic.Partitions[0]
		var raw []record.Batch
		offset := int64(0)
		for _, keys := range [][]string{{"a", "b"}, {"a", "c"}, {"|b"}} {
			batch, bytes := keyed(t, h, p, int32(offset), keys...)
			bytes.SetBaseOffset(offset)
			h.Acked(batch, offset)
			raw, offset = append(raw, bytes), offset+int64(len(keys))
		}
		var left []byte
		for i, b := range raw {
			switch {
			case slices.Contains(c.hollow, i):
				left = append(left, record.Hollow(b)...)
			case !slices.Contains(c.gone, i):
				left = append(left, b...)
			}
		}
		h.Whole(p, 0, offset, h.Read(p, h.Floor(p), 0, offset, left), nil, c.now)
		if v := h.Violation(); c.broken == nil && v != nil || c.broken != nil && (v == nil || v.Invariant != c.broken) {
			t.Errorf("%s: %v", c.name, v)
		}
	}
}

// Whoever has copied a compacted log and lost its end again may have nothing of a key whose last record was there (seed 3224 of three nodes).
func TestWhatIsLostBehindACompactedCopy(t *testing.T) {
	for again, broken := range map[bool]bool{false: true, true: false} {
		h := New(func() time.Duration { return 0 })
		topic := h.NewTopic("topic", 1)
		topic.Compacted, topic.Fsync = true, false
		p := topic.Partitions[0]
		first, raw := keyed(t, h, p, 0, "b")
		raw.SetBaseOffset(0)
		h.Acked(first, 0)
		if again {
			lost, _ := keyed(t, h, p, 1, "b")
			h.Acked(lost, 1)
		}
		h.PowerLoss()
		h.Whole(p, 0, 1, h.Read(p, h.Floor(p), 0, 1, raw), nil, 1000)
		if v := h.Violation(); v != nil {
			t.Fatalf("all is there: %v", v)
		}
		h.Whole(p, 0, 1, h.Read(p, h.Floor(p), 0, 1, record.Hollow(raw)), nil, 1000)
		if v := h.Violation(); broken != (v != nil) || v != nil && v.Invariant != LastIsKept {
			t.Errorf("sent again: %v: %v", again, v)
		}
	}
}

func TestWhoIsForgotten(t *testing.T) {
	for _, c := range []struct {
		known  map[int64]State
		broken bool
	}{
		{map[int64]State{7: {0, 1}}, false},
		{map[int64]State{7: {1, 0}}, false},
		{map[int64]State{7: {0, 0}}, true},
		{nil, true},
	} {
		h := New(func() time.Duration { return 0 })
		topic := h.NewTopic("topic", 1)
		topic.Compacted = true
		batch, _ := keyed(t, h, topic.Partitions[0], 0, "a", "b")
		h.Acked(batch, 0)
		h.Remembers(topic.Partitions[0], c.known)
		if v := h.Violation(); c.broken != (v != nil) || v != nil && v.Invariant != ProducersKnown {
			t.Errorf("%v: %v", c.known, v)
		}
	}
}
