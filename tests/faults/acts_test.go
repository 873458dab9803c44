package faults

import (
	"fmt"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/tests/broker"
	"github.com/troupe-broker/troupe/tests/wire"
)

const (
	// death is how long partitions may be without an acknowledgement when a process dies.
	death = 1500 * time.Millisecond
	// silence is the same when a node is there and the others do not hear it: the mesh gives it up after 2 s.
	silence = 2*time.Second + death
	// patience is the same when clients do not hear it either: they ask another after 3 s, and may choose it once more.
	patience = 3*time.Second + silence
	// deaf is the same when a node that others do not hear is still heard by clients: it refuses them after half a session.
	deaf = 4500*time.Millisecond + 3*time.Second
	// apart is the same when the controller hears everybody and a follower cannot reach its leader, which waits a second more for it.
	apart = silence + 2*time.Second
	// stormFor is how long a line is bad: what it does it does at once.
	stormFor = 5 * time.Second
)

var processFaults = []fault{
	{name: "kill -9 of the node that leads most", goal: death, do: func(s *scene) { s.kill(s.leader()) }},
	{name: "kill -9 of the controller", goal: death, do: func(s *scene) { s.kill(s.controller()) }},
	{name: "kill -9 of any node", goal: death, do: func(s *scene) { s.kill(s.anyone()) }},
	{name: "kill -9 of all at once", goal: 3 * time.Second, do: killAll},
	{name: "SIGSTOP for 1 s", goal: silence, do: func(s *scene) { s.suspend(s.leader(), time.Second) }},
	{name: "SIGSTOP for 5 s", goal: patience, do: func(s *scene) { s.suspend(s.leader(), 5*time.Second) }},
	{name: "SIGSTOP of the controller for 5 s", goal: patience, do: func(s *scene) { s.suspend(s.controller(), 5*time.Second) }},
	{name: "SIGSTOP for 30 s", goal: patience, long: true, do: func(s *scene) { s.suspend(s.leader(), 30*time.Second) }},
	{name: "rolling restart", goal: 200 * time.Millisecond, do: rollingRestart},
	{name: "rolling kill -9", goal: death, do: rollingKill},
}

// kill kills a node and starts it again after a while.
func (s *scene) kill(b *broker.Broker) {
	b.Kill()
	s.last(2*time.Second, 3*time.Second)
	b.Start()
}

func killAll(s *scene) {
	for _, b := range s.cluster.Nodes {
		b.Signal(syscall.SIGKILL)
	}
	for _, b := range s.cluster.Nodes {
		b.Wait()
	}
	s.cluster.StartAll()
}

// suspend stops a node, which knows nothing of it, for a while.
func (s *scene) suspend(b *broker.Broker, d time.Duration) {
	b.Signal(syscall.SIGSTOP)
	defer b.Signal(syscall.SIGCONT)
	time.Sleep(d)
}

func rollingRestart(s *scene) {
	for n, b := range s.cluster.Nodes {
		b.Signal(syscall.SIGTERM)
		if code := b.Wait(); code != 0 {
			s.t.Fatalf("node %d: SIGTERM ends it with exit code %d", n+1, code)
		}
		b.Start()
		s.awaitInSync()
	}
}

func rollingKill(s *scene) {
	for _, b := range s.cluster.Nodes {
		b.Kill()
		b.Start()
		s.awaitInSync()
	}
}

var networkFaults = []fault{
	{name: "cut of one node", goal: patience, do: func(s *scene) { s.cut(s.leader(), true, true, true) }},
	{name: "cut of one node from the others, not from clients", goal: deaf, do: func(s *scene) { s.cut(s.leader(), false, true, true) }},
	{name: "cut of the controller from the others, not from clients", goal: deaf, do: func(s *scene) { s.cut(s.controller(), false, true, true) }},
	{name: "one-way cut: a node hears nothing", goal: deaf, do: func(s *scene) { s.cut(s.leader(), false, false, true) }},
	{name: "one-way cut: a node is not heard", goal: deaf, do: func(s *scene) { s.cut(s.leader(), false, true, false) }},
	{name: "cut between two of three", goal: apart, do: bridge},
	{name: "delay of 50 ms and jitter", goal: patience, do: func(s *scene) {
		s.storm(s.leader(), wire.Weather{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	}},
	{name: "loss of 5 %", goal: patience, do: func(s *scene) { s.storm(s.leader(), wire.Weather{Loss: 0.05}) }},
	{name: "narrow line (tc tbf)", goal: patience, do: narrow},
}

// others are the places of the nodes that are not the victim.
func (s *scene) others() (places []int) {
	for n := range s.cluster.Nodes {
		if int32(n+1) != s.victim {
			places = append(places, n+1)
		}
	}
	return places
}

// cut cuts what the victim says or what it hears, of other nodes and perhaps of clients, and heals it.
func (s *scene) cut(_ *broker.Broker, clients, says, hears bool) {
	from := s.others()
	if clients {
		from = append(from, wire.Host)
	}
	for _, place := range from {
		s.wire.Set(int(s.victim), place, wire.Weather{Cut: says})
		s.wire.Set(place, int(s.victim), wire.Weather{Cut: hears})
	}
	s.last(5*time.Second, 10*time.Second)
	s.wire.Calm()
}

// bridge cuts two nodes from each other: the third, which is neither, is reached by both.
func bridge(s *scene) {
	s.leader()
	s.wire.Between(int(s.victim), s.others()[0], wire.Weather{Cut: true})
	s.last(5*time.Second, 10*time.Second)
	s.wire.Calm()
}

// storm makes the victim's lines bad, to nodes and clients, and heals them.
func (s *scene) storm(_ *broker.Broker, w wire.Weather) {
	for _, place := range append(s.others(), wire.Host) {
		s.wire.Between(int(s.victim), place, w)
	}
	time.Sleep(stormFor)
	s.wire.Calm()
}

// narrow lets the victim's kernel send less than it has to say: packets wait, and then are dropped.
func narrow(s *scene) {
	s.leader()
	place := int(s.victim)
	if err := s.wire.Run(place, "tc", "qdisc", "add", "dev", s.wire.Netns(place), "root", "tbf", "rate", "2mbit", "burst", "4kb", "latency", "100ms"); err != nil {
		s.t.Skipf("tc cannot make a line narrow: install iproute2, on a kernel with sch_tbf: %v", err)
	}
	time.Sleep(stormFor)
	if err := s.wire.Run(place, "tc", "qdisc", "del", "dev", s.wire.Netns(place), "root"); err != nil {
		s.t.Fatal(fmt.Errorf("the narrow line stays: %w", err))
	}
}
