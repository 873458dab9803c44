package segment

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const folder = "topics/5b5ef9a0-6c4e-4cf7-9f50-1f2f2f0a8b11/0"

// batches are two batches of two records from an offset on.
func batches(t testing.TB, from int64) []byte {
	t.Helper()
	var all []byte
	for base := from; base < from+4; base += 2 {
		b := record.NewBuilder(base)
		b.Add(1000, []byte("key"), []byte("value"))
		b.Add(1001, nil, nil)
		whole, err := b.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, whole...)
	}
	return all
}

// written is a file system with one partition of two segments.
func written(t testing.TB, first, last []byte) vfs.FS {
	t.Helper()
	files, err := vfs.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := files.MkdirAll(folder); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"/00000000000000000000.log": first, "/00000000000000000004.log": last, "/epochs": nil} {
		f, err := files.Create(folder + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return files
}

func verified(t testing.TB, files vfs.FS) Report {
	t.Helper()
	all, err := Partitions(files, "")
	if err != nil || len(all) != 1 || len(all[0].Segments) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	r, err := Verify(files, all[0], 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyCountsWhatIsThere(t *testing.T) {
	r := verified(t, written(t, batches(t, 0), batches(t, 4)))
	if r.Batches != 4 || r.Records != 8 || r.First != 0 || r.Next != 8 || r.Damage != nil || r.Tail != "" {
		t.Errorf("%+v", r)
	}
}

// Every single byte that is not what was written is noticed, except those that no checksum covers and that stay possible:
// base offset and leader epoch.
func TestVerifyNoticesEveryFlippedBit(t *testing.T) {
	good := batches(t, 0)
	for at := range len(good) / 2 {
		if at < 8 || 12 <= at && at < 16 {
			continue
		}
		bad := append([]byte(nil), good...)
		bad[at] ^= 1
		if r := verified(t, written(t, bad, batches(t, 4))); len(r.Damage) == 0 || r.Tail != "" {
			t.Fatalf("byte %d: %+v", at, r)
		}
	}
}

// What follows the last good batch of the last segment was never acknowledged: it is told apart from damage.
func TestVerifyTellsATailFromDamage(t *testing.T) {
	last := batches(t, 4)
	r := verified(t, written(t, batches(t, 0), last[:len(last)-3]))
	if r.Damage != nil || !strings.Contains(r.Tail, "00000000000000000004.log: byte") || r.Next != 6 {
		t.Errorf("%+v", r)
	}
	if r := verified(t, written(t, batches(t, 0), batches(t, 2))); r.Damage != nil || !strings.Contains(r.Tail, "begins at offset 2") {
		t.Errorf("%+v", r)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(batches(f, 0))
	f.Add(batches(f, 0)[:70])
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, content []byte) { verified(t, written(t, content, content)) })
}
