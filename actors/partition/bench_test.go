package partition

import (
	"bytes"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// A disk that takes everything and keeps nothing, so that the partition's own cost is seen.
type nowhere struct{ *vfs.MemoryFS }

type nothing struct{ vfs.File }

func (n nowhere) Create(path string) (vfs.File, error) {
	f, err := n.MemoryFS.Create(path)
	return nothing{f}, err
}

func (nothing) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nothing) Truncate(int64) error                   { return nil }
func (nothing) WriteVec(pieces [][]byte, _ int64) (n int, err error) {
	for _, p := range pieces {
		n += len(p)
	}
	return n, nil
}

// BenchmarkAppend sends batches of ten records of 100 bytes through the partition; with fsync sixteen of them share a sync.
// What it allocates is the Commit and the Appended, and a view per sync.
func BenchmarkAppend(b *testing.B) {
	for name, fsync := range map[string]bool{"fsync": true, "replicated": false} {
		b.Run(name, func(b *testing.B) { benchmarkAppend(b, fsync, -1) })
	}
	b.Run("idempotent", func(b *testing.B) { benchmarkAppend(b, true, 7) })
}

func benchmarkAppend(b *testing.B, fsync bool, producer int64) {
	h := raise(b, func(h *house, o *message.Leadership) {
		h.over, h.quiet, o.Config.Fsync, o.Config.SegmentBytes = nowhere{h.fs}, true, fsync, 1<<30
	})
	builder := record.NewBuilder(0)
	for range 10 {
		builder.Add(noon.UnixMilli(), nil, bytes.Repeat([]byte("x"), 100))
	}
	batch, err := builder.Build(nil)
	if err != nil {
		b.Fatal(err)
	}
	m := &message.Append{Batch: batch, Acks: -1, FromClient: true}
	asked := letter{what: m, from: stage.Caller{Address: message.ConnectionAt(1, 1), Request: 1}}
	h.mail = append(h.mail, asked)
	h.run()
	synced := &message.Synced{Incarnation: h.me.(*Partition).incarnation}
	var what any = synced
	mail := h.mail[:0]
	b.ReportAllocs()
	b.SetBytes(int64(len(batch)))
	for n := 0; b.Loop(); n++ {
		if producer >= 0 {
			number(batch, producer, int32(10*n))
		}
		h.mail = append(mail, asked)
		if n%16 == 15 {
			synced.End = h.me.(*Partition).log.End()
			h.mail = append(h.mail, letter{what: what})
		}
		h.run()
	}
	if h.failed != nil {
		b.Fatal(h.failed)
	}
}

// number gives a batch its producer and sequence.
func number(b record.Batch, producer int64, sequence int32) {
	for i := range 8 {
		b[43+i] = byte(producer >> (56 - 8*i))
	}
	b[51], b[52] = 0, 0
	for i := range 4 {
		b[53+i] = byte(sequence >> (24 - 8*i))
	}
}
