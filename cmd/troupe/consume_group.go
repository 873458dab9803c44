package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// membership reads as a member of a group. What is written is committed: every five seconds, when partitions go to somebody else, and at
// the end. So a record may be written again by who comes behind a crash, and none is left out.
type membership struct {
	*reading
	from   place   // where nothing is committed
	bounds *bounds // of the topic when it began, where it ends there; nil: it goes on

	mu     sync.Mutex
	places map[int32]int64 // where the partitions that are assigned are read on
	joined time.Time       // when partitions were assigned last, be it none
}

// leavePatience is how long the last commit and the farewell to the group may take.
const leavePatience = 10 * time.Second

// groupFrom is where the member of a group begins that has committed nothing. It refuses flags that say what a group decides.
func (s *consume) groupFrom() (place, kgo.Offset, error) {
	from, err := placeOf("--from", s.from)
	switch {
	case err != nil:
		return from, kgo.Offset{}, err
	case len(s.partitions) > 0:
		return from, kgo.Offset{}, usagef("--partition and --group do not go together: the group assigns partitions")
	case s.to != "" && !s.untilEnd:
		return from, kgo.Offset{}, usagef("--to and --group do not go together: end with --until-end or --count")
	}
	switch from.kind {
	case atStart:
		return from, kgo.NewOffset().AtStart(), nil
	case atEnd:
		return from, kgo.NewOffset().AtEnd(), nil
	case atTime:
		return from, kgo.NewOffset().AfterMilli(from.n), nil
	}
	return from, kgo.Offset{}, usagef("--from %s: a group takes start, end, a time, or how long ago, for where nothing is committed; to go elsewhere see 'troupe group reset'", s.from)
}

// runGroup reads as a member until the end, and leaves the group.
func (s *consume) runGroup(ctx context.Context, topic string, r *reading) error {
	from, begin, err := s.groupFrom()
	if err != nil {
		return err
	}
	m := &membership{reading: r, from: from, places: map[int32]int64{}}
	if err := s.admin(ctx, func(a *kadm.Client) error { return m.survey(ctx, a, topic, s.untilEnd) }); err != nil {
		return err
	}
	options := []kgo.Opt{kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(begin), kgo.KeepControlRecords(), kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll(), kgo.OnPartitionsAssigned(m.assigned(s.group)), kgo.OnPartitionsRevoked(m.revoked), kgo.OnPartitionsLost(m.lost)}
	if s.committed {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	client, err := s.dial(ctx, options...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	err = m.all(ctx, client)
	client.AllowRebalance()
	return errors.Join(err, leave(client))
}

// leave commits what is written and tells the group goodbye, so that it need not wait for the session to end.
func leave(client *kgo.Client) error {
	ctx, stop := context.WithTimeout(context.Background(), leavePatience)
	defer stop()
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		return fmt.Errorf("what was written last is not committed: %w", err)
	}
	return client.LeaveGroupContext(ctx)
}

// survey sees that the topic is there, and where it ends now.
func (m *membership) survey(ctx context.Context, a *kadm.Client, topic string, untilEnd bool) error {
	topics, err := a.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return err
	}
	if t := topics[topic]; t.Err != nil {
		return noTopic(topic, t.Err)
	}
	if !untilEnd {
		return nil
	}
	m.bounds, err = boundsOf(ctx, a, topic, m.from)
	return err
}

// assigned notes which partitions the member has got, and where it is to read on.
func (m *membership) assigned(name string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(ctx context.Context, client *kgo.Client, got map[string][]int32) {
		places := m.positions(ctx, kadm.NewClient(client), name, got)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.joined = time.Now()
		maps.Copy(m.places, places)
	}
}

// positions are where partitions are read on. It asks for that itself, where it has to end: nothing comes from a partition that has
// been read already. What it cannot find out is -1.
func (m *membership) positions(ctx context.Context, a *kadm.Client, name string, got map[string][]int32) map[int32]int64 {
	places := map[int32]int64{}
	if m.bounds == nil {
		return places
	}
	committed, err := a.FetchOffsets(ctx, name)
	for _, p := range got[m.bounds.topic] {
		o, ok := committed.Lookup(m.bounds.topic, p)
		switch {
		case err != nil || ok && o.Err != nil:
			places[p] = -1
		case ok && o.At >= 0:
			places[p] = o.At
		default:
			places[p] = m.bounds.offset(p, m.from)
		}
	}
	return places
}

// revoked forgets partitions that go to somebody else, and commits what is written of them.
func (m *membership) revoked(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
	_ = client.CommitMarkedOffsets(ctx) // who gets them reads again what is not committed
	m.lost(ctx, client, gone)
}

// lost forgets partitions.
func (m *membership) lost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, partitions := range gone {
		for _, p := range partitions {
			delete(m.places, p)
		}
	}
}

// alonePatience is how long a member without partitions waits for some, where it is to end.
const alonePatience = 10 * time.Second

// done says that there is nothing more to read: enough is counted, or every partition that is assigned is at its end.
func (m *membership) done() bool {
	if m.counted && m.left == 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bounds == nil || m.joined.IsZero() || len(m.places) == 0 && time.Since(m.joined) < alonePatience {
		return false
	}
	for p, at := range m.places {
		if at < m.bounds.in(m.bounds.end, p) {
			return false
		}
	}
	return true
}

// pollPatience is how long to wait for records before it is looked again whether the end is reached.
const pollPatience = 200 * time.Millisecond

func (m *membership) all(ctx context.Context, client *kgo.Client) error {
	for !m.done() {
		most := 0
		if m.counted {
			most = int(min(m.left, 1<<16))
		}
		polling, stop := context.WithTimeout(ctx, pollPatience)
		fetches := client.PollRecords(polling, most)
		stop()
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil // interrupted: an end like any other
		}
		if err := m.write(client, fetches); err != nil {
			return err
		}
		client.AllowRebalance()
	}
	return nil
}

// write writes records, and only then lets them be committed.
func (m *membership) write(client *kgo.Client, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) {
			return fmt.Errorf("%s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	records := fetches.Records()
	for _, record := range records {
		if err := m.put(record); err != nil {
			return err
		}
	}
	if err := m.out.Flush(); err != nil {
		return err
	}
	client.MarkCommitRecords(records...)
	return nil
}

func (m *membership) put(record *kgo.Record) error {
	m.mu.Lock()
	if _, ours := m.places[record.Partition]; ours {
		m.places[record.Partition] = record.Offset + 1
	}
	m.mu.Unlock()
	if record.Attrs.IsControl() {
		return nil
	}
	m.left--
	return m.format(m.out, record)
}
