package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const dir, checkpointFile = "journal", "checkpoint"

func options(files vfs.FS, seed uint64) Options {
	return Options{FS: files, Dir: dir, FileBytes: 6 * page, Files: 3, GrowBytes: page, Seed: seed}
}

func partition(i int) message.PartitionID {
	return message.PartitionID{Topic: message.TopicID{1}, Index: int32(i)}
}

// batch is a batch without records, padded with bytes that its checksum covers.
func batch(base int64, size int, fill byte) []byte {
	b := make(record.Batch, record.HeaderSize+size)
	for i := record.HeaderSize; i < len(b); i++ {
		b[i] = fill
	}
	b[8], b[9], b[10], b[11] = 0, 0, byte((len(b)-12)>>8), byte(len(b)-12)
	b[16] = 2
	b.SetBaseOffset(base)
	b.Seal()
	return b
}

func open(t testing.TB, files vfs.FS, c Checkpoint, seed uint64) (*Journal, []Found) {
	t.Helper()
	j, found, err := Open(options(files, seed), c)
	if err != nil {
		t.Fatal(err)
	}
	return j, found
}

func put(t testing.TB, j *Journal, entries ...Entry) uint64 {
	t.Helper()
	sequence, err := j.Write(entries)
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

func of(p int, base int64, size int) Entry {
	return Entry{Kind: Batch, Partition: partition(p), Epoch: 1, Offset: base, Batch: batch(base, size, byte(base))}
}

func crcOf(b []byte) uint32 {
	if b == nil {
		return 0
	}
	return record.Batch(b).CRC()
}

func TestWhatWasWrittenIsReplayedInOrder(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, found := open(t, files, Checkpoint{}, 1)
	if len(found) != 0 {
		t.Fatalf("an empty journal held %v", found)
	}
	put(t, j, of(1, 0, 10), of(2, 0, 3000))
	put(t, j, Entry{Kind: Truncate, Partition: partition(2), Epoch: 2, Offset: 1}, of(1, 1, 20))
	put(t, j, Entry{Kind: StartAt, Partition: partition(1), Offset: 1})
	_, found = open(t, files.Crash(rand.New(rand.NewPCG(1, 1))), Checkpoint{}, 2)
	got := fmt.Sprint(len(found), kinds(found[0]), kinds(found[1]), found[0].Start, found[0].First)
	if want := "2 [1 1 3] [1 2] 1 1"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	redo, err := Load(found[0].Refs)
	if err != nil || !bytes.Equal(redo[1].Batch, of(1, 1, 20).Batch) || redo[1].LeaderEpoch != 1 || !redo[2].StartAt {
		t.Fatalf("redo %v, %v", redo, err)
	}
}

func kinds(f Found) (all []Kind) {
	for _, r := range f.Refs {
		all = append(all, r.Kind)
	}
	return all
}

func TestAMarkerVoidsWhatCameBefore(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	put(t, j, of(1, 0, 10), of(2, 0, 10))
	put(t, j, Entry{Kind: Marker, Partition: partition(1), Offset: 7}, of(2, 1, 10))
	put(t, j, of(1, 7, 10))
	_, found := open(t, files.Keep(), Checkpoint{}, 2)
	if f := found[0]; f.Synced != 7 || len(f.Refs) != 1 || f.Refs[0].Offset != 7 || f.First != 3 {
		t.Fatalf("found %+v", f)
	}
	if f := found[1]; len(f.Refs) != 2 {
		t.Fatalf("the other partition lost entries: %+v", f)
	}
}

func TestATruncationLowersTheCheckpointsPoint(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	put(t, j, Entry{Kind: Truncate, Partition: partition(1), Offset: 50})
	_, found := open(t, files.Keep(), Checkpoint{From: 1, Points: []Point{{Partition: partition(1), Synced: 100, Start: 3}}}, 2)
	if f := found[0]; f.Synced != 50 || f.Start != 3 || len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
}

func TestDamageInSyncedRoundsIsReported(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int64
		want bool
	}{{"a round with one behind it", page + 40, true}, {"the file's header, with several rounds", 20, true}, {"the last round", 3*page + 40, false}} {
		t.Run(c.name, func(t *testing.T) {
			files := vfs.Memory(vfs.MemoryOptions{})
			j, _ := open(t, files, Checkpoint{}, 1)
			for i := range 3 {
				put(t, j, of(1, int64(i), 100))
			}
			if err := files.Rot(dir+"/00000001", c.at, 3); err != nil {
				t.Fatal(err)
			}
			_, _, err := Open(options(files, 2), Checkpoint{})
			var d *Damaged
			if errors.As(err, &d) != c.want {
				t.Fatalf("got %v", err)
			}
			if d != nil && d.First != 1 {
				t.Fatalf("names rounds %d to %d", d.First, d.Last)
			}
		})
	}
}

func TestDamageBelowTheCheckpointIsOfNoAccount(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	for i := range 4 {
		put(t, j, of(1, int64(i), 100))
	}
	if err := files.Rot(dir+"/00000001", page+40, 3); err != nil {
		t.Fatal(err)
	}
	_, found := open(t, files, Checkpoint{From: 3}, 2)
	if got := fmt.Sprint(found[0].First, len(found[0].Refs)); got != "3 2" {
		t.Fatal(got)
	}
}

func TestAMissingFileIsReported(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	for i := range 14 {
		put(t, j, of(1, int64(i), 100))
	}
	for _, slot := range []int{1, 2} {
		damaged := files.CrashClone(rand.New(rand.NewPCG(1, 1)))
		if err := damaged.Remove(fmt.Sprintf("%s/%08d", dir, slot)); err != nil {
			t.Fatal(err)
		}
		var d *Damaged
		if _, _, err := Open(options(damaged, 2), Checkpoint{}); !errors.As(err, &d) {
			t.Fatalf("slot %d: %v", slot, err)
		}
	}
}

func TestAFullDiskHarmsNothing(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	put(t, j, of(1, 0, 10))
	files.SetCapacity(3 * page)
	put(t, j, of(1, 1, 10)) // the file has that much already, or it grows to just this
	if _, err := j.Write([]Entry{of(1, 2, 2*page)}); !errors.Is(err, vfs.ErrFull) {
		t.Fatalf("got %v", err)
	}
	files.SetCapacity(1 << 30)
	put(t, j, of(1, 3, 10))
	_, found := open(t, files.Crash(rand.New(rand.NewPCG(1, 1))), Checkpoint{}, 2)
	if got := offsets(found[0]); got != "[0 1 3]" {
		t.Fatalf("replayed %s", got)
	}
}

func offsets(f Found) string {
	var all []int64
	for _, r := range f.Refs {
		all = append(all, r.Offset)
	}
	return fmt.Sprint(all)
}

// A failed sync may have written everything all the same. Once a later round has succeeded it must not come back.
func TestAFailedRoundIsVoidOnceALaterOneIsDurable(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	put(t, j, of(1, 0, 10))
	files.Inject(vfs.Fault{Op: vfs.OpSync})
	if _, err := j.Write([]Entry{of(1, 1, 10)}); err == nil {
		t.Fatal("the sync did not fail")
	}
	put(t, j, of(1, 1, 33))
	_, found := open(t, files.Keep(), Checkpoint{}, 2)
	if f := found[0]; offsets(f) != "[0 1]" || f.Refs[1].length != record.HeaderSize+33 {
		t.Fatalf("found %+v", f)
	}
}

func TestARoundLargerThanAFileIsRefused(t *testing.T) {
	j, _ := open(t, vfs.Memory(vfs.MemoryOptions{}), Checkpoint{}, 1)
	if _, err := j.Write([]Entry{of(1, 0, 5*page)}); err == nil {
		t.Fatal("it was not refused")
	}
	if room := j.Room(); room != 5*page-roundSize {
		t.Fatalf("room %d", room)
	}
	put(t, j, of(1, 0, int(j.Room()-EntryBytes(record.HeaderSize))))
}

func TestReadFindsOnePartitionWhileTheJournalIsInUse(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	for i := range 12 {
		put(t, j, of(1, int64(i), 500), of(2, int64(i), 500))
	}
	found, err := j.Read(partition(2), 4)
	if err != nil || offsets(found) != "[3 4 5 6 7 8 9 10 11]" || found.First != 4 {
		t.Fatalf("%+v, %v", found, err)
	}
	put(t, j, of(1, 12, 500))
}

func TestRecycledFilesAreUsedAgain(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	for i := range 200 {
		sequence := put(t, j, of(1, int64(i), 100))
		if err := (Checkpoint{From: sequence}).Save(files, checkpointFile); err != nil {
			t.Fatal(err)
		}
		if surplus := j.Recycle(sequence); surplus != nil {
			t.Fatalf("gave up %v", surplus)
		}
	}
	names, _ := files.List(dir)
	if len(names) > 3 {
		t.Fatalf("the ring has %v", names)
	}
	c, err := LoadCheckpoint(files, checkpointFile)
	if err != nil || c.From != 200 {
		t.Fatalf("%+v, %v", c, err)
	}
	_, found := open(t, files.Keep(), c, 2)
	if offsets(found[0]) != "[199]" {
		t.Fatalf("found %s", offsets(found[0]))
	}
}

func TestARingThatOverflowedShrinksAgain(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, files, Checkpoint{}, 1)
	for i := range 40 {
		put(t, j, of(1, int64(i), 100))
	}
	if j.Used() <= j.Size() || j.Room() != 0 && len(j.live) <= 3 {
		t.Fatalf("used %d of %d", j.Used(), j.Size())
	}
	for _, path := range j.Recycle(j.Next()) {
		if err := files.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if names, _ := files.List(dir); len(names) != 3 {
		t.Fatalf("the ring has %v", names)
	}
	put(t, j, of(1, 40, 100))
}

func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct{ entries, bytes int }{{12, 4 << 10}, {1000, 1 << 10}, {12, 128 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", c.entries, c.bytes), func(b *testing.B) {
			files, err := vfs.OS(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			j, _, err := Open(Options{FS: files, Dir: dir, FileBytes: 64 << 20, Files: 2, GrowBytes: 1 << 20, Seed: 1}, Checkpoint{})
			if err != nil {
				b.Fatal(err)
			}
			entries := make([]Entry, c.entries)
			for i := range entries {
				entries[i] = Entry{Kind: Batch, Partition: partition(i), Batch: make([]byte, c.bytes)}
			}
			round := func() {
				if _, err := j.Write(entries); err != nil {
					b.Fatal(err)
				}
				j.Recycle(j.Next())
			}
			for began := j.number; j.number < began+3; { // until the files are pre-written
				round()
			}
			b.SetBytes(int64(c.entries * c.bytes))
			b.ReportAllocs()
			began := time.Now()
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/1000/float64(b.N), "ms/round")
		})
	}
}

// The rounds of an earlier use of a file may have just the sequences that the new use expects, if the node was set back.
func TestRoundsOfAnotherUseOfTheFileAreNeverTaken(t *testing.T) {
	old, files := vfs.Memory(vfs.MemoryOptions{}), vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(t, old, Checkpoint{}, 1)
	for i := range 3 {
		put(t, j, of(1, int64(i), 100))
	}
	k, _ := open(t, files, Checkpoint{}, 2)
	put(t, k, of(1, 0, 100))
	stale := make([]byte, 2*page)
	if _, err := j.live[0].f.ReadAt(stale, 2*page); err != nil {
		t.Fatal(err)
	}
	if _, err := k.live[0].f.WriteAt(stale, 2*page); err != nil {
		t.Fatal(err)
	}
	_, found := open(t, files.Keep(), Checkpoint{}, 3)
	if offsets(found[0]) != "[0]" {
		t.Fatalf("replayed %s", offsets(found[0]))
	}
}

// File systems that allocate late find out at a sync that there is no room: that must come before a round is written, which
// could be found by a replay although it was refused.
func TestADiskThatIsFullAtASyncHarmsNothing(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{FullAtSync: true})
	j, _ := open(t, files, Checkpoint{}, 1)
	put(t, j, of(1, 0, 10))
	files.SetCapacity(3 * page)
	if _, err := j.Write([]Entry{of(1, 1, 2*page)}); !errors.Is(err, vfs.ErrFull) {
		t.Fatalf("got %v", err)
	}
	_, found := open(t, files.CrashClone(rand.New(rand.NewPCG(1, 1))), Checkpoint{}, 2)
	if got := offsets(found[0]); got != "[0]" {
		t.Fatalf("replayed %s", got)
	}
	files.SetCapacity(1 << 30)
	put(t, j, of(1, 1, 2*page))
	_, found = open(t, files.Crash(rand.New(rand.NewPCG(1, 1))), Checkpoint{}, 2)
	if got := offsets(found[0]); got != "[0 1]" {
		t.Fatalf("replayed %s", got)
	}
}
