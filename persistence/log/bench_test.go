package log

import (
	"math"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func benchLog(b *testing.B, pad int) (*Log, record.Batch) {
	fs, err := vfs.OS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	l, _ := mustOpen(b, Options{FS: fs})
	b.Cleanup(func() { _ = l.Close() })
	return l, batchOf(b, 0, 0, record.None, pad, 1)
}

func fill(b *testing.B, l *Log, batch record.Batch) {
	batch.SetBaseOffset(l.End())
	if err := l.Append(batch, epoch0); err != nil {
		b.Fatal(err)
	}
}

// One append and the view that is published after it.
func BenchmarkAppend(b *testing.B) {
	for name, pad := range map[string]int{"100B": 100, "16KiB": 16 << 10} {
		b.Run(name, func(b *testing.B) {
			l, batch := benchLog(b, pad)
			b.ReportAllocs()
			b.SetBytes(int64(len(batch)))
			for b.Loop() {
				fill(b, l, batch)
				l.Dirty()
				l.View(message.Bounds{HighWatermark: l.End()})
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	l, batch := benchLog(b, 300)
	for range 100_000 {
		fill(b, l, batch)
	}
	l.View(message.Bounds{HighWatermark: l.End()})
	for range 10 {
		fill(b, l, batch)
	}
	v := l.View(message.Bounds{HighWatermark: l.End()})
	for name, offset := range map[string]func(i int64) int64{
		"Fresh":  func(int64) int64 { return l.End() - 10 },
		"Tail":   func(int64) int64 { return l.End() - 1 },
		"Middle": func(i int64) int64 { return i * 7919 % l.End() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				if s, err := v.Read(offset(i), math.MaxInt64, 1<<20, true); err != nil || s.Bytes == 0 {
					b.Fatal(s, err)
				}
			}
		})
	}
}
