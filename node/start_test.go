package node

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func configured(t *testing.T, data string, more ...string) *Config {
	t.Helper()
	c, err := Load(Sources{Set: append([]string{"log.dirs=" + data, "listeners=PLAINTEXT://127.0.0.1:0", "http.listener=127.0.0.1:0"}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A node serves from Start on, is ready for operators, lets nobody else into its directory, and leaves nothing running.
func TestNodeServesAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t)
	data := t.TempDir()
	for round := range 2 {
		began := time.Now()
		n, err := Start(configured(t, data), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		produceOne(t, n.Kafka())
		t.Logf("round %d: the first acknowledged produce after %v", round, time.Since(began))
		if code, why := readiness(t, n); code != http.StatusOK {
			t.Errorf("readyz: %d %s", code, why)
		}
		if _, err := Start(configured(t, data), io.Discard); err == nil || !strings.Contains(err.Error(), "another process is using it") {
			t.Errorf("a second node in the same directory: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func produceOne(t *testing.T, address string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("first"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.ProduceSync(ctx, kgo.StringRecord("hello")).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// readOne is what produceOne wrote.
func readOne(t *testing.T, address string) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics("first"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	fetches := client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	return string(fetches.Records()[0].Value)
}

func readiness(t *testing.T, n *Node) (code int, why string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + n.http.Address() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// What makes a start fail is closed again: the next start may be right.
func TestFailedStartLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t)
	data := t.TempDir()
	n, err := Start(configured(t, data), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	taken := n.Kafka()
	other := t.TempDir()
	for _, more := range []string{"listeners=PLAINTEXT://" + taken, "http.listener=" + taken, "otel.endpoint=nowhere"} {
		if _, err := Start(configured(t, other, more), io.Discard); err == nil || !strings.Contains(err.Error(), more[:4]) {
			t.Errorf("%s: %v", more, err)
		}
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if n, err = Start(configured(t, other), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
