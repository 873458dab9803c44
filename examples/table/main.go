// Command table keeps a table in a compacted topic: each record is a row, the last one of a key counts, and one without a value deletes it. The
// broker throws away in its own time what does not count any more, so that the topic stays as small as the table. It writes to it, and reads it before
// and after that:
//
//	go run ./cmd/troupe server --set log.cleaner.backoff.ms=500 &
//	go run ./examples/table
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	address := flag.String("bootstrap", "127.0.0.1:9092", "an address of the broker")
	flag.Parse()
	if err := run(os.Stdout, *address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const updates = 1000

func run(out io.Writer, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	topic := "table-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	// Small segments and no patience: what is written last is never compacted, and a table usually can wait.
	configs := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "segment.bytes": kadm.StringPtr("4096"), "min.cleanable.dirty.ratio": kadm.StringPtr("0.01"),
		"delete.retention.ms": kadm.StringPtr("0")}
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, -1, configs, topic); err != nil {
		return err
	}
	if err := write(ctx, client, topic); err != nil {
		return err
	}
	table, records, err := read(ctx, client, address, topic)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d records make a table of %d rows: ", records, len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(out, "%s=%s ", key, table[key])
	}
	fmt.Fprintln(out)
	for {
		again, fewer, err := read(ctx, client, address, topic)
		switch {
		case err != nil:
			return err
		case !maps.Equal(table, again):
			return fmt.Errorf("the table was %v and is %v", table, again)
		case fewer < updates/2:
			fmt.Fprintf(out, "%d records make the same table: the broker has compacted the topic\n", fewer)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the topic has %d records still: %w", fewer, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// write updates five rows again and again, and deletes one of them.
func write(ctx context.Context, client *kgo.Client, topic string) error {
	for i := range updates {
		r := &kgo.Record{Topic: topic, Key: []byte("row-" + strconv.Itoa(i%5)), Value: []byte(strconv.Itoa(i))}
		if i >= updates-5 && i%5 == 0 {
			r.Value = nil
		}
		client.Produce(ctx, r, nil)
		if i%20 == 0 {
			if err := client.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return client.Flush(ctx)
}

// read makes the table of all records, and counts them.
func read(ctx context.Context, client *kgo.Client, address, topic string) (table map[string]string, records int, err error) {
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, 0, err
	}
	end, _ := ends.Lookup(topic, 0)
	reader, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, 0, err
	}
	defer reader.Close()
	table = map[string]string{}
	for next := int64(0); next < end.Offset; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if next = r.Offset + 1; r.Value == nil {
				delete(table, string(r.Key))
			} else {
				table[string(r.Key)] = string(r.Value)
			}
			records++
		})
	}
	return table, records, nil
}
