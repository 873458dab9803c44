package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	if want := "0: hello\n1: bonjour\n2: hallo\n"; out.String() != want {
		t.Errorf("it writes %q, not %q", &out, want)
	}
}
