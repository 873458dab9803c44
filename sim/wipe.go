package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/world"
)

// wipe takes a node's power and its disk, if the cluster has promised to do without.
func (n *nemesis) wipe(h *host, lasting time.Duration) (old world.Drive, lost bool) {
	if !n.trial.onlooker.mayLose(h) {
		n.trial.Note("node %d keeps its disk: nobody else has all that is on it", h.ID)
		return old, false
	}
	n.trial.power(h)
	old = h.Drive()
	h.Wipe()
	n.mounted(h, lasting)
	return old, true
}

func (n *nemesis) mounted(h *host, lasting time.Duration) {
	h.calm()
	n.trial.Note("node %d has another disk", h.ID)
	n.startAfter(h, lasting)
}

// replace puts another disk into a node, and later the old one again: which is as if that one were lost, old as it is by then.
func (n *nemesis) replace(h *host, f Fault, lasting time.Duration) {
	old, lost := n.wipe(h, lasting)
	if !lost {
		return
	}
	n.later(lasting+time.Duration(f.Amount)*time.Millisecond, func() {
		if n.trial.onlooker.mayLose(h) {
			n.trial.power(h)
			h.Mount(old)
			n.mounted(h, lasting)
		}
	})
}

// mayLose says that a node's disk may be lost, and nothing that was promised with it: a majority of the voters and, of every partition,
// somebody else who may lead and runs have the disks with which they became that. So a second disk may be lost as soon as the first one's
// vote and copies are not counted on any more, and no sooner.
func (o *onlooker) mayLose(h *host) bool { return o.voteWithout(h) && o.copiedWithout(h) }

// voteWithout asks all who run: whoever has not heard yet that the voters are others does not know less of who has lost a disk.
func (o *onlooker) voteWithout(h *host) bool {
	asked := 0
	for _, one := range o.trial.hosts {
		if !one.Up() {
			continue
		}
		k, ok := one.Stage.Actor(message.ControllerAt(one.ID)).(interface{ Voters() []uint64 })
		if !ok || len(k.Voters()) == 0 {
			continue
		}
		asked++
		have := 0
		for _, other := range o.trial.hosts {
			if other != h && slices.Contains(k.Voters(), controller.Voter{Node: other.ID, Directory: other.Directory()}.RaftID()) {
				have++
			}
		}
		if have <= len(k.Voters())/2 {
			return false
		}
	}
	return asked > len(o.trial.hosts)/2
}

func (o *onlooker) copiedWithout(h *host) bool {
	o.look()
	for topic := range o.newest.Topics() {
		set := o.newest.Config(message.ResourceTopic, topic.Name)
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if !slices.Contains(p.Replicas, h.ID) {
				continue
			}
			if o.insync(set) < 2 || o.lowered(topic.Name) || set["durability"] == "replicated" || !o.someoneElse(h, p) {
				return false
			}
		}
	}
	return true
}

// insync is how many copies a topic with such a config asks for.
func (o *onlooker) insync(set map[string]string) int64 {
	return max(limit(cmp.Or(set["min.insync.replicas"], o.trial.scenario.Broker["min.insync.replicas"])), 1)
}

// someoneElse says that another node that runs may lead a partition. One that is only being added may not be counted: the move may be called off.
// Nor is another asked as long as one is counted on that has lost its disk: who may lead may be cut off, and be left behind for that one.
func (o *onlooker) someoneElse(h *host, p *image.Partition) bool {
	lost := func(n message.NodeID) bool {
		return n != h.ID && o.newest.Broker(n) != nil && !o.sameDisk(o.newest.Broker(n))
	}
	return !slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), lost) && slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), func(n message.NodeID) bool {
		return n != h.ID && !slices.Contains(p.Adding, n) && o.trial.hosts[n-1].Up() && o.newest.Broker(n) != nil && o.sameDisk(o.newest.Broker(n))
	})
}

// lowered says that somebody has asked for acknowledgements with one copy. No image need show that yet: the entry may be in the log of who has
// led the quorum and of one who will. From then on a leader that is alone in sync commits alone, and nobody else is eligible (KIP-966), so that
// with its disk there may go what was acknowledged.
func (o *onlooker) lowered(topic string) bool {
	return slices.ContainsFunc(o.trial.topics, func(t *check.Topic) bool { return t.Name == topic && t.MinInSync < 2 })
}

// Whole is part of workload.World.
func (t *trial) Whole() bool {
	if t.onlooker == nil {
		return true
	}
	t.onlooker.look()
	return !slices.ContainsFunc(t.hosts, func(h *host) bool { return !t.onlooker.sameDisk(t.onlooker.newest.Broker(h.ID)) })
}

// sameDisk says that a node has the disk still with which it is registered.
func (o *onlooker) sameDisk(b *image.Broker) bool {
	return b == nil || b.Directory == o.trial.hosts[b.ID-1].Directory()
}
