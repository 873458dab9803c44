package story

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim"
	"github.com/troupe-broker/troupe/sim/workload"
)

// tellOfThree runs a scene in worlds of three nodes with many seeds, each of them twice: one topic with three copies, two of which
// have to be in sync, an idempotent producer, a consumer.
func tellOfThree(t *testing.T, faults ...sim.Fault) {
	t.Helper()
	for seed := range uint64(6) {
		s := sceneOfThree(seed, faults)
		r, twin := sim.Run(s, sim.Options{}), sim.Run(s, sim.Options{})
		switch {
		case r.Violation != nil:
			t.Errorf("seed %d: %v", seed, r.Violation)
		case r.Acked == 0 || r.Read == 0:
			t.Errorf("seed %d: %d batches were acknowledged and %d read", seed, r.Acked, r.Read)
		case r.Hash != twin.Hash:
			t.Errorf("seed %d: hashes %x and %x", seed, r.Hash, twin.Hash)
		}
	}
}

func sceneOfThree(seed uint64, faults []sim.Fault) *sim.Scenario {
	return &sim.Scenario{Seed: seed, Nodes: 3, Millis: 2500, Recoveries: 1, Faults: faults, Disk: sim.Disk{Slow: 1},
		Broker: map[string]string{"journal.file.bytes": "65536", "journal.files": "2",
			"broker.heartbeat.interval.ms": "50", "broker.session.timeout.ms": "300", "replica.lag.time.max.ms": "500"},
		Topics: []sim.Topic{{Partitions: 2, Replicas: 3, Configs: map[string]string{"segment.bytes": "4096", "min.insync.replicas": "2"}}},
		Clients: []workload.Spec{
			{Name: "producer", Kind: workload.Producing, Lanes: []int{0, 1}, Acks: -1, Idempotent: true, InFlight: 5, Records: 5, Bytes: 60, PaceMillis: 5, PatienceMillis: 500, Version: 9},
			{Name: "consumer", Kind: workload.Consuming, Lanes: []int{0, 1}, PaceMillis: 5, PatienceMillis: 300, WaitMillis: 50, MinBytes: 1, MaxBytes: 1 << 16, Version: 12},
		}}
}

func TestThreeNodesAgree(t *testing.T) { tellOfThree(t) }

func TestALeaderIsKilledAndComesBack(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Kill, Who: sim.LeaderOfFirst, AtMillis: 300, ForMillis: 800})
}

func TestALeaderLosesPowerRightBehindAnAcknowledgement(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Power, Who: sim.LeaderOfFirst, AtMillis: 300, On: &sim.Probe{Skip: 3}, ForMillis: 500})
}

func TestALeaderIsCutOffAndHeardOfAgain(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Isolate, Who: sim.LeaderOfFirst, AtMillis: 300, ForMillis: 1500})
}

func TestTheQuorumsLeaderIsCutOff(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Isolate, Who: sim.QuorumLeader, AtMillis: 300, ForMillis: 1500})
}

func TestTheQuorumsLeaderIsHeardAndDoesNotHear(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Deafen, Who: sim.QuorumLeader, AtMillis: 300, ForMillis: 1500})
}

func TestARollingRestart(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Restart, Node: 1, AtMillis: 300, ForMillis: 50}, sim.Fault{Kind: sim.Restart, Node: 2, AtMillis: 1000, ForMillis: 50},
		sim.Fault{Kind: sim.Restart, Node: 3, AtMillis: 1700, ForMillis: 50})
}

func TestEveryNodeLosesPowerAtOnce(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Blackout, AtMillis: 400, ForMillis: 50})
}

func TestAFollowerThatIsCutOffHoldsNobodyUpForLong(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Halves, Amount: 0b010, AtMillis: 300, ForMillis: 1000}, sim.Fault{Kind: sim.Halves, Amount: 0b100, AtMillis: 1500, ForMillis: 800})
}

// Two of three do not reach each other, and the third both: what one of the two leads does not wait for the other for
// replica.lag.time.max.ms, which is longer here than the world lasts.
func TestTwoOfThreeDoNotReachEachOther(t *testing.T) {
	for _, pair := range [][2]message.NodeID{{1, 2}, {1, 3}, {2, 3}} {
		acked := func(faults ...sim.Fault) int {
			s := sceneOfThree(1, faults)
			s.Millis, s.Broker["replica.lag.time.max.ms"] = 12_000, "60000"
			r := sim.Run(s, sim.Options{})
			if r.Violation != nil {
				t.Error(r.Violation)
			}
			return r.Acked
		}
		if all, some := acked(), acked(sim.Fault{Kind: sim.Sever, Node: pair[0], Peer: pair[1], AtMillis: 300, ForMillis: 11_500}); some < all*3/4 {
			t.Errorf("nodes %d: %d batches were acknowledged, and %d without the cut", pair, some, all)
		}
	}
}

// A replica whose disk fails for good stays down, and who led by it does not for long: the others of its node go on.
func TestAReplicaThatStaysDownLeadsNoMore(t *testing.T) {
	acked := func(faults ...sim.Fault) int {
		s := sceneOfThree(1, faults)
		s.Millis, s.Topics[0].Partitions = 12_000, 1
		for i := range s.Clients {
			s.Clients[i].Lanes = []int{0}
		}
		r := sim.Run(s, sim.Options{})
		if r.Violation != nil {
			t.Error(r.Violation)
		}
		return r.Acked
	}
	if all, some := acked(), acked(sim.Fault{Kind: sim.WriteError, Who: sim.LeaderOfFirst, AtMillis: 300, Times: 1000, Path: "topics/"}); some < all*2/3 {
		t.Errorf("%d batches were acknowledged, and %d without the fault", some, all)
	}
}

func TestAPausedLeaderComesTooLate(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Pause, Who: sim.LeaderOfFirst, AtMillis: 300, ForMillis: 1500})
}

func TestReplicationIsClogged(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Clog, Who: sim.LeaderOfFirst, AtMillis: 300, ForMillis: 800}, sim.Fault{Kind: sim.Lag, Node: 2, Amount: 100, AtMillis: 1300, ForMillis: 500})
}

// What one disk damages comes back from the others: it ends with the copies the same, byte for byte.
func TestDamageIsMendedFromAnotherReplica(t *testing.T) {
	for _, kind := range []sim.FaultKind{sim.Rot, sim.Garbled} {
		tellOfThree(t, sim.Fault{Kind: kind, Node: 2, Path: ".log", AtMillis: 1200, ForMillis: 100, Times: 3})
	}
}

func TestDamageOfALeaderAndThePower(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Garbled, Who: sim.LeaderOfFirst, Path: ".log", AtMillis: 800, ForMillis: 100, Times: 3},
		sim.Fault{Kind: sim.Power, Who: sim.LeaderOfFirst, AtMillis: 1500, ForMillis: 50}, sim.Fault{Kind: sim.Blackout, AtMillis: 2100, ForMillis: 50})
}

// With two disks behind every acknowledgement one may be lost, whosever it is, and another when the first one is made good.
func TestALostDiskLosesNothing(t *testing.T) {
	for _, who := range []string{sim.LeaderOfFirst, sim.QuorumLeader} {
		tellOfThree(t, sim.Fault{Kind: sim.Wipe, Who: who, AtMillis: 300, ForMillis: 100}, sim.Fault{Kind: sim.Kill, Who: who, AtMillis: 1500, ForMillis: 500})
	}
}

func TestEveryDiskIsLostOneAfterTheOther(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Wipe, Node: 1, AtMillis: 200, ForMillis: 50}, sim.Fault{Kind: sim.Wipe, Node: 2, AtMillis: 1000, ForMillis: 50},
		sim.Fault{Kind: sim.Wipe, Node: 3, AtMillis: 1800, ForMillis: 50})
}

func TestADiskIsLostWhileItsLeaderIsPaused(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Pause, Who: sim.LeaderOfFirst, AtMillis: 300, ForMillis: 200}, sim.Fault{Kind: sim.Wipe, Node: 2, AtMillis: 320, ForMillis: 10},
		sim.Fault{Kind: sim.Wipe, Node: 3, AtMillis: 1400, ForMillis: 10})
}

// The disk that was taken out is put in again: by then it is as good as lost.
func TestANodeIsReplacedAndComesBack(t *testing.T) {
	tellOfThree(t, sim.Fault{Kind: sim.Replace, Who: sim.LeaderOfFirst, AtMillis: 200, ForMillis: 50, Amount: 900}, sim.Fault{Kind: sim.Blackout, AtMillis: 2200, ForMillis: 50})
}
