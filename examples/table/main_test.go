package main

import (
	"os"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/node"
)

// serve runs a broker as "troupe server" does, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	config, err := node.NewConfig(map[string]string{"log.dirs": t.TempDir(), "listeners": "PLAINTEXT://127.0.0.1:0", "http.listener": "", "log.level": "warn", "log.cleaner.backoff.ms": "200",
		"group.initial.rebalance.delay.ms": "0"})
	if err != nil {
		t.Fatal(err)
	}
	broker, err := node.Start(config, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker.Kafka()
}

func TestRun(t *testing.T) {
	address := serve(t)
	var out strings.Builder
	if err := run(&out, address); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if said := out.String(); !strings.Contains(said, "records make a table of 4 rows: row-1=996 row-2=997 row-3=998 row-4=999") {
		t.Errorf("it writes\n%s", said)
	}
	t.Log(&out)
}
