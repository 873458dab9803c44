package partition

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// asker is an actor that keeps so many appends in flight and counts what comes back.
type asker struct {
	to    message.Address
	batch record.Batch
	left  int
	open  int
	done  *sync.WaitGroup
}

func (a *asker) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
		for range min(a.left, inFlight) {
			a.ask(c)
		}
	case *message.Appended:
		if m.Code != message.OK {
			panic(m.Message)
		}
		if a.open--; a.left > 0 {
			a.ask(c)
		} else if a.open == 0 {
			a.done.Done()
		}
	}
}

const inFlight = 64

func (a *asker) ask(c stage.Context) {
	a.left--
	a.open++
	c.Ask(a.to, &message.Append{Batch: a.batch, Acks: -1, FromClient: true}, time.Minute)
}

// BenchmarkEndToEnd is what an append costs from Append to Appended, over stage, partition, log and disk, on files that
// keep nothing.
func BenchmarkEndToEnd(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "12": 12} {
		b.Run(name, func(b *testing.B) {
			files := nowhere{vfs.Memory(vfs.MemoryOptions{})}
			s := stage.NewReal(stage.Options{Node: 1, FS: files})
			defer s.Close()
			s.Spawn(message.DiskAt(1), disk.New(disk.Options{}))
			builder := record.NewBuilder(0)
			for range 10 {
				builder.Add(noon.UnixMilli(), nil, bytes.Repeat([]byte("x"), 100))
			}
			var done sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for i := range n {
				id := here
				id.Index = int32(i)
				o := office()
				o.Config.SegmentBytes = 1 << 30
				s.Spawn(message.PartitionAt(1, id), New(Options{ID: id, Leadership: o}))
				batch, err := builder.Build(nil)
				if err != nil {
					b.Fatal(err)
				}
				done.Add(1)
				s.Spawn(message.ConnectionAt(1, uint64(i)), func() stage.Actor {
					return &asker{to: message.PartitionAt(1, id), batch: bytes.Clone(batch), left: max(1, b.N/n), done: &done}
				})
			}
			done.Wait()
		})
	}
}
