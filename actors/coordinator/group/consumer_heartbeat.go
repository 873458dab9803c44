package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// ConsumerSettings bound groups by KIP-848.
type ConsumerSettings struct {
	SizeMax    int      // members of a group
	Assignors  []string // the default first; never empty
	Upgrades   bool     // a classic group of consumers becomes one by KIP-848 when a member by KIP-848 joins
	Downgrades bool     // and the other way when the last of them goes
}

// trouble is why a member is refused; nil: it is not.
type trouble struct {
	code message.Code
	text string
}

func troubled(code message.Code, format string, values ...any) *trouble {
	return &trouble{code, fmt.Sprintf(format, values...)}
}

func (t *trouble) beat() *message.ConsumerBeat {
	return &message.ConsumerBeat{Code: t.code, Message: t.text}
}

// consumerBeat answers a member's heartbeat, now or when there is news. One that has to give something up is not held: it has to say when
// it has.
func (g *Groups) consumerBeat(now time.Time, from Caller, m *message.ConsumerHeartbeat) {
	if o := g.named[m.Group]; o != nil {
		g.supersede(now, o, m.Member)
	}
	answer := g.consumerHeartbeat(now, m)
	if o := g.named[m.Group]; answer.Code == message.OK && m.Epoch >= message.EpochJoins && o != nil {
		c := o.consumers.member(answer.Member)
		hold, interval := g.holdConsumer(o, c, m.Holding)
		if c.state != revoking {
			answer.Interval = interval
		}
		if hold > 0 && from != 0 && c.state != revoking && !answer.Assigned && m.Epoch == c.epoch {
			g.wait(now, o, held{from: from, member: m.Member, modern: m}, m.Holding, hold)
			return
		}
	}
	g.reply(from, answer)
}

// consumerNews is what a member hears whose heartbeat was held. What it has said by it is not believed any more: it may have taken up since
// what it was given before.
func (g *Groups) consumerNews(now time.Time, m *message.ConsumerHeartbeat) (*message.ConsumerBeat, bool) {
	o := g.named[m.Group]
	if o == nil || o.consumers == nil {
		return troubled(message.GroupIDNotFound, "Group %s not found.", m.Group).beat(), true
	}
	c := o.consumers.member(m.Member)
	if c == nil || c.epoch == message.EpochRests {
		return troubled(message.UnknownMemberID, "Member %s is not a member of group %s.", m.Member, o.name).beat(), true
	}
	before := c.assigned
	news := g.reconcile(now, o, c, nil, false)
	_, interval := g.holdConsumer(o, c, m.Holding)
	if c.state == revoking {
		_, interval = g.catalogue.Timing(o.name)
	}
	answer := &message.ConsumerBeat{Member: c.id, Epoch: c.epoch, Interval: interval}
	if !samePart(before, c.assigned) || m.Epoch != c.epoch {
		answer.Assigned, answer.Assignment = true, c.assigned
	}
	return answer, news || m.Epoch != c.epoch
}

// consumerHeartbeat is S77-S80: it joins, says what has changed, says what it still has, and leaves by it.
func (g *Groups) consumerHeartbeat(now time.Time, m *message.ConsumerHeartbeat) *message.ConsumerBeat {
	if m.Epoch < message.EpochJoins {
		return g.consumerLeave(now, m)
	}
	if m.Member == "" { // v0
		named := *m
		named.Member = g.place.Draw().String()
		m = &named
	}
	if t := g.unacceptable(m); t != nil {
		return t.beat()
	}
	o, t := g.consumerGroup(now, m)
	if t != nil {
		return t.beat()
	}
	c, t := g.consumerMember(o, m)
	if t != nil {
		return t.beat()
	}
	g.listen(now, o, c, m)
	before := c.assigned
	owned := partsOf(m.Owned)
	g.reconcile(now, o, c, owned, m.Owned != nil)
	session, interval := g.catalogue.Timing(o.name)
	c.deadline = now.Add(session)
	g.watch(o, c)
	answer := &message.ConsumerBeat{Member: c.id, Epoch: c.epoch, Interval: interval}
	full := m.Rebalance >= 0 && (m.Topics != nil || m.Pattern != nil) && m.Owned != nil
	if m.Epoch == message.EpochJoins || full || !samePart(before, c.assigned) {
		answer.Assigned, answer.Assignment = true, c.assigned
	}
	return answer
}

// unacceptable says what of a heartbeat no group could do anything with.
func (g *Groups) unacceptable(m *message.ConsumerHeartbeat) *trouble {
	if m.Assignor != "" && !slices.Contains(g.settings.Consumer.Assignors, m.Assignor) {
		return troubled(message.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", m.Assignor, strings.Join(g.settings.Consumer.Assignors, ", "))
	}
	if m.Pattern != nil && *m.Pattern != "" {
		if _, err := compile(*m.Pattern); err != nil {
			return troubled(message.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %v.", *m.Pattern, err)
		}
	}
	return nil
}

// consumerGroup finds the group, or makes it for who joins; one that has no members changes its protocol (S83).
func (g *Groups) consumerGroup(now time.Time, m *message.ConsumerHeartbeat) (*Group, *trouble) {
	o := g.named[m.Group]
	switch {
	case o == nil && m.Epoch != message.EpochJoins:
		return nil, troubled(message.GroupIDNotFound, "Group %s not found.", m.Group)
	case o != nil && o.consumers == nil && m.Epoch != message.EpochJoins:
		return nil, troubled(message.GroupIDNotFound, "Group %s is not a consumer group.", m.Group)
	case o != nil && o.consumers == nil && len(o.members) > 0:
		if t := g.upgrade(now, o); t != nil {
			return nil, t
		}
	}
	if o = g.found(now, m.Group); o.consumers == nil {
		g.modernize(now, o)
	}
	if len(o.consumers.members) >= g.settings.Consumer.SizeMax && o.consumers.member(m.Member) == nil {
		return nil, troubled(message.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", g.settings.Consumer.SizeMax)
	}
	return o, nil
}

// consumerMember finds the member that says this, or makes it if it joins.
func (g *Groups) consumerMember(o *Group, m *message.ConsumerHeartbeat) (*consumer, *trouble) {
	k := o.consumers
	c, joins := k.member(m.Member), m.Epoch == message.EpochJoins
	if m.Instance != "" {
		old := k.static(m.Instance)
		switch {
		case old == nil && !joins:
			return nil, troubled(message.UnknownMemberID, "Instance id %s is unknown.", m.Instance)
		case old != nil && old.id != m.Member && !joins:
			return nil, troubled(message.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", m.Member, m.Instance, old.id)
		case old != nil && old.id != m.Member && old.epoch != message.EpochRests:
			return nil, troubled(message.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.",
				m.Member, m.Instance, old.id)
		case old != nil && old.id != m.Member && c == nil:
			return g.succeed(o, old, m.Member), nil
		case old != nil:
			c = old
		}
	}
	switch {
	case c == nil && !joins:
		return nil, troubled(message.UnknownMemberID, "Member %s is not a member of group %s.", m.Member, o.name)
	case c == nil:
		c = &consumer{id: m.Member, instance: m.Instance}
		k.add(c)
		return c, nil
	}
	return c, c.fenced(m)
}

// fenced says that a member is not in the epoch that it believes to be in (S79). Who has not heard of its last one yet is, and who joins
// again begins anew.
func (c *consumer) fenced(m *message.ConsumerHeartbeat) *trouble {
	switch {
	case m.Epoch == message.EpochJoins, m.Epoch == c.epoch:
		return nil
	case m.Epoch > c.epoch:
		return troubled(message.FencedMemberEpoch, "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.",
			m.Epoch, c.epoch)
	case m.Epoch == c.previous && m.Owned != nil && partsOf(m.Owned).within(c.assigned):
		return nil
	}
	return troubled(message.FencedMemberEpoch, "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.",
		m.Epoch, c.epoch)
}

// listen takes what a member says of itself, and has all assigned anew if it is another subscription.
func (g *Groups) listen(now time.Time, o *Group, c *consumer, m *message.ConsumerHeartbeat) {
	was := *c
	c.hear(m)
	g.renew(now, o, c, &was)
}

// renew writes down what is new of a member.
func (g *Groups) renew(now time.Time, o *Group, c, was *consumer) {
	if c.pattern != "" && c.pattern != was.pattern {
		g.resolve(now, o, c.pattern)
	}
	bumps := !slices.Equal(was.names, c.names) || was.pattern != c.pattern || o.consumers.target.epoch == 0
	if bumps {
		g.bump(o)
	}
	if !c.described || bumps || c.clientID != was.clientID || c.host != was.host || c.instance != was.instance || c.rack != was.rack ||
		c.assignor != was.assignor || c.rebalance != was.rebalance || !c.classic.same(was.classic) {
		c.described = true
		g.record(c.record(o.name))
	}
	if was.pattern != c.pattern {
		g.prune(o, was.pattern)
	}
	if bumps {
		g.retarget(now, o)
	}
}

// hear notes what a member has said, and leaves what it has not.
func (c *consumer) hear(m *message.ConsumerHeartbeat) {
	c.clientID, c.host, c.classic = m.ClientID, m.Host, nil
	if m.Epoch == message.EpochJoins {
		c.flinches = 0
	}
	for _, said := range [...]struct {
		value string
		to    *string
	}{{m.Instance, &c.instance}, {m.Rack, &c.rack}, {m.Assignor, &c.assignor}} {
		if said.value != "" {
			*said.to = said.value
		}
	}
	if m.Rebalance >= 0 {
		c.rebalance = m.Rebalance
	}
	if m.Topics != nil {
		c.names = slices.Compact(slices.Sorted(slices.Values(m.Topics)))
	}
	if m.Pattern != nil {
		c.pattern = *m.Pattern
	}
}

// succeed gives the place of a static member that rests to who comes with its instance, with all that it was to have (KIP-345).
func (g *Groups) succeed(o *Group, old *consumer, id string) *consumer {
	k, heir := o.consumers, *old
	c := &heir
	c.id, c.epoch, c.previous, c.armed, c.described = id, message.EpochJoins, message.EpochJoins, false, true
	k.target.of[id] = k.target.of[old.id]
	g.record(c.record(o.name))
	g.record(targetRecord(o.name, id, k.target.of[id]))
	g.record(c.progressRecord(o.name))
	k.remove(old)
	k.add(c)
	for _, p := range c.assigned {
		k.owners[p] = c
	}
	g.erase(o, old.id)
	return c
}

// watch sees that somebody looks when a member's session ends, and when it must have given up what it is to give up.
func (g *Groups) watch(o *Group, c *consumer) {
	due := c.due()
	if c.armed && !due.Before(c.alarmAt) {
		return
	}
	c.armed, c.alarmAt = true, due
	g.timers.set(alarm{at: due, group: o, consumer: c})
}

// due is when a member is out unless something happens.
func (c *consumer) due() time.Time {
	due := c.deadline
	if !c.revokeBy.IsZero() && c.revokeBy.Before(due) {
		due = c.revokeBy
	}
	if c.classic != nil && !c.classic.by.IsZero() && c.classic.by.Before(due) {
		due = c.classic.by
	}
	return due
}

// consumerDue removes a member that was silent for too long, or has not given up in time what it was to give up.
func (g *Groups) consumerDue(now time.Time, o *Group, c *consumer) {
	if o.consumers == nil || o.consumers.member(c.id) != c || c.alarmAt.After(now) {
		return
	}
	c.armed = false
	if c.due().After(now) {
		g.watch(o, c)
		return
	}
	g.dismiss(now, o, c)
}
