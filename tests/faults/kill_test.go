package faults

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

const (
	killTopic      = "kills"
	killPartitions = 6
)

// TestKillUnderLoad kills the broker under load again and again: no acknowledged record is lost, an idempotent producer's
// record is there once and in order, and every start takes at most a second.
func TestKillUnderLoad(t *testing.T) {
	b := broker.New(t, t.TempDir())
	b.Start()
	b.CreateTopic(t, killTopic, killPartitions, nil)
	load := startLoad(t, b)
	slowest := time.Duration(0)
	n := rounds(t, 50, 4)
	for range n {
		before := load.acked.Load()
		time.Sleep(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		b.Kill()
		slowest = max(slowest, b.Start())
		load.awaitProgress(t, before)
	}
	load.stop(t)
	t.Logf("%d kills, %d records acknowledged, slowest start %v", n, load.acked.Load(), slowest)
	if slowest > time.Second {
		t.Errorf("the slowest of %d starts took %v, more than a second", n, slowest)
	}
	load.verify(t, b)
}

// load is two idempotent producers that number their records per partition, and what was acknowledged of them.
type load struct {
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	acked     atomic.Int64
	mu        sync.Mutex
	certain   map[id]int64 // acknowledged: at which offset
	failures  []error
	producers []*kgo.Client
}

// id is a record's own: which producer, which partition, which number.
type id struct {
	producer, partition uint32
	number              uint64
}

func (i id) value() []byte {
	b := binary.BigEndian.AppendUint32(nil, i.producer)
	b = binary.BigEndian.AppendUint32(b, i.partition)
	return append(binary.BigEndian.AppendUint64(b, i.number), make([]byte, 100)...)
}

func idOf(b []byte) id {
	return id{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])}
}

func startLoad(t *testing.T, b *broker.Broker) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, certain: map[id]int64{}}
	for p := range uint32(2) {
		client := b.NewClient(t, kgo.DefaultProduceTopic(killTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.MaxBufferedRecords(2000), kgo.ProducerLinger(time.Millisecond), kgo.RecordRetries(1<<30))
		l.producers = append(l.producers, client)
		l.wg.Go(func() { l.produce(ctx, client, p) })
	}
	return l
}

func (l *load) produce(ctx context.Context, client *kgo.Client, producer uint32) {
	for number := uint64(0); ctx.Err() == nil; number++ {
		for partition := range uint32(killPartitions) {
			i := id{producer, partition, number}
			client.Produce(context.Background(), &kgo.Record{Partition: int32(partition), Value: i.value()}, func(r *kgo.Record, err error) {
				l.answered(i, r, err)
			})
		}
	}
}

func (l *load) answered(i id, r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failures = append(l.failures, err)
		return
	}
	l.certain[i] = r.Offset
	l.acked.Add(1)
}

// awaitProgress waits until records are acknowledged again.
func (l *load) awaitProgress(t *testing.T, before int64) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); l.acked.Load() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was acknowledged within 15 s of a restart")
		}
	}
}

// stop ends the load and waits until everything sent is acknowledged.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	for _, p := range l.producers {
		ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
		if err := p.Flush(ctx); err != nil {
			t.Errorf("what was sent is not acknowledged: %v", err)
		}
		done()
		p.Close()
	}
	if len(l.failures) > 0 {
		t.Errorf("%d records failed although their producers retry for ever; the first: %v", len(l.failures), l.failures[0])
	}
}

// verify reads everything back.
func (l *load) verify(t *testing.T, b *broker.Broker) {
	t.Helper()
	seen, next := map[id]int64{}, map[[2]uint32]uint64{}
	for _, r := range b.ReadAll(t, killTopic, killPartitions) {
		i := idOf(r.Value)
		if at, ok := seen[i]; ok {
			t.Fatalf("record %+v is at offsets %d and %d", i, at, r.Offset)
		}
		seen[i] = r.Offset
		stream := [2]uint32{i.producer, i.partition}
		if i.number != next[stream] {
			t.Fatalf("producer %d, partition %d: number %d came where %d was due", i.producer, i.partition, i.number, next[stream])
		}
		next[stream]++
	}
	lost := 0
	for i, offset := range l.certain {
		if at, ok := seen[i]; !ok || at != offset {
			if lost++; lost < 5 {
				t.Errorf("record %+v was acknowledged at offset %d, and is at %d (there: %v)", i, offset, at, ok)
			}
		}
	}
	t.Logf("%d records read, %d acknowledged, %d lost", len(seen), len(l.certain), lost)
}
