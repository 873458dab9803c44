package disk

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// loose is a file whose sync costs nothing.
type loose struct{ number int }

func (*loose) Sync() error { return nil }

// BenchmarkCommit is what the actor itself costs, a commit: rounds of as many partitions, whose files sync for nothing.
func BenchmarkCommit(b *testing.B) {
	for _, partitions := range []int{1, 12, 1000} {
		b.Run(fmt.Sprint(partitions), func(b *testing.B) {
			bench := newBench(vfs.Memory(vfs.MemoryOptions{}), 1, Options{Parallel: 1})
			bench.settle(false)
			commits := make([]*message.Commit, partitions)
			dir := &loose{-1}
			for i := range commits {
				commits[i] = &message.Commit{Partition: id(i), Incarnation: 1, Files: []message.Syncer{&loose{i}}}
				if i%2 == 0 {
					commits[i].Files = append(commits[i].Files, dir)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += partitions {
				for _, m := range commits {
					m.End++
					bench.at = letter{msg: m}
					bench.actor.Receive(bench)
				}
				for len(bench.work) > 0 {
					bench.finishWork()
					bench.receive()
				}
				bench.sent, bench.timed = bench.sent[:0], bench.timed[:0]
			}
		})
	}
}

// BenchmarkRound is a round on this machine's disk, and says which way the plan took: on TMPDIR, or set TROUPE_BENCH_DIR.
func BenchmarkRound(b *testing.B) {
	for _, c := range []struct{ partitions, bytes int }{{1, 100}, {12, 4 << 10}, {12, 128 << 10}, {12, 1 << 20}, {300, 1 << 10}, {300, 2 << 10}, {1000, 1 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", c.partitions, c.bytes), func(b *testing.B) {
			dir := b.TempDir()
			if at := os.Getenv("TROUPE_BENCH_DIR"); at != "" {
				var err error
				if dir, err = os.MkdirTemp(at, "round"); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = os.RemoveAll(dir) }()
			}
			benchmarkRound(b, dir, c.partitions, c.bytes)
		})
	}
}

func benchmarkRound(b *testing.B, dir string, partitions, size int) {
	files, err := vfs.OS(dir)
	if err != nil {
		b.Fatal(err)
	}
	bench := newBench(files, 1, Options{})
	bench.clock = time.Now
	bench.settle(false)
	logs := make([]vfs.File, partitions)
	for i := range logs {
		if logs[i], err = files.Create(fmt.Sprintf("log%d", i)); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = logs[i].Close() }()
	}
	batch := make([]byte, size)
	at, d := int64(0), bench.actor.(*Disk)
	ways := [3]int{}
	b.SetBytes(int64(partitions * size))
	for b.Loop() {
		for i, f := range logs {
			if _, err := f.WriteAt(batch, at%(64<<20)); err != nil {
				b.Fatal(err)
			}
			bench.tell(message.PartitionAt(1, id(i)), &message.Commit{Partition: id(i), Incarnation: 1, Base: at, End: at + 1, Batch: batch, Files: []message.Syncer{f}})
		}
		at += int64(size)
		for len(bench.inbox)+len(bench.work) > 0 {
			for len(bench.inbox) > 0 {
				bench.receive()
			}
			if d.round.running {
				for _, p := range d.round.parts {
					ways[p.way]++
				}
			}
			for len(bench.work) > 0 {
				bench.finishWork()
			}
		}
		bench.sent, bench.timed = bench.sent[:0], bench.timed[:0]
	}
	b.ReportMetric(100*float64(ways[plan.Journal])/float64(max(1, ways[plan.Journal]+ways[plan.Direct])), "%journal")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/round")
}
