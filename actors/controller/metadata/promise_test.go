package metadata

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// cluster is a model of five nodes whose disks keep what was synced: of each partition it knows who has everything that was
// committed. Whatever the brain decides, only such a node may lead, unless somebody has asked for loss; and nobody does here.
type cluster struct {
	t     *rapid.T
	brain *Brain
	tip   *image.Image
	has   map[message.PartitionID]map[message.NodeID]bool

	incarnation byte
	directories [nodes + 2]message.TopicID
	late        []*message.AlterPartition // proposals that are still under way
}

const nodes = 5

func newCluster(t *rapid.T) *cluster {
	draw := rand.New(rand.NewPCG(1, 2))
	c := &cluster{t: t, brain: &Brain{Node: 1, Draw: draw.Uint64}, tip: image.Empty(), has: map[message.PartitionID]map[message.NodeID]bool{}}
	c.carryOut(c.brain.Found(c.tip, 1))
	for n := range nodes {
		c.register(message.NodeID(n+1), false)
	}
	for i := range 2 {
		least := strconv.Itoa(rapid.IntRange(1, 3).Draw(t, "min.insync.replicas"))
		c.ask(&message.CreateTopics{Topics: []message.NewTopic{{Name: fmt.Sprint("T", i), Partitions: 2, Replication: int16(3 - i),
			Configs: []message.Setting{{Name: "min.insync.replicas", Value: &least}}}}})
	}
	c.everybody(func(id message.PartitionID, p *image.Partition) {
		c.has[id] = map[message.NodeID]bool{}
		for _, n := range p.Replicas {
			c.has[id][n] = true
		}
	})
	return c
}

func (c *cluster) ask(m any) any {
	d, ok := c.brain.Decide(c.tip, c.tip.Index+1, m)
	if !ok {
		c.t.Fatalf("nobody knows %T", m)
	}
	c.carryOut(d)
	return d.Reply
}

// carryOut makes records come true as another node would that reads them from the log.
func (c *cluster) carryOut(d Decision) {
	records, err := message.DecodeMetadata(message.EncodeMetadata(d.Records))
	if err != nil {
		c.t.Fatal(err)
	}
	before := c.tip
	if c.tip, _, err = c.tip.Apply(c.tip.Index+1, records...); err != nil {
		c.t.Fatal(err)
	}
	c.everybody(func(id message.PartitionID, p *image.Partition) {
		if _, was := before.Partition(id); was != nil {
			c.checkEpochs(id, was, p)
		}
		c.check(id, p)
	})
}

// check holds what is true of every partition at any time.
func (c *cluster) check(id message.PartitionID, p *image.Partition) {
	bad := func(what string) { c.t.Fatalf("%s: %s\n%+v\nhas %v", id, what, p, c.has[id]) }
	enough := min(c.minInSync(id), len(p.Replicas))
	switch {
	case p.Leader != message.Nobody && !c.tip.Active(p.Leader):
		bad("the leader is not active")
	case p.Leader != message.Nobody && !p.InSync(p.Leader):
		bad("the leader is not in sync")
	case len(except(slices.Concat(p.ISR, p.ELR, p.LastKnownELR, p.Adding, p.Removing), p.Replicas...)) > 0:
		bad("somebody is no replica")
	case !distinct(slices.Concat(p.ISR, p.ELR, p.LastKnownELR)) || !distinct(p.Replicas):
		bad("somebody is there twice")
	case len(p.ISR) >= enough && len(p.ELR)+len(p.LastKnownELR) > 0:
		bad("enough are in sync and others are eligible")
	case len(p.ISR) > 1 && slices.ContainsFunc(p.ISR, func(n message.NodeID) bool { return !c.tip.Active(n) }):
		bad("somebody in sync is not active")
	case p.Leader == message.Nobody && slices.ContainsFunc(p.Replicas, func(n message.NodeID) bool { return c.tip.Eligible(p, n) }):
		bad("nobody leads and somebody could")
	}
	for n := range c.has[id] {
		if !p.IsReplica(n) {
			delete(c.has[id], n) // it has deleted its copy
		}
	}
	if c.has[id] == nil {
		return
	}
	for _, n := range slices.Concat(p.ISR, p.ELR) {
		if !c.has[id][n] && (c.tip.Alive(n) || p.Leader == n) {
			bad(fmt.Sprintf("%d could lead and lacks what was committed", n))
		}
	}
}

func (c *cluster) checkEpochs(id message.PartitionID, was, is *image.Partition) {
	switch {
	case is.LeaderEpoch < was.LeaderEpoch || is.PartitionEpoch < was.PartitionEpoch:
		c.t.Fatalf("%s: an epoch fell: %+v %+v", id, was, is)
	case is.Leader != was.Leader && is.LeaderEpoch == was.LeaderEpoch:
		c.t.Fatalf("%s: two leaders in one epoch: %+v %+v", id, was, is)
	case !slices.Equal(is.ISR, was.ISR) && is.PartitionEpoch == was.PartitionEpoch:
		c.t.Fatalf("%s: two in-sync sets in one epoch: %+v %+v", id, was, is)
	}
}

func (c *cluster) everybody(visit func(message.PartitionID, *image.Partition)) {
	for t := range c.tip.Topics() {
		for i := range t.Partitions {
			visit(t.At(int32(i)), &t.Partitions[i])
		}
	}
}

func (c *cluster) minInSync(id message.PartitionID) int {
	t, _ := c.tip.Partition(id)
	n, _ := strconv.Atoi(c.tip.Config(message.ResourceTopic, t.Name)["min.insync.replicas"])
	return max(1, n)
}

func (c *cluster) register(n message.NodeID, empty bool) {
	if empty {
		for _, has := range c.has {
			delete(has, n)
		}
		c.directories[n] = message.TopicID{c.directories[n][0] + 1}
	}
	c.incarnation++
	c.ask(&message.RegisterBroker{Node: n, Incarnation: message.TopicID{c.incarnation}, Directory: c.directories[n]})
}

// commit is what leaders do while enough are in sync: whoever is not lacks something from now on.
func (c *cluster) commit() {
	c.everybody(func(id message.PartitionID, p *image.Partition) {
		if p.Leader == message.Nobody || len(p.ISR) < min(c.minInSync(id), len(p.Replicas)) {
			return
		}
		maps.DeleteFunc(c.has[id], func(n message.NodeID, _ bool) bool { return !p.InSync(n) && !c.proposed(id, p, n) })
	})
}

// proposed says that the leader wishes a node to be in sync, and so waits for it already.
func (c *cluster) proposed(id message.PartitionID, p *image.Partition, n message.NodeID) bool {
	return slices.ContainsFunc(c.late, func(m *message.AlterPartition) bool {
		w := m.Partitions[0]
		return w.Partition == id && w.LeaderEpoch == p.LeaderEpoch && w.PartitionEpoch == p.PartitionEpoch && slices.Contains(w.ISR, n)
	})
}

// propose is a leader's wish for some of its replicas that live; those that were not in sync have caught up.
func (c *cluster) propose(late bool) {
	id, p := c.anyPartition()
	b := c.tip.Broker(p.Leader)
	if b == nil {
		return
	}
	isr := []message.NodeID{p.Leader}
	for _, n := range p.Replicas {
		if n != p.Leader && c.tip.Active(n) && rapid.Bool().Draw(c.t, "in sync") {
			isr = append(isr, n)
			c.has[id][n] = true
		}
	}
	m := &message.AlterPartition{Node: b.ID, Epoch: b.Epoch,
		Partitions: []message.NewISR{{Partition: id, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: isr}}}
	if late {
		c.late = append(c.late, m)
		return
	}
	c.ask(m)
}

func (c *cluster) anyPartition() (message.PartitionID, *image.Partition) {
	ids := []message.PartitionID{}
	c.everybody(func(id message.PartitionID, _ *image.Partition) { ids = append(ids, id) })
	id := rapid.SampledFrom(ids).Draw(c.t, "partition")
	_, p := c.tip.Partition(id)
	return id, p
}

func (c *cluster) reassign() {
	id, _ := c.anyPartition()
	t, _ := c.tip.Partition(id)
	r := message.Reassignment{NamedPartition: message.NamedPartition{Topic: t.Name, Index: id.Index}}
	if rapid.Bool().Draw(c.t, "a move") {
		all := rapid.Permutation([]message.NodeID{1, 2, 3, 4, 5}).Draw(c.t, "nodes")
		r.Replicas = all[:rapid.IntRange(1, 3).Draw(c.t, "replicas")]
	}
	c.ask(&message.ReassignPartitions{Partitions: []message.Reassignment{r}})
}

func (c *cluster) configure() {
	id, _ := c.anyPartition()
	t, _ := c.tip.Partition(id)
	least := strconv.Itoa(rapid.IntRange(1, 3).Draw(c.t, "min.insync.replicas"))
	c.ask(&message.AlterConfigs{Resources: []message.AlterResource{{Resource: message.Resource{Kind: message.ResourceTopic, Name: t.Name},
		Ops: []message.ConfigOp{{Name: "min.insync.replicas", Value: &least}}}}})
}

// TestWhoeverLeadsHasWhatWasCommitted: nodes die, come back, lose their disks, drain; leaders change who is in sync, some of
// their words arriving late; replicas move. At any time a leader has everything that was committed, and no epoch has two leaders.
func TestWhoeverLeadsHasWhatWasCommitted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(t)
		node := func() (message.NodeID, int64) {
			n := message.NodeID(rapid.IntRange(1, nodes).Draw(t, "node"))
			if b := c.tip.Broker(n); b != nil {
				return n, b.Epoch
			}
			return n, 0
		}
		t.Repeat(map[string]func(*rapid.T){
			"fence":      func(*rapid.T) { n, epoch := node(); c.ask(&Fence{n, epoch}) },
			"unfence":    func(*rapid.T) { n, epoch := node(); c.ask(&Unfence{n, epoch}) },
			"drain":      func(*rapid.T) { n, epoch := node(); c.ask(&Drain{n, epoch}) },
			"undrain":    func(*rapid.T) { n, epoch := node(); c.ask(&Undrain{n, epoch}) },
			"restart":    func(*rapid.T) { n, _ := node(); c.register(n, false) },
			"wipe":       func(*rapid.T) { n, _ := node(); c.register(n, true) },
			"unregister": func(*rapid.T) { n, _ := node(); c.ask(&message.UnregisterBroker{Node: n}) },
			"commit":     func(*rapid.T) { c.commit() },
			"propose":    func(*rapid.T) { c.propose(false) },
			"send":       func(*rapid.T) { c.propose(true) },
			"arrive": func(*rapid.T) {
				if len(c.late) > 0 {
					c.ask(c.late[0])
					c.late = c.late[1:]
				}
			},
			"reassign":  func(*rapid.T) { c.reassign() },
			"configure": func(*rapid.T) { c.configure() },
			"balance":   func(*rapid.T) { c.ask(&Balance{}) },
			"elect":     func(*rapid.T) { c.ask(&message.ElectLeaders{All: true}) },
		})
	})
}
