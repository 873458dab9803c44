// Command wordcount counts words exactly once: what it reads and what it writes are one transaction, so that a count is neither lost nor
// doubled when an attempt fails in the middle. It lets one fail on purpose, and checks the counts:
//
//	go run ./cmd/troupe server &
//	go run ./examples/wordcount
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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

var text = []string{"the quick brown fox", "jumps over the lazy dog", "the dog sleeps", "the fox does not"}

// job is one run: topics and a group of its own, so that it can run again.
type job struct{ address, lines, counts, group string }

func run(out io.Writer, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n := strconv.FormatInt(time.Now().UnixNano(), 36)
	j := &job{address, "lines-" + n, "counts-" + n, "wordcount-" + n}
	if err := j.write(ctx); err != nil {
		return err
	}
	if err := j.count(ctx, out); err != nil {
		return err
	}
	counted, err := j.read(ctx)
	if err != nil {
		return err
	}
	want := map[string]int{}
	for _, line := range text {
		for word := range strings.FieldsSeq(line) {
			want[word]++
		}
	}
	if !maps.Equal(counted, want) {
		return fmt.Errorf("%v is counted, and %v is there", counted, want)
	}
	for _, word := range slices.Sorted(maps.Keys(counted)) {
		fmt.Fprintf(out, "%d %s\n", counted[word], word)
	}
	return nil
}

// write makes the topics and writes the text, a line a record.
func (j *job) write(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(j.address), kgo.DefaultProduceTopic(j.lines))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, topic := range []string{j.lines, j.counts} {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, -1, nil, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
	}
	for _, line := range text {
		if err := client.ProduceSync(ctx, kgo.StringRecord(line)).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// count reads lines and writes words, one transaction per poll. The first attempt is given up after it has written: nobody who reads
// committed records ever sees that, and the lines are read again.
func (j *job) count(ctx context.Context, out io.Writer) error {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(j.address), kgo.TransactionalID(j.group), kgo.ConsumerGroup(j.group),
		kgo.ConsumeTopics(j.lines), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer session.Close()
	fails := true
	for done := 0; done < len(text); {
		fetches := session.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(line *kgo.Record) {
			for word := range strings.FieldsSeq(string(line.Value)) {
				session.Produce(ctx, &kgo.Record{Topic: j.counts, Key: []byte(word), Value: []byte("1")}, nil)
			}
		})
		try := kgo.TryCommit
		if fails {
			try = kgo.TryAbort
		}
		committed, err := session.End(ctx, try)
		if err != nil {
			return err
		}
		if committed {
			done += fetches.NumRecords()
		}
		fmt.Fprintf(out, "%d lines, committed: %v\n", fetches.NumRecords(), committed)
		fails = false
	}
	return nil
}

// read adds up what is committed.
func (j *job) read(ctx context.Context) (map[string]int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(j.address), kgo.ConsumeTopics(j.counts), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, j.counts)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(j.counts, 0)
	counted := map[string]int{}
	for next := int64(0); next < end.Offset-1; { // the last one ends the transaction
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			counted[string(r.Key)]++
			next = r.Offset + 1
		})
	}
	return counted, nil
}
