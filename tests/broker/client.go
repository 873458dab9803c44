package broker

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// NewClient makes a client that tries again soon, and closes it when the test ends.
func (b *Broker) NewClient(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return newClient(t, append([]kgo.Opt{kgo.SeedBrokers(b.Addr)}, opts...))
}

func newClient(t *testing.T, opts []kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// CreateTopic makes a topic with overrides, "name=value".
func (b *Broker) CreateTopic(t *testing.T, topic string, partitions int32, overrides map[string]string) {
	t.Helper()
	configs := map[string]*string{}
	for name, value := range overrides {
		configs[name] = &value
	}
	if _, err := kadm.NewClient(b.NewClient(t)).CreateTopic(context.Background(), partitions, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
}

// ReadAll reads a topic's partitions from their start to the end that they have now.
func (b *Broker) ReadAll(t *testing.T, topic string, partitions int32) (all []*kgo.Record) {
	t.Helper()
	return readAll(t, b.NewClient(t, FromStart(topic, partitions)), topic)
}

// FromStart makes a client consume a topic's partitions from their start.
func FromStart(topic string, partitions int32) kgo.Opt {
	from := map[int32]kgo.Offset{}
	for p := range partitions {
		from[p] = kgo.NewOffset().AtStart()
	}
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
}

func readAll(t *testing.T, client *kgo.Client, topic string) (all []*kgo.Record) {
	t.Helper()
	defer client.Close()
	want := int64(0)
	listEnds(t, client, topic).Each(func(o kadm.ListedOffset) { want += o.Offset })
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	for int64(len(all)) < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(all), want, err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// listEnds asks where a topic's partitions end, and again for a while: behind a fault one node may know a little later than another
// who leads.
func listEnds(t *testing.T, client *kgo.Client, topic string) kadm.ListedOffsets {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), topic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil {
			return ends
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Need skips a test that lacks something of the machine, with a sentence that says how to get it; where everything has to be
// there (TROUPE_CI=1) it fails.
func Need(t *testing.T, lacking bool, remedy string) {
	t.Helper()
	switch {
	case !lacking:
	case os.Getenv("TROUPE_CI") != "":
		t.Fatal(remedy)
	default:
		t.Skip(remedy)
	}
}
