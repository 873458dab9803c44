package log

import (
	"bytes"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// What rots in a sealed segment or in the last one is written again from another copy, and nothing else is taken for it.
func TestDamageIsMended(t *testing.T) {
	for _, at := range []int{0, 3, 29} {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
		want := mustAppend(t, l, 30, 1)
		s, err := l.View(message.Bounds{}).Read(int64(at), 30, 1, true)
		if err != nil {
			t.Fatal(err)
		}
		seg := l.shape.segments[l.segmentAt(int64(at))]
		if err := fs.Rot(seg.log.path(), s.At+70, 3); err != nil {
			t.Fatal(err)
		}
		found, _, err := l.Verify(0, 30)
		if err != nil || len(found) != 1 || found[0].First != int64(at) {
			t.Fatalf("%v, %v", found, err)
		}
		if _, err := l.Mend(found[0], want[(at+1)%30]); err == nil {
			t.Fatal("another batch was taken")
		}
		rotten := bytes.Clone(want[at])
		rotten[70] ^= 8
		if _, err := l.Mend(found[0], rotten); err == nil {
			t.Fatal("damage was taken")
		}
		if rest, err := l.Mend(found[0], want[at]); err != nil || rest.To > 0 {
			t.Fatalf("%+v, %v", rest, err)
		}
		if len(l.Dirty()) == 0 {
			t.Error("nothing is to be synced")
		}
		if found, _, _ := l.Verify(0, 30); len(found) > 0 || !equal(contents(t, l), want) {
			t.Errorf("offset %d: %v", at, found)
		}
		if _, err := l.Mend(found[0], want[at]); err == nil {
			t.Error("what is whole was mended")
		}
	}
}
