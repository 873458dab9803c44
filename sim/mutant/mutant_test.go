package mutant

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Every planted bug is hunted, and under a name of its own.
func TestEveryBugIsHunted(t *testing.T) {
	bugs := planted.All()
	if len(All) != len(bugs) {
		t.Fatalf("%d mutants for %d bugs", len(All), len(bugs))
	}
	names := map[string]bool{}
	for i, m := range All {
		if m.Bug != bugs[i] || names[m.Name] || m.What == "" || m.World < Links || m.World > 7 {
			t.Errorf("mutant %d: %+v", i, m)
		}
		names[m.Name] = true
	}
}
