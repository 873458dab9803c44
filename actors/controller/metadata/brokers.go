package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// producerIDBlock is how many producer ids a broker gets at once, as in Kafka (KIP-730).
const producerIDBlock = 1000

// allocateProducerIDs gives a block of ids away. The record that says so is committed before the block is used, so that
// no id is ever given twice.
func (t *turn) allocateProducerIDs(m *message.AllocateProducerIDs) *message.ProducerIDs {
	b := t.image().Broker(m.Broker)
	if b == nil || b.Epoch != m.Epoch {
		return &message.ProducerIDs{Code: message.StaleBrokerEpoch}
	}
	first := t.image().NextProducerID()
	if planted.Is(planted.IDsRepeated) {
		return &message.ProducerIDs{First: first, Count: producerIDBlock}
	}
	t.decide(&message.ProducerIDsRecord{Next: first + producerIDBlock})
	return &message.ProducerIDs{First: first, Count: producerIDBlock}
}

// assignNode gives a number away, once: the record that says so is committed before the number is used. A number that is not used after all
// stays free.
func (t *turn) assignNode() *message.NodeAssigned {
	n := t.image().NextNode()
	t.decide(&message.NodeIDsRecord{Next: n + 1})
	return &message.NodeAssigned{Node: n}
}

// registerBroker lets a node take part. The epoch of its registration is the index of the record: it never repeats. The
// same incarnation asking again, with nothing new, keeps its epoch. Another incarnation has died in between, and leaves every
// in-sync set that has somebody else. Another directory has nothing of what the node had.
func (t *turn) registerBroker(m *message.RegisterBroker) *message.BrokerRegistered {
	before := t.image().Broker(m.Node)
	if before != nil && sameRegistration(before, m) {
		return &message.BrokerRegistered{Epoch: before.Epoch}
	}
	t.decide(&message.BrokerRecord{Node: m.Node, Epoch: t.index, Incarnation: m.Incarnation, Rack: m.Rack, Endpoints: m.Endpoints})
	if !m.Directory.IsZero() {
		t.decide(&message.DirectoryRecord{Node: m.Node, Epoch: t.index, Directory: m.Directory})
	}
	switch again := before != nil && before.Incarnation != m.Incarnation; {
	case planted.Is(planted.WipedInSync) && again && before.Directory != m.Directory:
	case again && before.Directory != m.Directory:
		t.revise(func(p *image.Partition) bool { return p.IsReplica(m.Node) }, func(r *revision) { r.lose(m.Node) })
	case again:
		t.revise(func(p *image.Partition) bool { return p.IsReplica(m.Node) && !alone(p) }, func(r *revision) { r.doubt(m.Node) })
	default:
		t.recover(m.Node)
	}
	return &message.BrokerRegistered{Epoch: t.index}
}

// alone says that nobody but the leader could lead: nothing changes when it has been away.
func alone(p *image.Partition) bool {
	return len(p.ISR) == 1 && p.IsLeader(p.ISR[0]) && len(p.ELR)+len(p.LastKnownELR) == 0
}

func sameRegistration(b *image.Broker, m *message.RegisterBroker) bool {
	return b.Incarnation == m.Incarnation && b.Directory == m.Directory && b.Rack == m.Rack && !b.Fenced && slices.Equal(b.Endpoints, m.Endpoints)
}
