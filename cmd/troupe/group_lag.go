package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// list makes a row for every partition that is assigned or in which something is committed.
func (s *groupSheet) list(committed kadm.OffsetResponses) {
	rows := map[string]map[int32]*groupReading{}
	row := func(topic string, partition int32) *groupReading {
		if rows[topic] == nil {
			rows[topic] = map[int32]*groupReading{}
		}
		if rows[topic][partition] == nil {
			rows[topic][partition] = &groupReading{Topic: topic, Partition: partition}
		}
		return rows[topic][partition]
	}
	for _, m := range s.Members {
		for topic, partitions := range m.Assigned {
			for _, p := range partitions {
				row(topic, p).Member = m.ID
			}
		}
	}
	committed.Each(func(o kadm.OffsetResponse) {
		r := row(o.Topic, o.Partition)
		if o.Err != nil {
			r.Problem = o.Err.Error()
		} else if o.At >= 0 {
			r.Committed = &o.At
		}
	})
	s.Partitions = []groupReading{}
	for _, topic := range slices.Sorted(maps.Keys(rows)) {
		for _, p := range slices.Sorted(maps.Keys(rows[topic])) {
			s.Partitions = append(s.Partitions, *rows[topic][p])
		}
	}
}

func (s *groupSheet) topics() (names []string) {
	for i := range s.Partitions {
		names = append(names, s.Partitions[i].Topic)
	}
	return slices.Compact(names)
}

// measure sets the lags in records. What was deleted before it was read is no lag.
func (s *groupSheet) measure(starts, ends kadm.ListedOffsets) {
	for i := range s.Partitions {
		r := &s.Partitions[i]
		end, ok := ends.Lookup(r.Topic, r.Partition)
		if !ok || end.Err != nil {
			r.Problem = cmp.Or(r.Problem, "its end is not known")
			continue
		}
		if r.End = &end.Offset; r.Committed == nil {
			continue
		}
		start, _ := starts.Lookup(r.Topic, r.Partition)
		r.next = max(*r.Committed, start.Offset)
		lag := max(end.Offset-r.next, 0)
		r.Lag = &lag
		s.Lag += lag
	}
}

// agePatience is how long first unread records are looked for. They may not be there: compaction takes records away.
const agePatience = 5 * time.Second

// age sets the lags in seconds: it reads the first unread record of every partition.
func (s *groupSheet) age(ctx context.Context, b *broker, now time.Time) error {
	unread := map[string]map[int32]kgo.Offset{}
	for i := range s.Partitions {
		if r := &s.Partitions[i]; r.Lag != nil && *r.Lag > 0 {
			if unread[r.Topic] == nil {
				unread[r.Topic] = map[int32]kgo.Offset{}
			}
			unread[r.Topic][r.Partition] = kgo.NewOffset().At(r.next)
		}
	}
	times, err := timesOf(ctx, b, unread)
	if err != nil {
		return err
	}
	s.setAges(times, now)
	return nil
}

// setAges sets the lags in seconds by the times of the first unread records.
func (s *groupSheet) setAges(times map[string]map[int32]time.Time, now time.Time) {
	for i := range s.Partitions {
		r := &s.Partitions[i]
		if r.Lag == nil {
			continue
		}
		seconds := 0.0
		if *r.Lag > 0 {
			at, ok := times[r.Topic][r.Partition]
			if !ok {
				continue
			}
			seconds = max(now.Sub(at), 0).Seconds()
		}
		r.LagSeconds = &seconds
		s.LagSeconds = max(s.LagSeconds, seconds)
	}
}

// timesOf finds the timestamps of the first records at or behind offsets, as far as they come in time.
func timesOf(ctx context.Context, b *broker, at map[string]map[int32]kgo.Offset) (map[string]map[int32]time.Time, error) {
	left := 0
	for _, partitions := range at {
		left += len(partitions)
	}
	found := map[string]map[int32]time.Time{}
	if left == 0 {
		return found, nil
	}
	client, err := b.dial(ctx, kgo.ConsumePartitions(at), kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(1<<16), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, stop := context.WithTimeout(ctx, agePatience)
	defer stop()
	for left > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) == 0 {
				return
			}
			if found[p.Topic] == nil {
				found[p.Topic] = map[int32]time.Time{}
			}
			if _, known := found[p.Topic][p.Partition]; !known {
				found[p.Topic][p.Partition] = p.Records[0].Timestamp
				client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
				left--
			}
		})
	}
	return found, nil
}
