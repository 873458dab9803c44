package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker is the flag that says where the cluster is.
type broker struct{ bootstrap string }

func (b *broker) flag(c *cobra.Command) {
	c.Flags().StringVarP(&b.bootstrap, "bootstrap", "b", "localhost:9092", "`HOST:PORT` of one or more brokers, separated by commas")
}

// freshness is how old what a command shows of a cluster may be.
const freshness = 50 * time.Millisecond

// dial makes a client of the cluster and sees that somebody answers.
func (b *broker) dial(ctx context.Context, options ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(b.bootstrap, ",")...),
		kgo.ClientID("troupe"),
		kgo.DialTimeout(5 * time.Second),
		kgo.RetryTimeout(20 * time.Second),
		kgo.MetadataMinAge(freshness), // who watches a cluster wants to see what is, not what was five seconds ago
	}, options...)...)
	if err != nil {
		return nil, usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("no broker answers at %s: start one with 'troupe server', or name another with --bootstrap (%w)", b.bootstrap, err)
	}
	return client, nil
}

// connected calls with a client of the cluster.
func (b *broker) connected(ctx context.Context, do func(*kgo.Client) error) error {
	client, err := b.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

// admin calls with an admin client of the cluster.
func (b *broker) admin(ctx context.Context, do func(*kadm.Client) error) error {
	return b.connected(ctx, func(client *kgo.Client) error { return do(kadm.NewClient(client)) })
}
