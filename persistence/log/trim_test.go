package log

import (
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// full are the base offsets of a slice's batches that have records, and whether the last one has.
func full(t *testing.T, s message.Slice) (bases []int64, last bool) {
	t.Helper()
	if s.Bytes == 0 {
		return nil, false
	}
	raw := make([]byte, s.Bytes)
	if _, err := s.File.ReadAt(raw, s.At); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for len(raw) > 0 {
		b, err := record.Check(raw)
		if err != nil {
			t.Fatal(err)
		}
		if next, last = b.NextOffset(), b.Count() > 0; last {
			bases = append(bases, b.BaseOffset())
		}
		raw = raw[len(b):]
	}
	if next > s.Next {
		t.Fatalf("the slice ends at %d and says %d", next, s.Next)
	}
	return bases, last
}

// A trimmed slice has all of the batches with records that the slice has, and ends with one.
func TestTrimmedSlicesEndWithRecords(t *testing.T) {
	shorter, empty := 0, 0
	for seed := range uint64(30) {
		l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 900))
		d := newDiary(t, l, seed)
		d.write(120)
		d.clean(d.options())
		v := l.View(message.Bounds{HighWatermark: l.End()})
		for offset := range l.End() {
			s, err := v.Read(offset, l.End(), d.r.IntN(900), true)
			if err != nil {
				t.Fatal(err)
			}
			trimmed := v.Trimmed(s)
			was, _ := full(t, s)
			is, ends := full(t, trimmed)
			if !slices.Equal(was, is) || ends != (len(is) > 0) {
				t.Fatalf("seed %d: from %d on there are %v in the slice, and trimmed %v, at its end: %v", seed, offset, was, is, ends)
			}
			switch {
			case trimmed.Bytes == 0:
				empty++
			case trimmed.Bytes < s.Bytes:
				shorter++
			}
		}
	}
	if shorter < 100 || empty < 100 {
		t.Errorf("only %d slices were trimmed, and %d had no records", shorter, empty)
	}
}
