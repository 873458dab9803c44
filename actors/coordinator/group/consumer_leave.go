package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// consumerLeave takes a member out, or lets a static one rest: it keeps its partitions until its session is over, or somebody comes with
// its instance.
func (g *Groups) consumerLeave(now time.Time, m *message.ConsumerHeartbeat) *message.ConsumerBeat {
	o := g.named[m.Group]
	if o == nil || o.consumers == nil {
		return troubled(message.GroupIDNotFound, "Group %s not found.", m.Group).beat()
	}
	c := o.consumers.member(m.Member)
	if m.Instance != "" {
		c = o.consumers.static(m.Instance)
	}
	switch {
	case c == nil && m.Instance != "":
		return troubled(message.UnknownMemberID, "Instance id %s is unknown.", m.Instance).beat()
	case c == nil:
		return troubled(message.UnknownMemberID, "Member %s is not a member of group %s.", m.Member, o.name).beat()
	case c.id != m.Member:
		return troubled(message.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", m.Member, m.Instance, c.id).beat()
	}
	if m.Epoch == message.EpochRests {
		g.rest(o, c)
	} else {
		g.dismiss(now, o, c)
	}
	return &message.ConsumerBeat{Member: m.Member, Epoch: m.Epoch}
}

// rest has a static member go for a while. What it was to give up it has given up by going.
func (g *Groups) rest(o *Group, c *consumer) {
	g.stir(o)
	o.consumers.hand(c, c.epoch, c.assigned, nil)
	c.turn(message.EpochRests, settled)
	c.revokeBy = time.Time{}
	g.record(c.progressRecord(o.name))
}

// dismiss takes a member out: the others get what it had.
func (g *Groups) dismiss(now time.Time, o *Group, c *consumer) {
	k := o.consumers
	g.stir(o)
	k.remove(c)
	g.bump(o)
	g.erase(o, c.id)
	g.prune(o, c.pattern)
	g.retarget(now, o)
	switch {
	case len(k.members) == 0:
		o.since = now
	case c.classic == nil:
		g.downgrade(now, o)
	}
}

// remove takes a member out of the list: what it has is free.
func (k *consumers) remove(c *consumer) {
	k.free(c)
	if i, found := k.index(c.id); found {
		k.members = slices.Delete(k.members, i, i+1)
	}
	delete(k.target.of, c.id)
}

// erase takes a member out of the log.
func (g *Groups) erase(o *Group, id string) {
	g.record(Record{Key: memberKey(progressKey, o.name, id)})
	g.record(Record{Key: memberKey(targetKey, o.name, id)})
	g.record(Record{Key: memberKey(describedKey, o.name, id)})
}
