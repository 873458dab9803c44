package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/tests/broker"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestConsumerOfAFreshTopicMissesNothing starts a consumer on a new topic and produces while its first fetches are under
// way: whatever the order of opening logs, parking and waking, every record arrives soon.
func TestConsumerOfAFreshTopicMissesNothing(t *testing.T) {
	b := broker.New(t, t.TempDir())
	b.Start()
	var wg sync.WaitGroup
	turns := make(chan int)
	for range 6 {
		wg.Go(func() {
			for turn := range turns {
				if err := freshTopic(t, b, fmt.Sprintf("fresh-%d", turn)); err != nil {
					t.Errorf("turn %d: %v", turn, err)
				}
			}
		})
	}
	for turn := range rounds(t, 600, 60) {
		turns <- turn
	}
	close(turns)
	wg.Wait()
}

func freshTopic(t *testing.T, b *broker.Broker, topic string) error {
	const partitions, each = 4, 20
	b.CreateTopic(t, topic, partitions, nil)
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	consumer := b.NewClient(t, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchMaxWait(500*time.Millisecond))
	defer consumer.Close()
	producer := b.NewClient(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	go func() {
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		for i := range each {
			for p := range int32(2) {
				producer.Produce(ctx, &kgo.Record{Partition: p, Value: fmt.Append(nil, i)}, nil)
			}
			if rand.IntN(4) == 0 {
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
			}
		}
	}()
	got := map[int32]int{}
	for got[0]+got[1] < 2*each {
		consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got[r.Partition]++ })
		if ctx.Err() != nil {
			return fmt.Errorf("after 10 s there are %d and %d of %d records", got[0], got[1], each)
		}
	}
	return nil
}
