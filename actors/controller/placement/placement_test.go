package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
)

// TestPlays runs the plays: "nodes" says who is there (id, rack, fenced), "place" places and shows the replicas, the
// preferred leader first, and how often each node leads and follows.
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var nodes []Node
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "nodes" {
				nodes = read(t, d.Input)
				return ""
			}
			var partitions, replication, draw int
			d.ScanArgs(t, "partitions", &partitions)
			d.ScanArgs(t, "replication", &replication)
			d.ScanArgs(t, "draw", &draw)
			return show(Place(nodes, partitions, replication, uint64(draw)))
		})
	})
}

func read(t *testing.T, input string) (nodes []Node) {
	for line := range strings.SplitSeq(strings.TrimSpace(input), "\n") {
		var n Node
		f := strings.Fields(line)
		if _, err := fmt.Sscan(f[0], &n.ID); err != nil {
			t.Fatal(err)
		}
		for _, word := range f[1:] {
			if word == "fenced" {
				n.Fenced = true
			} else {
				n.Rack = word
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func show(placed [][]message.NodeID, err error) string {
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for i, replicas := range placed {
		fmt.Fprintf(&b, "%d: %v\n", i, replicas)
	}
	return b.String()
}

// TestEveryPlacementIsFair: replicas are distinct, racks are used before they repeat, leaders are alive and spread evenly,
// replicas nearly so, and the same draw places the same.
func TestEveryPlacementIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		racks, each := rapid.IntRange(1, 4).Draw(t, "racks"), rapid.IntRange(1, 3).Draw(t, "nodes of each")
		var nodes []Node
		for i := range racks * each {
			nodes = append(nodes, Node{ID: message.NodeID(i), Rack: fmt.Sprint(i % racks)})
		}
		replication := rapid.IntRange(1, len(nodes)).Draw(t, "replication")
		partitions, draw := rapid.IntRange(1, 40).Draw(t, "partitions"), rapid.Uint64().Draw(t, "draw")
		placed, err := Place(nodes, partitions, replication, draw)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Place(nodes, partitions, replication, draw)
		leads, keeps := make([]int, len(nodes)), make([]int, len(nodes))
		for i, replicas := range placed {
			if !slices.Equal(replicas, again[i]) {
				t.Fatalf("partition %d: %v and then %v", i, replicas, again[i])
			}
			leads[replicas[0]]++
			for _, n := range replicas {
				keeps[n]++
			}
			check(t, replicas, racks, replication)
		}
		if slices.Max(leads)-slices.Min(leads) > 1 {
			t.Fatalf("leaders by node: %v", leads)
		}
		if slices.Max(keeps)-slices.Min(keeps) > 5 {
			t.Fatalf("replicas by node: %v", keeps)
		}
	})
}

func check(t *rapid.T, replicas []message.NodeID, racks, replication int) {
	used := map[message.NodeID]bool{}
	for i, n := range replicas {
		if slices.Contains(replicas[:i], n) {
			t.Fatalf("%v has node %d twice", replicas, n)
		}
		used[n%message.NodeID(racks)] = true
	}
	if len(replicas) != replication || len(used) < min(racks, replication) {
		t.Fatalf("%v stands on %d racks of %d", replicas, len(used), racks)
	}
}
