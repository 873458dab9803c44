// Command embedded runs a broker inside a program of one's own, on a free port and in a directory that goes with it, and
// talks to it with an ordinary Kafka client: what a test of an application needs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/node"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer) (err error) {
	data, err := os.MkdirTemp("", "troupe-embedded-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)

	// Settings are those of docs/configuration.md.
	config, err := node.NewConfig(map[string]string{
		"log.dirs":      data,
		"listeners":     "PLAINTEXT://127.0.0.1:0",
		"http.listener": "", // no metrics
		"log.level":     "warn",
	})
	if err != nil {
		return err
	}
	broker, err := node.Start(config, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	return greet(out, broker.Kafka())
}

// greet writes a few records and reads them back.
func greet(out io.Writer, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("greetings"),
		kgo.ConsumeTopics("greetings"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()

	greetings := []*kgo.Record{kgo.StringRecord("hello"), kgo.StringRecord("bonjour"), kgo.StringRecord("hallo")}
	if err := client.ProduceSync(ctx, greetings...).FirstErr(); err != nil {
		return err
	}
	for read := 0; read < len(greetings); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) { fmt.Fprintf(out, "%d: %s\n", r.Offset, r.Value) })
		read += fetches.NumRecords()
	}
	return nil
}
