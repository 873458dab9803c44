// Package placement decides on which nodes the replicas of new partitions go: replicas of a partition on as many racks as
// there are, leaders evenly over the nodes. It is a pure function of the nodes and one random draw.
//
// It knows nothing of load or of disks, and never moves what is placed.
package placement

import (
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// Node is somewhere a replica can be.
type Node struct {
	ID     message.NodeID
	Rack   string // nodes without one share a rack
	Fenced bool   // gets replicas only when the others do not suffice, and never leads
}

// Refused says why the replicas have no place, in Kafka's words (S135).
type Refused struct {
	Replication int
	Why         string
}

// Error is "Unable to replicate the partition 99 time(s): The target replication factor of 99 cannot …".
func (r *Refused) Error() string {
	return fmt.Sprintf("Unable to replicate the partition %d time(s): %s", r.Replication, r.Why)
}

// Place puts partitions on nodes, the preferred leader first. The draw says where on the ring of nodes it begins.
func Place(nodes []Node, partitions, replication int, draw uint64) ([][]message.NodeID, error) {
	alive := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n.Fenced })
	switch {
	case len(alive) == 0:
		return nil, &Refused{replication, "All brokers are currently fenced or have all their log directories cordoned."}
	case replication > len(nodes):
		return nil, &Refused{replication, fmt.Sprintf("The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.", replication, len(nodes))}
	}
	leaders := ring(alive)
	others := append(ring(alive), ring(slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return !n.Fenced }))...)
	begin := int(draw % uint64(len(leaders)))
	placed := make([][]message.NodeID, partitions)
	for p := range placed {
		at := begin + p
		placed[p] = replicas(leaders[at%len(leaders)], others, len(alive), at, replication)
	}
	return placed, nil
}

// ring orders nodes so that neighbours stand on different racks: one of each rack in turn.
func ring(nodes []Node) []Node {
	slices.SortFunc(nodes, func(a, b Node) int { return int(a.ID) - int(b.ID) })
	var racks []string
	byRack := map[string][]Node{}
	for _, n := range nodes {
		if _, seen := byRack[n.Rack]; !seen {
			racks = append(racks, n.Rack)
		}
		byRack[n.Rack] = append(byRack[n.Rack], n)
	}
	slices.Sort(racks)
	round := make([]Node, 0, len(nodes))
	for turn := 0; len(round) < len(nodes); turn++ {
		for _, r := range racks {
			if turn < len(byRack[r]) {
				round = append(round, byRack[r][turn])
			}
		}
	}
	return round
}

// replicas picks a leader's followers: from where it stands on, one step further with every round of the ring so that the
// same nodes do not always share their partitions; unused racks first, fenced nodes last.
func replicas(leader Node, others []Node, alive, at, replication int) []message.NodeID {
	picked := []message.NodeID{leader.ID}
	racks := map[string]bool{leader.Rack: true}
	take := func(from []Node, begin int, fresh bool) {
		for i := range from {
			n := from[(begin+i)%len(from)]
			if len(picked) == replication {
				return
			}
			if slices.Contains(picked, n.ID) || fresh && racks[n.Rack] {
				continue
			}
			racks[n.Rack] = true
			picked = append(picked, n.ID)
		}
	}
	begin := at%alive + 1 + at/alive%max(1, alive-1)
	take(others[:alive], begin, true)
	take(others[:alive], begin, false)
	take(others[alive:], at, false)
	return picked
}
