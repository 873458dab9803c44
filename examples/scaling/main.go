// Command scaling lets a consumer group grow to three members and shrink again, and shows who reads what and how long it took until
// they agreed. The broker holds heartbeats until there is news, so that takes the time of a few round trips, with any client:
//
//	go run ./cmd/troupe server &
//	go run ./examples/scaling
//	go run ./examples/scaling --protocol consumer      # the broker assigns (KIP-848)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	address := flag.String("bootstrap", "127.0.0.1:9092", "an address of the broker")
	protocol := flag.String("protocol", "classic", "classic: a member assigns; consumer: the broker does")
	flag.Parse()
	if err := run(os.Stdout, *address, *protocol); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	topic      = "scaling"
	partitions = 6
)

func run(out io.Writer, address, protocol string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := makeTopic(ctx, address); err != nil {
		return err
	}
	g := &group{ctx: ctx, out: out, address: address, protocol: protocol, name: fmt.Sprintf("scaling-%d", time.Now().UnixNano()), owners: map[int32]string{}}
	defer g.end()
	for _, step := range []func() error{
		func() error { return g.join("ann") },
		func() error { return g.join("ben") },
		func() error { return g.join("cleo") },
		func() error { return g.leave("ann") },
		func() error { return g.leave("cleo") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func makeTopic(ctx context.Context, address string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(ctx, partitions, -1, nil, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}

// group is a consumer group, and who owns which partition of the topic as its members were told.
type group struct {
	ctx                     context.Context
	out                     io.Writer
	address, protocol, name string
	members                 []*kgo.Client
	names                   []string

	mu     sync.Mutex
	owners map[int32]string
}

// join starts a member and waits until all agree.
func (g *group) join(name string) error {
	began := time.Now()
	opts := []kgo.Opt{kgo.SeedBrokers(g.address), kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(topic),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { g.take(name, all[topic]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { g.drop(name, all[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { g.drop(name, all[topic]) })}
	if g.protocol == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer())
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	g.members, g.names = append(g.members, client), append(g.names, name)
	return g.agree(name+" joins", began)
}

// leave ends a member and waits until the others agree.
func (g *group) leave(name string) error {
	began, i := time.Now(), slices.Index(g.names, name)
	g.members[i].Close()
	g.members, g.names = slices.Delete(g.members, i, i+1), slices.Delete(g.names, i, i+1)
	return g.agree(name+" leaves", began)
}

func (g *group) end() {
	for _, m := range g.members {
		m.Close()
	}
}

func (g *group) take(name string, all []int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range all {
		g.owners[p] = name
	}
}

func (g *group) drop(name string, all []int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range all {
		if g.owners[p] == name {
			delete(g.owners, p)
		}
	}
}

// agree waits until every partition has one owner and all members have as many, and says so.
func (g *group) agree(what string, began time.Time) error {
	for ; g.ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if shares, agreed := g.shares(); agreed {
			fmt.Fprintf(g.out, "%-12s after %6v: %s\n", what, time.Since(began).Round(time.Millisecond), shares)
			time.Sleep(time.Second) // or nobody could read along
			return nil
		}
	}
	return fmt.Errorf("%s, and its group does not agree: %w", what, g.ctx.Err())
}

func (g *group) shares() (text string, agreed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]string, len(g.names))
	agreed = len(g.owners) == partitions
	for i, name := range g.names {
		var has []int32
		for p, owner := range g.owners {
			if owner == name {
				has = append(has, p)
			}
		}
		slices.Sort(has)
		agreed = agreed && len(has) == partitions/len(g.names)
		all[i] = fmt.Sprintf("%s %v", name, has)
	}
	return strings.Join(all, ", "), agreed
}
