package sim

import (
	"math/rand/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/workload"
)

// DrawCluster makes the scenario of a seed in a world of so many nodes. For one it is what Draw makes.
func DrawCluster(seed uint64, nodes int) *Scenario {
	if nodes <= 1 {
		return Draw(seed)
	}
	s := draw(seed)
	s.Nodes = nodes
	r := stream(seed, "cluster")
	s.drawCopies(r)
	s.drawSessions(r)
	s.Broker["controller.quorum.voter.timeout.ms"] = pick(stream(seed, "voters"), "1000", "3000", "60000")
	s.drawPatience(r)
	s.drawClusterFaults(r)
	s.drawOperator(stream(seed, "operator"))
	s.drawGroup(stream(seed, "group"))
	s.drawModern(stream(seed, "modern"))
	s.drawMarking(stream(seed, "marking"))
	s.drawChain(stream(seed, "chain"))
	s.drawCompaction(stream(seed, "compaction"))
	s.stretch(stream(seed, "stretch"))
	s.Net.Credits, s.Net.Queue = some(r, 0, 0, 4096, 65536), some(r, 0, 0, 1<<20)
	return s
}

// drawCopies says how many copies there are of each topic, and how many must be in sync for a write.
func (s *Scenario) drawCopies(r *rand.Rand) {
	for i := range s.Topics {
		t := &s.Topics[i]
		t.Replicas = 1 + r.IntN(min(s.Nodes, copiesMax))
		if t.Replicas > 1 && r.IntN(2) == 0 {
			t.Configs["min.insync.replicas"] = "2"
		}
		if t.Replicas > 2 && r.IntN(8) == 0 {
			t.Configs["min.insync.replicas"] = "3"
		}
		if t.Replicas > 1 && r.IntN(8) == 0 {
			t.Configs["unclean.leader.election.enable"] = "true"
		}
	}
}

// copiesMax is how many copies of a partition are drawn at most.
const copiesMax = 5

// drawSessions says how soon a silent node is given up: soon, as a rule, so that others take over while the clients work.
func (s *Scenario) drawSessions(r *rand.Rand) {
	s.Broker["broker.heartbeat.interval.ms"] = pick(r, "50", "100")
	s.Broker["broker.session.timeout.ms"] = pick(r, "500", "1000", "1000", "3000")
	s.Broker["replica.lag.time.max.ms"] = pick(r, "200", "500", "500", "5000")
}

// drawPatience gives the clients time: elections take some. Who asks one leader after the other cannot wait long at each, nor keep
// a session.
func (s *Scenario) drawPatience(r *rand.Rand) {
	s.Millis = some(r, 1000, 2000, 4000)
	for i := range s.Clients {
		c := &s.Clients[i]
		c.Session, c.WaitMillis = false, min(c.WaitMillis, 100)
	}
}

// stretch has clients of a cluster take their time: what one does there costs the world several times what it does on one node, and a seed
// finds as many of the planted bugs at a third of the pace. Two worlds in three go on for longer at a slower pace still, so that sessions,
// transactions and what is retained come to their ends while the clients work.
func (s *Scenario) stretch(r *rand.Rand) {
	slow := some(r, 1, 4, 8) // 13 s on average, with what comes behind the faults
	s.Millis *= slow
	for i := range s.Clients {
		s.Clients[i].PaceMillis *= clusterPace * slow
	}
	for i := range s.Faults {
		s.Faults[i].AtMillis *= slow
	}
}

// clusterPace is how many times as much time a client takes between two deeds as on one node.
const clusterPace = 3

// drawOperator has somebody run every third cluster.
func (s *Scenario) drawOperator(r *rand.Rand) {
	if r.IntN(3) == 0 {
		s.Clients = append(s.Clients, workload.Spec{Name: "operator", Kind: workload.Operating, PaceMillis: some(r, 20, 100, 300), PatienceMillis: some(r, 300, 1000)})
	}
}

// clusterMixes are what goes wrong together in a cluster.
var clusterMixes = [][]FaultKind{
	{},
	{Power},
	{Kill, Power, PowerLoop, Restart},
	{Isolate, Sever, OneWay, Halves},
	{Mute, Deafen, Isolate, Kill},
	{Lag, Narrow, Clog, Unlink},
	{Pause, Clock, Isolate},
	{Blackout, Power, Kill},
	{Halves, Power, Pause, Unlink},
	{Kill, Isolate, Lag, Cut},
	{Slow, Hung, Pause, Unlink},
	{Slow, Blackout, Blackout}, // what the slow disk has not synced is lost, and whoever comes back first leads
	{Sever, Clog, Power, Kill}, // a follower falls behind, and then its leader dies
	{Rot, Garbled, Power},
	{Full, Full, Full, Kill},
	{Full, Full, Isolate, Power, Lag},
}

// wipeMixes are what goes wrong together in one cluster of eight, in which disks are lost.
var wipeMixes = [][]FaultKind{
	{Wipe, Kill, Isolate},
	{Wipe, Replace, Power, Pause, Unlink},
}

// wireMixes are what goes wrong together in one cluster of eight, in which the wires do what is rarely seen.
var wireMixes = [][]FaultKind{
	{Bridge, Ring, Kill},
	{Bridge, HalfOpen, Power},
	{Swizzle, HalfOpen, Unlink},
	{Jitter, Starve, Pause},
	{Starve, Swizzle, Kill},
	{Drift, Jitter, Isolate},
}

func (s *Scenario) drawClusterFaults(r *rand.Rand) {
	s.Faults = nil
	mix := clusterMixes[r.IntN(len(clusterMixes))]
	if w := stream(s.Seed, "wires"); w.IntN(8) == 0 {
		mix = wireMixes[w.IntN(len(wireMixes))]
	}
	if w := stream(s.Seed, "wipes"); w.IntN(8) == 0 {
		mix = wipeMixes[w.IntN(len(wipeMixes))]
		s.keepTwo()
	}
	if len(mix) == 0 {
		return
	}
	for range 1 + r.IntN(5) {
		s.Faults = append(s.Faults, s.drawClusterFault(r, mix[r.IntN(len(mix))]))
	}
}

// keepTwo has everything that is acknowledged synced on two disks, so that one may be lost; of topics, too, that are made on a disk of
// which only its node knows yet that it is lost.
func (s *Scenario) keepTwo() {
	for i := range s.Topics {
		t := &s.Topics[i]
		t.Replicas = max(t.Replicas, 2)
		t.Configs["min.insync.replicas"] = "2"
		delete(t.Configs, "durability")
	}
	for i := range s.Clients {
		s.Clients[i].Copies = 2
	}
}

func (s *Scenario) drawClusterFault(r *rand.Rand, kind FaultKind) Fault {
	f := s.drawFault(r, kind)
	f.Who = pick(r, "", "", LeaderOfFirst, QuorumLeader)
	if f.On != nil {
		f.Who = "" // the moment is one of a node
	}
	if r.IntN(3) == 0 {
		p := gatherings[r.IntN(len(gatherings))]
		p.Skip, p.Micros = some(r, 0, 0, 1, 3), some(r, 0, 50, 200, 1000, 10_000)
		f.On, f.Who = &p, OfMoment
	}
	f.Node = message.NodeID(1 + r.IntN(s.Nodes))
	f.ForMillis = some(r, 10, 100, 500, 1500)
	switch kind {
	case Sever, OneWay, Unlink, HalfOpen:
		f.Who, f.On = "", nil
		f.Peer = 1 + (f.Node+message.NodeID(r.IntN(s.Nodes-1)))%message.NodeID(s.Nodes)
	case Rot, Garbled:
		f.Path = pick(r, ".log", ".log", ".log", ".index", "epochs", "producers")
	case Halves, Bridge:
		f.Amount = 1 + r.IntN(1<<s.Nodes-2)
	case Lag, Jitter:
		f.Amount = some(r, 1, 20, 150)
	case Drift:
		f.Amount = some(r, -1000, -100, 100, 1000)
	case Replace:
		f.Amount = some(r, 200, 500, 1500)
	case Narrow:
		f.Amount = some(r, 10_000, 200_000)
	}
	return f
}
