package main

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

func TestRun(t *testing.T) {
	address := broker.Serve(t, nil)
	var out strings.Builder
	if err := run(&out, address); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if said := out.String(); !strings.Contains(said, "committed: false") || !strings.Contains(said, "4 the\n") {
		t.Errorf("it writes\n%s", said)
	}
}
