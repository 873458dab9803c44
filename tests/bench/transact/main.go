// Command transact is what tests/bench/transactions measures with: producers that commit one transaction after the other for a while, each
// with so many records. It prints a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "transacted"

// options are what the flags say.
type options struct {
	bootstrap                      string
	producers, partitions, records int
	replicas, bytes                int
	warm, duration                 time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.bootstrap, "bootstrap", "127.0.0.1:9092", "an address")
	flag.IntVar(&o.producers, "producers", 8, "how many producers at a time, each with a transactional id")
	flag.IntVar(&o.partitions, "partitions", 12, "of the topic")
	flag.IntVar(&o.replicas, "replicas", 1, "of each partition")
	flag.IntVar(&o.records, "records", 1, "of a transaction, over all partitions in turn")
	flag.IntVar(&o.bytes, "bytes", 1000, "of a record")
	flag.DurationVar(&o.warm, "warm", 5*time.Second, "how long not to measure first")
	flag.DurationVar(&o.duration, "duration", 15*time.Second, "how long to measure")
	flag.Parse()
	result, err := o.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "transact:", err)
		os.Exit(1)
	}
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
}

func (o *options) run(ctx context.Context) (map[string]any, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.bootstrap))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(o.partitions), int16(o.replicas), nil, topic); err != nil {
		return nil, err
	}
	begin := time.Now().Add(o.warm)
	took, errs := make([][]time.Duration, o.producers), make([]error, o.producers)
	var all sync.WaitGroup
	for n := range o.producers {
		all.Go(func() { took[n], errs[n] = o.produce(ctx, n, begin) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	every := slices.Concat(took...)
	slices.Sort(every)
	if len(every) == 0 {
		return nil, fmt.Errorf("no transaction ended within %v", o.duration)
	}
	return map[string]any{"transactions_s": int(float64(len(every)) / o.duration.Seconds()), "p50_ms": millis(every[len(every)/2]), "p99_ms": millis(every[len(every)*99/100])}, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// produce commits transactions until the time is over and says how long each took of those that ended while it was measured.
func (o *options) produce(ctx context.Context, n int, begin time.Time) (took []time.Duration, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.bootstrap), kgo.TransactionalID(fmt.Sprintf("transact-%d", n)), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	value := make([]byte, o.bytes)
	for at, end := n, begin.Add(o.duration); time.Now().Before(end); {
		started := time.Now()
		if err := client.BeginTransaction(); err != nil {
			return nil, err
		}
		failed := kgo.AbortingFirstErrPromise(client)
		for range o.records {
			client.Produce(ctx, &kgo.Record{Partition: int32(at % o.partitions), Value: value}, failed.Promise())
			at++
		}
		if err := client.Flush(ctx); err != nil {
			return nil, err
		}
		if err := failed.Err(); err != nil {
			return nil, err
		}
		if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return nil, err
		}
		if started.After(begin) && time.Now().Before(end) {
			took = append(took, time.Since(started))
		}
	}
	return took, nil
}
