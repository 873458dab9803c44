package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// modernize makes a group without members one by KIP-848. Its offsets stay, and its epochs go on where its generations ended.
func (g *Groups) modernize(now time.Time, o *Group) {
	if o.generation > 0 {
		g.record(Record{Key: groupKey(o.name)})
	}
	k := newConsumers()
	k.epoch = o.generation
	*o = o.anew(now)
	o.consumers = k
	g.stir(o)
}

// classicize makes a group by KIP-848 without members a classic one, the other way round.
func (g *Groups) classicize(now time.Time, o *Group) {
	epoch := o.consumers.epoch
	g.buryConsumers(o)
	*o = o.anew(now)
	o.generation, o.protocolType = epoch, consumerProtocol
	g.stir(o)
	g.record(o.record())
}

// buryConsumers removes from the log what it has of a group by KIP-848.
func (g *Groups) buryConsumers(o *Group) {
	k := o.consumers
	for _, c := range k.members {
		g.erase(o, c.id)
	}
	for _, text := range k.patternTexts() {
		g.record(patternRecord(o.name, text, nil))
	}
	g.record(Record{Key: groupOnlyKey(targetEpochKey, o.name)})
	g.record(Record{Key: groupOnlyKey(epochKey, o.name)})
	o.consumers = nil
}

// settle brings a group up to date that was replayed: members of which the log has said nothing but what they have are none, what one
// question led to may be there in part, and topics may have changed meanwhile.
func (g *Groups) settle(now time.Time, o *Group) {
	k := o.consumers
	for _, c := range slices.Clone(k.members) {
		heir := c.epoch == message.EpochRests && slices.ContainsFunc(k.members, func(d *consumer) bool { return d != c && d.instance == c.instance })
		if !c.described || heir {
			k.remove(c)
			g.erase(o, c.id)
		}
	}
	for _, text := range k.patternTexts() {
		g.prune(o, text)
	}
	for _, c := range k.members {
		if c.pattern != "" {
			g.resolve(now, o, c.pattern)
		}
	}
	aimless := slices.ContainsFunc(k.members, func(c *consumer) bool {
		_, aims := k.target.of[c.id]
		return !aims
	})
	if aimless || k.epoch > k.target.epoch || len(k.members) > 0 && digest(g.catalogue, k.subscribed()) != k.hash {
		g.rethink(now, o)
	}
	session, _ := g.catalogue.Timing(o.name)
	for _, c := range k.members {
		if c.deadline = now.Add(session); c.classic != nil {
			c.deadline = now.Add(c.classic.session)
		}
		if c.state == revoking && c.classic == nil {
			c.revokeBy = now.Add(c.rebalance)
		}
		g.watch(o, c)
	}
}

// committer is S82: a member that commits says its epoch. One that has an older one may commit what it was given by then and still has:
// nobody else has had that since.
func (k *consumers) committer(now time.Time, m *message.CommitOffsets) (c *consumer, code message.Code) {
	if m.Generation < 0 && len(k.members) == 0 {
		return nil, message.OK
	}
	if c = k.member(m.Member); c == nil {
		return nil, message.UnknownMemberID
	}
	switch {
	case c.classic != nil && m.Generation != c.epoch:
		return nil, message.IllegalGeneration
	case c.classic != nil:
		c.deadline = now.Add(c.classic.session)
	case !m.Since9:
		return nil, message.UnsupportedVersion
	case m.Generation > c.epoch:
		return nil, message.StaleMemberEpoch
	}
	return c, message.OK
}

// stale says that a member's commit of a partition is in the name of an epoch that is over.
func (c *consumer) stale(m *message.CommitOffsets, at *message.CommittedOffset) bool {
	if c == nil || m.Generation == c.epoch {
		return false
	}
	since, has := c.since[message.PartitionID{Topic: at.TopicID, Index: at.Partition}]
	return (!has || m.Generation < since) && !planted.Is(planted.StaleCommits)
}
