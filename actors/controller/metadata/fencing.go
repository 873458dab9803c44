package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Fence says that a node's session is over; nothing answers it. It is about one registration: of a node that has
// registered again meanwhile it says nothing.
type Fence struct {
	Node  message.NodeID
	Epoch int64 // of the registration
}

// Unfence says that a fenced node is back with what it had; nothing answers it.
type Unfence struct {
	Node  message.NodeID
	Epoch int64 // of the registration
}

// Drain says that a node is about to go: it leads nothing any more and is in no in-sync set that has anybody else.
// BrokerAlive answers.
type Drain struct {
	Node  message.NodeID
	Epoch int64 // of the registration
}

// Undrain says that a drained node stays after all. BrokerAlive answers.
type Undrain struct {
	Node  message.NodeID
	Epoch int64 // of the registration
}

// fence takes a node out of everything that goes on without it (KIP-841).
func (t *turn) fence(n message.NodeID, epoch int64) {
	if b, code := t.registered(n, epoch); code == message.OK && !b.Fenced {
		t.decide(&message.FenceRecord{Node: n, Epoch: epoch, Fenced: true})
		t.retire(n)
	}
}

func (t *turn) unfence(n message.NodeID, epoch int64) {
	if b, code := t.registered(n, epoch); code == message.OK && b.Fenced {
		t.decide(&message.FenceRecord{Node: n, Epoch: epoch})
		t.recover(n)
	}
}

// drain relieves a node before it goes. What nobody else can lead has no leader from now on.
func (t *turn) drain(n message.NodeID, epoch int64) *message.BrokerAlive {
	b, code := t.registered(n, epoch)
	if code != message.OK {
		return &message.BrokerAlive{Code: code}
	}
	if !b.Draining {
		t.decide(&message.DrainRecord{Node: n, Epoch: epoch, Draining: true})
		t.retire(n)
	}
	return &message.BrokerAlive{Fenced: b.Fenced, MayShutdown: true}
}

func (t *turn) undrain(n message.NodeID, epoch int64) *message.BrokerAlive {
	b, code := t.registered(n, epoch)
	if code != message.OK {
		return &message.BrokerAlive{Code: code}
	}
	if b.Draining {
		t.decide(&message.DrainRecord{Node: n, Epoch: epoch})
		t.recover(n)
	}
	return &message.BrokerAlive{Fenced: b.Fenced}
}

// heartbeat hears a node's sign of life. A fenced one takes part again as soon as it knows of its own registration.
func (t *turn) heartbeat(m *message.BrokerHeartbeat) *message.BrokerAlive {
	b, code := t.registered(m.Node, m.Epoch)
	switch {
	case code != message.OK:
		return &message.BrokerAlive{Code: code}
	case m.WantShutdown:
		return t.drain(m.Node, m.Epoch)
	case b.Fenced && m.Applied >= m.Epoch:
		t.unfence(m.Node, m.Epoch)
	}
	return &message.BrokerAlive{Fenced: !t.image().Alive(m.Node)}
}

// registered finds a node by its registration.
func (t *turn) registered(n message.NodeID, epoch int64) (*image.Broker, message.Code) {
	b := t.image().Broker(n)
	switch {
	case b == nil:
		return nil, message.BrokerIDNotRegistered
	case b.Epoch != epoch:
		return nil, message.StaleBrokerEpoch
	}
	return b, message.OK
}

// retire takes a node out of the in-sync sets where others are left, and gives away what it leads.
func (t *turn) retire(n message.NodeID) {
	t.revise(func(p *image.Partition) bool { return p.IsLeader(n) || p.InSync(n) }, func(r *revision) { r.leave(n) })
}

// recover elects where nobody leads and a node that may lead is back.
func (t *turn) recover(n message.NodeID) {
	t.revise(func(p *image.Partition) bool { return p.Leader == message.Nobody && p.IsReplica(n) }, func(*revision) {})
}

// unregister takes a fenced node out of the cluster. Partitions still list it until they are reassigned. What only it has
// is not given up in passing: that takes an unclean election.
func (t *turn) unregister(m *message.UnregisterBroker) message.Problem {
	b := t.image().Broker(m.Node)
	switch {
	case b == nil:
		return refuse(message.BrokerIDNotRegistered, "No broker with id %d found.", m.Node)
	case !b.Fenced:
		return refuse(message.InvalidRequest, "Broker %d is alive: stop it before it is unregistered.", m.Node)
	}
	if name, index, more := t.sole(m.Node); more >= 0 {
		return refuse(message.InvalidRequest, "Broker %d has the only in-sync copy of %s-%d and of %d other partition(s): start it, or elect other leaders of them with an unclean election, before it is unregistered.",
			m.Node, name, index, more)
	}
	t.decide(&message.BrokerRemoved{Node: m.Node})
	if t.image().Cordoned(m.Node) { // whoever gets its number next is another node
		t.decide(&message.ConfigRecord{Resource: message.Resource{Kind: message.ResourceBroker, Name: image.BrokerName(m.Node)}, Key: setting.CordonedDirs})
	}
	t.revise(func(p *image.Partition) bool {
		return slices.Contains(p.ELR, m.Node) || slices.Contains(p.LastKnownELR, m.Node)
	},
		func(*revision) {})
	return message.Problem{}
}

// sole finds the first partition of which nobody but the node is in sync, and how many more there are; -1 if there is none.
func (t *turn) sole(n message.NodeID) (name string, index int32, more int) {
	more = -1
	for topic := range t.image().Topics() {
		for i := range topic.Partitions {
			if p := &topic.Partitions[i]; !slices.Equal(p.ISR, []message.NodeID{n}) {
				continue
			}
			if more++; more == 0 {
				name, index = topic.Name, int32(i)
			}
		}
	}
	return name, index, more
}
