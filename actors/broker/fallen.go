package broker

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// A replica that has failed too often stays down until this process ends, and the others of this node go on. What it led another
// replica that is in sync leads then; what it followed its leader misses by itself.

// relinquish, to self: is a replica that is down still said to lead?
type relinquish struct{ at message.PartitionID }

const relinquishEvery = time.Second

// fell notes a replica that stays down.
func (b *Broker) fell(c stage.Context, m *stage.Gone) {
	at := m.Address.Partition
	c.Log().Error("a replica has failed too often and stays down until this node is started again", "partition", at, "err", m.Failed)
	b.fallen[at] = true
	b.uncoordinate(c, at, true)
	b.relinquish(c, at)
}

// relinquish asks for an in-sync set without this node, until another leads or nobody else could.
func (b *Broker) relinquish(c stage.Context, at message.PartitionID) {
	self := c.Self().Node
	_, p := b.image.Partition(at)
	if p == nil || !b.fallen[at] || p.Leader != self {
		return
	}
	others := slices.DeleteFunc(slices.Clone(p.ISR), func(n message.NodeID) bool { return n == self })
	if len(others) > 0 {
		b.wish(c, &message.AlterPartition{Partitions: []message.NewISR{{Partition: at, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: others}}})
	}
	c.After(relinquishEvery, &relinquish{at})
}
