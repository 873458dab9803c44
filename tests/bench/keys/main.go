// Command keys is what tests/bench/compaction measures with: it fills a topic with records of which a tenth is the last of its key, has the
// topic compacted, and measures how long that takes and how long records of another topic are under way meanwhile. It prints a line of JSON.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	filled = "compaction"
	beside = "compaction-beside"
)

// options are what the flags say.
type options struct {
	bootstrap       string
	mib, size, rate int
	live            float64
	quiet, patience time.Duration
	segment         string
	client          *kgo.Client
	admin           *kadm.Client
	before, after   int64
}

func main() {
	var o options
	flag.StringVar(&o.bootstrap, "bootstrap", "127.0.0.1:9092", "an address")
	flag.IntVar(&o.mib, "mib", 1024, "how much to compact")
	flag.IntVar(&o.size, "size", 1000, "bytes of a value")
	flag.Float64Var(&o.live, "live", 0.1, "the share of records that are the last of their key")
	flag.IntVar(&o.rate, "rate", 1000, "records a second beside it")
	flag.DurationVar(&o.quiet, "quiet", 10*time.Second, "how long to measure beside nothing")
	flag.DurationVar(&o.patience, "patience", 10*time.Minute, "how long to wait for the end")
	flag.StringVar(&o.segment, "segment-bytes", "67108864", "segment.bytes of the topic")
	flag.Parse()
	result, err := o.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "keys:", err)
		os.Exit(1)
	}
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
}

func (o *options) run(ctx context.Context) (result map[string]any, err error) {
	if o.client, err = kgo.NewClient(kgo.SeedBrokers(o.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(50_000),
		kgo.ProducerBatchCompression(kgo.NoCompression())); err != nil {
		return nil, err
	}
	o.admin = kadm.NewClient(o.client)
	// Nothing is compacted before everything is there.
	if _, err := o.admin.CreateTopic(ctx, 1, 1, map[string]*string{"segment.bytes": &o.segment, "retention.ms": kadm.StringPtr("-1")}, filled); err != nil {
		return nil, err
	}
	if _, err := o.admin.CreateTopic(ctx, 12, 1, nil, beside); err != nil {
		return nil, err
	}
	if err := o.fill(ctx); err != nil {
		return nil, err
	}
	quiet, err := o.beside(ctx, time.After(o.quiet))
	if err != nil {
		return nil, err
	}
	if o.before, err = o.bytes(ctx); err != nil {
		return nil, err
	}
	began, over, took := time.Now(), make(chan time.Time), time.Duration(0)
	failed := make(chan error, 1)
	go func() {
		defer close(over)
		rests, err := o.compact(ctx)
		took = rests.Sub(began)
		failed <- err
	}()
	busy, err := o.beside(ctx, over)
	if err != nil {
		return nil, err
	}
	if err := <-failed; err != nil {
		return nil, err
	}
	return map[string]any{"before_mib": o.before >> 20, "after_mib": o.after >> 20, "seconds": round(took.Seconds()),
		"mb_s": round(float64(o.before) / 1e6 / took.Seconds()), "quiet": quiet, "meanwhile": busy}, nil
}

func round(v float64) float64 { return float64(int(v*100)) / 100 }

// fill writes the records, keys by chance.
func (o *options) fill(ctx context.Context) error {
	count, r := o.mib<<20/(o.size+30), rand.New(rand.NewPCG(1, 1))
	keys := max(1, int(float64(count)*o.live))
	value := make([]byte, o.size)
	for i := range value {
		value[i] = byte(r.Uint32())
	}
	var failed error
	var mu sync.Mutex
	for range count {
		key := binary.BigEndian.AppendUint64(nil, uint64(r.IntN(keys)))
		o.client.Produce(ctx, &kgo.Record{Topic: filled, Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	if err := o.client.Flush(ctx); err != nil {
		return err
	}
	return failed
}

// compact has the topic compacted and waits until its size rests below half of what it was; it says since when.
func (o *options) compact(ctx context.Context) (rests time.Time, err error) {
	set := func(name, value string) kadm.AlterConfig {
		return kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value}
	}
	answers, err := o.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{set("cleanup.policy", "compact"), set("min.cleanable.dirty.ratio", "0.01"),
		set("file.delete.delay.ms", "100")}, filled)
	if err != nil {
		return rests, err
	}
	for _, a := range answers {
		if a.Err != nil {
			return rests, a.Err
		}
	}
	end, last, since := time.Now().Add(o.patience), int64(0), time.Now()
	for time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
		if o.after, err = o.bytes(ctx); err != nil {
			return rests, err
		}
		if o.after != last {
			last, since = o.after, time.Now()
		}
		if o.after < o.before/2 && time.Since(since) > 3*time.Second {
			return since, nil
		}
	}
	return rests, fmt.Errorf("after %v it has %d bytes of %d", o.patience, o.after, o.before)
}

// bytes is how much the topic holds.
func (o *options) bytes(ctx context.Context) (sum int64, err error) {
	all, err := o.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0, err
	}
	all.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if p.Topic == filled {
				sum += p.Size
			}
		})
	})
	return sum, nil
}

// beside measures how long records are under way, from when they are due to when they are read, until it is told to end.
func (o *options) beside(ctx context.Context, until <-chan time.Time) (map[string]any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, err := kgo.NewClient(kgo.SeedBrokers(o.bootstrap), kgo.ConsumeTopics(beside), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var took []time.Duration
	read := make(chan struct{})
	go func() {
		defer close(read)
		for ctx.Err() == nil {
			reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				took = append(took, time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(r.Value)))))
			})
		}
	}()
	time.Sleep(time.Second) // the reader finds its place
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for due, n := time.Now(), 0; ; {
		select {
		case <-until:
			time.Sleep(500 * time.Millisecond)
			cancel()
			<-read
			return summary(took), nil
		case now := <-pace.C:
			for ; due.Before(now); due = due.Add(time.Second / time.Duration(o.rate)) {
				n++
				value := append(binary.BigEndian.AppendUint64(nil, uint64(due.UnixNano())), make([]byte, 200)...)
				o.client.Produce(ctx, &kgo.Record{Topic: beside, Partition: int32(n % 12), Value: value}, nil)
			}
		}
	}
}

func summary(took []time.Duration) map[string]any {
	slices.Sort(took)
	at := func(q float64) float64 {
		if len(took) == 0 {
			return -1
		}
		return round(took[min(len(took)-1, int(q*float64(len(took))))].Seconds() * 1000)
	}
	return map[string]any{"records": len(took), "p50_ms": at(0.5), "p99_ms": at(0.99)}
}
