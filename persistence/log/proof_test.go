package log

import (
	"testing"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// What a pass has taken away was overtaken below the proof, so that a log which is cut above it has the last of each key still, be the
// pass whole or not, and the log opened anew.
func TestACutAboveTheProofLosesNothing(t *testing.T) {
	cuts := 0
	for seed := range uint64(60) {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, keyed(fs, 700))
		d := newDiary(t, l, seed)
		for range 3 {
			d.write(25)
			d.interrupt()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			o := keyed(fs, 700)
			o.RecoveryPoint = l.End()
			l, _ = mustOpen(t, o)
			d.log = l
		}
		if l.Proof() < l.Rewritten() || l.Proof() > l.SealedEnd() {
			t.Fatalf("seed %d: the proof is %d, segments have taken others' places up to %d, and the last begins at %d", seed, l.Proof(), l.Rewritten(), l.SealedEnd())
		}
		for _, b := range contents(t, l) {
			if at := b.BaseOffset(); at >= l.Proof() && d.r.IntN(4) == 0 {
				if err := l.Truncate(at); err != nil {
					t.Fatal(err)
				}
				cuts++
				break
			}
		}
		d.check(l, "cut", false)
		if l.Close() != nil {
			t.Fatal("not closed")
		}
	}
	if cuts < 30 {
		t.Errorf("only %d logs were cut", cuts)
	}
}

// Below the proof it may lack a key, which is why a copy is begun anew then.
func TestProofFallsWithACut(t *testing.T) {
	l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 700))
	d := newDiary(t, l, 1)
	d.write(60)
	d.clean(d.options())
	was := l.Proof()
	if was == 0 {
		t.Fatal("nothing was overtaken")
	}
	if err := l.Truncate(was - 1); err != nil {
		t.Fatal(err)
	}
	if l.Proof() != was-1 {
		t.Errorf("the proof was %d, the log is cut to %d, and it is %d", was, was-1, l.Proof())
	}
}
