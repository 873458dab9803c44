package sim

import (
	cryptorand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/node"
	"github.com/troupe-broker/troupe/persistence/vfs"
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
	// Steps: trace every message, too.
	Steps bool
}

// Run runs a scenario once. What it does depends on the scenario and on nothing else; only one world may run in a process
// at a time, since raft draws from crypto/rand.
func Run(s *Scenario, o Options) Result {
	defer func(real interface{ Read([]byte) (int, error) }) { cryptorand.Reader = real }(cryptorand.Reader)
	cryptorand.Reader = seeded{stream(s.Seed, "crypto")}
	w, err := newWorld(s, o)
	if err != nil {
		panic(fmt.Sprintf("sim: seed %d draws a world that cannot be: %v", s.Seed, err))
	}
	w.run()
	acked, read := w.history.Counts()
	return Result{Violation: w.history.Violation(), Hash: w.scheduler.Hash(), Steps: w.scheduler.Steps(), Simulated: w.Now(), Acked: acked, Read: read}
}

// seeded is chance that can be repeated.
type seeded struct{ *rand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return len(b), nil
}

func newWorld(s *Scenario, o Options) (*world, error) {
	w := &world{scenario: s, scheduler: stage.NewScheduler(s.Seed, epoch), streams: map[string]*rand.Rand{}, trace: o.Trace}
	w.history = check.New(w.Now)
	if o.Steps && o.Trace != nil {
		w.scheduler.Trace = func(step stage.Step) {
			if !step.Address.IsZero() {
				w.note("%v <- %v %T", step.Address, step.Caller, step.Message)
			}
		}
	}
	given := map[string]string{"listeners": "PLAINTEXT://:9092", "log.dirs": "/sim", "node.id": "1", "http.listener": ""}
	for name, value := range s.Broker {
		given[name] = value
	}
	config, err := node.NewConfig(given)
	if err != nil {
		return nil, err
	}
	w.node = &machine{id: config.ID, world: w, config: config, slow: s.Disk.Slow}
	w.nemesis = &nemesis{world: w}
	w.history.OnAck(w.nemesis.acked)
	w.node.disk = vfs.Memory(vfs.MemoryOptions{Rand: w.Rand("disk"), FullAtSync: s.Disk.FullAtSync, Trace: w.nemesis.operated})
	return w, w.claim()
}

// claim makes the data directory the node's, as the real one does.
func (w *world) claim() error { return node.Claim(w.node.disk, w.node.id) }

// Bounds of virtual time.
const (
	startBound = 20 * time.Second
	healBound  = 15 * time.Second
	auditBound = 30 * time.Second
)

// run is the whole of a world's life.
func (w *world) run() {
	if !w.setUp() {
		w.fail(check.NodeLives, "The topics could not be made within %v.", startBound)
		return
	}
	w.work()
	w.heal()
	w.rest()
}

func (w *world) fail(i *check.Invariant, format string, args ...any) {
	w.history.Fail(i, format, args...)
}

// setUp starts the node and makes the topics.
func (w *world) setUp() bool {
	for i, t := range w.scenario.Topics {
		w.topics = append(w.topics, w.expect(i, t))
	}
	w.node.start()
	ready := false
	workload.Setup(w, w.history, w.topics, func() { ready = true })
	return w.until(startBound, func() bool { return ready })
}

// expect is what clients may expect of a topic by its configs.
func (w *world) expect(i int, t Topic) *check.Topic {
	topic := w.history.NewTopic("topic-"+strconv.Itoa(i), t.Partitions)
	for name, value := range t.Configs {
		topic.Configs[name] = value
	}
	topic.Fsync = t.Configs["durability"] != "replicated"
	topic.Stamped = t.Configs["message.timestamp.type"] == "LogAppendTime"
	topic.RetentionBytes, topic.RetentionMillis = limit(t.Configs["retention.bytes"]), limit(t.Configs["retention.ms"])
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
func (w *world) work() {
	for _, spec := range w.scenario.Clients {
		c := workload.New(w, w.history, spec, w.topics)
		w.clients = append(w.clients, c)
		c.Start()
	}
	w.nemesis.begin()
	w.until(time.Duration(w.scenario.Millis)*time.Millisecond, func() bool { return false })
}

// heal ends what goes wrong, and asks that everybody is served.
func (w *world) heal() {
	if w.history.Violation() != nil {
		return
	}
	w.note("the faults are over")
	w.nemesis.end()
	for _, c := range w.clients {
		c.Heal()
	}
	waiting := ""
	served := w.until(healBound, func() bool {
		waiting = w.waiting()
		return waiting == ""
	})
	if !served {
		w.fail(check.EveryoneServed, "After %v %s.", healBound, waiting)
	}
}

func (w *world) waiting() string {
	for _, c := range w.clients {
		if what := c.Waiting(); what != "" {
			return what
		}
	}
	return ""
}

// rest ends the clients, reads everything, and lets the power go.
func (w *world) rest() {
	for _, c := range w.clients {
		c.Stop()
	}
	w.audit("audit")
	w.checkRest()
	var before *workload.Audit
	for i := range w.scenario.Recoveries {
		if w.history.Violation() != nil {
			return
		}
		w.node.power()
		w.node.start()
		after := w.audit(fmt.Sprintf("audit-%d", i+1))
		if before != nil && w.history.Violation() == nil {
			if what := before.Differs(after); what != "" {
				w.fail(check.RecoverTwice, "%s.", what)
			}
		}
		before = after
	}
}

func (w *world) audit(name string) *workload.Audit {
	if w.history.Violation() != nil {
		return nil
	}
	over := false
	a := workload.NewAudit(w, w.history, name, func() { over = true })
	if !w.until(auditBound, func() bool { return over }) {
		w.fail(check.EveryoneServed, "Not everything could be read within %v: %s.", auditBound, a.Waiting)
	}
	return a
}

// checkRest asks that nothing is left of clients that are gone.
func (w *world) checkRest() {
	if w.history.Violation() != nil {
		return
	}
	connected := func() (n int) {
		for _, a := range w.node.stage.Actors() {
			if a.Kind == message.KindConnection {
				n++
			}
		}
		return n
	}
	if !w.until(2*time.Second, func() bool { return w.frames == 0 && connected() == 0 }) {
		w.fail(check.NothingLeaks, "%d connections and %d requests are left.", connected(), w.frames)
	}
	if _, peak := w.node.disk.Descriptors(); peak > w.filesMax() {
		w.fail(check.FilesBounded, "%d files were open at once, %d may be.", peak, w.filesMax())
	}
}

func (w *world) filesMax() int {
	if n := int(w.node.config.Layers().Number("files.open.max")); n > 0 {
		return n + 1 // one more while another is being closed
	}
	return filesOpenMax + 1
}
