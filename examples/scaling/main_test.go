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
	config, err := node.NewConfig(map[string]string{"log.dirs": t.TempDir(), "listeners": "PLAINTEXT://127.0.0.1:0", "http.listener": "", "log.level": "warn",
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
	if testing.Short() {
		t.Skip("it takes ten seconds: run it without -short")
	}
	address := serve(t)
	for _, protocol := range []string{"classic", "consumer"} {
		var out strings.Builder
		if err := run(&out, address, protocol); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(out.String(), "\n"); lines != 5 || !strings.Contains(out.String(), "cleo leaves") {
			t.Errorf("%s: it writes\n%s", protocol, &out)
		}
		t.Logf("%s:\n%s", protocol, &out)
	}
}
