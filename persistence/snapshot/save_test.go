package snapshot

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

var (
	oldBody = bytes.Repeat([]byte("old state "), 200)
	newBody = bytes.Repeat([]byte("the new state "), 300)
)

func saved(t *testing.T, opts vfs.MemoryOptions) *vfs.MemoryFS {
	t.Helper()
	disk := vfs.Memory(opts)
	if err := Save(disk, "d/state", 1, oldBody); err != nil {
		t.Fatal(err)
	}
	return disk
}

// is tells which of the two snapshots is there; anything else fails the test.
func is(t *testing.T, disk vfs.FS) (version uint16) {
	t.Helper()
	version, body, err := Load(disk, "d/state")
	if err != nil {
		t.Fatal(err)
	}
	want := oldBody
	if version == 2 {
		want = newBody
	}
	if !bytes.Equal(body, want) {
		t.Fatalf("version %d has %d bytes, want %d", version, len(body), len(want))
	}
	return version
}

func TestSavedIsLoaded(t *testing.T) {
	disk := saved(t, vfs.MemoryOptions{})
	is(t, disk)
	if err := Save(disk, "d/state", 2, newBody); err != nil {
		t.Fatal(err)
	}
	if is(t, disk) != 2 {
		t.Fatal("the old one is still there")
	}
	if err := Save(disk, "top", 3, nil); err != nil {
		t.Fatal(err)
	}
	if version, body, err := Load(disk, "top"); version != 3 || len(body) != 0 || err != nil {
		t.Fatalf("an empty body: %d, %q, %v", version, body, err)
	}
	if _, _, err := Load(disk, "nothing"); !errors.Is(err, ErrMissing) {
		t.Fatalf("nothing was saved: %v", err)
	}
	if open, _ := disk.Descriptors(); open != 0 {
		t.Fatalf("%d descriptors are left open", open)
	}
}

func TestSavedSurvivesEveryCrash(t *testing.T) {
	disk := saved(t, vfs.MemoryOptions{})
	if err := Save(disk, "d/state", 2, newBody); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(100) {
		if is(t, disk.CrashClone(rand.New(rand.NewPCG(seed, 0)))) != 2 {
			t.Fatal("what Save had made durable is lost")
		}
	}
}

func TestACrashAtAnyStepLeavesTheOldOrTheNew(t *testing.T) {
	var disk *vfs.MemoryFS
	tracing, steps, seen := false, uint64(0), map[uint16]int{}
	disk = saved(t, vfs.MemoryOptions{Trace: func(op vfs.Op, path string, _ int64, _ int, _ error) {
		if !tracing {
			return
		}
		tracing = false // what the clones do is not part of the scene
		defer func() { tracing = true }()
		steps++
		for seed := range uint64(100) {
			crashed := disk.CrashClone(rand.New(rand.NewPCG(seed, steps)))
			seen[is(t, crashed)]++
			if err := Save(crashed, "d/state", 1, oldBody); err != nil { // over whatever is left over
				t.Fatalf("after a crash at %s %s: %v", op, path, err)
			}
			is(t, crashed)
		}
	}})
	tracing = true
	if err := Save(disk, "d/state", 2, newBody); err != nil {
		t.Fatal(err)
	}
	if steps < 5 || seen[1] == 0 || seen[2] == 0 {
		t.Fatalf("%d steps, seen %v: the scene shows nothing", steps, seen)
	}
}

func TestAFaultAtAnyStepIsReported(t *testing.T) {
	for _, op := range []vfs.Op{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		disk := saved(t, vfs.MemoryOptions{})
		disk.Inject(vfs.Fault{Op: op})
		if Save(disk, "d/state", 2, newBody) == nil {
			t.Errorf("%s failed and Save did not say so", op)
		}
		is(t, disk)
		is(t, disk.Crash(rand.New(rand.NewPCG(1, 1))))
	}
}

func TestAFullDiskKeepsTheOld(t *testing.T) {
	disk := saved(t, vfs.MemoryOptions{Capacity: int64(len(oldBody)) + 100})
	if err := Save(disk, "d/state", 2, newBody); !errors.Is(err, vfs.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if is(t, disk) != 1 {
		t.Fatal("the old one is gone")
	}
}

func TestDamageIsFound(t *testing.T) {
	size := int64(headerSize + 2 + len(oldBody))
	for at := range size {
		disk := saved(t, vfs.MemoryOptions{})
		if err := disk.Rot("d/state", at, int(at%8)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(disk, "d/state"); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d has rotted: %v", at, err)
		}
	}
	for _, to := range []int64{0, 1, headerSize, size - 1, size + 1} {
		disk := saved(t, vfs.MemoryOptions{})
		f, err := disk.Open("d/state")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(to); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(disk, "d/state"); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d: %v", to, err)
		}
	}
}
