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
	ground := &ground{nodes: append(ring(alive), ring(slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return !n.Fenced }))...),
		keeps: map[message.NodeID]int{}, heirs: map[[2]message.NodeID]int{}}
	begin := int(draw % uint64(len(leaders)))
	placed := make([][]message.NodeID, partitions)
	for p := range placed {
		at := (begin + p) % len(leaders)
		placed[p] = ground.replicas(leaders[at], at, replication)
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

// ground is where replicas can be, and what is there already.
type ground struct {
	nodes []Node // on the ring, fenced ones behind
	keeps map[message.NodeID]int
	heirs map[[2]message.NodeID]int // how often the second would lead if the first were gone
}

// replicas picks a leader's followers, beginning behind where it stands on the ring.
func (g *ground) replicas(leader Node, at, replication int) []message.NodeID {
	picked, racks := []message.NodeID{leader.ID}, map[string]bool{leader.Rack: true}
	g.keeps[leader.ID]++
	for len(picked) < replication {
		n := g.best(picked, racks, at+1)
		racks[n.Rack] = true
		g.keeps[n.ID]++
		if len(picked) == 1 {
			g.heirs[[2]message.NodeID{leader.ID, n.ID}]++
		}
		picked = append(picked, n.ID)
	}
	return picked
}

// best is the node that takes the next replica: one that is alive, on a rack that has none. Among those it is one that keeps few
// and inherits little from this leader, so that what a node leads goes to all the others in equal parts when it is gone; then
// the next on the ring.
func (g *ground) best(picked []message.NodeID, racks map[string]bool, begin int) (best Node) {
	var least []int
	for i := range g.nodes {
		n := g.nodes[(begin+i)%len(g.nodes)]
		if slices.Contains(picked, n.ID) {
			continue
		}
		cost := []int{count(n.Fenced), count(racks[n.Rack]), g.keeps[n.ID] + 2*g.heirs[[2]message.NodeID{picked[0], n.ID}]}
		if least == nil || slices.Compare(cost, least) < 0 {
			best, least = n, cost
		}
	}
	return best
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
