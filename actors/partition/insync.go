package partition

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// proposePatience is how long a change of the in-sync set may take before it is asked for again.
const proposePatience = 15 * time.Second

// watch looks after followers as long as somebody in sync has not everything.
func (p *Partition) watch(c stage.Context) {
	if !p.followers.watching && p.replica.Lags() {
		p.lookIn(c, p.post.LagMax/2)
	}
}

func (p *Partition) lookIn(c stage.Context, d time.Duration) {
	p.followers.watching = true
	c.After(d, &look{})
}

func (p *Partition) look(c stage.Context) {
	p.followers.watching = false
	p.propose(c)
	if p.phase == open {
		p.watch(c)
	}
}

// propose asks the controller, by way of the broker, which knows in whose name it speaks, for another in-sync set. What becomes of it
// comes as Leadership.
func (p *Partition) propose(c stage.Context) {
	if p.followers.proposal != 0 || p.phase == leaving || !p.replica.Followed() {
		return
	}
	wish := p.replica.Propose(c.Now(), p.post.LagMax)
	if wish == nil {
		return
	}
	wish.Partition, p.post.wished = p.post.ID, wish
	self := c.Self().Node
	p.followers.proposal = c.Ask(message.BrokerAt(self),
		&message.AlterPartition{Node: self, Partitions: []message.NewISR{*wish}}, proposePatience)
	p.showResigned(c)
}

// showResigned tells who looks that another may lead by now, or that it is not so.
func (p *Partition) showResigned(c stage.Context) {
	if p.phase == open && p.visible && p.seen.Resigned != p.replica.Resigned() {
		p.publish(c)
	}
}

// followerCramped is the word of a follower whose disk has no room.
func (p *Partition) followerCramped(c stage.Context, from message.NodeID, m *message.Cramped) {
	if p.replica.Refusal(from, m.LeaderEpoch) == message.OK {
		p.stuck(c, from)
	}
}

// stuck is a replica that cannot go on for now.
func (p *Partition) stuck(c stage.Context, node message.NodeID) {
	p.replica.Stuck(node)
	p.propose(c)
}

// resign lets another replica that is in sync lead while this node's disk has no room. Where all are full it goes round slowly.
func (p *Partition) resign(c stage.Context, why error) {
	if c.Now().Sub(p.post.resigned) < roomPatience {
		return
	}
	p.post.resigned = c.Now()
	c.Log().Warn("appends are refused until the disk has room, or another leads", "topic", p.replica.Office().Name, "err", why)
	p.stuck(c, c.Self().Node)
}

// altered is the controller's answer. Only a refusal for good lets go of who was to be in sync: a change that has overtaken this
// one may have been this one, heard of twice.
func (p *Partition) altered(c stage.Context, m *message.PartitionsAltered) {
	if p.followers.proposal == 0 || c.Answers() != p.followers.proposal || len(m.Codes) != 1 {
		return
	}
	switch m.Codes[0] {
	case message.OK, message.InvalidUpdateVersion, message.FencedLeaderEpoch, message.NewLeaderElected:
		p.followers.proposal = 0
		p.propose(c) // what has overtaken it may be known here already, and more be wished since
	case message.NotController, message.StaleBrokerEpoch, message.RequestTimedOut, message.BrokerNotAvailable:
		p.unheard(c)
	default:
		p.followers.proposal = 0
		out := p.replica.Refused()
		if p.phase == open {
			p.carryOut(c, out)
		}
		if !p.followers.watching {
			p.lookIn(c, p.post.LagMax/2)
		}
	}
}

// unheard asks again in a while.
func (p *Partition) unheard(c stage.Context) {
	p.followers.proposal = 0
	p.replica.Unheard()
	if !p.followers.watching {
		p.lookIn(c, p.post.PauseMax)
	}
}
