package story

import (
	"testing"

	"github.com/troupe-broker/troupe/sim"
	"github.com/troupe-broker/troupe/sim/workload"
)

// Replicas are moved from node to node and back, moves are called off, leaders elected and replication throttled, while a node loses power
// now and then: a replica that comes back to a node must not find what the journal has of its earlier life there (this found that it did).
func TestReplicasAreMovedAboutWhileNodesLosePower(t *testing.T) {
	for seed := range uint64(16) {
		s := sceneOfThree(seed, []sim.Fault{
			{Kind: sim.Power, Node: 1, AtMillis: 500, ForMillis: 300}, {Kind: sim.Power, Node: 2, AtMillis: 1100, ForMillis: 300}, {Kind: sim.Power, Node: 3, AtMillis: 1700, ForMillis: 300}})
		s.Topics[0].Replicas = 2
		s.Clients = append(s.Clients, workload.Spec{Name: "operator", Kind: workload.Operating, PaceMillis: 4, PatienceMillis: 500})
		if r := sim.Run(s, sim.Options{}); r.Violation != nil {
			t.Errorf("seed %d: %v", seed, r.Violation)
		} else if r.Acked == 0 || r.Read == 0 {
			t.Errorf("seed %d: %d batches were acknowledged and %d read", seed, r.Acked, r.Read)
		}
	}
}
