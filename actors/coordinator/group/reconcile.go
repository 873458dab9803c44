package group

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message/planted"
)

// reconcile brings a member nearer to its target: first it gives up what is no more its own, then it is given what nobody has (S80). owned is
// what it says that it still has; nil: it has not said. changed says that there is something else to tell it, or to remember.
func (g *Groups) reconcile(now time.Time, o *Group, c *consumer, owned parts, said bool) (changed bool) {
	k := o.consumers
	switch {
	case c.state == settled && c.epoch == k.target.epoch:
		return false
	case c.state == revoking && (!said || len(owned.both(c.revoking)) > 0):
		return false
	}
	target := k.target.of[c.id]
	keep, give := c.assigned.both(target), c.assigned.without(target)
	get, waits := k.available(c, target.without(keep))
	epoch, state := k.target.epoch, settled
	switch {
	case len(give) > 0 && (!said || len(owned.both(give)) > 0) && !planted.Is(planted.RevokedUntold):
		epoch, state, get = c.epoch, revoking, nil
	case waits:
		state, give = waiting, nil
	default:
		give = nil
	}
	if c.state == state && c.epoch == epoch && len(give)+len(get) == 0 && len(keep) == len(c.assigned) {
		return false
	}
	g.stir(o)
	k.hand(c, epoch, keep.with(get), give)
	c.turn(epoch, state)
	c.revokeBy = time.Time{}
	if state == revoking && c.classic == nil {
		c.revokeBy = now.Add(c.rebalance)
	}
	if !planted.Is(planted.ProgressUnwritten) {
		g.record(c.progressRecord(o.name))
	}
	return true
}

// available are those of wanted that nobody else has; waits says that somebody has some.
func (k *consumers) available(c *consumer, wanted parts) (get parts, waits bool) {
	for _, p := range wanted {
		if owner := k.owners[p]; owner != nil && owner != c && !planted.Is(planted.HandedEarly) {
			waits = true
			continue
		}
		get = append(get, p)
	}
	return get, waits
}

// rethink begins a new epoch of the group, and makes the target for it.
func (g *Groups) rethink(now time.Time, o *Group) {
	g.bump(o)
	g.retarget(now, o)
}

// bump begins a new epoch. It is written before what it is for: a log that ends here makes whoever reads it assign anew.
func (g *Groups) bump(o *Group) {
	k := o.consumers
	k.epoch++
	g.stir(o)
	k.hash = digest(g.catalogue, k.subscribed())
	g.record(epochRecord(o.name, k))
}

// retarget assigns every partition of every topic that is subscribed to.
func (g *Groups) retarget(now time.Time, o *Group) {
	k := o.consumers
	p := g.plan(k)
	k.target.assignor = g.preferred(k)
	assignors[k.target.assignor](p)
	for i, c := range k.members {
		is := g.bounded(partsOf(p.seats[i].gets))
		was, known := k.target.of[c.id]
		if known && samePart(was, is) {
			continue
		}
		k.target.of[c.id] = is
		g.record(targetRecord(o.name, c.id, is))
	}
	k.target.epoch, k.target.time = k.epoch, now.UnixMilli()
	g.record(targetEpochRecord(o.name, k))
}

func samePart(a, b parts) bool { return len(a) == len(b) && a.within(b) }

// bounded is no more than fits a record: a member that is to have a hundred thousand partitions has to share them.
func (g *Groups) bounded(p parts) parts { return p[:min(len(p), max(1, g.settings.RecordMax/32))] }

// preferred is the assignor that most members like best; the first of the settings where nobody says one.
func (g *Groups) preferred(k *consumers) string {
	votes := map[string]int{}
	best := g.settings.Consumer.Assignors[0]
	for _, c := range k.members {
		if c.assignor == "" {
			continue
		}
		votes[c.assignor]++
	}
	for _, name := range g.settings.Consumer.Assignors {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// plan is what an assignor starts from.
func (g *Groups) plan(k *consumers) *plan {
	p := &plan{near: g.catalogue.Near}
	at := map[string]int{}
	for i, c := range k.members {
		name := c.id
		if c.instance != "" {
			name = c.instance
		}
		p.seats = append(p.seats, seat{name: name, rack: c.rack, had: k.target.of[c.id]})
		for _, topic := range k.topicsOf(c) {
			n, seen := at[topic]
			if !seen {
				t, there := g.catalogue.Topic(topic)
				if !there {
					continue
				}
				n = len(p.shelves)
				at[topic] = n
				p.shelves = append(p.shelves, shelf{Topic: t})
			}
			p.shelves[n].readers = append(p.shelves[n].readers, i)
		}
	}
	return p
}
