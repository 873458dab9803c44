package log

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// inTransaction is a batch of a producer's transaction, markerOf its end.
func inTransaction(t tb, base int64, leader int32, producer int64) record.Batch {
	t.Helper()
	b := record.NewBuilder(base)
	b.LeaderEpoch, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.Flags = leader, producer, 0, 0, record.Transactional
	b.Add(1, nil, bytes.Repeat([]byte{byte(base)}, 40))
	return built(t, b)
}

func markerOf(t tb, base int64, leader int32, producer int64, commit bool) record.Batch {
	t.Helper()
	b := record.NewBuilder(base)
	b.LeaderEpoch, b.ProducerID, b.ProducerEpoch = leader, producer, 0
	end := record.Marker{Type: record.Abort}
	if commit {
		end.Type = record.Commit
	}
	b.AddControl(1, end)
	return built(t, b)
}

func built(t tb, b *record.Builder) record.Batch {
	t.Helper()
	batch, err := b.Build(nil)
	if err != nil {
		t.Fatalf("building a batch: %v", err)
	}
	return batch
}

// appendTxn appends one step of a producer's transaction, as the partition does.
func (m *model) appendTxn(t *rapid.T) {
	producer := rapid.Int64Range(0, 2).Draw(t, "producer")
	b := inTransaction(t, m.end, m.leader, producer)
	if what := rapid.IntRange(0, 3).Draw(t, "what"); what > 1 {
		b = markerOf(t, m.end, m.leader, producer, what == 2)
	}
	if a, aborts := m.story()(b); aborts {
		if err := m.log.AppendAbort(b, a, epoch0); err != nil {
			t.Fatalf("AppendAbort: %v", err)
		}
	} else if err := m.log.Append(b, epoch0); err != nil {
		t.Fatalf("Append: %v", err)
	}
	m.batches, m.end = append(m.batches, b), b.NextOffset()
}

// story is what is open behind the model's batches.
func (m *model) story() func(record.Batch) (message.Aborted, bool) {
	k := begun{}
	for _, b := range m.batches {
		k.take(b)
	}
	return k.take
}

// prove is what the partition does once it has opened a log: it knows of some of the markers.
func (m *model) prove(t *rapid.T) {
	var known []message.Aborted
	k := begun{}
	from := m.boundary(t, "known from")
	for _, b := range m.batches {
		if a, aborts := k.take(b); aborts && a.Last >= from && a.Last < m.log.End() {
			known = append(known, a)
		}
	}
	if err := m.log.Prove(known); err != nil {
		t.Fatalf("Prove: %v", err)
	}
}

// S34: aborted_transactions overlapping the returned range.
func (m *model) checkAborted(t *rapid.T, visible []record.Batch) {
	from, to := rapid.Int64Range(m.start, m.end).Draw(t, "from"), m.boundary(t, "to")
	v := m.log.View(message.Bounds{HighWatermark: m.end})
	found, err := v.Aborted(from, to)
	if err != nil {
		t.Fatalf("Aborted(%d, %d): %v", from, to, err)
	}
	k, ended := begun{}, map[int64]message.Aborted{}
	for _, b := range m.batches {
		if a, aborts := k.take(b); aborts {
			ended[a.Last] = a
		}
	}
	for _, a := range found {
		if is, aborts := ended[a.Last]; !aborts || is.Producer != a.Producer || max(a.First, m.start) > max(is.First, m.start) || a.Last < from || a.First >= to {
			t.Fatalf("Aborted(%d, %d) has %+v, %+v is", from, to, a, is)
		}
	}
	for _, b := range visible {
		if a := b.Attributes(); !a.Has(record.Transactional) || a.Has(record.Control) || b.LastOffset() < from || b.BaseOffset() >= to {
			continue
		}
		_, aborted := covering(slices.Collect(values(ended)), b)
		_, told := covering(found, b)
		if aborted && !told {
			t.Fatalf("Aborted(%d, %d) has nothing of offset %d of producer %d: %+v", from, to, b.BaseOffset(), b.ProducerID(), found)
		}
	}
}

func values(all map[int64]message.Aborted) func(func(message.Aborted) bool) {
	return func(yield func(message.Aborted) bool) {
		for _, a := range all {
			if !yield(a) {
				return
			}
		}
	}
}

func covering(all []message.Aborted, b record.Batch) (message.Aborted, bool) {
	i := slices.IndexFunc(all, func(a message.Aborted) bool {
		return a.Producer == b.ProducerID() && a.First <= b.BaseOffset() && b.BaseOffset() < a.Last
	})
	if i < 0 {
		return message.Aborted{}, false
	}
	return all[i], true
}

// FuzzAborts: what is read of an index of aborted transactions ascends and is written alike.
func FuzzAborts(f *testing.F) {
	good, _ := encodeAborts([]message.Aborted{{Producer: 1, First: 2, Last: 5, Stable: 6}, {Producer: 7, First: 3, Last: 9, Stable: 3}})
	f.Add(good)
	f.Add(good[:60])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, whole := decodeAborts(b)
		again, _ := encodeAborts(all)
		if !bytes.HasPrefix(b, again) || whole && len(again) != len(b) {
			t.Fatalf("%x became %v", b, all)
		}
	})
}

// aborting is a log in which producer 1 has aborted twice, and producer 2 once, in two segments.
func abortedLog(t *testing.T) (*vfs.MemoryFS, *Log, []message.Aborted) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(400)})
	var all []message.Aborted
	k := begun{}
	add := func(b record.Batch) {
		if a, aborts := k.take(b); aborts {
			all = append(all, a)
			if err := l.AppendAbort(b, a, epoch0); err != nil {
				t.Fatal(err)
			}
		} else if err := l.Append(b, epoch0); err != nil {
			t.Fatal(err)
		}
	}
	for _, producer := range []int64{1, 2, 1} {
		add(inTransaction(t, l.End(), 1, producer))
		add(inTransaction(t, l.End(), 1, 9))
		add(markerOf(t, l.End(), 1, producer, false))
	}
	add(markerOf(t, l.End(), 1, 9, true))
	mustSync(t, l.Dirty())
	if len(l.shape.segments) < 2 || len(all) != 3 {
		t.Fatalf("%d segments, %v", len(l.shape.segments), all)
	}
	return fs, l, all
}

func aborted(t *testing.T, l *Log) []message.Aborted {
	t.Helper()
	if err := l.Prove(nil); err != nil {
		t.Fatal(err)
	}
	found, err := l.View(message.Bounds{HighWatermark: l.End()}).Aborted(0, l.End())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Wherever an index of aborted transactions rots, or is cut short or lost above the recovery point, it is made anew from the batches.
func TestALostIndexOfAbortsIsLearntFromTheLog(t *testing.T) {
	fs, l, all := abortedLog(t)
	if got := aborted(t, l); !slices.Equal(got, all) {
		t.Fatalf("%+v, not %+v", got, all)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, seg := range l.shape.segments {
		path := seg.aborts.path()
		info, err := fs.Stat(path)
		if err != nil {
			continue
		}
		for at := range info.Size() {
			again := fs.Keep()
			if err := again.Rot(path, at, int(at)%8); err != nil {
				t.Fatal(err)
			}
			o, _ := mustOpen(t, Options{FS: again, Config: small(400), RecoveryPoint: l.next})
			if got := aborted(t, o); !slices.Equal(got, all) {
				t.Fatalf("%s, byte %d: %+v, not %+v", path, at, got, all)
			}
		}
		again := fs.Keep()
		if err := again.Remove(path); err != nil {
			t.Fatal(err)
		}
		o, _ := mustOpen(t, Options{FS: again, Config: small(400)})
		if got := aborted(t, o); !slices.Equal(got, all) {
			t.Fatalf("without %s: %+v, not %+v", path, got, all)
		}
	}
}

// A marker that could not be written leaves no entry that a restart would believe.
func TestAnEntryWithoutItsMarkerIsTakenBack(t *testing.T) {
	fs, l, all := abortedLog(t)
	base := l.End()
	if err := l.Append(inTransaction(t, base, 1, 5), epoch0); err != nil {
		t.Fatal(err)
	}
	fs.Inject(vfs.Fault{Op: vfs.OpWrite, Path: l.last().log.path(), Err: vfs.ErrFull})
	a := message.Aborted{Producer: 5, First: base, Last: base + 1, Stable: base + 2}
	if err := l.AppendAbort(markerOf(t, base+1, 1, 5, false), a, epoch0); err == nil {
		t.Fatal("it was written")
	}
	if err := l.Append(markerOf(t, base+1, 1, 5, true), epoch0); err != nil {
		t.Fatal(err)
	}
	mustSync(t, l.Dirty())
	o, _ := mustOpen(t, Options{FS: fs.Keep(), Config: small(400), RecoveryPoint: l.next})
	if got := aborted(t, o); !slices.Equal(got, all) {
		t.Fatalf("%+v, not %+v", got, all)
	}
}
