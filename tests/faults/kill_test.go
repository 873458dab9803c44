package faults

import (
	"context"
	"math/rand/v2"
	"sync"
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
		before := load.count()
		time.Sleep(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		b.Kill()
		slowest = max(slowest, b.Start())
		load.awaitProgress(t, before)
	}
	load.stop(t)
	t.Logf("%d kills, %d records acknowledged, slowest start %v", n, load.count(), slowest)
	if slowest > time.Second {
		t.Errorf("the slowest of %d starts took %v, more than a second", n, slowest)
	}
	load.verify(t, b)
}

// load is two idempotent producers that write as fast as they can, and what was acknowledged to them.
type load struct {
	*ledger
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	producers []*kgo.Client
}

func startLoad(t *testing.T, b *broker.Broker) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{ledger: newLedger(), cancel: cancel}
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
			i := id{stream{producer, partition}, number}
			client.Produce(context.Background(), &kgo.Record{Partition: int32(partition), Value: i.value()}, func(r *kgo.Record, err error) {
				l.answered(i, r.Offset, err)
			})
		}
	}
}

// awaitProgress waits until records are acknowledged again.
func (l *load) awaitProgress(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); l.count() == before; time.Sleep(5 * time.Millisecond) {
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
	if len(l.failed) > 0 {
		t.Errorf("%d records failed although their producers retry for ever; the first: %v", len(l.failed), l.failed[0])
	}
}

// verify reads everything back.
func (l *load) verify(t *testing.T, b *broker.Broker) {
	t.Helper()
	if v := l.ledger.verify(b.ReadAll(t, killTopic, killPartitions)); v != (verdict{}) {
		t.Errorf("of %d acknowledged records %d are lost, %d are there twice, %d are wrong: %s", l.count(), v.lost, v.doubled, v.wrong, v.first)
	}
}
