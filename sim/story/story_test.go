package story

import (
	"testing"

	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/sim"
	"github.com/troupe-broker/troupe/sim/workload"
)

// tell runs a scene with many seeds: one topic, an idempotent producer, a consumer.
func tell(t *testing.T, faults ...sim.Fault) {
	t.Helper()
	for seed := range uint64(12) {
		s := scene(seed, faults)
		if r := sim.Run(s, sim.Options{}); r.Violation != nil {
			t.Errorf("seed %d: %v", seed, r.Violation)
		} else if r.Acked == 0 {
			t.Errorf("seed %d: nothing was acknowledged", seed)
		}
	}
}

func scene(seed uint64, faults []sim.Fault) *sim.Scenario {
	return &sim.Scenario{Seed: seed, Millis: 300, Recoveries: 2, Faults: faults, Disk: sim.Disk{Slow: 1},
		Broker: map[string]string{"journal.file.bytes": "65536", "journal.files": "2"},
		Topics: []sim.Topic{{Partitions: 2, Configs: map[string]string{"segment.bytes": "2048"}}},
		Clients: []workload.Spec{
			{Name: "producer", Kind: workload.Producing, Lanes: []int{0, 1}, Acks: -1, Idempotent: true, InFlight: 5, Records: 5, Bytes: 60, PaceMillis: 2, PatienceMillis: 200, Version: 9},
			{Name: "consumer", Kind: workload.Consuming, Lanes: []int{0, 1}, PaceMillis: 2, PatienceMillis: 200, WaitMillis: 100, MinBytes: 1, MaxBytes: 4096, Version: 11},
		}}
}

func on(op vfs.Op, path string, skip int) *sim.Probe {
	return &sim.Probe{Op: op, Path: path, Skip: skip}
}

func TestPowerGoesBetweenAppendAndSync(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Power, AtMillis: 50, On: on(vfs.OpWrite, "topics/", 3), ForMillis: 5},
		sim.Fault{Kind: sim.Power, AtMillis: 150, On: on(vfs.OpWrite, "journal/", 1), ForMillis: 5})
}

func TestPowerGoesRightBehindAnAcknowledgement(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Power, AtMillis: 50, On: &sim.Probe{Skip: 5}, ForMillis: 5},
		sim.Fault{Kind: sim.Power, AtMillis: 150, On: &sim.Probe{Skip: 1}, ForMillis: 5})
}

func TestPowerGoesWhileACheckpointIsWritten(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Power, AtMillis: 10, On: on(vfs.OpRename, "checkpoint", 0), ForMillis: 5},
		sim.Fault{Kind: sim.Kill, AtMillis: 100, On: on(vfs.OpRename, "checkpoint", 0), ForMillis: 5})
}

func TestAKillAndThenThePower(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.KillAndPower, AtMillis: 50, On: on(vfs.OpWrite, "journal/", 2), ForMillis: 10},
		sim.Fault{Kind: sim.KillAndPower, AtMillis: 150, On: on(vfs.OpWrite, "topics/", 2), ForMillis: 30})
}

func TestCrashLoopDuringRecovery(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.PowerLoop, AtMillis: 60, ForMillis: 3, Times: 6},
		sim.Fault{Kind: sim.PowerLoop, AtMillis: 160, On: on(vfs.OpTruncate, "topics/", 0), ForMillis: 3, Times: 3})
}

func TestDiskFullThenRoom(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Full, AtMillis: 50, ForMillis: 60, Amount: 500}, sim.Fault{Kind: sim.Full, AtMillis: 180, ForMillis: 40})
}

func TestDiskReadOnlyForAWhile(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.ReadOnly, AtMillis: 50, ForMillis: 60})
}

func TestASyncErrorIsNeverRetried(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.SyncError, AtMillis: 50, Times: 2, Path: ".log"}, sim.Fault{Kind: sim.SyncError, AtMillis: 90, Times: 1, Path: "journal/"},
		sim.Fault{Kind: sim.Power, AtMillis: 120, ForMillis: 5})
}

func TestAShortWriteLeavesNothingBehind(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.ShortWrite, AtMillis: 50, Times: 2, Path: "topics/"}, sim.Fault{Kind: sim.Power, AtMillis: 80, ForMillis: 5})
}

func TestAPauseAndAClockThatJumps(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Pause, AtMillis: 50, ForMillis: 100}, sim.Fault{Kind: sim.Clock, AtMillis: 180, Amount: -5000},
		sim.Fault{Kind: sim.Clock, AtMillis: 220, Amount: 3000})
}

func TestACleanRestartLosesNothing(t *testing.T) {
	tell(t, sim.Fault{Kind: sim.Restart, AtMillis: 80, ForMillis: 5}, sim.Fault{Kind: sim.Power, AtMillis: 200, ForMillis: 5})
}
