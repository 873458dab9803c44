package claims

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// S138: "Auto-create races: two Metadata requests for the same missing topic both succeed."
func TestManyMayBringATopicAbout(t *testing.T) {
	h := newHouse(t, "num.partitions=2")
	const connections = 8
	for round := range 5 {
		name := fmt.Sprintf("wanted-%d", round)
		all := make([]*house, connections)
		for i := range all { // none waits for another's answer
			all[i] = h.another()
			q := metadataOf(9, name, [16]byte{})
			q.AllowAutoTopicCreation = true
			all[i].send(9, q)
		}
		for _, one := range all {
			resp := kmsg.NewPtrMetadataResponse()
			resp.SetVersion(9)
			if one.receive(resp); resp.Topics[0].ErrorCode != 0 || len(resp.Topics[0].Partitions) != 2 {
				t.Errorf("%s: %+v", name, resp.Topics[0])
			}
		}
	}
}

// S43: "new one after delete+recreate." A topic is deleted and made again under a producer and a consumer that know nothing
// of it, and that ask by name, as clients of before topic ids do: each request in between gets an answer that its client can
// go on with, and records are written and read again each time.
func TestATopicIsDeletedUnderItsClients(t *testing.T) {
	h := newHouse(t, "auto.create.topics.enable=false")
	h.create("t", 3)
	byName := kgo.MaxVersions(kversion.V2_7_0())
	producer := client(t, h, kgo.DefaultProduceTopic("t"), kgo.RecordRetries(3), kgo.UnknownTopicRetries(2), kgo.DisableIdempotentWrite(), byName)
	consumer := client(t, h, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20*time.Millisecond), byName)
	admin := kadm.NewClient(client(t, h))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() { stop(); running.Wait() }()
	var written, read atomic.Int64
	running.Go(func() {
		for ctx.Err() == nil {
			if err := producer.ProduceSync(ctx, kgo.StringRecord("value")).FirstErr(); err == nil {
				written.Add(1)
			} else if ctx.Err() == nil && !passes(err) {
				t.Errorf("produce: %v", err)
				return
			}
		}
	})
	running.Go(func() {
		for ctx.Err() == nil {
			fetches := consumer.PollFetches(ctx)
			fetches.EachError(func(_ string, _ int32, err error) {
				if ctx.Err() == nil && !passes(err) {
					t.Errorf("fetch: %v", err)
				}
			})
			read.Add(int64(fetches.NumRecords()))
		}
	})
	for range 8 {
		wrote, has := written.Load(), read.Load()
		within(t, "records are written again", func() bool { return written.Load() > wrote+20 })
		within(t, "records are read again", func() bool { return read.Load() > has })
		if _, err := admin.DeleteTopic(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.CreateTopic(ctx, 3, 1, nil, "t"); err != nil {
			t.Fatal(err)
		}
	}
}

func client(t *testing.T, h *house, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(h.node.Kafka()), kgo.MetadataMinAge(20 * time.Millisecond), kgo.MetadataMaxAge(200 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// passes says that an error is one that a deleted topic's clients may see.
func passes(err error) bool {
	for _, ok := range []error{kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.InconsistentTopicID} {
		if errors.Is(err, ok) {
			return true
		}
	}
	var lost *kgo.ErrDataLoss
	return errors.Is(err, kgo.ErrRecordRetries) || errors.As(err, &lost)
}

func within(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// A client that asks for all of 5,000 topics is answered within a moment, and so is one that asks for one of them.
func TestMetadataOfManyTopics(t *testing.T) {
	h := newHouse(t)
	const topics = 5000
	q := kmsg.NewPtrCreateTopicsRequest()
	for i := range topics {
		q.Topics = append(q.Topics, createOf(fmt.Sprintf("topic-%d", i), 1, 1).Topics[0])
	}
	q.TimeoutMillis = 60_000
	began := time.Now()
	for _, topic := range ask[*kmsg.CreateTopicsResponse](h, 4, q).Topics {
		if topic.ErrorCode != 0 {
			t.Fatalf("%s: %d", topic.Topic, topic.ErrorCode)
		}
	}
	created := time.Since(began)
	all, slowest := kmsg.NewPtrMetadataRequest(), [2]time.Duration{}
	for range 5 {
		began = time.Now()
		all.Topics = nil
		if n := len(ask[*kmsg.MetadataResponse](h, 12, all).Topics); n != topics {
			t.Fatalf("there are %d topics", n)
		}
		slowest[0] = max(slowest[0], time.Since(began))
		began = time.Now()
		h.topic("topic-4711")
		slowest[1] = max(slowest[1], time.Since(began))
	}
	t.Logf("created in %v, all of them told in %v at most (checks of this test included), one in %v", created, slowest[0], slowest[1])
	if created > 15*time.Second || slowest[0] > 2*time.Second || slowest[1] > 100*time.Millisecond {
		t.Error("that is too slow")
	}
}
