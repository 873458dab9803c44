package group

import (
	"container/heap"
	"time"
)

// alarm looks at a group, or one of its members, at a time. It may come too early: what it looks at says when it is really due.
type alarm struct {
	at       time.Time
	number   uint64 // alarms of one time ring in the order in which they were set
	group    *Group
	member   *member // nil: the group's rebalance
	consumer *consumer
	id       string // an id that was given and has not come again; empty: none
	held     bool   // heartbeats of the group that are held
}

type timers struct {
	alarms []alarm
	count  uint64
}

func (t *timers) Len() int { return len(t.alarms) }
func (t *timers) Less(i, j int) bool {
	a, b := &t.alarms[i], &t.alarms[j]
	return a.at.Before(b.at) || a.at.Equal(b.at) && a.number < b.number
}
func (t *timers) Swap(i, j int) { t.alarms[i], t.alarms[j] = t.alarms[j], t.alarms[i] }
func (t *timers) Push(x any)    { t.alarms = append(t.alarms, x.(alarm)) }
func (t *timers) Pop() any {
	last := len(t.alarms) - 1
	a := t.alarms[last]
	t.alarms[last] = alarm{}
	t.alarms = t.alarms[:last]
	return a
}

func (t *timers) set(a alarm) {
	t.count++
	a.number = t.count
	heap.Push(t, a)
}

// Due is when Expire has something to do; zero: never.
func (g *Groups) Due() time.Time {
	due := time.Time{}
	if len(g.timers.alarms) > 0 {
		due = g.timers.alarms[0].at
	}
	if at := g.txns.due; !at.IsZero() && (due.IsZero() || at.Before(due)) {
		due = at
	}
	if g.settings.RetentionCheck > 0 && len(g.named) > 0 {
		if check := g.checked.Add(g.settings.RetentionCheck); due.IsZero() || check.Before(due) {
			due = check
		}
	}
	return due
}

// Expire does what the time asks for.
func (g *Groups) Expire(now time.Time) Out {
	for len(g.timers.alarms) > 0 && !g.timers.alarms[0].at.After(now) {
		g.ring(now, heap.Pop(&g.timers).(alarm))
	}
	g.verifyAgain(now)
	if g.settings.RetentionCheck > 0 && !now.Before(g.checked.Add(g.settings.RetentionCheck)) {
		g.checked = now
		g.retain(now)
	}
	return g.take(now)
}

func (g *Groups) ring(now time.Time, a alarm) {
	o := a.group
	if g.named[o.name] != o {
		return
	}
	switch {
	case a.held:
		g.holdsDue(now, o)
	case a.id != "":
		if until, waits := o.pending[a.id]; waits && !until.After(now) {
			delete(o.pending, a.id)
			g.afterLoss(now, o)
		}
	case a.consumer != nil:
		g.consumerDue(now, o, a.consumer)
	case a.member == nil:
		if !o.rebalance.due.IsZero() && !o.rebalance.due.After(now) {
			g.rebalanceDue(now, o)
		}
	default:
		a.member.armed = false
		g.sessionDue(now, o, a.member)
	}
}

// sessionDue removes a member that was silent for too long. Who waits for an answer is not silent (S63), but for somebody new, whose
// client may have gone.
func (g *Groups) sessionDue(now time.Time, o *Group, m *member) {
	if o.member(m.id) != m {
		return
	}
	if waits := m.joining != 0 || m.syncing != 0; waits && !m.fresh {
		m.deadline = now.Add(m.session)
	}
	if m.deadline.After(now) {
		g.arm(o, m)
		return
	}
	g.remove(now, o, m)
}

// refresh notes that a member lives.
func (g *Groups) refresh(now time.Time, o *Group, m *member) {
	m.deadline = now.Add(m.session)
	if m.fresh {
		m.deadline = now.Add(newcomerPatience)
	}
	g.arm(o, m)
}

// arm sees that somebody looks at the deadline. One alarm is enough: it is set again when it rings too early. One that is too late is
// joined by an earlier one.
func (g *Groups) arm(o *Group, m *member) {
	if m.armed && !m.deadline.Before(m.alarmAt) {
		return
	}
	m.armed, m.alarmAt = true, m.deadline
	g.timers.set(alarm{at: m.deadline, group: o, member: m})
}

// schedule sets the time of a rebalance.
func (g *Groups) schedule(o *Group, due time.Time) {
	o.rebalance.due = due
	g.timers.set(alarm{at: due, group: o})
}
