package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consume is what the flags of the command say.
type consume struct {
	broker
	from, to   string
	group      string
	untilEnd   bool
	partitions []int32
	count      int64
	format     string
	json       bool
	committed  bool
}

func newConsume() *cobra.Command {
	var s consume
	c := &cobra.Command{
		Use: "consume TOPIC", Short: "Read records and write them, a line each", Args: cobra.ExactArgs(1),
		Example: `  troupe consume orders --from start --until-end
  troupe consume orders --from 1h --json
  troupe consume orders --from 2026-11-20T12:00:00Z --to 2026-11-20T13:00:00Z --partition 3
  troupe consume orders --format '%p/%o %t %k: %v\n'
  troupe consume orders --group billing --from start`,
		Long: `Read records and write them, a line each. Without --until-end, --to or --count it goes on until it is interrupted.

--from and --to take start, end, an offset, -N (N before the end), a time like 2026-11-20T12:00:00Z, or how long ago, like 1h30m.
--format takes value, key-value, json, or a template: %k key, %v value, %h headers, %t milliseconds, %T time, %p partition, %o offset,
%n topic, \n and \t.

With --group it reads as a member: the group assigns partitions, it goes on from what is committed, and --from is for where nothing is.
What is written is committed on the way and when it ends; behind a crash records may be written again, and none is left out.`,
		RunE: func(c *cobra.Command, args []string) error { return s.run(c, args[0]) },
	}
	s.flag(c)
	f := c.Flags()
	f.StringVar(&s.from, "from", "end", "where to begin")
	f.StringVar(&s.to, "to", "", "where to end: the first record that is not wanted")
	f.StringVarP(&s.group, "group", "g", "", "read as a member of this `group`")
	f.BoolVar(&s.untilEnd, "until-end", false, "end where the topic ends now")
	f.Int32SliceVar(&s.partitions, "partition", nil, "only these partitions")
	f.Int64VarP(&s.count, "count", "n", 0, "end after so many records")
	f.StringVarP(&s.format, "format", "f", "value", "how a record is written")
	f.BoolVar(&s.json, "json", false, "write a line of JSON for each record: --format json")
	f.BoolVar(&s.committed, "read-committed", false, "leave out records of open and aborted transactions")
	return c
}

func (s *consume) run(c *cobra.Command, topic string) error {
	if s.json {
		if c.Flags().Changed("format") {
			return usagef("--json and --format are two different formats: choose one")
		}
		s.format = "json"
	}
	format, err := formatOf(s.format)
	if err != nil {
		return err
	}
	if s.untilEnd {
		if s.to != "" {
			return usagef("--until-end and --to are two different ends: choose one")
		}
		s.to = "end"
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := bufio.NewWriterSize(c.OutOrStdout(), 1<<16)
	r := &reading{left: s.count, counted: s.count > 0, out: out, format: format}
	if s.group != "" {
		return errors.Join(s.runGroup(ctx, topic, r), out.Flush())
	}
	if r.ranges, err = s.ranges(ctx, topic); err != nil {
		return err
	}
	if err := s.read(ctx, topic, r); err != nil && ctx.Err() == nil {
		return errors.Join(err, out.Flush())
	}
	return out.Flush()
}

// ranges finds, for each partition, where to begin and where to end.
func (s *consume) ranges(ctx context.Context, topic string) (map[int32]*span, error) {
	from, err := placeOf("--from", s.from)
	if err != nil {
		return nil, err
	}
	to, err := placeOf("--to", s.to)
	if err != nil {
		return nil, err
	}
	ranges := map[int32]*span{}
	err = s.admin(ctx, func(a *kadm.Client) error {
		topics, err := a.ListTopicsWithInternal(ctx, topic)
		if err != nil {
			return err
		}
		if t := topics[topic]; t.Err != nil {
			return noTopic(topic, t.Err)
		}
		for _, p := range topics[topic].Partitions.Numbers() {
			ranges[p] = &span{end: -1}
		}
		if err := s.choose(topic, ranges); err != nil {
			return err
		}
		return settle(ctx, a, topic, from, to, ranges)
	})
	return ranges, err
}

// choose keeps the partitions that were asked for.
func (s *consume) choose(topic string, ranges map[int32]*span) error {
	if len(s.partitions) == 0 {
		return nil
	}
	wanted := map[int32]bool{}
	for _, p := range s.partitions {
		if ranges[p] == nil {
			return fmt.Errorf("%s has no partition %d: it has %d", topic, p, len(ranges))
		}
		wanted[p] = true
	}
	for p := range ranges {
		if !wanted[p] {
			delete(ranges, p)
		}
	}
	return nil
}

func (s *consume) read(ctx context.Context, topic string, r *reading) error {
	offsets := map[int32]kgo.Offset{}
	for p, span := range r.ranges {
		if span.open() {
			offsets[p] = kgo.NewOffset().At(span.next)
			r.open++
		}
	}
	if r.open == 0 {
		return nil
	}
	options := []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}), kgo.KeepControlRecords(), kgo.FetchMaxWait(500e6)}
	if s.committed {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	client, err := s.dial(ctx, options...)
	if err != nil {
		return err
	}
	defer client.Close()
	return r.all(ctx, client)
}

// span is what is wanted of a partition: next is the first offset, and moves; end is the first that is not, -1 for ever.
type span struct{ next, end int64 }

func (s *span) open() bool { return s.end < 0 || s.next < s.end }

// reading writes records until every span is read or enough are counted.
type reading struct {
	ranges  map[int32]*span
	open    int // spans that are not read yet
	left    int64
	counted bool
	out     *bufio.Writer
	format  format
}

func (r *reading) all(ctx context.Context, client *kgo.Client) error {
	for r.open > 0 && (!r.counted || r.left > 0) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		var failed error
		fetches.EachError(func(topic string, p int32, err error) {
			if failed == nil {
				failed = fmt.Errorf("%s partition %d: %w", topic, p, err)
			}
		})
		if failed != nil {
			return failed
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := r.take(it.Next()); err != nil {
				return err
			}
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) take(record *kgo.Record) error {
	s := r.ranges[record.Partition]
	if !s.open() || r.counted && r.left == 0 {
		return nil
	}
	wanted := s.end < 0 || record.Offset < s.end
	if s.next = record.Offset + 1; !s.open() {
		r.open--
	}
	if !wanted || record.Attrs.IsControl() {
		return nil
	}
	r.left--
	return r.format(r.out, record)
}

// format writes one record.
type format func(w io.Writer, r *kgo.Record) error
