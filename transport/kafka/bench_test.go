package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// BenchmarkProduce is a request of one batch for each of some partitions, from the frame to the answer. What it allocates
// does not depend on the number of records.
func BenchmarkProduce(b *testing.B) {
	for _, c := range []struct{ partitions, records int }{{1, 1}, {1, 1000}, {10, 100}} {
		b.Run(fmt.Sprintf("partitions=%d,records=%d", c.partitions, c.records), func(b *testing.B) {
			h := newHouse(b, cluster(map[string]int{"t": c.partitions}))
			h.quiet, h.wire.quiet = true, true
			appended := &message.Appended{}
			h.plays = func(message.Address, any) any { return appended }
			var batches [][]byte
			for range c.partitions {
				batches = append(batches, batch(c.records))
			}
			frame := request(produceOf(-1, "t", batches...), 9, 1)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				h.tell(&Frame{Bytes: frame})
			}
			if h.wire.bytes == 0 {
				b.Fatal("nothing was answered")
			}
		})
	}
}

// BenchmarkFetch is an incremental request of a session over many partitions, of which some have data.
func BenchmarkFetch(b *testing.B) {
	for _, c := range []struct{ partitions, busy int }{{1, 1}, {12, 12}, {1000, 3}} {
		b.Run(fmt.Sprintf("partitions=%d,busy=%d", c.partitions, c.busy), func(b *testing.B) {
			l := newLog(100)
			h := library(b, c.partitions, func(i int) *log {
				if i < c.busy {
					return l
				}
				return newLog()
			})
			q := fetchOf(0, 1, "t")
			for i := range int32(c.partitions) {
				p := kmsg.NewFetchRequestTopicPartition()
				p.Partition, p.PartitionMaxBytes = i, 1<<20
				q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
			}
			id := call(h, inSession(q, 0, 0), kmsg.NewPtrFetchResponse(), 12).SessionID
			var busy []int32
			for i := range int32(c.busy) {
				busy = append(busy, i)
			}
			for e := range int32(2 * idleLooks) {
				h.ask(inSession(fetchOf(0, 1, "t", busy...), id, e+1), 12, 1)
			}
			h.quiet, h.wire.quiet = true, true
			frame := request(inSession(fetchOf(0, 1, "t", busy...), id, 1), 12, 1)
			b.ReportAllocs()
			for b.Loop() {
				h.actor.(*connection).reading.session.Epoch = 1
				h.tell(&Frame{Bytes: frame})
			}
			if h.wire.closed {
				b.Fatal("the connection is closed")
			}
		})
	}
}

// BenchmarkCheck is what the door does to a batch, checksum included.
func BenchmarkCheck(b *testing.B) {
	for _, codec := range []record.Codec{record.None, record.Lz4} {
		b.Run(codec.String(), func(b *testing.B) {
			built := batch(1000, func(r *record.Builder) { r.Codec = codec })
			b.SetBytes(int64(len(built)))
			for b.Loop() {
				if _, refusal := checkBatch(built, 9, false); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
