package main

import (
	"reflect"
	"strings"
	"testing"
)

func nodes(list ...member) *picture {
	for i := range list {
		if list[i].State == "" {
			list[i].State = alive
		}
	}
	return &picture{Nodes: list}
}

func (p *picture) with(partitions ...spread) *picture {
	for i := range partitions {
		partitions[i].Topic, partitions[i].Partition = "t", int32(i)
	}
	p.all = partitions
	p.count()
	return p
}

func replicas(n ...int32) spread { return spread{Leader: n[0], Replicas: n, ISR: n} }

func TestWhereADrainedNodesReplicasGo(t *testing.T) {
	for _, c := range []struct {
		what  string
		p     *picture
		force bool
		want  [][]int32
	}{
		{"to the node with the fewest, in the same place", nodes(member{Node: 1}, member{Node: 2}, member{Node: 3}, member{Node: 4}).with(
			replicas(1, 2), replicas(2, 3), replicas(3, 1)), false, [][]int32{{1, 4}, {4, 3}}},
		{"by turns", nodes(member{Node: 1}, member{Node: 2}, member{Node: 3}).with(
			replicas(2), replicas(2), replicas(2), replicas(2)), false, [][]int32{{1}, {3}, {1}, {3}}},
		{"to a rack of its own rather than to the emptiest", nodes(member{Node: 1, Rack: "a"}, member{Node: 2, Rack: "b"}, member{Node: 3, Rack: "a"}, member{Node: 4, Rack: "b"}).with(
			replicas(1, 2), replicas(4)), false, [][]int32{{1, 4}}},
		{"not to the dead", nodes(member{Node: 1}, member{Node: 2}, member{Node: 3, State: fenced}, member{Node: 4}).with(
			replicas(2), replicas(4)), false, [][]int32{{1}}},
		{"where it is moving to", nodes(member{Node: 1}, member{Node: 2}, member{Node: 3}).with(
			spread{Leader: 1, Replicas: []int32{2, 1}, ISR: []int32{1}, Adding: []int32{2}, Removing: []int32{1}}), false, [][]int32{{3}}},
		{"nothing where it is leaving already", nodes(member{Node: 1}, member{Node: 2}).with(
			spread{Leader: 2, Replicas: []int32{1, 2}, ISR: []int32{2}, Adding: []int32{1}, Removing: []int32{2}}), false, nil},
		{"not to who is drained, too", nodes(member{Node: 1}, member{Node: 2}, member{Node: 3, Cordoned: true}).with(
			replicas(2), replicas(1), replicas(1)), false, [][]int32{{1}}},
		{"nowhere, by force", nodes(member{Node: 1}, member{Node: 2}).with(replicas(2, 1), replicas(1)), true, [][]int32{{1}}},
	} {
		moves, err := c.p.evacuate(2, c.force)
		var got [][]int32
		for _, m := range moves {
			got = append(got, m.replicas)
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v; not %v", c.what, got, err, c.want)
		}
	}
}

func TestADrainThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		what, says string
		p          *picture
		force      bool
	}{
		{"every other node has one already", "use --force", nodes(member{Node: 1}, member{Node: 2}).with(replicas(2, 1), replicas(1)), false},
		{"the only one in sync is down", "has the only copy in sync", nodes(member{Node: 1}, member{Node: 2, State: fenced}).with(
			spread{Leader: -1, Replicas: []int32{2}, ISR: []int32{2}}), true},
		{"fewer than have to be in sync, by force", "min.insync.replicas", promising(2, nodes(member{Node: 1}, member{Node: 2}).with(replicas(2, 1))), true},
		{"the only replica, by force", "start another node, or delete", nodes(member{Node: 2}).with(replicas(2)), true},
	} {
		if moves, err := c.p.evacuate(2, c.force); err == nil || len(moves) > 0 || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "t/0 first") {
			t.Errorf("%s: %v, %v", c.what, moves, err)
		}
	}
}

func promising(least int, p *picture) *picture {
	p.promises = map[string]int{"t": least}
	return p
}
