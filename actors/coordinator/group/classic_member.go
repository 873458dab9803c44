package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// classicSide is what a member of a group by KIP-848 has that speaks the classic protocol (S83): it joins and syncs, and is answered at once
// with what the coordinator assigns. Its generation is its epoch.
type classicSide struct {
	session   time.Duration
	protocols []message.GroupProtocol
	by        time.Time // until when it has to join, or to ask for its assignment; zero: it has
}

func (s *classicSide) same(other *classicSide) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.session == other.session && (&member{protocols: s.protocols}).same(other.protocols)
}

// bytes are as a nullable struct among tagged fields.
func (s *classicSide) bytes() []byte {
	if s == nil {
		return []byte{0}
	}
	to := kbin.AppendInt32([]byte{1}, int32(s.session.Milliseconds()))
	to = kbin.AppendCompactArrayLen(to, len(s.protocols))
	for _, p := range s.protocols {
		to = kbin.AppendCompactBytes(kbin.AppendCompactString(to, p.Name), p.Metadata)
		to = tagged(to, nil)
	}
	return tagged(to, nil)
}

// subscription is what a classic consumer says with one of its protocols: all say the same.
func subscription(protocols []message.GroupProtocol) (said kmsg.ConsumerMemberMetadata, ok bool) {
	return said, len(protocols) > 0 && said.ReadFrom(protocols[0].Metadata) == nil
}

// joinableConsumers says why nobody can join a group by KIP-848 like that.
func (g *Groups) joinableConsumers(o *Group, m *message.JoinGroup) message.Code {
	k := o.consumers
	_, readable := subscription(m.Protocols)
	c := k.member(m.Member)
	if old := k.static(m.Instance); old != nil {
		c = old
	}
	switch {
	case m.ProtocolType != consumerProtocol || !readable || !k.speaks(m.Protocols, c):
		return message.InconsistentGroupProtocol
	case m.Instance != "" && m.Member != "" && c == nil:
		return message.UnknownMemberID
	case m.Instance != "" && m.Member != "" && c.id != m.Member:
		return message.FencedInstanceID
	case c == nil && len(k.members) >= g.settings.Consumer.SizeMax:
		return message.GroupMaxSizeReached
	}
	return message.OK
}

// speaks says that all other classic members know one of the protocols: the group may become a classic one.
func (k *consumers) speaks(protocols []message.GroupProtocol, but *consumer) bool {
	return slices.ContainsFunc(protocols, func(p message.GroupProtocol) bool {
		return !slices.ContainsFunc(k.members, func(c *consumer) bool {
			return c != but && c.classic != nil && !(&member{protocols: c.classic.protocols}).knows(p.Name)
		})
	})
}

// joinConsumers takes a classic member in, or hears that it has heard of a new epoch.
func (g *Groups) joinConsumers(now time.Time, o *Group, from Caller, m *message.JoinGroup) {
	k, id := o.consumers, m.Member
	if id == "" {
		if id = m.ClientID; m.Instance != "" {
			id = m.Instance
		}
		id += "-" + g.place.Draw().String()
	}
	if m.Member == "" && m.MemberIDRequired && m.Instance == "" {
		g.unjoined(from, id, message.MemberIDRequired)
		return
	}
	c := k.member(id)
	if old := k.static(m.Instance); old != nil && old.id != id {
		c = g.succeed(o, old, id)
	}
	if c == nil {
		c = &consumer{id: id, instance: m.Instance}
		k.add(c)
	}
	was := *c
	said, _ := subscription(m.Protocols)
	c.clientID, c.host, c.rebalance, c.pattern = m.ClientID, m.Host, m.Rebalance, ""
	c.names = slices.Compact(slices.Sorted(slices.Values(said.Topics)))
	if said.Rack != nil {
		c.rack = *said.Rack
	}
	c.classic = &classicSide{session: m.Session, protocols: m.Protocols, by: now.Add(m.Rebalance)}
	g.renew(now, o, c, &was)
	g.reconcile(now, o, c, g.ownedBy(&said), true)
	c.deadline = now.Add(m.Session)
	g.watch(o, c)
	g.reply(from, &message.GroupJoined{Generation: c.epoch, ProtocolType: consumerProtocol, Protocol: m.Protocols[0].Name, Member: c.id})
}

// ownedBy are the partitions that a subscription says that its member still has.
func (g *Groups) ownedBy(said *kmsg.ConsumerMemberMetadata) parts {
	var owned []message.PartitionID
	for _, t := range said.OwnedPartitions {
		if topic, there := g.catalogue.Topic(t.Topic); there {
			for _, p := range t.Partitions {
				owned = append(owned, message.PartitionID{Topic: topic.ID, Index: p})
			}
		}
	}
	return partsOf(owned)
}

// classicMember finds a classic member of a group by KIP-848 as a request names it.
func (k *consumers) classicMember(id, instance string) (*consumer, message.Code) {
	c := k.member(id)
	if instance != "" {
		if c = k.static(instance); c != nil && c.id != id {
			return nil, message.FencedInstanceID
		}
	}
	if c == nil || c.classic == nil {
		return nil, message.UnknownMemberID
	}
	return c, message.OK
}

// syncConsumers tells a classic member what it is assigned.
func (g *Groups) syncConsumers(now time.Time, o *Group, m *message.SyncGroup) *message.GroupSynced {
	k := o.consumers
	c, code := k.classicMember(m.Member, m.Instance)
	if code != message.OK {
		return &message.GroupSynced{Code: code}
	}
	protocol := c.classic.protocols[0].Name
	switch {
	case m.Generation != c.epoch:
		return &message.GroupSynced{Code: message.IllegalGeneration}
	case m.ProtocolType != nil && *m.ProtocolType != consumerProtocol, m.Protocol != nil && *m.Protocol != protocol:
		return &message.GroupSynced{Code: message.InconsistentGroupProtocol}
	case k.epoch > c.epoch && c.state != revoking:
		g.recall(now, o, c)
		return &message.GroupSynced{Code: message.RebalanceInProgress}
	}
	c.classic.by, c.deadline = time.Time{}, now.Add(c.classic.session)
	g.watch(o, c)
	return &message.GroupSynced{ProtocolType: consumerProtocol, Protocol: protocol, Assignment: g.assignmentOf(c)}
}

// assignmentOf is what a member has, as a classic consumer reads it: in the version of its subscription.
func (g *Groups) assignmentOf(c *consumer) []byte {
	said, _ := subscription(c.classic.protocols)
	a := kmsg.ConsumerMemberAssignment{Version: said.Version}
	for _, name := range c.names {
		t, _ := g.catalogue.Topic(name)
		of := kmsg.ConsumerMemberAssignmentTopic{Topic: name}
		for _, p := range c.assigned {
			if p.Topic == t.ID {
				of.Partitions = append(of.Partitions, p.Index)
			}
		}
		if len(of.Partitions) > 0 {
			a.Topics = append(a.Topics, of)
		}
	}
	return a.AppendTo(nil)
}

// recall gives a member that has to join again its time for it.
func (g *Groups) recall(now time.Time, o *Group, c *consumer) {
	if c.classic.by.IsZero() {
		c.classic.by = now.Add(c.rebalance)
		g.watch(o, c)
	}
}

// beatConsumers hears a classic member, and has it join again where there is another epoch, where it has to give up, or where what it waits
// for is free.
func (g *Groups) beatConsumers(now time.Time, o *Group, m *message.GroupHeartbeat, lives bool) message.Code {
	k := o.consumers
	c, code := k.classicMember(m.Member, m.Instance)
	switch {
	case code != message.OK:
		return code
	case m.Generation != c.epoch:
		return message.IllegalGeneration
	}
	if lives {
		c.deadline = now.Add(c.classic.session)
		g.watch(o, c)
	}
	_, waits := k.available(c, k.target.of[c.id].without(c.assigned))
	if c.epoch < k.epoch || c.state == revoking || c.state == waiting && !waits {
		g.recall(now, o, c)
		return message.RebalanceInProgress
	}
	return message.OK
}

// leaveConsumers takes a member out, whatever protocol it speaks: an administrator asks in this way.
func (g *Groups) leaveConsumers(now time.Time, o *Group, l message.Leaver) message.Code {
	c := o.consumers.member(l.Member)
	if l.Instance != "" {
		c = o.consumers.static(l.Instance)
	}
	switch {
	case c == nil:
		return message.UnknownMemberID
	case l.Instance != "" && l.Member != "" && l.Member != c.id:
		return message.FencedInstanceID
	}
	g.dismiss(now, o, c)
	return message.OK
}
