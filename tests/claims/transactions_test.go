package claims

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is an unmodified one.
func (h *house) client(opts ...kgo.Opt) *kgo.Client {
	h.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(h.node.Kafka()), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(cl.Close)
	return cl
}

func bounded(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// write produces texts in a transaction of a client, and ends it.
func write(ctx context.Context, t *testing.T, cl *kgo.Client, topic string, commit bool, texts ...string) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		r := &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: []byte(text)}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
}

// read is what a client reads of a topic, until there are so many.
func read(ctx context.Context, t *testing.T, cl *kgo.Client, n int) map[string]int {
	t.Helper()
	found := map[string]int{}
	for len(found) < n {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("behind %v: %v", found, err)
		}
		f.EachRecord(func(r *kgo.Record) { found[string(r.Value)]++ })
	}
	return found
}

// S93-S95: what is committed is read, what is aborted is not, by who reads committed records; the others read everything.
func TestTransactionsAreSeenWholeOrNotAtAll(t *testing.T) {
	h := newHouse(t, "transaction.state.log.num.partitions=3")
	h.create("in", 2)
	ctx := bounded(t, time.Minute)
	cl := h.client(kgo.TransactionalID("x"))
	for i := range 6 {
		write(ctx, t, cl, "in", i%2 == 0, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c"))
	}
	reader := func(level kgo.IsolationLevel) *kgo.Client {
		return h.client(kgo.ConsumeTopics("in"), kgo.FetchIsolationLevel(level), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	for text, n := range read(ctx, t, reader(kgo.ReadCommitted()), 9) {
		if n != 1 || (text[0]-'0')%2 != 0 {
			t.Errorf("%q is read %d times", text, n)
		}
	}
	if all := read(ctx, t, reader(kgo.ReadUncommitted()), 18); len(all) != 18 {
		t.Errorf("%v", all)
	}
}

// S89, L8: another instance of a transactional id fences the one before, whose open transaction is aborted.
func TestAnInstanceFencesTheOneBefore(t *testing.T) {
	h := newHouse(t)
	h.create("in", 2)
	ctx := bounded(t, time.Minute)
	zombie, heir := h.client(kgo.TransactionalID("x")), h.client(kgo.TransactionalID("x"))
	if err := zombie.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := zombie.ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("lost")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	write(ctx, t, heir, "in", true, "kept")
	if err := zombie.EndTransaction(ctx, kgo.TryCommit); !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Errorf("the fenced instance commits: %v", err)
	}
	cl := h.client(kgo.ConsumeTopics("in"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if got := read(ctx, t, cl, 1); got["kept"] != 1 {
		t.Errorf("%v", got)
	}
}

// S97: a transaction that is open for too long is aborted, and its producer fenced.
func TestATransactionThatTakesTooLong(t *testing.T) {
	h := newHouse(t, "transaction.abort.timed.out.transaction.cleanup.interval.ms=200")
	h.create("in", 2)
	ctx := bounded(t, time.Minute)
	cl := h.client(kgo.TransactionalID("x"), kgo.TransactionTimeout(500*time.Millisecond))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("late")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for {
		r := ask[*kmsg.DescribeTransactionsResponse](h, 0, &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{"x"}})
		if r.TransactionStates[0].State == "CompleteAbort" {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%+v", r)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err == nil {
		t.Error("what was aborted is committed")
	}
}

// S96: what is read, what is written of it, and how far it was read are one: GroupTransactSession goes through all of it.
func TestAChainReadsAndWritesOnce(t *testing.T) {
	h := newHouse(t, "group.initial.rebalance.delay.ms=0")
	h.create("in", 2)
	h.create("out", 2)
	ctx := bounded(t, time.Minute)
	const total = 60
	source := h.client()
	for i := range total {
		if err := source.ProduceSync(ctx, &kgo.Record{Topic: "in", Partition: int32(i % 2), Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(h.node.Kafka()), kgo.TransactionalID("chain"), kgo.ConsumerGroup("chain"), kgo.ConsumeTopics("in"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchMaxPartitionBytes(200))
	if err != nil {
		t.Fatal(err)
	}
	for done, round := 0, 0; done < total; round++ {
		f := s.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: "out", Partition: r.Partition, Value: r.Value}, nil)
		})
		commits := round%3 != 1 // what is aborted is read again
		committed, err := s.End(ctx, kgo.TransactionEndTry(commits))
		if err != nil {
			t.Fatal(err)
		}
		if committed {
			done += f.NumRecords()
		}
	}
	s.Close()
	cl := h.client(kgo.ConsumeTopics("out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for text, n := range read(ctx, t, cl, total) {
		if n != 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
}
