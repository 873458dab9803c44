package main

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

func TestRun(t *testing.T) {
	address := broker.Serve(t, map[string]string{"log.cleaner.backoff.ms": "200"})
	var out strings.Builder
	if err := run(&out, address); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if said := out.String(); !strings.Contains(said, "records make a table of 4 rows: row-1=996 row-2=997 row-3=998 row-4=999") {
		t.Errorf("it writes\n%s", said)
	}
	t.Log(&out)
}
