// Command groups is what tests/bench/many-groups measures with: it commits for many groups, asks what they have committed, or keeps many
// members that do nothing. It prints a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "many-groups"

// options are what the flags say.
type options struct {
	bootstrap, protocol          string
	groups, partitions, rounds   int
	members, clients, membersPer int
	duration, patience           time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.bootstrap, "bootstrap", "127.0.0.1:9092", "an address")
	flag.StringVar(&o.protocol, "protocol", "classic", "idle: classic or consumer")
	flag.IntVar(&o.groups, "groups", 10_000, "how many groups")
	flag.IntVar(&o.partitions, "partitions", 10, "how many offsets each of them commits")
	flag.IntVar(&o.rounds, "rounds", 1, "how often")
	flag.IntVar(&o.members, "members", 1000, "idle: how many members")
	flag.IntVar(&o.membersPer, "members-per-group", 10, "idle: of a group")
	flag.IntVar(&o.clients, "clients", 8, "how many clients at a time")
	flag.DurationVar(&o.duration, "duration", time.Minute, "idle: measure for so long")
	flag.DurationVar(&o.patience, "patience", time.Minute, "fetch: how long to wait until every group is there")
	flag.Parse()
	run := map[string]func(context.Context, *options) (map[string]any, error){"commit": commit, "fetch": fetch, "idle": idle}[flag.Arg(0)]
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: groups [flags] commit | fetch | idle")
		os.Exit(2)
	}
	result, err := run(context.Background(), &o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "groups:", err)
		os.Exit(1)
	}
	line, _ := json.Marshal(result)
	fmt.Println(string(line))
}

func (o *options) client(more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(o.bootstrap), kgo.MetadataMinAge(50 * time.Millisecond)}, more...)...)
}

func name(group int) string { return fmt.Sprintf("many-%05d", group) }

// each has every group handled, by so many clients at a time.
func (o *options) each(ctx context.Context, handle func(a *kadm.Client, group int) error) error {
	var next atomic.Int64
	errs := make(chan error, o.clients)
	for range o.clients {
		go func() {
			client, err := o.client()
			if err != nil {
				errs <- err
				return
			}
			defer client.Close()
			a := kadm.NewClient(client)
			for n := int(next.Add(1)) - 1; n < o.groups && err == nil; n = int(next.Add(1)) - 1 {
				err = handle(a, n)
			}
			errs <- err
		}()
	}
	var first error
	for range o.clients {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// commit commits offsets of every partition for every group.
func commit(ctx context.Context, o *options) (map[string]any, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(o.partitions), 1, nil, topic); err != nil && o.rounds == 1 {
		return nil, err
	}
	begun := time.Now()
	for round := range o.rounds {
		err = o.each(ctx, func(a *kadm.Client, group int) error {
			offsets := kadm.Offsets{}
			for p := range o.partitions {
				offsets.Add(kadm.Offset{Topic: topic, Partition: int32(p), At: int64(group + round), LeaderEpoch: -1})
			}
			done, err := a.CommitOffsets(ctx, name(group), offsets)
			if err == nil {
				err = done.Error()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	took := time.Since(begun)
	return map[string]any{"commits_s": int(float64(o.groups*o.rounds) / took.Seconds()), "took_ms": took.Milliseconds()}, nil
}

// fetch asks what every group has committed, until the patience is over: when the last one is there its coordinator has loaded.
func fetch(ctx context.Context, o *options) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	for d := net.Dialer(*new(net.Dialer)); ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if c, err := d.DialContext(ctx, "tcp", o.bootstrap); err == nil {
			c.Close()
			break
		}
	}
	begun := time.Now()
	err := o.each(ctx, func(a *kadm.Client, group int) error {
		got, err := a.FetchOffsets(ctx, name(group))
		if err == nil && got.Error() == nil {
			if at, ok := got.Lookup(topic, int32(o.partitions-1)); !ok || at.At < int64(group) {
				err = fmt.Errorf("%s has %+v", name(group), at)
			}
		}
		return err
	})
	return map[string]any{"fetch_ms": time.Since(begun).Milliseconds()}, err
}

// beats counts heartbeats.
type beats struct{ n atomic.Int64 }

// OnBrokerWrite is part of kgo's hooks.
func (b *beats) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == 12 || key == 68 {
		b.n.Add(1)
	}
}

// idle keeps members that do nothing and counts their heartbeats.
func idle(ctx context.Context, o *options) (map[string]any, error) {
	first, err := o.client()
	if err != nil {
		return nil, err
	}
	_, err = kadm.NewClient(first).CreateTopic(ctx, int32(o.partitions), 1, nil, topic)
	first.Close()
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return nil, err
	}
	count, owned := &beats{}, atomic.Int64{}
	var gather sync.WaitGroup
	for m := range o.members {
		opts := []kgo.Opt{kgo.ConsumerGroup(name(m / o.membersPer)), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.WithHooks(count),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { owned.Add(int64(len(all[topic]))) }),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { owned.Add(-int64(len(all[topic]))) })}
		if o.protocol == "consumer" {
			opts = append(opts, kgo.ServerSideBalancer())
		}
		client, err := o.client(opts...)
		if err != nil {
			return nil, err
		}
		gather.Go(func() { client.PollFetches(ctx) })
		defer client.CloseAllowingRebalance()
	}
	for began := time.Now(); owned.Load() < int64(o.members/o.membersPer*o.partitions) && time.Since(began) < o.patience; {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(15 * time.Second)
	was, began := count.n.Load(), time.Now()
	time.Sleep(o.duration)
	return map[string]any{"heartbeats_s": float64(int(float64(count.n.Load()-was)/time.Since(began).Seconds()*10)) / 10, "owned": owned.Load()}, nil
}
