package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Whatever happens to some bytes of a segment, single bits, a sector of noise, or a sector that was meant for another place of
// the file: every batch that has none of them is read, from each of its offsets, after a start as before one.
func TestDamageCostsWhatItHits(t *testing.T) {
	for seed := range uint64(5000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, Options{FS: fs, Config: small(2048)})
		var batches []record.Batch
		for range 10 + chance.IntN(30) {
			b := batchOf(t, l.End(), 1, record.None, 2+chance.IntN(60), make([]int64, 1+chance.IntN(8))...)
			if err := l.Append(b, epoch0); err != nil {
				t.Fatal(err)
			}
			batches = append(batches, b)
		}
		hit := l.shape.segments[chance.IntN(len(l.shape.segments))]
		from, to, kind := harm(t, hit, chance)
		if chance.IntN(2) == 0 {
			l, _ = mustOpen(t, Options{FS: fs, RecoveryPoint: l.End(), Config: small(2048)})
		}
		position, base := int64(0), int64(-1)
		for _, b := range batches {
			seg := l.shape.segments[l.shape.segmentAt(b.BaseOffset())]
			if seg.base != base {
				position, base = 0, seg.base
			}
			position += int64(len(b))
			if seg.base == hit.base && position > from && position-int64(len(b)) < to {
				continue
			}
			for offset := b.BaseOffset(); offset < b.NextOffset(); offset++ {
				got, _, err := at(l.View(message.Bounds{HighWatermark: l.End()}), offset)
				if err != nil || len(got) < len(b) || !bytes.Equal(got[:len(b)], b) {
					t.Fatalf("seed %d: %s of %s from %d to %d, and offset %d of the batch %d to %d at %d is lost: %v",
						seed, kind, hit.log.name, from, to, offset, b.BaseOffset(), b.LastOffset(), position-int64(len(b)), err)
				}
			}
		}
	}
}

// harm changes bytes of a segment's file and says which.
func harm(t *testing.T, s *segment, chance *rand.Rand) (from, to int64, kind string) {
	t.Helper()
	const sector = 512
	f, err := s.log.open()
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	all := make([]byte, size)
	if _, err := f.ReadAt(all, 0); err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(all)
	at := chance.Int64N(size)
	switch chance.IntN(3) {
	case 0:
		all[at] ^= 1 << chance.IntN(8)
		kind = "a bit"
	case 1:
		at = at / sector * sector
		for i := range all[at:min(at+sector, size)] {
			all[at+int64(i)] = byte(chance.Uint32())
		}
		kind = "noise"
	default:
		at = at / sector * sector
		other := chance.Int64N(size)
		copy(all[at:min(at+sector, size)], old[other:])
		kind = fmt.Sprintf("a copy of what is at %d", other)
	}
	if _, err := f.WriteAt(all, 0); err != nil {
		t.Fatal(err)
	}
	from, to = size, 0
	for i := range all {
		if all[i] != old[i] {
			from, to = min(from, int64(i)), int64(i)+1
		}
	}
	return from, to, kind
}
