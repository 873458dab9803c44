package group

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// join is S53-S59: who is new becomes a member or is given an id, who is known says that it is there.
func (g *Groups) join(now time.Time, from Caller, m *message.JoinGroup) {
	o := g.named[m.Group]
	if code := g.joinable(o, m); code != message.OK {
		g.unjoined(from, m.Member, code)
		return
	}
	if o = g.found(now, m.Group); o.consumers != nil && o.populated() {
		g.joinConsumers(now, o, from, m)
		return
	}
	if o.consumers != nil {
		g.classicize(now, o)
	}
	if m.Member == "" {
		g.joinNew(now, o, from, m)
		return
	}
	g.joinAgain(now, o, from, m)
}

// joinable says why nobody can join like that.
func (g *Groups) joinable(o *Group, m *message.JoinGroup) message.Code {
	switch {
	case m.Session < g.settings.SessionMin, m.Session > g.settings.SessionMax:
		return message.InvalidSessionTimeout
	case o == nil && m.Member != "":
		return message.UnknownMemberID
	case o == nil && (m.ProtocolType == "" || len(m.Protocols) == 0):
		return message.InconsistentGroupProtocol
	case o == nil:
		return message.OK
	case o.consumers != nil && o.populated():
		return g.joinableConsumers(o, m)
	case o.consumers != nil && m.Member != "":
		return message.UnknownMemberID
	case !o.speaks(m.ProtocolType, m.Protocols) && o.static(m.Instance) == nil:
		return message.InconsistentGroupProtocol
	case o.member(m.Member) == nil && o.static(m.Instance) == nil && g.full(o, m.Member):
		return message.GroupMaxSizeReached
	}
	return message.OK
}

// full says that a group takes nobody more (S66); who was given an id has its place.
func (g *Groups) full(o *Group, id string) bool {
	if _, expected := o.pending[id]; expected {
		return false
	}
	return len(o.members)+len(o.pending) >= g.settings.SizeMax
}

func (g *Groups) unjoined(to Caller, id string, code message.Code) {
	g.reply(to, &message.GroupJoined{Code: code, Generation: -1, Member: id})
}

func (g *Groups) joinNew(now time.Time, o *Group, from Caller, m *message.JoinGroup) {
	if m.Instance != "" {
		id := m.Instance + "-" + g.place.Draw().String()
		if old := o.static(m.Instance); old != nil {
			g.replace(now, o, old, id, from, m)
			return
		}
		g.add(now, o, id, from, m)
		return
	}
	id := m.ClientID + "-" + g.place.Draw().String()
	if !m.MemberIDRequired {
		g.add(now, o, id, from, m)
		return
	}
	until := now.Add(m.Session)
	o.pending[id] = until
	g.timers.set(alarm{at: until, group: o, id: id})
	g.unjoined(from, id, message.MemberIDRequired)
}

func (g *Groups) joinAgain(now time.Time, o *Group, from Caller, m *message.JoinGroup) {
	if _, expected := o.pending[m.Member]; expected && m.Instance == "" {
		delete(o.pending, m.Member)
		g.add(now, o, m.Member, from, m)
		return
	}
	is, code := o.known(m.Member, m.Instance)
	if code != message.OK {
		g.unjoined(from, m.Member, code)
		return
	}
	again := o.state == preparing || o.state == stable && is.id == o.leader || !is.same(m.Protocols)
	if !again { // its answer was lost (S59)
		g.refresh(now, o, is)
		g.reply(from, o.joinedAs(is, o.state == completing && is.id == o.leader))
		return
	}
	g.abandon(is, message.UnknownMemberID)
	is.update(from, m)
	g.refresh(now, o, is)
	g.prepare(now, o)
}

// add takes somebody new in and has everybody gather.
func (g *Groups) add(now time.Time, o *Group, id string, from Caller, m *message.JoinGroup) {
	is := &member{id: id, instance: m.Instance, fresh: true}
	is.update(from, m)
	if len(o.members) == 0 {
		o.protocolType = m.ProtocolType
	}
	if o.leader == "" || o.member(o.leader) == nil {
		o.leader = id
	}
	o.members = append(o.members, is)
	o.rebalance.grown = true
	g.refresh(now, o, is)
	g.prepare(now, o)
}

func (m *member) update(from Caller, j *message.JoinGroup) {
	m.clientID, m.host, m.session, m.rebalance = j.ClientID, j.Host, j.Session, j.Rebalance
	m.protocols, m.joining, m.skips, m.flinches = j.Protocols, from, j.SkipsAssignment, 0
	if from == 0 {
		m.joining = ^Caller(0) // nobody waits, and it is there all the same
	}
}

// abandon answers who still waits for an earlier question of a member.
func (g *Groups) abandon(m *member, code message.Code) {
	if m.joining != 0 {
		g.unjoined(m.joining, m.id, code)
	}
	if m.syncing != 0 {
		g.reply(m.syncing, &message.GroupSynced{Code: code})
	}
	m.joining, m.syncing = 0, 0
}

// replace gives the place of a static member to who comes with its instance and no id (S64). Whoever had it is fenced. While nothing
// would be assigned otherwise nobody else notices.
func (g *Groups) replace(now time.Time, o *Group, old *member, id string, from Caller, m *message.JoinGroup) {
	leads, before := o.leader == old.id, old.id
	g.abandon(old, message.FencedInstanceID)
	said := old.protocols
	old.id = id
	g.stir(o)
	if leads {
		o.leader = id
	}
	old.update(from, m)
	g.refresh(now, o, old)
	same := o.state == stable && o.choose() == o.protocol && string(metadataOf(said, o.protocol)) == string(old.metadata(o.protocol))
	if !same {
		g.prepare(now, o)
		return
	}
	old.joining = 0
	g.record(o.record())
	answer := o.joinedAs(old, leads && old.skips)
	if answer.SkipAssignment = leads && old.skips; leads && !old.skips {
		answer.Leader = before // it would assign anew, and nobody waits for that
	}
	g.reply(from, answer)
}

// joinedAs is what a member is told of the generation; who leads is told of the others.
func (o *Group) joinedAs(m *member, leads bool) *message.GroupJoined {
	a := &message.GroupJoined{Generation: o.generation, ProtocolType: o.protocolType, Protocol: o.protocol, Leader: o.leader, Member: m.id}
	if leads {
		for _, one := range o.members {
			a.Members = append(a.Members, message.JoinedMember{ID: one.id, Instance: one.instance, Metadata: one.metadata(o.protocol)})
		}
	}
	return a
}
