package main

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds: run it without -short")
	}
	address := broker.Serve(t, nil)
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
