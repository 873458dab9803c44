package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// prepare has everybody gather, or looks whether they have.
func (g *Groups) prepare(now time.Time, o *Group) {
	if o.state != preparing {
		for _, m := range o.members {
			if m.syncing != 0 {
				g.reply(m.syncing, &message.GroupSynced{Code: message.RebalanceInProgress})
				m.syncing = 0
			}
		}
		wait := o.longest()
		o.rebalance = rebalance{grown: true}
		if o.state == empty {
			o.rebalance.initial, o.rebalance.grown = true, false
			delay := g.settings.InitialDelay
			o.rebalance.left = max(wait-delay, 0)
			wait = delay
		}
		o.turn(preparing, now)
		g.stir(o)
		g.schedule(o, now.Add(wait))
	}
	g.gathered(now, o)
}

// gathered goes on if everybody has come.
func (g *Groups) gathered(now time.Time, o *Group) {
	if o.state == preparing && o.joined() && (!o.rebalance.initial || !now.Before(o.rebalance.due) || len(o.members) == 0) {
		g.complete(now, o)
	}
}

// rebalanceDue ends the time to join, or to ask for an assignment. The first time is prolonged while members keep coming (KIP-134).
func (g *Groups) rebalanceDue(now time.Time, o *Group) {
	r := &o.rebalance
	switch {
	case o.state != preparing:
		g.expel(now, o)
		return
	case r.initial && r.grown && r.left > 0:
		more := min(g.settings.InitialDelay, r.left)
		r.left, r.grown = r.left-more, false
		g.schedule(o, now.Add(more))
		return
	}
	g.complete(now, o)
}

// complete begins a generation with who has come. Static members keep their place until their session is over (S57).
func (g *Groups) complete(now time.Time, o *Group) {
	clear(o.pending)
	o.members = slices.DeleteFunc(o.members, func(m *member) bool { return m.joining == 0 && m.instance == "" })
	if here := slices.IndexFunc(o.members, func(m *member) bool { return m.joining != 0 }); here < 0 && len(o.members) > 0 {
		g.schedule(o, now.Add(o.longest())) // only static ones are left, and none has come
		return
	} else if l := o.member(o.leader); here >= 0 && (l == nil || l.joining == 0) {
		o.leader = o.members[here].id
	}
	o.rebalance = rebalance{}
	o.generation++
	g.stir(o)
	if len(o.members) == 0 {
		g.desert(now, o)
		return
	}
	o.protocol = o.choose()
	o.turn(completing, now)
	for _, m := range o.members {
		m.fresh, m.synced = false, false
		if m.joining != 0 {
			g.reply(m.joining, o.joinedAs(m, m.id == o.leader))
			m.joining = 0
		}
		g.refresh(now, o, m)
	}
	g.schedule(o, now.Add(o.longest()))
}

// desert is what becomes of a group without members: its offsets stay.
func (g *Groups) desert(now time.Time, o *Group) {
	o.turn(empty, now)
	o.leader, o.protocol = "", ""
	g.record(o.record())
}

// sync hands out assignments (S60). What a leader assigns is written before anybody hears of it.
func (g *Groups) sync(now time.Time, from Caller, m *message.SyncGroup) {
	o := g.named[m.Group]
	if o != nil && o.consumers != nil {
		g.reply(from, g.syncConsumers(now, o, m))
		return
	}
	is, code := g.syncable(o, m)
	if code != message.OK {
		g.reply(from, &message.GroupSynced{Code: code})
		return
	}
	g.refresh(now, o, is)
	if is.synced = true; !slices.ContainsFunc(o.members, func(m *member) bool { return !m.synced }) {
		o.rebalance = rebalance{}
	}
	if o.state == stable {
		g.reply(from, o.syncedAs(is))
		return
	}
	if is.syncing != 0 {
		g.reply(is.syncing, &message.GroupSynced{Code: message.UnknownMemberID})
	}
	if is.syncing = from; from == 0 {
		is.syncing = ^Caller(0)
	}
	if is.id == o.leader {
		g.assign(now, o, m.Assignments)
	}
}

func (g *Groups) syncable(o *Group, m *message.SyncGroup) (*member, message.Code) {
	if o == nil {
		return nil, message.UnknownMemberID
	}
	is, code := o.known(m.Member, m.Instance)
	differs := func(said *string, is string) bool { return said != nil && *said != is }
	switch {
	case code != message.OK:
	case m.Generation != o.generation:
		code = message.IllegalGeneration
	case differs(m.ProtocolType, o.protocolType), differs(m.Protocol, o.protocol) && o.state != preparing:
		code = message.InconsistentGroupProtocol
	case o.state == empty:
		code = message.UnknownMemberID
	case o.state == preparing:
		code = message.RebalanceInProgress
	}
	return is, code
}

// assign ends a rebalance: who is left out of the assignment has nothing to do.
func (g *Groups) assign(now time.Time, o *Group, assignments []message.GroupAssignment) {
	for _, m := range o.members {
		m.assignment = []byte{}
		for _, a := range assignments {
			if a.Member == m.id || planted.Is(planted.GroupTwice) {
				m.assignment = a.Assignment
			}
		}
	}
	r := o.record()
	if r.Size() > g.settings.RecordMax {
		g.unassignable(now, o)
		return
	}
	o.turn(stable, now)
	g.record(r)
	for _, m := range o.members {
		if m.syncing != 0 {
			g.reply(m.syncing, o.syncedAs(m))
			m.syncing = 0
			g.refresh(now, o, m)
		}
	}
}

// unassignable refuses an assignment that is too large to be kept: the others must not wait for it.
func (g *Groups) unassignable(now time.Time, o *Group) {
	for _, m := range o.members {
		m.assignment = nil
		if m.syncing != 0 {
			g.reply(m.syncing, &message.GroupSynced{Code: message.UnknownServerError})
			m.syncing = 0
		}
	}
	g.prepare(now, o)
}

func (o *Group) syncedAs(m *member) *message.GroupSynced {
	return &message.GroupSynced{ProtocolType: o.protocolType, Protocol: o.protocol, Assignment: m.assignment}
}
