package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs three nodes for ten seconds: run it without -short")
	}
	var out strings.Builder
	if err := run(&out, ""); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "records that were acknowledged are there, each once and in order") {
		t.Errorf("it writes\n%s", &out)
	}
	t.Logf("\n%s", &out)
}
