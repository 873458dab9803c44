package chain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	input  = "input"
	output = "output"
	group  = "chain"
	// abortEvery is how many transactions there are to one that the application takes back by itself.
	abortEvery = 10
)

// application copies the input to the output, a transaction for each poll, until it is killed or cannot go on; then it is started
// again. It returns the process's exit code. Every instance has a transactional id of its own, which the next process takes over.
func application(name string, bootstrap []string) int {
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap...), kgo.TransactionalID("chain-"+name), kgo.TransactionTimeout(10*time.Second),
		kgo.ConsumerGroup(group), kgo.InstanceID(name), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.ConsumeTopics(input), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DialTimeout(time.Second), kgo.RequestTimeoutOverhead(2*time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond), kgo.DisableClientMetrics())
	for err == nil {
		err = transact(session)
	}
	fmt.Fprintf(os.Stderr, "%s application %s: %v\n", time.Now().Format(time.TimeOnly), name, err)
	return 1
}

// transact copies what one poll brings. That a transaction is aborted is no failure: what was read is read again.
func transact(session *kgo.GroupTransactSession) error {
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	fetches := session.PollRecords(ctx, 200)
	if err := fetches.Err(); err != nil {
		fmt.Fprintf(os.Stderr, "%s poll: %v\n", time.Now().Format(time.TimeOnly), err)
		return ctx.Err() // the client tries again by itself, but not for ever
	}
	if err := session.Begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	failed := kgo.AbortingFirstErrPromise(session.Client())
	fetches.EachRecord(func(r *kgo.Record) {
		session.Produce(ctx, &kgo.Record{Topic: output, Partition: r.Partition, Key: r.Key, Value: r.Value}, failed.Promise())
	})
	commit := kgo.TransactionEndTry(failed.Err() == nil && rand.IntN(abortEvery) != 0)
	committed, err := session.End(ctx, commit)
	if err != nil {
		return fmt.Errorf("end: %w", err)
	}
	fmt.Println(committed) // the test counts them
	return nil
}
