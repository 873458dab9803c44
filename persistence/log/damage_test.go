package log

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func TestAMissingSegmentIsDamage(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
	want := mustAppend(t, l, 30, 1)
	gone := l.shape.segments[1]
	if err := fs.Remove(gone.log.path()); err != nil {
		t.Fatal(err)
	}
	from, to := gone.base, gone.bound
	l, _ = mustOpen(t, Options{FS: fs, RecoveryPoint: 30})
	if !equal(contents(t, l), append(want[:from:from], want[to:]...)) {
		t.Errorf("%d batches are left", len(contents(t, l)))
	}
	_, _, err := at(l.View(message.Bounds{}), from+1)
	if d, ok := errors.AsType[*message.Damaged](err); !ok || d.First != from || d.Next != to {
		t.Errorf("in it: %v", err)
	}
}

// If what was synced is missing at the end, its offsets are not given to other records.
func TestTheEndNeverGoesBelowTheRecoveryPoint(t *testing.T) {
	for _, rest := range []int64{0, 700, 750} {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs})
		want := mustAppend(t, l, 10, 1)
		whole := rest / int64(len(want[0]))
		f, _ := l.last().log.open()
		if err := f.Truncate(rest); err != nil {
			t.Fatal(err)
		}
		l, r := mustOpen(t, Options{FS: fs, RecoveryPoint: 10})
		if l.End() != 10 || len(r.Quarantine) != 1 || r.Quarantine[0].First != whole || r.Quarantine[0].Next != 10 {
			t.Fatalf("end %d, %+v", l.End(), r)
		}
		want = append(want[:whole:whole], mustAppend(t, l, 5, 2)...)
		for point := int64(10); point < 16; point++ {
			again, r := mustOpen(t, Options{FS: fs, RecoveryPoint: point})
			if !equal(contents(t, again), want) || r.Cut != 0 {
				t.Fatalf("point %d: %d batches, %+v", point, len(contents(t, again)), r)
			}
			if _, _, err := at(again.View(message.Bounds{}), 9); err == nil {
				t.Fatalf("offset 9 was read")
			}
		}
	}
}

// A crash may bring back what was cut at the end of a segment, when another was already begun behind it: it belongs to no
// offset, so it is neither damage nor served, whoever looks.
func TestACutThatIsUndoneIsNoDamage(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs})
	want := mustAppend(t, l, 10, 1)
	mustAppend(t, l, 1, 1)
	seg := l.last()
	whole, err := seg.log.open()
	if err != nil {
		t.Fatal(err)
	}
	stale := make([]byte, l.size)
	if _, err := whole.ReadAt(stale, 0); err != nil {
		t.Fatal(err)
	}
	l, _ = mustOpen(t, Options{FS: fs, Config: small(100)})
	if err := l.Truncate(10); err != nil {
		t.Fatal(err)
	}
	want = append(want, mustAppend(t, l, 3, 2)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, fs, "00000000000000000000.log", stale)
	l, r := mustOpen(t, Options{FS: fs, RecoveryPoint: 13})
	if damaged, _, err := l.Verify(0, 13); err != nil || damaged != nil || r.Cut != 0 || r.Quarantine != nil {
		t.Fatalf("%+v %v %v", r, damaged, err)
	}
	if err := l.Scan(0, func(record.Batch) bool { return true }); err != nil || !equal(contents(t, l), want) {
		t.Fatalf("%d batches: %v", len(contents(t, l)), err)
	}
	if _, s, err := at(l.View(message.Bounds{}), 0); err != nil || s.Next != 10 {
		t.Fatalf("%+v, %v", s, err)
	}
	if list, err := l.Segments(); err != nil || list[0].Next != 10 || list[0].Damaged != nil {
		t.Fatalf("%+v, %v", list, err)
	}
}

// Who reads where the first segments should be is told, also after another restart; nothing is skipped silently.
func TestMissingFirstSegmentsAreDamage(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
	want := mustAppend(t, l, 30, 1)
	mustSync(t, l.Dirty())
	for _, seg := range l.shape.segments[:2] {
		if err := fs.Remove(seg.log.path()); err != nil {
			t.Fatal(err)
		}
	}
	from := l.shape.segments[2].base
	for i := range 2 {
		l, r := mustOpen(t, Options{FS: fs, RecoveryPoint: 30})
		if l.Start() != 0 || l.End() != 30 || i == 0 && (len(r.Quarantine) != 1 || r.Quarantine[0].Next != from) {
			t.Fatalf("%d to %d: %+v", l.Start(), l.End(), r)
		}
		mustSync(t, r.Dirty)
		v := l.View(message.Bounds{})
		for _, offset := range []int64{0, from - 1} {
			_, _, err := at(v, offset)
			if d, ok := errors.AsType[*message.Damaged](err); !ok || d.First != 0 || d.Next != from {
				t.Errorf("at %d: %v", offset, err)
			}
		}
		if _, s, err := at(v, from); err != nil || s.First != from {
			t.Errorf("behind: %+v, %v", s, err)
		}
		if !equal(contents(t, l), want[from:]) {
			t.Errorf("%d batches are left", len(contents(t, l)))
		}
		fs = fs.Crash(rand.New(rand.NewPCG(1, 1)))
	}
}

// What the journal has of a segment that is missing is passed over: to bring it back would cut what is good behind it.
func TestRedoGoesRoundAMissingSegment(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
	all := mustAppend(t, l, 30, 1)
	gone := l.shape.segments[1]
	if err := fs.Remove(gone.log.path()); err != nil {
		t.Fatal(err)
	}
	var redo []message.Redo
	more := batchOf(t, 30, 1, record.None, 10, 1)
	for _, b := range append(all[gone.base-1:30:30], more) {
		redo = append(redo, message.Redo{LeaderEpoch: 1, Base: b.BaseOffset(), Batch: b})
	}
	l, _ = mustOpen(t, Options{FS: fs, RecoveryPoint: 30, Config: small(1000)})
	if err := l.Redo(redo, epoch0); err != nil {
		t.Fatal(err)
	}
	want := append(append(all[:gone.base:gone.base], all[gone.bound:]...), more)
	if !equal(contents(t, l), want) || l.End() != 31 {
		t.Errorf("%d batches, end %d", len(contents(t, l)), l.End())
	}
}

// A misdirected write leaves copies of whole batches in other places. They do not make the log go on where they were meant to
// be: only what they lie upon is lost.
func TestCopiesInOtherPlacesAreNoPartOfTheLog(t *testing.T) {
	for _, c := range []struct{ to, from, batches int64 }{{5, 12, 1}, {5, 12, 3}, {12, 5, 3}, {5, 6, 4}} {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs})
		want := mustAppend(t, l, 20, 1)
		f, _ := l.last().log.open()
		size := int64(len(want[0]))
		garble(t, f, 3*size, 1) // what comes before the copies has to be found first
		copied := make([]byte, c.batches*size)
		if _, err := f.ReadAt(copied, c.from*size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(copied, c.to*size); err != nil {
			t.Fatal(err)
		}
		left := append(want[:3:3], want[4:c.to]...)
		left = append(left, want[c.to+c.batches:]...)
		l, _ = mustOpen(t, Options{FS: fs, RecoveryPoint: 20})
		if got := contents(t, l); !equal(got, left) {
			t.Errorf("%+v: %d batches of %d are left", c, len(got), len(left))
		}
	}
}

func garble(t *testing.T, f vfs.File, at int64, bytes int) {
	t.Helper()
	b := make([]byte, bytes)
	if _, err := f.ReadAt(b, at+30); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b, at+30); err != nil {
		t.Fatal(err)
	}
}
