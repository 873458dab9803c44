package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/workload"
)

// Result is what became of a world.
type Result struct {
	Violation *check.Violation // nil: every invariant held
	Hash      uint64           // of every step
	Steps     uint64
	Simulated time.Duration
	Acked     int // batches
	Read      int // batches
}

// Options say how a scenario is run.
type Options struct {
	// Trace gets a line for everything that happens; nil: nothing is traced, which is much faster.
	Trace func(line string)
	// Messages: trace every message between actors, too.
	Messages bool
}

// Run runs a scenario once. What it does depends on the scenario and on nothing else; only one world may run in a process
// at a time, since raft draws from crypto/rand.
func Run(s *Scenario, o Options) Result {
	t, err := newTrial(s, o)
	if err != nil {
		panic(fmt.Sprintf("sim: seed %d draws a world that cannot be: %v", s.Seed, err))
	}
	defer t.Close()
	t.run()
	acked, read := t.history.Counts()
	return Result{Violation: t.history.Violation(), Hash: t.Hash(), Steps: t.Time.Steps(), Simulated: t.Now(), Acked: acked, Read: read}
}

// Bounds of virtual time.
const (
	startBound = 20 * time.Second
	healBound  = 15 * time.Second
	auditBound = 30 * time.Second
	// In a cluster sessions have to expire and leaders to be elected before anything can be served.
	healClusterBound = 40 * time.Second
)

// run is the whole of a world's life.
func (t *trial) run() {
	if !t.setUp() {
		t.fail(check.NodeLives, "The topics could not be made within %v.", startBound)
		return
	}
	t.work()
	t.heal()
	t.rest()
}

// setUp starts the node and makes the topics.
func (t *trial) setUp() bool {
	for i, topic := range t.scenario.Topics {
		t.topics = append(t.topics, t.expect(i, topic))
	}
	t.startAll()
	ready := false
	workload.Setup(t, t.history, t.topics, func() { ready = true })
	return t.until(startBound, func() bool { return ready })
}

// expect is what clients may expect of a topic by its configs.
func (t *trial) expect(i int, of Topic) *check.Topic {
	topic := t.history.NewTopic("topic-"+strconv.Itoa(i), of.Partitions)
	for name, value := range of.Configs {
		topic.Configs[name] = value
	}
	topic.Replicas = of.Replicas
	topic.Moves = slices.ContainsFunc(t.scenario.Clients, func(c workload.Spec) bool { return c.Kind == workload.Operating })
	topic.MayLose = of.Configs["unclean.leader.election.enable"] == "true"
	topic.Fsync = of.Configs["durability"] != "replicated" && !topic.MayLose
	topic.MinInSync = max(1, int(limit(of.Configs["min.insync.replicas"])))
	topic.Stamped = of.Configs["message.timestamp.type"] == "LogAppendTime"
	policy := of.Configs["cleanup.policy"]
	topic.Compacted, topic.GraveMillis = strings.Contains(policy, "compact"), 86_400_000
	if millis := limit(of.Configs["delete.retention.ms"]); millis >= 0 {
		topic.GraveMillis = millis
	}
	topic.Remembers = policy == "compact" && t.scenario.Broker["producer.id.expiration.ms"] == ""
	topic.RetentionBytes, topic.RetentionMillis = limit(of.Configs["retention.bytes"]), limit(of.Configs["retention.ms"])
	return topic
}

func limit(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// work lets the clients work while things go wrong.
func (t *trial) work() {
	for _, spec := range t.scenario.Clients {
		c := workload.New(t, t.history, spec, t.topics)
		t.clients = append(t.clients, c)
		c.Start()
	}
	t.nemesis.begin()
	t.until(time.Duration(t.scenario.Millis)*time.Millisecond, func() bool { return false })
}

// heal ends what goes wrong, and asks that everybody is served.
func (t *trial) heal() {
	if t.ended() {
		return
	}
	t.Note("the faults are over")
	bound := healBound
	if t.onlooker != nil {
		bound = healClusterBound
	}
	t.nemesis.end()
	for _, c := range t.clients {
		c.Heal()
	}
	waiting := ""
	served := t.until(bound, func() bool {
		waiting = t.waiting()
		return waiting == ""
	})
	if !served {
		t.fail(check.EveryoneServed, "After %v %s.", bound, waiting)
	}
}

func (t *trial) waiting() string {
	for _, c := range t.clients {
		if what := c.Waiting(); what != "" {
			return what
		}
	}
	return ""
}

// rest ends the clients, reads everything, and lets the power go.
func (t *trial) rest() {
	for _, c := range t.clients {
		c.Stop()
	}
	t.settle()
	t.audit("audit")
	t.stable.whole()
	t.checkRest()
	var before *workload.Audit
	for i := range t.scenario.Recoveries {
		if t.ended() {
			return
		}
		for _, h := range t.hosts {
			t.power(h)
		}
		t.startAll()
		t.settle()
		after := t.audit(fmt.Sprintf("audit-%d", i+1))
		t.stable.whole()
		if before != nil && !t.ended() {
			if what := before.Differs(after); what != "" {
				t.fail(check.RecoverTwice, "%s.", what)
			}
		}
		before = after
	}
	if t.nemesis.backup != nil && !t.ended() {
		t.nemesis.restore()
		t.audit("audit-backup")
	}
}

func (t *trial) audit(name string) *workload.Audit {
	if t.ended() {
		return nil
	}
	over := false
	a := workload.NewAudit(t, t.history, name, func() { over = true })
	if !t.until(auditBound, func() bool { return over }) {
		t.fail(check.EveryoneServed, "Not everything could be read within %v: %s.", auditBound, a.Waiting)
	}
	return a
}

// checkRest asks that nothing is left of clients that are gone.
func (t *trial) checkRest() {
	if t.ended() {
		return
	}
	connected := func() (n int) {
		for _, h := range t.hosts {
			n += len(h.Stage.ActorsOf(message.KindConnection))
		}
		return n
	}
	if !t.until(2*time.Second, func() bool { return connected() == 0 }) {
		t.fail(check.NothingLeaks, "%d connections are left.", connected())
	}
	if !t.until(5*time.Second, func() bool { n, _ := t.parked(); return n == 0 }) { // a group's members wait for each other for 2 s
		n, where := t.parked()
		t.fail(check.NothingLeaks, "%d requests are parked, the last at %v.", n, where)
	}
	if !t.until(10*time.Second, func() bool { return t.members() == 0 }) {
		t.fail(check.SilentGo, "%d members are left.", t.members())
	}
	for _, h := range t.hosts {
		if _, peak := h.Disk.Descriptors(); peak > filesMax {
			t.fail(check.FilesBounded, "%d files were open at once, %d may be.", peak, filesMax)
		}
	}
}

// parked is how many requests wait inside actors, and one where some do.
func (t *trial) parked() (n int, where message.Address) {
	for _, h := range t.hosts {
		for _, at := range h.Stage.Actors() {
			if p, parks := h.Stage.Actor(at).(interface{ Parked() int }); parks {
				if more := p.Parked(); more > 0 {
					n, where = n+more, at
				}
			}
		}
	}
	return n, where
}

// members are how many members groups have.
func (t *trial) members() (n int) {
	for _, h := range t.hosts {
		for _, at := range h.Stage.ActorsOf(message.KindCoordinator) {
			if k, coordinates := h.Stage.Actor(at).(interface{ Members() int }); coordinates {
				n += k.Members()
			}
		}
	}
	return n
}

// listen asks that nobody whose heartbeat is held waits for news that are there.
func (t *trial) listen() {
	for _, h := range t.hosts {
		if !h.Up() {
			continue
		}
		for _, at := range h.Stage.ActorsOf(message.KindCoordinator) {
			if k, holds := h.Stage.Actor(at).(interface{ Deaf() string }); holds {
				if who := k.Deaf(); who != "" {
					t.fail(check.HeldHearNews, "%s is held.", who)
				}
			}
		}
	}
}

// filesMax is how many files may be open, whatever files.open.max a scenario draws, and one more while another is being
// closed.
const filesMax = 25
