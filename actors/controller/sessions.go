package controller

import (
	"time"

	"github.com/troupe-broker/troupe/actors/controller/metadata"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// sessions is what the leader knows of when it heard each broker last. It counts in ticks and not by the clock: one that
// jumps, and a pause of the leader itself, are nobody's silence.
type sessions struct {
	clock   uint64 // ticks since this node started
	timeout uint64
	mute    uint64 // ticks for which a voter may be silent that keeps its vote
	balance uint64 // ticks between two looks at who leads and who should
	heard   map[message.NodeID]uint64
}

// graceTicks is how long a node may be silent behind a lost connection before it is fenced: a process that has died loses
// all its connections at once, and clients should not wait for a whole session to be over.
const graceTicks = 3

// begin gives everybody a whole session: another led until now.
func (s *sessions) begin(l setting.Layers) {
	s.timeout = max(1, uint64(l.Millis("broker.session.timeout.ms")/tickEvery))
	s.mute = max(1, uint64(l.Millis("controller.quorum.voter.timeout.ms")/tickEvery))
	s.balance = max(1, uint64(l.Number("leader.imbalance.check.interval.seconds"))*uint64(time.Second/tickEvery))
	s.heard = map[message.NodeID]uint64{}
}

// beat notes a sign of life of a node that is registered as it says.
func (s *sessions) beat(m *message.BrokerHeartbeat, reply any) {
	if a, ok := reply.(*message.BrokerAlive); ok && a.Code == message.OK {
		s.heard[m.Node] = s.clock
	}
}

// since is when a broker was heard last; one that was not heard yet begins now.
func (s *sessions) since(n message.NodeID) uint64 {
	at, known := s.heard[n]
	if !known {
		s.heard[n], at = s.clock, s.clock
	}
	return at
}

// expire fences those who have been silent for too long.
func (k *Controller) expire(c stage.Context) {
	var over []*metadata.Fence
	for b := range k.tip.Brokers() {
		if !b.Fenced && k.isSilent(b.ID) {
			over = append(over, &metadata.Fence{Node: b.ID, Epoch: b.Epoch})
		}
	}
	for _, f := range over {
		if !k.leading {
			return
		}
		c.Log().Warn("a broker is silent: it is fenced", "node", f.Node, "epoch", f.Epoch)
		k.decide(c, request{ask: f})
	}
}

// rebalance gives leaderships back now and then to those who should have them.
func (k *Controller) rebalance(c stage.Context) {
	if k.leading && k.sessions.clock%k.sessions.balance == 0 {
		k.decide(c, request{ask: &metadata.Balance{}})
	}
}

func (k *Controller) isSilent(n message.NodeID) bool {
	s := &k.sessions
	if s.clock-s.since(n) >= s.timeout {
		return true
	}
	p := k.peers[n]
	return p != nil && p.lost && s.clock-p.since >= graceTicks
}
