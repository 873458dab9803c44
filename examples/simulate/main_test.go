package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var first, again strings.Builder
	if failed := run(&first, 10); failed > 0 || strings.Count(first.String(), "every invariant held\n") != 10 {
		t.Errorf("%d seeds failed:\n%s", failed, &first)
	}
	if run(&again, 10); first.String() != again.String() {
		t.Errorf("two runs differ:\n%s\n%s", &first, &again)
	}
}
