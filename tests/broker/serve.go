package broker

import (
	"maps"
	"os"
	"testing"

	"github.com/troupe-broker/troupe/node"
)

// Serve runs a broker within the test's process, as "troupe server" does, with more settings, and returns its address for Kafka clients. It
// is closed when the test ends.
func Serve(t *testing.T, more map[string]string) string {
	t.Helper()
	settings := map[string]string{"log.dirs": t.TempDir(), "listeners": "PLAINTEXT://127.0.0.1:0", "http.listener": "", "log.level": "warn",
		"group.initial.rebalance.delay.ms": "0"}
	maps.Copy(settings, more)
	config, err := node.NewConfig(settings)
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
