package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/node"
)

// tried runs the command as a user does, and returns what it has printed.
func tried(t *testing.T, bootstrap string, args ...string) (string, error) {
	t.Helper()
	var out, trouble bytes.Buffer
	root := newRoot()
	root.SetArgs(append(args, "--bootstrap", bootstrap))
	root.SetOut(&out)
	root.SetErr(&trouble)
	err := root.ExecuteContext(t.Context())
	return out.String() + trouble.String(), err
}

func ran(t *testing.T, bootstrap string, args ...string) string {
	t.Helper()
	out, err := tried(t, bootstrap, args...)
	if err != nil {
		t.Fatalf("troupe %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// A transaction is listed and described while it is open, is not one that hangs, and can be aborted in a partition.
func TestTransactionsAreShownAndAborted(t *testing.T) {
	c, err := node.Load(node.Sources{Set: []string{"log.dirs=" + t.TempDir(), "listeners=PLAINTEXT://127.0.0.1:0", "http.listener=", "transaction.state.log.num.partitions=2"}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	at := n.Kafka()
	ran(t, at, "topic", "create", "orders", "--partitions", "2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.TransactionalID("billing"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Partition: int32(i), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var listed []txnRow
	if err := json.Unmarshal([]byte(ran(t, at, "txn", "list", "--state", "Ongoing", "--pattern", "bill.*", "--json")), &listed); err != nil || len(listed) != 1 || listed[0].ID != "billing" || listed[0].State != "Ongoing" {
		t.Fatalf("%v: %+v", err, listed)
	}
	if out := ran(t, at, "txn", "list", "--pattern", "bill"); strings.Contains(out, "billing") {
		t.Errorf("a pattern that matches a part lists %s", out)
	}
	if out := ran(t, at, "txn", "describe", "billing"); !strings.Contains(out, "Ongoing") || !strings.Contains(out, "orders:0,1") {
		t.Errorf("%s", out)
	}
	if out, err := tried(t, at, "txn", "describe", "nobody"); err == nil || !strings.Contains(out, "TRANSACTIONAL_ID_NOT_FOUND") {
		t.Errorf("%v: %s", err, out)
	}
	if out := ran(t, at, "txn", "hanging", "orders", "--older", "0s"); strings.Contains(out, "orders") {
		t.Errorf("what its coordinator knows of hangs: %s", out)
	}
	if out, err := tried(t, at, "txn", "abort", "orders:1", "--start-offset", "7"); err == nil {
		t.Errorf("%s", out)
	}
	if out := ran(t, at, "txn", "abort", "orders:1", "--start-offset", "0"); !strings.Contains(out, fmt.Sprintf("producer %d", listed[0].Producer)) {
		t.Errorf("%s", out)
	}
	if out, err := tried(t, at, "txn", "abort", "orders:1", "--start-offset", "0"); err == nil || !strings.Contains(err.Error(), "no such transaction is open") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPartitionsAreNamed(t *testing.T) {
	if topic, index, err := partitionNamed("a:b:12"); topic != "a:b" || index != 12 || err != nil {
		t.Errorf("%q %d %v", topic, index, err)
	}
	for _, bad := range []string{"", "a", ":1", "a:", "a:-1", "a:b", "a:99999999999"} {
		if _, _, err := partitionNamed(bad); err == nil {
			t.Errorf("%q is a partition", bad)
		}
	}
}
