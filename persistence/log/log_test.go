package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const dir = "topics/u/0"

var epoch0 = time.UnixMilli(1_700_000_000_000)

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// batchOf builds a batch with a record for each timestamp.
func batchOf(t tb, base int64, leader int32, codec record.Codec, pad int, stamps ...int64) record.Batch {
	t.Helper()
	b := record.NewBuilder(base)
	b.Codec, b.LeaderEpoch = codec, leader
	for i, stamp := range stamps {
		b.Add(stamp, nil, bytes.Repeat([]byte{byte(base), byte(i)}, pad/2))
	}
	batch, err := b.Build(nil)
	if err != nil {
		t.Fatalf("building a batch: %v", err)
	}
	return batch
}

func mustOpen(t tb, o Options) (*Log, Recovery) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = dir
	}
	l, r, err := Open(o, epoch0)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l, r
}

// mustAppend appends n batches of one record each.
func mustAppend(t tb, l *Log, n int, leader int32) (all []record.Batch) {
	t.Helper()
	for range n {
		b := batchOf(t, l.End(), leader, record.None, 100, epoch0.UnixMilli()+l.End())
		if err := l.Append(b, epoch0); err != nil {
			t.Fatalf("Append: %v", err)
		}
		all = append(all, b)
	}
	return all
}

func mustSync(t tb, dirty []message.Syncer) {
	t.Helper()
	for _, d := range dirty {
		if err := d.Sync(); err != nil {
			t.Fatalf("Sync: %v", err)
		}
	}
}

func contents(t tb, l *Log) (all []record.Batch) {
	t.Helper()
	err := l.Scan(0, func(b record.Batch) bool {
		all = append(all, bytes.Clone(b))
		return true
	})
	if _, damaged := errors.AsType[*message.Damaged](err); err != nil && !damaged {
		t.Fatalf("Scan: %v", err)
	}
	return all
}

func equal(a, b []record.Batch) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func at(v message.View, offset int64) ([]byte, message.Slice, error) {
	s, err := v.Read(offset, math.MaxInt64, 1<<20, true)
	if err != nil || s.Bytes == 0 {
		return nil, s, err
	}
	b := make([]byte, s.Bytes)
	_, err = s.File.ReadAt(b, s.At)
	return b, s, err
}

func small(segment int64) Config { return Config{SegmentBytes: segment, IndexIntervalBytes: 300} }

func TestAnEmptyLogTouchesNoDisk(t *testing.T) {
	ops := 0
	fs := vfs.Memory(vfs.MemoryOptions{Trace: func(op vfs.Op, _ string, _ int64, _ int, _ error) {
		if op != vfs.OpList {
			ops++
		}
	}})
	l, r := mustOpen(t, Options{FS: fs, LogStart: 7})
	if l.Start() != 7 || l.End() != 7 || l.LastEpoch() != -1 || !reflect.DeepEqual(r, Recovery{}) || ops != 0 {
		t.Fatalf("start %d, end %d, epoch %d, %+v, %d operations", l.Start(), l.End(), l.LastEpoch(), r, ops)
	}
	v := l.View(message.Bounds{})
	if s, err := v.Read(7, 7, 100, true); err != nil || s.Bytes != 0 {
		t.Fatalf("Read at the end: %+v, %v", s, err)
	}
	if _, err := v.Read(6, 7, 100, true); !errors.Is(err, message.ErrOffsetOutOfRange) {
		t.Fatalf("Read below the start: %v", err)
	}
	if _, found, err := v.OffsetForTime(0, 7); found || err != nil {
		t.Fatalf("OffsetForTime: %v %v", found, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAppendRefusesWhatCannotFollow(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{})})
	mustAppend(t, l, 3, 5)
	for name, b := range map[string]record.Batch{
		"gap":       batchOf(t, 4, 5, 0, 10, 1),
		"overlap":   batchOf(t, 2, 5, 0, 10, 1),
		"old epoch": batchOf(t, 3, 4, 0, 10, 1),
		"two":       append(batchOf(t, 3, 5, 0, 10, 1), batchOf(t, 4, 5, 0, 10, 1)...),
		"short":     batchOf(t, 3, 5, 0, 10, 1)[:40],
	} {
		if err := l.Append(b, epoch0); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
	if l.End() != 3 || len(contents(t, l)) != 3 {
		t.Errorf("the log ends at %d", l.End())
	}
}

// "On an error the log is as it was before": also when half of the batch was written, and when the segment is new.
func TestAFailedAppendLeavesNothing(t *testing.T) {
	for _, name := range []string{"*", "topics/u/0/*.log", "topics/u/0/epochs"} {
		for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpCreate} {
			fs := vfs.Memory(vfs.MemoryOptions{})
			l, _ := mustOpen(t, Options{FS: fs, Config: small(500)})
			want := mustAppend(t, l, 2, 1)
			for i := range 8 {
				fs.Inject(vfs.Fault{Op: op, Path: name, Short: op == vfs.OpWrite})
				b := batchOf(t, l.End(), int32(i+2), 0, 100, 1)
				if err := l.Append(b, epoch0); err == nil {
					want = append(want, b) // the fault waits for another file
				}
				if !equal(contents(t, l), want) {
					t.Fatalf("%s %s: the log has changed", op, name)
				}
				want = append(want, mustAppend2(t, l, int32(i+2))...)
			}
			again, r := mustOpen(t, Options{FS: fs})
			if !equal(contents(t, again), want) || r.Cut != 0 {
				t.Fatalf("%s %s: after opening: %+v", op, name, r)
			}
		}
	}
}

// mustAppend2 appends a batch, the second time at the latest.
func mustAppend2(t tb, l *Log, leader int32) []record.Batch {
	b := batchOf(t, l.End(), leader, 0, 100, 1)
	if l.Append(b, epoch0) == nil {
		return []record.Batch{b}
	}
	return mustAppend(t, l, 1, leader)
}

func TestAWriteThatCannotBeUndoneEndsAppends(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs})
	want := mustAppend(t, l, 2, 1)
	fs.Inject(vfs.Fault{Op: vfs.OpWrite, Short: true})
	fs.Inject(vfs.Fault{Op: vfs.OpTruncate})
	b := batchOf(t, 2, 1, 0, 100, 1)
	for range 2 {
		if err := l.Append(b, epoch0); err == nil {
			t.Fatal("appended")
		}
	}
	l, r := mustOpen(t, Options{FS: fs})
	if !equal(contents(t, l), want) || r.Cut == 0 {
		t.Fatalf("after opening: %+v", r)
	}
	mustAppend(t, l, 1, 1)
}

func TestRollByAge(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: Config{SegmentAge: time.Hour}})
	for i, after := range []time.Duration{0, time.Minute, time.Hour - 1, time.Hour, time.Hour + time.Minute} {
		if err := l.Append(batchOf(t, l.End(), 0, 0, 10, 1), epoch0.Add(after)); err != nil {
			t.Fatal(err)
		}
		if want := 1 + i/3; len(l.shape.segments) != want {
			t.Errorf("after %v: %d segments, want %d", after, len(l.shape.segments), want)
		}
	}
}

// What is readable before and after damage is served, what is in it names it, and a restart finds it again.
func TestDamageBelowTheRecoveryPointIsQuarantined(t *testing.T) {
	for _, where := range []int64{3, 8, 16, 20, 30, 90} { // base, length, magic, checksum, base time, the record
		t.Run(fmt.Sprint(where), func(t *testing.T) {
			fs := vfs.Memory(vfs.MemoryOptions{})
			l, _ := mustOpen(t, Options{FS: fs})
			want := mustAppend(t, l, 30, 1)
			mustSync(t, l.Dirty())
			size := int64(len(want[0]))
			if err := fs.Rot(l.last().log.path(), 10*size+where, 6); err != nil {
				t.Fatal(err)
			}
			want = append(want[:10:10], want[11:]...)
			for range 2 {
				l, r := mustOpen(t, Options{FS: fs, RecoveryPoint: 30})
				if r.Cut != 0 || len(r.Quarantine) != 1 || r.Quarantine[0].First != 10 || r.Quarantine[0].Next != 11 {
					t.Fatalf("recovery: %+v", r)
				}
				if !equal(contents(t, l), want) || l.End() != 30 {
					t.Fatalf("%d batches, end %d", len(contents(t, l)), l.End())
				}
				checkHole(t, l.View(message.Bounds{}))
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func checkHole(t *testing.T, v message.View) {
	t.Helper()
	if _, s, err := at(v, 0); err != nil || s.Next != 10 {
		t.Errorf("before: %+v, %v", s, err)
	}
	_, _, err := at(v, 10)
	if d, ok := errors.AsType[*message.Damaged](err); !ok || d.First != 10 || d.Next != 11 {
		t.Errorf("in: %v", err)
	}
	if _, s, err := at(v, 11); err != nil || s.First != 11 || s.Next != 30 {
		t.Errorf("behind: %+v, %v", s, err)
	}
}

// Bits that rot while the log is open are found by the headers where the reader goes, not served.
func TestDamageFoundByAReader(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs, Config: small(4000)})
		size := int64(len(mustAppend(t, l, 20, 1)[0]))
		if sealed {
			mustAppend(t, l, 20, 1)
		}
		seg := l.shape.segments[0]
		if err := fs.Rot(seg.log.path(), 10*size+8, 1); err != nil {
			t.Fatal(err)
		}
		v := l.View(message.Bounds{})
		_, _, err := at(v, 10)
		if d, ok := errors.AsType[*message.Damaged](err); !ok || d.First != 10 || d.Next != 11 || d.From != 10*size || d.To != 11*size {
			t.Errorf("sealed %v: in: %v", sealed, err)
		}
		if b, s, err := at(v, 11); err != nil || s.First != 11 || record.Batch(b).BaseOffset() != 11 {
			t.Errorf("sealed %v: behind: %+v, %v", sealed, s, err)
		}
		damaged, read, err := l.Verify(0, 100)
		if err != nil || len(damaged) != 1 || damaged[0].First != 10 || read == 0 {
			t.Errorf("sealed %v: Verify: %v, %v", sealed, damaged, err)
		}
	}
}

// S51: the largest epoch that is at most the one asked for, and where it ends.
func TestEpochs(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	o := Options{FS: fs, Config: small(1000)}
	l, _ := mustOpen(t, o)
	mustAppend(t, l, 10, 1)
	mustAppend(t, l, 10, 3)
	mustAppend(t, l, 10, 7)
	check := func(l *Log) {
		t.Helper()
		v := l.View(message.Bounds{})
		for asked, want := range map[int32][2]int64{0: {-1, -1}, 1: {1, 10}, 2: {1, 10}, 3: {3, 20}, 6: {3, 20}, 7: {7, 30}, 9: {7, 30}} {
			if epoch, end := v.EpochEnd(asked); int64(epoch) != want[0] || end != want[1] {
				t.Errorf("EpochEnd(%d) = %d, %d, want %v", asked, epoch, end, want)
			}
		}
		if v.EpochAt(9) != 1 || v.EpochAt(10) != 3 || v.EpochAt(29) != 7 || v.EpochAt(30) != -1 {
			t.Errorf("EpochAt: %d %d %d %d", v.EpochAt(9), v.EpochAt(10), v.EpochAt(29), v.EpochAt(30))
		}
	}
	check(l)
	for point := int64(0); point <= 30; point += 5 {
		o.RecoveryPoint = point
		l, _ := mustOpen(t, o)
		check(l)
		if err := fs.Remove(dir + "/epochs"); err != nil {
			t.Fatal(err)
		}
		l, _ = mustOpen(t, o)
		check(l)
	}
	if err := l.Truncate(15); err != nil {
		t.Fatal(err)
	}
	if epoch, end := l.View(message.Bounds{}).EpochEnd(9); epoch != 3 || end != 15 || l.LastEpoch() != 3 {
		t.Errorf("after Truncate: %d ends at %d", epoch, end)
	}
}

func TestRetentionTakesAllOfAnIdleLogAndKeepsItsEnd(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
	mustAppend(t, l, 30, 1)
	mustSync(t, l.Dirty())
	old := l.View(message.Bounds{HighWatermark: 30})
	later := epoch0.Add(time.Hour)
	if n, err := l.DeleteOld(Retention{Age: time.Minute, Bytes: -1, Below: 29}, later); err != nil || l.End() != 30 || l.Start() >= 29 || n == 0 {
		t.Fatalf("below 29: %d segments, %v: %d to %d", n, err, l.Start(), l.End())
	}
	if _, err := l.DeleteOld(Retention{Age: time.Minute, Bytes: -1, Below: 30}, later); err != nil || l.Start() != 30 || l.End() != 30 {
		t.Fatalf("%v: %d to %d", err, l.Start(), l.End())
	}
	if _, _, err := at(old, 3); err != nil && !errors.Is(err, message.ErrOffsetOutOfRange) {
		t.Errorf("an old view: %v", err)
	}
	for seed := range uint64(20) { // the name of the empty segment is durable
		l, _ := mustOpen(t, Options{FS: fs.CrashClone(rand.New(rand.NewPCG(seed, 1))), RecoveryPoint: 30})
		if l.End() != 30 {
			t.Fatalf("seed %d: end %d", seed, l.End())
		}
	}
}

func TestRetentionByBytesAndStart(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: small(1000)})
	mustAppend(t, l, 30, 1)
	if _, err := l.DeleteOld(Retention{Age: -1, Bytes: 2000, Below: 30}, epoch0); err != nil || l.Bytes() < 2000 || l.Bytes() >= 3000 {
		t.Fatalf("%v: %d bytes are left", err, l.Bytes())
	}
	second := l.shape.segments[1].base
	l.SetStart(second + 1)
	if n, err := l.DeleteOld(Retention{Age: -1, Bytes: -1, Below: 30}, epoch0); n != 1 || err != nil || l.shape.segments[0].base != second || l.Start() != second+1 {
		t.Fatalf("%d segments, %v, start %d", n, err, l.Start())
	}
}

// What is not committed may be cut, and is no reason to delete what is.
func TestRetentionCountsOnlyWhatIsCommitted(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: small(1000)})
	mustAppend(t, l, 30, 1)
	third := l.shape.segments[2].base
	if n, err := l.DeleteOld(Retention{Age: -1, Bytes: 2000, Below: third}, epoch0); n != 0 || err != nil {
		t.Fatalf("%d segments, %v: %d bytes are left, of which those below %d are committed", n, err, l.Bytes(), third)
	}
}

// What was handed out as dirty can be synced whatever became of the log.
func TestSyncersOutliveTheLog(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
	want := mustAppend(t, l, 30, 1)
	dirty := l.Dirty()
	if l.Dirty() != nil {
		t.Error("Dirty was handed out twice")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustSync(t, dirty)
	crashed := fs.CrashClone(rand.New(rand.NewPCG(1, 1)))
	l, _ = mustOpen(t, Options{FS: crashed})
	if !equal(contents(t, l), want) {
		t.Error("it was not synced")
	}
	mustAppend(t, l, 30, 1)
	dirty = l.Dirty()
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	mustSync(t, dirty)
	if _, err := crashed.List(dir); err == nil {
		t.Error("Remove left the directory")
	}
}

// A view is not touched by what happens to the log above its high watermark.
func TestAViewSurvivesTruncateAndRoll(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: small(2000)})
	want := mustAppend(t, l, 20, 1)
	v := l.View(message.Bounds{HighWatermark: 5})
	if err := l.Truncate(6); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 40, 2)
	s, err := v.Read(0, 5, 1<<20, true)
	if err != nil || s.Next != 5 {
		t.Fatalf("%+v, %v", s, err)
	}
	b := make([]byte, s.Bytes)
	if _, err := s.File.ReadAt(b, s.At); err != nil && err != io.EOF || !bytes.Equal(b, bytes.Join(raw(want[:5]), nil)) {
		t.Fatalf("the view reads something else: %v", err)
	}
}

func raw(batches []record.Batch) (all [][]byte) {
	for _, b := range batches {
		all = append(all, b)
	}
	return all
}

func TestBadIndexesAreMadeAnew(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: small(4000)})
	want := mustAppend(t, l, 60, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{dir + "/00000000000000000000.index", l.shape.segments[1].index.path(), l.last().index.path()} {
		if err := fs.Rot(path, 20+30*int64(i), 2); err != nil {
			t.Fatal(err)
		}
	}
	l, _ = mustOpen(t, Options{FS: fs, RecoveryPoint: 60})
	for o := range int64(60) {
		if b, _, err := at(l.View(message.Bounds{}), o); err != nil || !bytes.HasPrefix(b, want[o]) {
			t.Fatalf("offset %d: %v", o, err)
		}
	}
	if err := l.SaveIndexes(); err != nil {
		t.Fatal(err)
	}
	if _, err := checkIndex(&l.shape.segments[0].index, 0, nil); err != nil {
		t.Errorf("it was not written: %v", err)
	}
}

// A failed sync leaves the page cache clean, and no sync that follows proves anything of it, whether this process or the
// next one, behind a kill, opens the log: what opening keeps is durable all the same once its Dirty is synced.
func TestWhatAFailedSyncLeftIsWrittenAgain(t *testing.T) {
	for point := int64(0); point <= 30; point++ {
		for _, killed := range []bool{false, true} {
			fs := vfs.Memory(vfs.MemoryOptions{})
			l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
			want := mustAppend(t, l, int(point), 1)
			mustSync(t, l.Dirty())
			want = append(want, mustAppend(t, l, int(30-point), 2)...)
			failSync(fs, l.Dirty())
			if killed {
				fs = fs.Keep()
			}
			_, r := mustOpen(t, Options{FS: fs, RecoveryPoint: point, Suspect: !killed})
			mustSync(t, r.Dirty)
			l, r = mustOpen(t, Options{FS: fs.Crash(rand.New(rand.NewPCG(uint64(point), 1))), RecoveryPoint: 30})
			if !equal(contents(t, l), want) || l.End() != 30 || r.Cut != 0 || r.Quarantine != nil {
				t.Fatalf("synced to %d, killed %v: %d batches, %+v", point, killed, len(contents(t, l)), r)
			}
		}
	}
}

// failSync has every file's sync fail.
func failSync(fs *vfs.MemoryFS, dirty []message.Syncer) {
	for _, d := range dirty {
		if h, file := d.(*handle); file {
			fs.Inject(vfs.Fault{Op: vfs.OpSync, Path: h.path()})
			_ = h.Sync()
		}
	}
}

func TestSegments(t *testing.T) {
	l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: small(1000)})
	mustAppend(t, l, 10, 1)
	list, err := l.Segments()
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if s := list[0]; s.Base != 0 || s.Next != list[1].Base || s.MaxTimestamp != epoch0.UnixMilli()+s.Next-1 || s.File != dir+"/00000000000000000000.log" {
		t.Errorf("%+v", s)
	}
}

// Offsets may be missing in a compacted log: who reads where there is none gets what comes next.
func TestGaps(t *testing.T) {
	c := Config{SegmentBytes: 1000, IndexIntervalBytes: 300, Gaps: true}
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: fs, Config: c})
	var want []record.Batch
	for i := range int64(30) {
		b := batchOf(t, i*(i+1), 1, record.None, 100, epoch0.UnixMilli()) // 0, 2, 6, 12, ...
		if err := l.Append(b, epoch0); err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
	size := int64(len(want[0]))
	for point := int64(0); point <= l.End(); point += 17 {
		l, r := mustOpen(t, Options{FS: fs, Config: c, RecoveryPoint: point})
		if !equal(contents(t, l), want) || r.Cut != 0 || r.Quarantine != nil || l.End() != want[29].NextOffset() {
			t.Fatalf("point %d: %d batches, %+v", point, len(contents(t, l)), r)
		}
		for offset, i := int64(0), 0; offset < l.End(); offset++ {
			for want[i].LastOffset() < offset {
				i++
			}
			if b, s, err := at(l.View(message.Bounds{}), offset); err != nil || s.First != want[i].BaseOffset() || !bytes.HasPrefix(b, want[i]) {
				t.Fatalf("offset %d: %+v, %v", offset, s, err)
			}
		}
	}
	// an offset has no checksum: a rotten one must not let what follows pass for an unsynced tail
	seg := l.shape.segments[0]
	if err := errors.Join(fs.Rot(seg.log.path(), size, 3), fs.Remove(seg.index.path())); err != nil {
		t.Fatal(err)
	}
	again, r := mustOpen(t, Options{FS: fs, Config: c, RecoveryPoint: 12})
	if r.Cut != 0 || len(r.Quarantine) != 1 || !equal(contents(t, again), append(want[:1:1], want[2:]...)) {
		t.Fatalf("%d batches, %+v", len(contents(t, again)), r)
	}
	if err := l.Truncate(100); err != nil || l.End() != want[9].NextOffset() {
		t.Fatalf("the log ends at %d: %v", l.End(), err)
	}
}
