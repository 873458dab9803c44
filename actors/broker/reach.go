package broker

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// reach is what this node knows of its way to another node. The controller may hear both although the two do not hear each other: then
// it fences neither, and what one of them leads would wait for the other's acknowledgement for replica.lag.time.max.ms.
//
//	Gone ─▶ lost ─▶ Watch again, now and then ─▶ Gone ─▶ Unreached to what this node leads and the other follows
//	                           └─▶ silence: the way is there again
type reach struct {
	watched bool      // and nothing was heard of its end since
	lost    time.Time // zero: it is there
}

// relook, to self: is the way to a node there again?
type relook struct{ node message.NodeID }

const (
	relookEvery = 500 * time.Millisecond
	// lostFor is how long a way has to be lost before nobody waits for what would come over it: a connection that was only reset is
	// there again by then.
	lostFor = time.Second
)

// watchOthers has the end of every other node's broker told, or of the connection to it.
func (b *Broker) watchOthers(c stage.Context) {
	for other := range b.image.Brokers() {
		if n := other.ID; n != c.Self().Node && b.ways[n] == nil {
			b.ways[n] = &reach{}
			b.watchNode(c, n)
		}
	}
}

func (b *Broker) watchNode(c stage.Context, n message.NodeID) {
	b.ways[n].watched = true
	c.Watch(message.BrokerAt(n))
}

// unreached: another node's broker has ended, or the connection to it.
func (b *Broker) unreached(c stage.Context, n message.NodeID) {
	way := b.ways[n]
	if way == nil || !way.watched {
		return
	}
	if way.watched = false; way.lost.IsZero() {
		way.lost = c.Now()
		c.After(relookEvery, &relook{n})
	}
}

// relook looks whether a way is there again: if so, nothing was heard since the last look.
func (b *Broker) relook(c stage.Context, n message.NodeID) {
	way := b.ways[n]
	switch {
	case b.image.Broker(n) == nil:
		delete(b.ways, n)
		return
	case way.watched:
		way.lost = time.Time{}
		return
	case c.Now().Sub(way.lost) >= lostFor:
		b.tellUnreached(c, n)
	}
	b.watchNode(c, n)
	c.After(relookEvery, &relook{n})
}

// tellUnreached tells the partitions that this node leads, and of which the other one is said to be in sync.
func (b *Broker) tellUnreached(c stage.Context, n message.NodeID) {
	self := c.Self().Node
	for t := range b.image.Topics() {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.IsLeader(self) && slices.Contains(p.ISR, n) {
				c.Send(message.PartitionAt(self, t.At(int32(i))), &message.Unreached{Node: n})
			}
		}
	}
}
