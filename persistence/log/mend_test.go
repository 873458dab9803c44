package log

import (
	"bytes"
	"slices"
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

// Where the log starts in the midst of damage, other copies have only what comes behind; that is put in its place, and what is deleted is not missed.
func TestDamageAtTheStartIsMended(t *testing.T) {
	for _, first := range []int{0, 25} { // in a sealed segment, and in the last one
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs, Config: small(1000)})
		want := mustAppend(t, l, 30, 1)
		seg := l.shape.segments[l.segmentAt(int64(first+1))]
		at := max(first, int(seg.base))
		for i := range 3 {
			s, err := l.View(message.Bounds{}).Read(int64(at+i), 30, 1, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := fs.Rot(seg.log.path(), s.At+70, 3); err != nil {
				t.Fatal(err)
			}
		}
		l.SetStart(int64(at + 1))
		found, _, err := l.Verify(int64(at), 30)
		joined := Joined(found)
		if err != nil || len(joined) != 1 || joined[0].First != int64(at) || joined[0].Next != int64(at+3) {
			t.Fatalf("%v, %v", found, err)
		}
		d := joined[0]
		for _, wrong := range [][]byte{want[at+1], want[at+2], slices.Concat(want[at+1 : at+4]...)} {
			if _, err := l.Mend(d, wrong); err == nil {
				t.Fatal("what does not fit was taken")
			}
		}
		if rest, err := l.Mend(d, slices.Concat(want[at+1:at+3]...)); err != nil || rest.To > 0 {
			t.Fatalf("%+v, %v", rest, err)
		}
		v := l.View(message.Bounds{LogStart: int64(at + 1), HighWatermark: 30, LogEnd: 30}).(*view)
		if left, _, err := v.Verify(int64(at+1), 30); err != nil || len(left) > 0 {
			t.Errorf("%v, %v", left, err)
		}
		s, err := v.Read(int64(at+1), 30, 1, true)
		got := make([]byte, s.Bytes)
		if err == nil {
			_, err = s.File.ReadAt(got, s.At)
		}
		if err != nil || !bytes.Equal(got, want[at+1]) {
			t.Errorf("at %d: %v", at+1, err)
		}
	}
}
