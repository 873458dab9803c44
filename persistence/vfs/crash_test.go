package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func chance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 42)) }

// outcomes are the contents of a file after many crashes; "gone" if it is not there.
func outcomes(t *testing.T, disk *MemoryFS, path string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for seed := range uint64(200) {
		seen[text(t, disk.CrashClone(chance(seed)), path)]++
	}
	return seen
}

func text(t *testing.T, disk FS, path string) string {
	t.Helper()
	f, err := disk.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "gone"
	}
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
		must(t, err)
	}
	return string(b)
}

func exactly(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never seen: %.40q", w)
		}
		delete(seen, w)
	}
	if len(seen) > 0 {
		t.Errorf("must not be: %.200q", fmt.Sprint(seen))
	}
}

func durable(t *testing.T, disk *MemoryFS, path, text string) File {
	t.Helper()
	f := create(t, disk, path, text)
	must(t, f.Sync())
	must(t, disk.SyncDir("."))
	return f
}

func TestSyncedSurvives(t *testing.T) {
	disk := Memory(MemoryOptions{})
	durable(t, disk, "a", "text")
	exactly(t, outcomes(t, disk, "a"), "text")
}

func TestASyncedFileNeedsItsName(t *testing.T) {
	disk := Memory(MemoryOptions{})
	must(t, create(t, disk, "a", "text").Sync())
	exactly(t, outcomes(t, disk, "a"), "text", "gone")
}

func TestANamedFileNeedsItsSync(t *testing.T) {
	disk := Memory(MemoryOptions{})
	create(t, disk, "a", "text")
	must(t, disk.SyncDir("."))
	exactly(t, outcomes(t, disk, "a"), "", "text", "\x00\x00\x00\x00")
}

func TestARemovedFileMayComeBack(t *testing.T) {
	disk := Memory(MemoryOptions{})
	durable(t, disk, "a", "text")
	must(t, disk.Remove("a"))
	exactly(t, outcomes(t, disk, "a"), "text", "gone")
	must(t, disk.SyncDir("."))
	exactly(t, outcomes(t, disk, "a"), "gone")
}

func TestADirectoryIsAnEntryOfItsParent(t *testing.T) {
	disk := Memory(MemoryOptions{})
	must(t, disk.MkdirAll("d"))
	must(t, create(t, disk, "d/a", "text").Sync())
	must(t, disk.SyncDir("d"))
	exactly(t, outcomes(t, disk, "d/a"), "text", "gone")
	must(t, disk.SyncDir("."))
	exactly(t, outcomes(t, disk, "d/a"), "text")
}

func TestARenameIsAllOrNothing(t *testing.T) {
	disk := Memory(MemoryOptions{})
	must(t, disk.MkdirAll("d"))
	durable(t, disk, "a", "new")
	must(t, create(t, disk, "d/b", "old").Sync())
	must(t, disk.SyncDir("d"))
	must(t, disk.Rename("a", "d/b"))
	seen := map[string]int{}
	for seed := range uint64(200) {
		after := disk.CrashClone(chance(seed))
		seen[text(t, after, "a")+" "+text(t, after, "d/b")]++
	}
	exactly(t, seen, "new old", "gone new")
	must(t, disk.SyncDir("d"))
	exactly(t, outcomes(t, disk, "a"), "gone")
}

// Truncate-then-append is a trap: a crash can lose the truncation and keep what was appended after it.
func TestATruncationMayBeLostAndTheWriteAfterItKept(t *testing.T) {
	sectors := func(letters string) string {
		var b []byte
		for _, l := range letters {
			b = append(b, bytes.Repeat([]byte{byte(l)}, sector)...)
		}
		return string(b)
	}
	disk := Memory(MemoryOptions{})
	f := durable(t, disk, "a", sectors("abc"))
	must(t, f.Truncate(sector))
	_, err := f.WriteAt([]byte(sectors("d")), sector)
	must(t, err)
	exactly(t, outcomes(t, disk, "a"), sectors("abc"), sectors("ad"), sectors("adc"), sectors("a"), sectors("a\x00"))
}

func TestWritesAreTornAndReordered(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := durable(t, disk, "a", string(make([]byte, 4*sector)))
	for i, letter := range []byte("ABCD") {
		_, err := f.WriteAt(bytes.Repeat([]byte{letter}, sector), int64(i*sector))
		must(t, err)
	}
	kept := map[string]bool{}
	for seen := range outcomes(t, disk, "a") {
		var which []byte
		for i := range 4 {
			part := seen[i*sector : (i+1)*sector]
			if part != string(bytes.Repeat([]byte{part[0]}, sector)) {
				t.Fatalf("torn within a sector: %q", part)
			}
			which = append(which, max(part[0], '-'))
		}
		kept[string(which)] = true
	}
	for _, want := range []string{"----", "ABCD", "AB--", "--C-", "-B-D"} {
		if !kept[want] {
			t.Errorf("never %s, only %v", want, kept)
		}
	}
}

func TestAFailedSyncLosesWhatReadersSee(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := durable(t, disk, "a", "old")
	_, err := f.WriteAt([]byte("new"), 0)
	must(t, err)
	disk.Inject(Fault{Op: OpSync})
	if f.Sync() == nil {
		t.Fatal("the sync did not fail")
	}
	must(t, f.Sync()) // like Linux: the second one knows nothing
	wants(t, f, "new")
	exactly(t, outcomes(t, disk, "a"), "old")
}

func TestAKilledProcessLeavesThePageCache(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := create(t, disk, "a", "text")
	lock, err := disk.Lock("lock")
	must(t, err)
	after := disk.Keep()
	holds(t, after, "a", "text")
	if _, err := after.Lock("lock"); err != nil {
		t.Errorf("the dead keep their locks: %v", err)
	}
	if open, _ := after.Descriptors(); open != 0 {
		t.Errorf("the dead keep %d descriptors", open)
	}
	exactly(t, outcomes(t, after, "lock"), "", "gone")
	_, open := disk.Open("a")
	_, read := f.ReadAt(make([]byte, 1), 0)
	for _, err := range []error{open, read, f.Sync(), disk.SyncDir(".")} {
		if !errors.Is(err, ErrCrashed) {
			t.Errorf("after the crash: %v", err)
		}
	}
	must(t, lock.Close())
}

func TestClonesDoNotShareWhatTheyWrite(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := durable(t, disk, "a", "text")
	clone := disk.CrashClone(chance(1))
	other, err := clone.Open("a")
	must(t, err)
	_, err = other.WriteAt([]byte("T"), 0)
	must(t, err)
	_, err = f.WriteAt([]byte("!"), 3)
	must(t, err)
	wants(t, other, "Text")
	wants(t, f, "tex!")
}

func TestCrashesRepeat(t *testing.T) {
	scene := func() string {
		disk := Memory(MemoryOptions{Rand: chance(3), Rates: Rates{Short: 0.2, Sync: 0.2, Flip: 0.2, Misdirect: 0.2}})
		for i := range 30 {
			f, err := disk.Create(fmt.Sprint("f", i%10))
			if err != nil {
				continue
			}
			f.WriteAt(bytes.Repeat([]byte{byte('a' + i)}, 300*i+1), int64(i*17))
			if i%3 == 0 {
				f.Sync()
			}
		}
		after := disk.Crash(chance(4))
		names, _ := after.List(".")
		all := ""
		for _, name := range names {
			all += name + text(t, after, name)
		}
		return all
	}
	if first := scene(); first == "" || first != scene() {
		t.Fatal("the same calls and the same chance left another disk")
	}
}

// Every byte after a crash is one that was there since the last sync, or a zero of a size that came before its data.
func TestEveryCrashIsLegal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := Memory(MemoryOptions{})
		f, _ := disk.Create("a")
		disk.SyncDir(".")
		const room = 6 * sector
		var model [room]byte
		var legal [room][256]bool
		size, sizeMin, sizeMax := int64(0), int64(0), int64(0)
		synced := func() {
			legal = [room][256]bool{}
			for i, b := range model {
				legal[i][0] = int64(i) >= size
				legal[i][b] = true
			}
			sizeMin, sizeMax = size, size
		}
		synced()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			at := rapid.Int64Range(0, room-1).Draw(t, "at")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				if f.Sync() != nil {
					t.Fatal("sync failed")
				}
				synced()
			case 1:
				f.Truncate(at)
				for i := min(at, size); i < room; i++ {
					model[i], legal[i][0] = 0, true
				}
				size, sizeMin, sizeMax = at, min(sizeMin, at), max(sizeMax, at)
			default:
				b := make([]byte, rapid.Int64Range(1, room-at).Draw(t, "n"))
				for i := range b {
					b[i] = byte(1 + (len(b)+i*31+int(at))%255) // never zero
					model[at+int64(i)] = b[i]
					legal[at+int64(i)][b[i]] = true
				}
				f.WriteAt(b, at)
				size = max(size, at+int64(len(b)))
				sizeMax = max(sizeMax, size)
				for i := range at { // a write behind the end may be all that survives
					legal[i][0] = legal[i][0] || i >= sizeMin
				}
			}
		}
		live := make([]byte, size)
		if size > 0 {
			if _, err := f.ReadAt(live, 0); err != nil || !bytes.Equal(live, model[:size]) {
				t.Fatalf("reads do not see the writes: %v", err)
			}
		}
		after := disk.Crash(chance(rapid.Uint64().Draw(t, "seed")))
		g, err := after.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		n, _ := g.Size()
		if n < sizeMin || n > sizeMax {
			t.Fatalf("%d bytes, want %d to %d", n, sizeMin, sizeMax)
		}
		b := make([]byte, n)
		if n > 0 {
			g.ReadAt(b, 0)
		}
		for i, got := range b {
			if !legal[i][got] {
				t.Fatalf("byte %d is %d", i, got)
			}
		}
	})
}
