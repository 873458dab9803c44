package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// upgrade makes a classic group with members one by KIP-848, when the first member by KIP-848 joins: everybody keeps what it has, in an
// epoch that is the generation. Who waits is told to join again.
func (g *Groups) upgrade(now time.Time, o *Group) *trouble {
	switch {
	case !g.settings.Consumer.Upgrades:
		return troubled(message.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because online upgrade is disabled: see group.consumer.migration.policy.", o.name)
	case o.protocolType != consumerProtocol:
		return troubled(message.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because the group does not use the consumer embedded protocol.", o.name)
	case len(o.members) >= g.settings.Consumer.SizeMax:
		return troubled(message.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because the group size exceeds the consumer group maximum size.", o.name)
	}
	k := newConsumers()
	for _, m := range o.members {
		if !g.adopt(now, o, k, m) {
			return troubled(message.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because the embedded consumer protocol is malformed.", o.name)
		}
	}
	for _, m := range o.members {
		g.abandon(m, message.RebalanceInProgress)
	}
	if o.generation > 0 {
		g.record(Record{Key: groupKey(o.name)})
	}
	k.epoch, k.target.epoch, k.target.time = o.generation, o.generation, now.UnixMilli()
	*o = o.anew(now)
	o.consumers = k
	g.stir(o)
	k.hash = digest(g.catalogue, k.subscribed())
	g.record(epochRecord(o.name, k))
	for _, c := range k.members {
		g.record(c.record(o.name))
		g.record(targetRecord(o.name, c.id, k.target.of[c.id]))
		g.record(c.progressRecord(o.name))
		g.watch(o, c)
	}
	g.record(targetEpochRecord(o.name, k))
	return nil
}

// adopt makes a classic member one of a group by KIP-848; false if what it has said cannot be read.
func (g *Groups) adopt(now time.Time, o *Group, k *consumers, m *member) bool {
	said, ok := subscription(m.protocols)
	if metadata := m.metadata(o.protocol); metadata != nil {
		said = kmsg.ConsumerMemberMetadata{}
		ok = said.ReadFrom(metadata) == nil
	}
	var has kmsg.ConsumerMemberAssignment
	if !ok || len(m.assignment) > 0 && has.ReadFrom(m.assignment) != nil {
		return false
	}
	c := &consumer{id: m.id, instance: m.instance, clientID: m.clientID, host: m.host, rebalance: m.rebalance, described: true,
		rack: text(said.Rack), names: slices.Compact(slices.Sorted(slices.Values(said.Topics))), epoch: o.generation, previous: o.generation,
		classic: &classicSide{session: m.session, protocols: m.protocols}, deadline: now.Add(m.session)}
	var assigned []message.PartitionID
	for _, t := range has.Topics {
		topic, there := g.catalogue.Topic(t.Topic)
		for _, p := range t.Partitions {
			if id := (message.PartitionID{Topic: topic.ID, Index: p}); there && k.owners[id] == nil {
				assigned = append(assigned, id)
			}
		}
	}
	k.hand(c, o.generation, partsOf(assigned), nil)
	k.target.of[c.id] = c.assigned
	k.add(c)
	return true
}

// downgrade makes a group by KIP-848 a classic one again, when only classic members are left: they gather anew.
func (g *Groups) downgrade(now time.Time, o *Group) {
	k := o.consumers
	if !g.settings.Consumer.Downgrades || slices.ContainsFunc(k.members, func(c *consumer) bool { return c.classic == nil }) {
		return
	}
	was := o.anew(now)
	was.generation, was.protocolType, was.state = k.epoch, consumerProtocol, stable
	for _, c := range k.members {
		was.members = append(was.members, &member{id: c.id, instance: c.instance, clientID: c.clientID, host: c.host, session: c.classic.session,
			rebalance: c.rebalance, protocols: c.classic.protocols, assignment: g.assignmentOf(c), synced: true})
	}
	was.leader = was.members[0].id
	was.protocol = was.choose()
	r := was.record()
	if was.protocol == "" || r.Size() > g.settings.RecordMax || len(was.members) > g.settings.SizeMax {
		return // it goes on as it is
	}
	g.buryConsumers(o)
	*o = was
	g.record(r)
	for _, m := range o.members {
		g.refresh(now, o, m)
	}
	g.prepare(now, o)
}
