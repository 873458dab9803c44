package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInjectedFaultsHappenOnce(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := create(t, disk, "a", "0123456789")
	mine := errors.New("mine")
	disk.Inject(Fault{Op: OpRead, Path: "a*", Skip: 1, Err: mine})
	disk.Inject(Fault{Op: OpRead, Path: "b"})
	b := make([]byte, 2)
	var said []string
	for range 3 {
		_, err := f.ReadAt(b, 0)
		said = append(said, fmt.Sprint(errors.Is(err, mine)))
	}
	if got := strings.Join(said, " "); got != "false true false" {
		t.Errorf("failed: %s", got)
	}
	disk.Inject(Fault{Op: OpWrite, Short: true})
	if n, err := f.WriteAt([]byte("abcd"), 0); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("a short write: %d, %v", n, err)
	}
	wants(t, f, "ab23456789")
	disk.Inject(Fault{Op: OpWrite})
	if n, err := f.WriteAt([]byte("xyz"), 0); n != 0 || err == nil {
		t.Errorf("a failed write: %d, %v", n, err)
	}
	wants(t, f, "ab23456789")
}

func TestAMisdirectedWriteShowsAfterACrash(t *testing.T) {
	disk := Memory(MemoryOptions{Rand: chance(1)})
	f := durable(t, disk, "a", strings.Repeat("-", 100))
	disk.Inject(Fault{Op: OpWrite, Misdirect: true})
	_, err := f.WriteAt([]byte("x"), 50)
	must(t, err)
	must(t, f.Sync())
	if at := strings.IndexByte(text(t, disk, "a"), 'x'); at != 50 {
		t.Fatalf("readers see it at %d", at)
	}
	if at := strings.IndexByte(text(t, disk.Crash(chance(1)), "a"), 'x'); at == 50 || at < 0 {
		t.Fatalf("on disk it is at %d", at)
	}
}

func TestRotIsSeenNowAndLater(t *testing.T) {
	disk := Memory(MemoryOptions{})
	durable(t, disk, "a", "abc")
	must(t, disk.Rot("a", 1, 0))
	must(t, disk.Rot("a", 99, 0))
	holds(t, disk, "a", "acc")
	holds(t, disk.Crash(chance(1)), "a", "acc")
}

func TestAFullDisk(t *testing.T) {
	disk := Memory(MemoryOptions{Capacity: 10})
	f := create(t, disk, "a", "12345678")
	if n, err := f.WriteAt([]byte("9abc"), 8); n != 2 || !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a write over the end of the disk: %d, %v", n, err)
	}
	if _, err := f.WriteAt([]byte("over"), 0); err != nil {
		t.Fatalf("what is there can be overwritten: %v", err)
	}
	if err := f.Truncate(20); !errors.Is(err, ErrFull) {
		t.Fatalf("growing: %v", err)
	}
	if _, free, _ := disk.Usage(); free != 0 {
		t.Fatalf("%d bytes are free", free)
	}
	must(t, f.Truncate(3))
	create(t, disk, "b", "1234567")
	must(t, disk.Remove("b"))
	if _, free, _ := disk.Usage(); free != 7 {
		t.Fatalf("%d bytes are free, want 7", free)
	}
	disk.SetCapacity(1 << 20)
	create(t, disk, "c", strings.Repeat("x", 1000))
	_, before, _ := disk.Usage()
	disk.SyncDir(".")
	_, after, _ := disk.Keep().Usage()
	if before != after {
		t.Fatalf("%d bytes were free and are %d", before, after)
	}
}

func TestADiskThatIsFullAtSync(t *testing.T) {
	disk := Memory(MemoryOptions{FullAtSync: true, Capacity: 10})
	f := create(t, disk, "a", "12345678")
	must(t, f.Sync())
	_, err := f.WriteAt([]byte("9abc"), 8)
	must(t, err)
	if err := f.Sync(); !errors.Is(err, ErrFull) {
		t.Fatalf("sync: %v", err)
	}
	must(t, disk.SyncDir("."))
	holds(t, disk.Crash(chance(1)), "a", "12345678")
}

func TestAReadOnlyDisk(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := create(t, disk, "a", "text")
	disk.SetReadOnly(true)
	_, write := f.WriteAt([]byte("x"), 0)
	_, created := disk.Create("b")
	for _, err := range []error{write, created, f.Truncate(0), disk.Remove("a"), disk.Rename("a", "b"), disk.MkdirAll("d")} {
		if !errors.Is(err, ErrReadOnly) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("%v is not ErrReadOnly", err)
		}
	}
	holds(t, disk, "a", "text")
	disk.SetReadOnly(false)
	must(t, disk.Remove("a"))
}

func TestRatesSpareWhatTheyMay(t *testing.T) {
	disk := Memory(MemoryOptions{Rand: chance(1), Rates: Rates{Write: 0.5, Where: func(op Op, path string) bool { return path == "bad" }}})
	good := create(t, disk, "good", "")
	bad, err := disk.Create("bad")
	must(t, err)
	failed := 0
	for range 100 {
		_, err := good.WriteAt([]byte("x"), 0)
		must(t, err)
		if _, err := bad.WriteAt([]byte("x"), 0); err != nil {
			failed++
		}
	}
	if failed < 20 || failed > 80 {
		t.Errorf("%d of 100 writes failed", failed)
	}
	disk.SetRates(Rates{})
	for range 100 {
		_, err := bad.WriteAt([]byte("x"), 0)
		must(t, err)
	}
}

func TestDelaysAddUpAndEverythingIsTraced(t *testing.T) {
	var traced []string
	disk := Memory(MemoryOptions{
		Latency: func(op Op, _ string, n int) time.Duration {
			if op == OpSync {
				return time.Duration(n) * time.Millisecond
			}
			return 0
		},
		Trace: func(op Op, path string, at int64, n int, err error) {
			traced = append(traced, fmt.Sprintf("%s %s %d+%d %v", op, path, at, n, err != nil))
		},
	})
	f := create(t, disk, "a", "four")
	_, err := f.WriteVec([][]byte{[]byte("s"), []byte("ix")}, 4)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Sync())
	if _, err := disk.Open("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if d := disk.TakeDelay(); d != 7*time.Millisecond {
		t.Errorf("the operations took %v", d)
	}
	if d := disk.TakeDelay(); d != 0 {
		t.Errorf("counted twice: %v", d)
	}
	want := "create a 0+0 false\nwrite a 0+4 false\nwrite a 4+3 false\nsync a 0+0 false\nsync a 0+0 false\nopen b 0+0 true"
	if got := strings.Join(traced, "\n"); got != want {
		t.Errorf("traced\n%s\nwant\n%s", got, want)
	}
}

func TestWhatNobodySyncsIsWrittenBack(t *testing.T) {
	disk := Memory(MemoryOptions{})
	f := durable(t, disk, "a", "")
	for i := range int64(unsyncedMax + 1) {
		_, err := f.WriteAt([]byte("x"), i)
		must(t, err)
	}
	for seen := range outcomes(t, disk, "a") {
		if len(seen) < unsyncedMax/2 {
			t.Fatalf("only %d bytes are left", len(seen))
		}
	}
}

func TestTheSystemsErrorsHaveNames(t *testing.T) {
	for err, want := range map[error]error{syscall.ENOSPC: ErrFull, syscall.EDQUOT: ErrFull, syscall.EROFS: ErrReadOnly} {
		got := mapped(&fs.PathError{Op: "write", Path: "a", Err: err})
		var path *fs.PathError
		if !errors.Is(got, want) || !errors.Is(got, err) || !errors.As(got, &path) {
			t.Errorf("%v", got)
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Memory(MemoryOptions{})
		}
	})
	b.Run("append and sync", func(b *testing.B) {
		b.ReportAllocs()
		f, _ := Memory(MemoryOptions{}).Create("a")
		piece, at := make([]byte, 1000), int64(0)
		for b.Loop() {
			f.WriteAt(piece, at%(1<<24))
			f.Sync()
			at += 1000
		}
	})
}
