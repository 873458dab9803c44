package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/sim/workload"
)

// Scenario is everything that is done in a world: it is data, so that it can be stored, shrunk and run again after the
// seed that it was drawn from means something else.
type Scenario struct {
	Seed    uint64            // of the world: its scheduler, its disks, its clients
	Order   uint64            `json:",omitempty"` // added to the seed: other chance, the same deeds
	Nodes   int               `json:",omitempty"` // numbered from 1 on; 0 is 1
	Broker  map[string]string // settings
	Topics  []Topic
	Clients []workload.Spec
	Disk    Disk
	Net     Net
	Faults  []Fault `json:",omitempty"`
	// Millis is how long the clients work, with the faults among them; then everybody has to be served.
	Millis int
	// Recoveries is how often the power goes at the end, with an audit behind each.
	Recoveries int
}

// Topic is a topic that is there from the start.
type Topic struct {
	Partitions int
	Replicas   int `json:",omitempty"` // of each; 0 is 1
	Configs    map[string]string
}

// Disk says what the disks are like.
type Disk struct {
	// Slow is how many times as long it takes as actors expect.
	Slow float64
	// FullAtSync: a full disk is noticed when it is synced.
	FullAtSync bool `json:",omitempty"`
}

// Net says what the network is like.
type Net struct {
	// SlowReader is the share of connections whose clients read slowly, Reset of frames that meet a reset.
	SlowReader, Reset float64
	// Credits and Queue are bytes of network.MeshOptions; 0 is its default.
	Credits, Queue int `json:",omitempty"`
}

// Draw makes the scenario of a seed. Every concern has a random stream of its own, so that a change of one does not
// shift the others.
func Draw(seed uint64) *Scenario {
	s := draw(seed)
	s.drawGroup(stream(seed, "group"))
	s.drawModern(stream(seed, "modern"))
	s.drawMarking(stream(seed, "marking"))
	s.drawChain(stream(seed, "chain"))
	s.drawCompaction(stream(seed, "compaction"))
	return s
}

func draw(seed uint64) *Scenario {
	s := &Scenario{Seed: seed, Broker: map[string]string{}}
	s.drawBroker(stream(seed, "broker"))
	s.drawTopics(stream(seed, "topics"))
	s.drawClients(stream(seed, "clients"))
	s.drawFaults(stream(seed, "faults"))
	s.drawDisk(stream(seed, "disk"))
	return s
}

func (s *Scenario) nodes() int { return max(s.Nodes, 1) }

func stream(seed uint64, name string) *rand.Rand { return stage.Stream(seed, "scenario/"+name) }

// fixed are settings that the world needs as they are, or that would cost seeds time and find nothing.
var fixed = map[string]bool{"num.partitions": true, "log.retention.check.interval.ms": true}

// drawBroker takes of each setting its default, or now and then one of the values that the table has for the simulator.
func (s *Scenario) drawBroker(r *rand.Rand) {
	s.Broker["log.retention.check.interval.ms"] = pick(r, "100", "300", "1000")
	s.Broker["offsets.topic.num.partitions"] = "2" // whoever looks for a coordinator makes them
	s.Broker["log.initial.task.delay.ms"] = pick(r, "10", "100")
	s.Broker["journal.file.bytes"] = pick(r, "65536", "65536", "131072", "1048576")
	for _, one := range setting.All(setting.OfBroker) {
		if len(one.Sim) == 0 || fixed[one.Name] || s.Broker[one.Name] != "" {
			continue
		}
		if r.IntN(2) == 0 {
			s.Broker[one.Name] = pick(r, one.Sim...)
		}
	}
}

func pick(r *rand.Rand, values ...string) string { return values[r.IntN(len(values))] }

// some is one of the numbers.
func some(r *rand.Rand, numbers ...int) int { return numbers[r.IntN(len(numbers))] }

func (s *Scenario) drawTopics(r *rand.Rand) {
	for range some(r, 1, 1, 2, 3) {
		t := Topic{Partitions: some(r, 1, 1, 2, 3, 6), Configs: map[string]string{}}
		for _, one := range setting.All(setting.OfTopic) {
			if len(one.Sim) > 0 && r.IntN(4) == 0 {
				t.Configs[one.Name] = pick(r, one.Sim...)
			}
		}
		if r.IntN(2) == 0 {
			t.Configs["segment.bytes"] = pick(r, "1024", "2048", "4096")
		}
		s.Topics = append(s.Topics, t)
	}
}

func (s *Scenario) drawClients(r *rand.Rand) {
	s.Millis = some(r, 300, 600, 1000, 2000)
	for i := range some(r, 1, 1, 2, 3) {
		s.Clients = append(s.Clients, s.drawProducer(r, i))
	}
	for i := range some(r, 1, 1, 2) {
		s.Clients = append(s.Clients, s.drawConsumer(r, i))
	}
	if r.IntN(2) == 0 {
		s.Clients = append(s.Clients, workload.Spec{Name: "admin", Kind: workload.Governing, PaceMillis: some(r, 10, 40, 100), PatienceMillis: some(r, 200, 1000)})
	}
	if r.IntN(8) == 0 {
		s.Clients = append(s.Clients, workload.Spec{Name: "hostile", Kind: workload.Attacking, PaceMillis: 50})
	}
}

// drawGroup adds a consumer group now and then.
func (s *Scenario) drawGroup(r *rand.Rand) {
	if r.IntN(4) > 0 || s.nodes() == 1 && s.damages() { // one copy of what was committed may be the only one
		return
	}
	s.Broker["group.min.session.timeout.ms"] = "100"
	s.Broker["group.initial.rebalance.delay.ms"] = pick(r, "0", "100", "500")
	s.drawHold(r)
	for i := range some(r, 1, 2, 3, 5) {
		s.Clients = append(s.Clients, workload.Spec{Name: fmt.Sprintf("member-%d", i), Kind: workload.Sharing, Group: "group", Software: pick(r, "kgo", "librdkafka", "librdkafka", ""),
			PaceMillis: some(r, 5, 20, 100), PatienceMillis: some(r, 300, 1000), Version: int16(some(r, 2, 4, 5, 9))})
	}
}

// drawModern adds a group by KIP-848 now and then, some of whose members speak the classic protocol.
func (s *Scenario) drawModern(r *rand.Rand) {
	if r.IntN(4) > 0 || s.nodes() == 1 && s.damages() {
		return
	}
	s.Broker["group.min.session.timeout.ms"] = "100"
	s.Broker["group.initial.rebalance.delay.ms"] = pick(r, "0", "100", "500")
	s.Broker["group.consumer.session.timeout.ms"] = "1500"
	s.Broker["group.consumer.heartbeat.interval.ms"] = pick(r, "50", "200")
	s.Broker["offsets.topic.num.partitions"] = "2"
	s.drawHold(r)
	mixed := r.IntN(3) == 0
	for i := range some(r, 1, 2, 3, 5) {
		one := workload.Spec{Name: fmt.Sprintf("subscriber-%d", i), Kind: workload.Sharing, Group: "modern", Modern: true, Static: r.IntN(3) == 0, Software: pick(r, "kgo", "librdkafka", "librdkafka", ""),
			PaceMillis: some(r, 5, 20, 100), PatienceMillis: some(r, 300, 1000)}
		if mixed && r.IntN(2) == 0 {
			one.Name, one.Modern, one.Static, one.Version = fmt.Sprintf("veteran-%d", i), false, false, int16(some(r, 2, 4, 5, 9))
		}
		s.Clients = append(s.Clients, one)
	}
}

// drawChain adds a chain of transactions now and then, over one partition or two, with zombies.
func (s *Scenario) drawChain(r *rand.Rand) {
	loses := s.damages() || slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Kind == Wipe || f.Kind == Replace })
	if r.IntN(4) > 0 || loses && s.nodes() < 3 || s.Broker["transaction.partition.verification.enable"] == "false" { // zombies come late then, as in Kafka
		return
	}
	if loses { // as with the topic of transactions, which is so by itself: nothing that was committed may be on one disk alone
		s.Broker["min.insync.replicas"] = "2"
		for _, t := range s.Topics {
			t.Configs["min.insync.replicas"] = cmp.Or(t.Configs["min.insync.replicas"], "1")
		}
	}
	s.Broker["transaction.state.log.num.partitions"] = "2"
	s.Broker["transaction.abort.timed.out.transaction.cleanup.interval.ms"] = pick(r, "50", "200")
	lanes := []int{0, 1}[:1+r.IntN(2)]
	one := workload.Spec{Group: "chain", Lanes: lanes, Copies: min(s.nodes(), 3), Records: some(r, 1, 3), PaceMillis: some(r, 5, 20), PatienceMillis: some(r, 300, 1000),
		WaitMillis: some(r, 500, 1000, 3000), MaxBytes: some(r, 200, 1000, 1<<20), Version: int16(1 + r.IntN(2))}
	add := func(kind workload.Kind, name string, lane int, spare bool) {
		c := one
		c.Kind, c.Name, c.Topic, c.Static = kind, name, lane, spare
		s.Clients = append(s.Clients, c)
	}
	add(workload.Sourcing, "source", 0, false)
	add(workload.Reading, "reader", 0, false)
	if r.IntN(3) == 0 {
		s.Broker["group.min.session.timeout.ms"] = "100"
		for i := range 1 + r.IntN(3) {
			add(workload.Joining, fmt.Sprintf("joiner-%d", i), i, false)
		}
		s.drawSharing(r)
		return
	}
	for _, lane := range lanes {
		add(workload.Copying, fmt.Sprintf("link-%d", lane), lane, false)
		if r.IntN(3) > 0 {
			add(workload.Copying, fmt.Sprintf("zombie-%d", lane), lane, true)
		}
	}
}

// drawSharing makes half the chains' groups such by KIP-848.
func (s *Scenario) drawSharing(r *rand.Rand) {
	if r.IntN(2) == 0 {
		return
	}
	s.Broker["group.consumer.session.timeout.ms"] = "1500"
	s.Broker["group.consumer.heartbeat.interval.ms"] = pick(r, "50", "200")
	for i := range s.Clients {
		if c := &s.Clients[i]; c.Kind == workload.Joining {
			c.Name, c.Modern = strings.Replace(c.Name, "joiner", "sharer", 1), true
		}
	}
}

// drawHold says for how long heartbeats are held; both groups of a world have the same.
func (s *Scenario) drawHold(r *rand.Rand) {
	if s.Broker["group.heartbeat.hold.ms"] == "" {
		s.Broker["group.heartbeat.hold.ms"] = pick(r, "0", "100", "2900", "2900")
	}
}

// drawMarking adds transactions to one world in four, in which partitions do not ask their coordinators.
func (s *Scenario) drawMarking(r *rand.Rand) {
	if r.IntN(4) > 0 {
		return
	}
	s.Broker["transaction.partition.verification.enable"] = "false"
	topic := r.IntN(len(s.Topics))
	for i := range some(r, 1, 1, 2) {
		s.Clients = append(s.Clients, workload.Spec{Name: fmt.Sprintf("marking-%d", i), Kind: workload.Marking, Topic: topic, Lanes: s.drawLanes(r, topic),
			Modern: r.IntN(2) == 0, Records: some(r, 1, 3), Bytes: some(r, 1, 20, 60), PaceMillis: some(r, 1, 5, 20), PatienceMillis: some(r, 200, 1000),
			Version: int16(some(r, 3, 7, 9, 11))})
	}
	for i := range some(r, 1, 2) {
		c := s.drawConsumer(r, i)
		c.Name, c.Topic, c.Committed = fmt.Sprintf("committed-%d", i), topic, true
		if c.Lanes = s.drawLanes(r, topic); s.nodes() > 1 { // as in drawPatience
			c.Session, c.WaitMillis = false, min(c.WaitMillis, 100)
		}
		s.Clients = append(s.Clients, c)
	}
}

func (s *Scenario) drawProducer(r *rand.Rand, i int) workload.Spec {
	p := workload.Spec{Name: fmt.Sprintf("producer-%d", i), Kind: workload.Producing, Topic: r.IntN(len(s.Topics)),
		Acks: -1, Idempotent: r.IntN(3) > 0, InFlight: 1 + r.IntN(5), Records: some(r, 1, 3, 10, 10), Bytes: some(r, 1, 20, 60, 80),
		PaceMillis: some(r, 2, 5, 20), PatienceMillis: some(r, 100, 300, 1000), Version: int16(some(r, 3, 7, 9, 11, 12, 13))}
	if r.IntN(6) == 0 {
		p.Codec = uint8(some(r, 1, 2, 3))
	}
	p.Stutter = p.Idempotent && r.IntN(2) == 0
	if !p.Idempotent {
		p.Acks = int16(some(r, -1, 1, 1, 0))
	}
	p.Lanes = s.drawLanes(r, p.Topic)
	return p
}

func (s *Scenario) drawLanes(r *rand.Rand, topic int) []int {
	all := r.Perm(s.Topics[topic].Partitions)
	return all[:1+r.IntN(len(all))]
}

func (s *Scenario) drawConsumer(r *rand.Rand, i int) workload.Spec {
	c := workload.Spec{Name: fmt.Sprintf("consumer-%d", i), Kind: workload.Consuming, Topic: r.IntN(len(s.Topics)),
		PaceMillis: some(r, 1, 5, 20), PatienceMillis: some(r, 200, 1000), WaitMillis: some(r, 0, 10, 100, 500, 30000),
		MinBytes: some(r, 1, 1, 1, 200), MaxBytes: some(r, 100, 1000, 1<<20), Session: r.IntN(2) == 0, Version: int16(some(r, 4, 7, 11, 12, 13, 16))}
	if c.WaitMillis == 30000 {
		c.MinBytes = 1 // or it waits for ever
	}
	c.Lanes = s.drawLanes(r, c.Topic)
	return c
}

func (s *Scenario) drawDisk(r *rand.Rand) {
	s.Disk = Disk{Slow: []float64{0.1, 0.5, 1, 1, 5}[r.IntN(5)], FullAtSync: r.IntN(3) == 0}
	s.Net = Net{SlowReader: []float64{0, 0, 0.1}[r.IntN(3)], Reset: []float64{0, 0, 0, 0.002, 0.02}[r.IntN(5)]}
	s.Recoveries = some(r, 0, 0, 1, 2)
}

// damages says that files are damaged that a node may not be able to do without.
func (s *Scenario) damages() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Kind == Rot || f.Kind == Garbled || f.Kind == Misdirected })
}
