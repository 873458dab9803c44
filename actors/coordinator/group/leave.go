package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// beat answers a classic member's heartbeat, now or when there is news.
func (g *Groups) beat(now time.Time, from Caller, m *message.GroupHeartbeat) {
	o := g.named[m.Group]
	if o != nil {
		g.supersede(now, o, m.Member)
	}
	code := g.heartbeat(now, m, true)
	if code == message.OK && from != 0 {
		session, flinches := o.patience(m.Member)
		if d := g.hold(o, m.Member, m.Holding, session, flinches); d > 0 {
			g.wait(now, o, held{from: from, member: m.Member, classic: m}, m.Holding, d)
			return
		}
	}
	g.reply(from, &message.GroupBeat{Code: code})
}

// isStatic says that a classic member has an instance.
func (o *Group) isStatic(id string) bool {
	if is := o.member(id); is != nil {
		return is.instance != ""
	}
	if o.consumers != nil {
		c := o.consumers.member(id)
		return c != nil && c.instance != ""
	}
	return false
}

// patience is a classic member's session, and how often it has flinched.
func (o *Group) patience(id string) (session time.Duration, flinches uint8) {
	if is := o.member(id); is != nil {
		return is.session, is.flinches
	}
	if o.consumers != nil {
		if c := o.consumers.member(id); c != nil && c.classic != nil {
			return c.classic.session, c.flinches
		}
	}
	return 0, 0
}

// heartbeat is S62. While members gather a member is told so. Its session begins anew if it lives: what is only looked up again does not
// show that.
func (g *Groups) heartbeat(now time.Time, m *message.GroupHeartbeat, lives bool) message.Code {
	o := g.named[m.Group]
	if o == nil {
		return message.UnknownMemberID
	}
	if o.consumers != nil {
		return g.beatConsumers(now, o, m, lives)
	}
	is, code := o.known(m.Member, m.Instance)
	switch {
	case code != message.OK:
		return code
	case o.state == empty:
		return message.UnknownMemberID
	case m.Generation != o.generation:
		return message.IllegalGeneration
	}
	if lives {
		g.refresh(now, o, is)
	}
	if o.state == preparing {
		return message.RebalanceInProgress
	}
	return message.OK
}

// leave is S65.
func (g *Groups) leave(now time.Time, m *message.LeaveGroup) *message.GroupLeft {
	o, answer := g.named[m.Group], &message.GroupLeft{Codes: make([]message.Code, len(m.Members))}
	for i, l := range m.Members {
		answer.Codes[i] = g.leaver(now, o, l)
	}
	return answer
}

func (g *Groups) leaver(now time.Time, o *Group, l message.Leaver) message.Code {
	if o == nil {
		return message.UnknownMemberID
	}
	if o.consumers != nil {
		return g.leaveConsumers(now, o, l)
	}
	if _, expected := o.pending[l.Member]; expected && l.Instance == "" {
		delete(o.pending, l.Member)
		g.afterLoss(now, o)
		return message.OK
	}
	if is := o.static(l.Instance); is != nil && l.Member == "" { // an administrator's
		g.remove(now, o, is)
		return message.OK
	}
	is, code := o.known(l.Member, l.Instance)
	if code == message.OK {
		g.remove(now, o, is)
	}
	return code
}

// remove takes a member out.
func (g *Groups) remove(now time.Time, o *Group, m *member) {
	g.abandon(m, message.UnknownMemberID)
	i := o.index(m.id)
	o.members = slices.Delete(o.members, i, i+1)
	if o.leader == m.id && len(o.members) > 0 {
		o.leader = o.members[0].id
	}
	g.stir(o)
	g.afterLoss(now, o)
}

// afterLoss has the others gather anew, or finds that those who gather are complete now.
func (g *Groups) afterLoss(now time.Time, o *Group) {
	switch {
	case o.state == stable || o.state == completing:
		g.prepare(now, o)
	case o.state == preparing:
		g.gathered(now, o)
	case !o.written() && o.vain(): // it was never written
		delete(g.named, o.name)
	}
}

// expel takes those out who have not asked for their assignment in time (S61).
func (g *Groups) expel(now time.Time, o *Group) {
	o.rebalance = rebalance{}
	before := len(o.members)
	o.members = slices.DeleteFunc(o.members, func(m *member) bool { return !m.synced })
	if len(o.members) == before {
		return
	}
	g.stir(o)
	if o.member(o.leader) == nil && len(o.members) > 0 {
		o.leader = o.members[0].id
	}
	g.prepare(now, o)
}
