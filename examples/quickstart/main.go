// Command quickstart writes records to a broker and reads them back, with an ordinary Kafka client:
//
//	go run ./cmd/troupe server &
//	go run ./examples/quickstart
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

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

const topic = "quickstart"

func run(out io.Writer, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()

	// An answer to acks=all, the client's default, means that the record is on disk.
	began := time.Now()
	r, err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte("when"), Value: []byte(began.Format(time.RFC3339))}).First()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "written: partition %d, offset %d, synced to disk after %v\n", r.Partition, r.Offset, time.Since(began).Round(time.Millisecond))

	// Everything from the start of the topic on, up to what was just written.
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		found := false
		fetches.EachRecord(func(got *kgo.Record) {
			fmt.Fprintf(out, "read: partition %d, offset %d: %s=%s\n", got.Partition, got.Offset, got.Key, got.Value)
			found = found || got.Partition == r.Partition && got.Offset == r.Offset
		})
		if found {
			return nil
		}
	}
}
