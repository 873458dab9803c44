package snapshot

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

func TestWhatWasWrittenIsReadAfterACrash(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	disk := vfs.Memory(vfs.MemoryOptions{})
	if _, err := Read(disk, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before anything was written: %v", err)
	}
	for _, data := range []string{"first", "", "third, which is longer"} {
		if err := Write(disk, "a/b", []byte(data)); err != nil {
			t.Fatal(err)
		}
		disk = disk.Crash(chance)
		got, err := Read(disk, "a/b")
		if err != nil || string(got) != data {
			t.Fatalf("read %q, %v: want %q", got, err, data)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(nil))
	f.Add(encode([]byte("data")))
	f.Add([]byte("TSN1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if data, why := decode(b); why == "" && string(encode(data)) != string(b) {
			t.Fatalf("%q was read as %q", b, data)
		}
	})
}
