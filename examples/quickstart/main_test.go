package main

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

func TestRun(t *testing.T) {
	address := broker.Serve(t, nil)
	for range 2 { // a second time it finds what the first has written
		var out strings.Builder
		if err := run(&out, address); err != nil {
			t.Fatal(err)
		}
		if said := out.String(); !strings.HasPrefix(said, "written: partition 0, offset ") || !strings.Contains(said, "read: partition 0, offset 0: when=") {
			t.Errorf("it writes %q", said)
		}
	}
}
