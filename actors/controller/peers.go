package controller

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// peer is what is known of the way to another node.
type peer struct {
	lost  bool   // and nothing was heard since then
	since uint64 // the tick at which it was lost
}

// stand, to self: time to stand for election, if still nobody leads.
type stand struct{ tries int }

const (
	// standWithin is how soon a voter stands for election that has lost the leader; by chance, so that two do not stand at once.
	standWithin = 100 * time.Millisecond
	// standTries is how often: others may learn a little later that the leader is gone, and vote for nobody until then.
	standTries = 5
	// startTries is how often who has just started does: the others may start a little later, and their connections take their time.
	startTries = 20
	// snapshotPatience bounds how long a snapshot may be on its way.
	snapshotPatience = 30 * time.Second
)

// heard notes a word from another node's controller, and that its end is to be told.
func (k *Controller) heard(c stage.Context) {
	from := c.Caller().Address
	n := from.Node
	if from.Kind != message.KindController || n == c.Self().Node {
		return
	}
	p := k.peers[n]
	if p == nil {
		p = &peer{lost: true}
		k.peers[n] = p
	}
	if p.lost {
		p.lost = false
		c.Watch(message.ControllerAt(n))
	}
}

// gone: the connection to another node is lost, or its controller has ended. Where it led, one need not wait for the silence to
// last: raft forgets it and, since others still hear it if only this connection was lost, asks them first (PreVote).
func (k *Controller) gone(c stage.Context, m *stage.Gone) {
	n := m.Address.Node
	if p := k.peers[n]; p != nil {
		p.lost, p.since = true, k.sessions.clock
	}
	k.forget(m.Address)
	if k.raft == nil {
		return
	}
	for _, id := range k.membersOf(n) {
		k.raft.ReportUnreachable(id)
	}
	if k.leader() == n {
		if err := k.raft.ForgetLeader(); err != nil {
			c.Log().Warn("raft does not forget a leader that is gone", "err", err)
		}
		k.standSoon(c, standTries)
	}
	k.advance(c)
}

func (k *Controller) standSoon(c stage.Context, tries int) {
	if tries > 0 && k.votes() {
		c.After(time.Duration(c.Rand().Int64N(int64(standWithin))), &stand{tries})
	}
}

func (k *Controller) stand(c stage.Context, m *stand) {
	if k.leader() != message.Nobody {
		return
	}
	if err := k.raft.Campaign(); err != nil {
		c.Log().Warn("raft does not stand for election", "err", err)
	}
	k.advance(c)
	k.standSoon(c, m.tries-1)
}
