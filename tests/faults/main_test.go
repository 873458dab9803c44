// Package faults does to the real binary what the simulator cannot: it kills and stops processes, fills and wipes disks, and cuts
// networks that it makes for the purpose, a bounded number of times, and stops only what it started. TROUPE_FULL=1 runs the
// whole number of rounds; the script run does every fault to a cluster and writes docs/faults.md.
package faults

import (
	"os"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

func TestMain(m *testing.M) { broker.Main(m) }

// rounds is how often a fault is repeated: all of them with TROUPE_FULL=1, few otherwise.
func rounds(t *testing.T, all, few int) int {
	if os.Getenv("TROUPE_FULL") != "" {
		return all
	}
	t.Logf("%d rounds of %d: run with TROUPE_FULL=1 for all", few, all)
	return few
}
