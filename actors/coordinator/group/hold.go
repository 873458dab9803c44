package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// A rebalance takes as long as it takes until every member has asked. So a heartbeat that has nothing to tell is held until there is news,
// and a member hears of it in the time of one way:
//
//	heartbeat ─▶ nothing new ─▶ held ─┬─ news of the group ──────────────────▶ told
//	                                  ├─ its time is over ───────────────────▶ answered: there is nothing new
//	                                  └─ its client asks for something else ─▶ the same, at once
//
// No client may take one that is held for a coordinator that is gone: they wait for different times, and who is held is never let wait for
// longer than the most impatient of them does (Hold, below). A member whose connection is lost while it is held has perhaps not waited any
// longer: from then on it is held for half of that.

// held is a member's heartbeat that waits for news.
type held struct {
	from    Caller
	member  string
	until   time.Time
	classic *message.GroupHeartbeat // one of both
	modern  *message.ConsumerHeartbeat
}

// holds are a group's heartbeats that wait, in the order in which they came.
type holds struct {
	list    []held
	stirred bool      // there may be news
	rested  time.Time // until when members are held that rest between two heartbeats: together, so that they rest together too
}

const (
	// restingTimes is how much longer one is held that rests after each answer, so that there mostly is one to answer: franz-go, which
	// waits for 10 s.
	restingTimes = 2
	// holdMin is the shortest time for which it is worth it.
	holdMin = 10 * time.Millisecond
)

// hold is how long a classic member's heartbeat may be held, as the group's settings have it; zero: not at all. A third of the session
// is left for the next one to be late, and one for it to be lost.
//
// Static members are not held, and those of Kafka Streams are not: Java's consumer waits at its end for every answer, and they go without a word
// that would end a hold.
func (g *Groups) hold(o *Group, id string, how message.Holding, session time.Duration, flinches uint8) time.Duration {
	longest := g.catalogue.Hold(o.name)
	if how == message.HeldResting {
		longest *= restingTimes
	}
	if g.txns.groups[o.name] > 0 || o.protocol == "stream" || o.isStatic(id) {
		return 0 // who is about to end a transaction has no time
	}
	return worthIt(how, min(longest, session/3)>>flinches)
}

// holdConsumer is hold for a member by KIP-848, and when it is to ask again. librdkafka gives an answer as long as the last one said that
// it should ask again in, and Java's consumer looks without a pause for its answer from then on: so it is held for less, and told
// the same. One that rests is told to come again at once.
func (g *Groups) holdConsumer(o *Group, c *consumer, how message.Holding) (hold, interval time.Duration) {
	session, interval := g.catalogue.Timing(o.name)
	if g.catalogue.Hold(o.name) <= 0 || how == message.Unheld || c.flinches > 0 {
		return 0, interval
	}
	margin := interval / 10
	if how == message.HeldResting {
		margin = interval / 50
	}
	if hold = worthIt(how, min(interval-margin, session/2)); hold > 0 && how == message.HeldResting {
		interval = max(margin, time.Millisecond)
	}
	if g.txns.groups[o.name] > 0 {
		hold = 0
	}
	return hold, interval
}

func worthIt(how message.Holding, d time.Duration) time.Duration {
	if how == message.Unheld || d < holdMin {
		return 0
	}
	return d
}

// wait holds a heartbeat.
func (g *Groups) wait(now time.Time, o *Group, h held, how message.Holding, d time.Duration) {
	h.until = now.Add(d)
	if how == message.HeldResting && h.classic != nil {
		if !now.Before(o.holds.rested) {
			o.holds.rested = h.until
		}
		h.until = earliest(h.until, o.holds.rested)
	}
	o.holds.list = append(o.holds.list, h)
	g.waiting++
	g.timers.set(alarm{at: h.until, group: o, held: true})
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// stir says that there may be news of a group.
func (g *Groups) stir(o *Group) {
	if !o.holds.stirred && len(o.holds.list) > 0 && !planted.Is(planted.HeldUntold) {
		o.holds.stirred = true
		g.stirred = append(g.stirred, o)
	}
}

// rouse tells everybody who is held and for whom there is news. What one hears may be news for another.
func (g *Groups) rouse(now time.Time) {
	for len(g.stirred) > 0 {
		o := g.stirred[0]
		g.stirred = g.stirred[1:]
		o.holds.stirred = false
		for _, h := range slices.Clone(o.holds.list) {
			if answer, news := g.news(now, &h); news {
				g.let(now, o, &h, answer)
			}
		}
	}
	g.stirred = nil
}

// news is what a heartbeat that is held is answered with now, and whether that is any other than before.
func (g *Groups) news(now time.Time, h *held) (answer any, news bool) {
	if h.classic != nil {
		code := g.heartbeat(now, h.classic, false)
		return &message.GroupBeat{Code: code}, code != message.OK
	}
	return g.consumerNews(now, h.modern)
}

// let answers a heartbeat that is held. Who hears of it lives from now on for another session.
func (g *Groups) let(now time.Time, o *Group, h *held, answer any) {
	g.unhold(o, h)
	g.live(now, h)
	g.reply(h.from, answer)
}

func (g *Groups) unhold(o *Group, h *held) {
	o.holds.list = slices.DeleteFunc(o.holds.list, func(one held) bool { return one.from == h.from })
	g.waiting--
}

// live begins the session of a member anew whose heartbeat was held: it is the answer that its client counts from.
func (g *Groups) live(now time.Time, h *held) {
	if h.classic != nil {
		g.heartbeat(now, h.classic, true)
		return
	}
	if o := g.named[h.modern.Group]; o != nil && o.consumers != nil {
		if c := o.consumers.member(h.member); c != nil && c.classic == nil && c.epoch >= message.EpochJoins {
			session, _ := g.catalogue.Timing(o.name)
			c.deadline = now.Add(session)
			g.watch(o, c)
		}
	}
}

// holdsDue answers who has been held for long enough.
func (g *Groups) holdsDue(now time.Time, o *Group) {
	for _, h := range slices.Clone(o.holds.list) {
		if h.until.After(now) {
			continue
		}
		if planted.Is(planted.HeldForever) {
			g.live(now, &h)
			g.timers.set(alarm{at: now.Add(time.Second), group: o, held: true})
			continue
		}
		answer, _ := g.news(now, &h)
		g.let(now, o, &h, answer)
	}
}

// answerHeld ends a member's wait.
func (g *Groups) answerHeld(now time.Time, m *message.AnswerHeartbeat) {
	o := g.named[m.Group]
	if o == nil {
		return
	}
	switch {
	case !m.Lost:
		g.supersede(now, o, m.Member)
	case !planted.Is(planted.HeldForever):
		g.flinched(now, o, m.Member)
	}
}

// supersede answers what is held of a member: it has asked for something else.
func (g *Groups) supersede(now time.Time, o *Group, member string) {
	for _, h := range slices.Clone(o.holds.list) {
		if h.member == member {
			answer, _ := g.news(now, &h)
			g.let(now, o, &h, answer)
		}
	}
}

// flinched forgets a heartbeat whose client is gone: perhaps it would not wait any longer, and will have to wait for less. Its session ends
// as if it had been answered when it came.
func (g *Groups) flinched(now time.Time, o *Group, member string) {
	for _, h := range slices.Clone(o.holds.list) {
		if h.member != member {
			continue
		}
		g.unhold(o, &h)
		answer, _ := g.news(now, &h)
		g.reply(h.from, answer) // nobody hears it
		if is := o.member(member); is != nil {
			is.flinches = min(is.flinches+1, 16)
		}
		if o.consumers != nil {
			if c := o.consumers.member(member); c != nil {
				c.flinches = min(c.flinches+1, 16)
			}
		}
	}
}

// Abandon forgets everybody who is held, and says who that was: another coordinator may have news for them.
func (g *Groups) Abandon() (all []Caller) {
	if g.waiting == 0 {
		return nil
	}
	g.waiting = 0
	for _, o := range g.named {
		for _, h := range o.holds.list {
			all = append(all, h.from)
		}
		o.holds = holds{}
	}
	slices.Sort(all)
	return all
}

// Deaf names a member that is held though there is news for it; empty if there is none. It changes nothing, for those who look on.
func (g *Groups) Deaf() string {
	for _, o := range g.sorted() {
		for _, h := range o.holds.list {
			if g.deaf(o, &h) {
				return h.member + " of group " + o.name
			}
		}
	}
	return ""
}

func (g *Groups) deaf(o *Group, h *held) bool {
	if o.consumers == nil {
		is := o.member(h.member)
		return h.classic == nil || is == nil || o.state == preparing || o.generation != h.classic.Generation
	}
	k := o.consumers
	c := k.member(h.member)
	if c == nil {
		return true
	}
	get, _ := k.available(c, k.target.of[c.id].without(c.assigned))
	if h.classic != nil {
		return c.epoch != h.classic.Generation || c.epoch < k.epoch || c.state == revoking
	}
	return c.epoch != h.modern.Epoch || c.epoch < k.target.epoch && c.state == settled || len(get) > 0
}

// Members are how many members the groups have.
func (g *Groups) Members() (n int) {
	for _, o := range g.named {
		if n += len(o.members); o.consumers != nil {
			n += len(o.consumers.members)
		}
	}
	return n
}
