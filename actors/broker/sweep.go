package broker

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// sweep is the message to self that another portion of the node's replicas is due for housekeeping.
type sweep struct{ portion int64 }

const (
	portionsMax = 60
	portionTime = 100 * time.Millisecond // at least, between two portions
)

// portions is into how many parts a round of housekeeping is divided, so that not all logs are opened at once.
func (b *Broker) portions() int64 {
	return max(1, min(portionsMax, int64(b.sweepEvery()/portionTime)))
}

// sweepEvery is how long a round of housekeeping takes.
func (b *Broker) sweepEvery() time.Duration {
	return max(time.Millisecond, b.layers.Millis("log.retention.check.interval.ms"))
}

// sweepFirst begins the rounds, when the start is over and clients have found their way back.
func (b *Broker) sweepFirst(c stage.Context) {
	c.After(b.layers.Millis("log.initial.task.delay.ms"), &sweep{})
}

// sweep reminds a portion of this node's replicas of their housekeeping.
func (b *Broker) sweep(c stage.Context, m *sweep) {
	portions := b.portions()
	for i, id := range b.mine(c) {
		if int64(i)%portions == m.portion%portions {
			c.Send(message.PartitionAt(c.Self().Node, id), &message.Sweep{})
		}
	}
	c.After(b.sweepEvery()/time.Duration(portions), &sweep{(m.portion + 1) % portions})
}
