package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
	"github.com/troupe-broker/troupe/tests/wire"
)

// TestCluster does everything to three nodes that can be done to them, one fault after the other, each under load and on a
// topic of its own. It ends with a table; docs/faults.md is one. How much it does:
//
//	go test ./tests/faults                      the first fault of each kind
//	TROUPE_CI=1 …                               each fault once, for seconds
//	TROUPE_FAULTS=long …                        each fault once, for as long as it may matter: tests/faults/run
//	TROUPE_FAULTS_TABLE=FILE.json …             merges the table into a file, and writes FILE.md
func TestCluster(t *testing.T) {
	all := &table{}
	t.Run("processes", func(t *testing.T) {
		newTheatre(t, all, places(t, 3), nil).play(processFaults)
	})
	t.Run("network", func(t *testing.T) {
		w := wire.New(t, 3)
		at := places(t, 3)
		for i := range at {
			at[i].Host, at[i].Netns = w.Addr(i+1), w.Netns(i+1)
		}
		newTheatre(t, all, at, w).play(networkFaults)
	})
	t.Run("disks", func(t *testing.T) {
		at := places(t, 3)
		for i := range at {
			at[i].Data = filepath.Join(smallDisk(t, 64<<20), "data")
		}
		newTheatre(t, all, at, nil).play(diskFaults)
	})
	if len(all.rows) == 0 {
		return
	}
	t.Logf("real faults:\n%s", all.markdown())
	if path := os.Getenv("TROUPE_FAULTS_TABLE"); path != "" {
		if err := all.keep(path); err != nil {
			t.Error(err)
		}
	}
}

// places are data directories on loopback.
func places(t *testing.T, n int) (all []broker.Place) {
	dir := t.TempDir()
	for i := range n {
		all = append(all, broker.Place{Data: filepath.Join(dir, fmt.Sprint(i+1))})
	}
	return all
}

// fault is one kind of fault.
type fault struct {
	name string
	goal time.Duration  // the longest gap that is meant on a quiet machine
	long bool           // left out of the short form
	do   func(s *scene) // does it and undoes it
}

// theatre is a cluster and the faults that were done to it.
type theatre struct {
	t       *testing.T
	cluster *broker.Cluster
	admin   *kgo.Client
	wire    *wire.Wire // nil on loopback
	all     *table
	done    []*drive
}

const partitions = 6

func newTheatre(t *testing.T, all *table, at []broker.Place, w *wire.Wire) *theatre {
	t.Helper()
	if pythonWithLibrdkafka() == "" {
		const lacking = "install confluent-kafka (python3 -m venv DIR && DIR/bin/pip install confluent-kafka) and name its Python in TROUPE_PYTHON"
		if os.Getenv("TROUPE_CI") != "" {
			t.Fatal("the load is librdkafka's too: " + lacking)
		}
		t.Log("the load is franz-go's alone; for librdkafka's, " + lacking)
	}
	h := &theatre{t: t, all: all, wire: w}
	// A journal that fits on a small disk.
	h.cluster = broker.NewCluster(t, at, "journal.file.bytes=1048576", "journal.files=2")
	h.admin = h.cluster.NewClient(t)
	return h
}

// play does the faults, and reads everything once more in the end.
func (h *theatre) play(faults []fault) {
	h.t.Helper()
	long, ci := os.Getenv("TROUPE_FAULTS") == "long", os.Getenv("TROUPE_CI") != ""
	for i, f := range faults {
		h.t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			switch {
			case f.long && !long:
				t.Skip("run tests/faults/run for this fault")
			case i > 0 && !long && !ci:
				t.Skip("run with TROUPE_CI=1 for this fault, or tests/faults/run for all")
			}
			h.run(t, f, fmt.Sprintf("fault-%d", i), long)
		})
		if h.t.Failed() {
			return // what follows would speak of the same failure
		}
	}
	for _, d := range h.done {
		if v := d.verify(h.t); v != (verdict{}) {
			h.t.Errorf("%s, in the end: %d lost, %d duplicated, %d wrong: %s", d.topic, v.lost, v.doubled, v.wrong, v.first)
		}
	}
}

// run does one fault to a topic under load.
func (h *theatre) run(t *testing.T, f fault, topic string, long bool) {
	if _, err := kadm.NewClient(h.admin).CreateTopic(context.Background(), partitions, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
	s := &scene{theatre: h, t: t, topic: topic, long: long, victim: nobody}
	s.awaitInSync()
	s.drive = startDrive(t, h.cluster, topic, partitions)
	s.leaders, _ = s.look()
	s.drive.countGaps()
	f.do(s)
	s.makeRoom()
	healed := time.Now()
	whole := s.awaitInSync()
	s.drive.await("after the fault", healed)
	r := row{Fault: f.name, Runs: 1, Goal: f.goal, Whole: whole}
	for stream, gap := range s.drive.gapsUntilNow() {
		switch {
		case stream.producer == librdkafka:
			r.Librd = max(r.Librd, gap)
		case s.leaders[stream.partition] == s.victim:
			r.Victim = max(r.Victim, gap)
		default:
			r.Others = max(r.Others, gap)
		}
	}
	s.drive.stop()
	v := s.drive.verify(t)
	h.done = append(h.done, s.drive)
	r.Acked, r.Lost, r.Doubled, r.Wrong = s.drive.count(), v.lost, v.doubled, v.wrong
	h.all.add(r)
	t.Logf("%d acknowledged, longest gap %s (victim's %s, others' %s, librdkafka %s), in sync again after %s", r.Acked, short(r.gap()), short(r.Victim), short(r.Others), short(r.Librd), short(r.Whole))
	if v != (verdict{}) {
		t.Errorf("%d lost, %d duplicated, %d wrong: %s", v.lost, v.doubled, v.wrong, v.first)
	}
	if bound := 3*f.goal + 4*time.Second; r.gap() > bound { // other work on the machine must not fail it
		t.Errorf("the longest gap was %v; %v is meant, and %v too long on any machine", r.gap(), f.goal, bound)
	}
}

const nobody = -1

// scene is one fault and what it is done to.
type scene struct {
	*theatre
	t       *testing.T
	topic   string
	drive   *drive
	long    bool
	leaders []int32 // who led each partition before the fault
	victim  int32
	ballast []string // files that fill disks
}

// look says who leads, and who is in sync.
func (s *scene) look() (leaders []int32, insync [][]int32) {
	s.t.Helper()
	var err error
	for range 100 {
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		leaders, insync, err = s.cluster.Topic(ctx, s.admin, s.topic)
		if done(); err == nil {
			return leaders, insync
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("nobody says who leads %s: %v", s.topic, err)
	return nil, nil
}

// awaitInSync waits until every partition has a leader and all replicas in sync, and says how long that took.
func (s *scene) awaitInSync() time.Duration {
	s.t.Helper()
	began := time.Now()
	for {
		leaders, insync := s.look()
		whole := len(leaders) == partitions
		for p := range leaders {
			whole = whole && leaders[p] >= 0 && len(insync[p]) == len(s.cluster.Nodes)
		}
		if whole {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			s.t.Fatalf("a minute after the fault the leaders are %v, and in sync are %v", leaders, insync)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// leader chooses the node that leads most as the victim.
func (s *scene) leader() *broker.Broker {
	led := map[int32]int{}
	for _, n := range s.leaders {
		if led[n]++; led[n] > led[s.victim] {
			s.victim = n
		}
	}
	return s.cluster.Node(s.victim)
}

// controller chooses the node that leads the metadata quorum.
func (s *scene) controller() *broker.Broker {
	s.t.Helper()
	var err error
	for range 100 {
		if s.victim, _, err = s.cluster.Quorum(context.Background(), s.admin); err == nil && s.victim > 0 {
			return s.cluster.Node(s.victim)
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("nobody leads the metadata quorum: %v", err)
	return nil
}

// awaitVoters waits until every node votes in the metadata quorum: the next that loses its disk must leave a majority.
func (s *scene) awaitVoters() {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, voters, err := s.cluster.Quorum(context.Background(), s.admin)
		if err == nil && len(voters) == len(s.cluster.Nodes) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("for a minute nodes %v vote, %v", voters, err)
		}
	}
}

// anyone chooses a node by chance.
func (s *scene) anyone() *broker.Broker {
	s.victim = int32(1 + rand.IntN(len(s.cluster.Nodes)))
	return s.cluster.Node(s.victim)
}

// last is how long a fault lasts.
func (s *scene) last(short, long time.Duration) {
	if s.long {
		short = long
	}
	time.Sleep(short)
}
