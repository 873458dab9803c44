package faults

import (
	"os"
	"path/filepath"
	"time"

	"github.com/troupe-broker/troupe/tests/broker"
)

// fullFor is how long all disks are full at once: nobody can write meanwhile.
const fullFor = 5 * time.Second

var diskFaults = []fault{
	{name: "kill -9 and a deleted data directory", goal: death, do: func(s *scene) { s.wipe(s.leader()) }},
	{name: "kill -9 of the controller and its data directory deleted", goal: death, do: func(s *scene) { s.wipe(s.controller()) }},
	{name: "full disk of the node that leads most", goal: death, do: func(s *scene) {
		s.leader()
		s.fillDisks(s.victim)
		s.last(5*time.Second, 10*time.Second)
	}},
	{name: "full disk of a node that follows", goal: death, do: func(s *scene) {
		s.leader()
		s.fillDisks(int32(s.others()[0]))
		s.last(5*time.Second, 10*time.Second)
	}},
	{name: "full disks of two of three", goal: death + fullFor, long: true, do: func(s *scene) {
		s.leader()
		s.fillDisks(s.victim, int32(s.others()[0]))
		time.Sleep(fullFor)
	}},
	{name: "full disks of all nodes", goal: death + fullFor, do: func(s *scene) {
		s.fillDisks(1, 2, 3)
		time.Sleep(fullFor)
	}},
}

// wipe kills a node, deletes all that it had, and starts it again. Where the tier is long, every node loses its disk so, one after the
// other: what was acknowledged has moved three times then.
func (s *scene) wipe(first *broker.Broker) {
	nodes := []*broker.Broker{first}
	for _, b := range s.cluster.Nodes {
		if s.long && b != first {
			nodes = append(nodes, b)
		}
	}
	for _, b := range nodes {
		b.Kill()
		if err := os.RemoveAll(b.Data); err != nil {
			s.t.Fatal(err)
		}
		b.Start()
		s.awaitInSync()
		s.awaitVoters()
	}
}

// fillDisks takes all the room there is on some nodes' disks; makeRoom gives it back.
func (s *scene) fillDisks(nodes ...int32) {
	for _, n := range nodes {
		path := filepath.Join(filepath.Dir(s.cluster.Node(n).Data), "ballast")
		fill(s.t, path)
		s.ballast = append(s.ballast, path)
	}
}

func (s *scene) makeRoom() {
	for _, path := range s.ballast {
		if err := os.Remove(path); err != nil {
			s.t.Fatal(err)
		}
	}
}
