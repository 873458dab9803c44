package partition

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
)

// drawPatience bounds how long the broker may be silent about a draw.
const drawPatience = 10 * time.Second

// drawing is a throttled replica's way to its node's budget.
//
//	pull due ─▶ Draw ─▶ broker ─▶ Drawn ─▶ read or pull ─▶ Spent
type drawing struct {
	asked   stage.RequestID // the broker has a Draw; 0: none
	resting bool            // there was nothing to be had, and a redraw is on its way
}

func (d *drawing) busy() bool { return d.asked != 0 || d.resting }

// redraw is a message to self: there may be something in the budget now.
type redraw struct{ side message.Side }

func (p *Partition) drawing(s message.Side) *drawing {
	if s == message.LeaderSide {
		return &p.followers.draw
	}
	return &p.follow.draw
}

// draw asks for a share, one at a time.
func (p *Partition) draw(c stage.Context, s message.Side, most int32) {
	if d := p.drawing(s); !d.busy() {
		d.asked = c.Ask(message.BrokerAt(c.Self().Node), &message.Draw{Side: s, Most: most}, drawPatience)
	}
}

// drawn spends a share, waits for one, or gives it back if nobody needs it any more.
func (p *Partition) drawn(c stage.Context, m *message.Drawn) {
	d := p.drawing(m.Side)
	if d.asked == 0 || d.asked != c.Answers() {
		p.spent(c, m.Side, 0, m.Bytes) // an earlier instance asked for it, or this one in another term
		return
	}
	d.asked = 0
	switch {
	case m.Bytes == 0:
		p.drawAgain(c, m.Side, m.Wait)
	case p.phase != open:
		p.spent(c, m.Side, 0, m.Bytes)
	case m.Side == message.FollowerSide:
		p.pullShare(c, m.Bytes)
	default:
		p.bringShare(c, m.Bytes)
	}
}

func (p *Partition) drawAgain(c stage.Context, s message.Side, in time.Duration) {
	p.drawing(s).resting = true
	c.After(in, &redraw{s})
}

// redraw goes on, throttled or not: that may be otherwise now.
func (p *Partition) redraw(c stage.Context, m *redraw) {
	p.drawing(m.side).resting = false
	switch {
	case p.phase != open:
	case m.side == message.FollowerSide:
		p.pull(c)
	default:
		p.bringAll(c)
	}
}

// undrawn is a draw that the broker does not answer: it starts anew.
func (p *Partition) undrawn(c stage.Context, s message.Side) {
	p.drawing(s).asked = 0
	p.drawAgain(c, s, p.post.PauseMax)
}

// spent tells the budget what became of a share.
func (p *Partition) spent(c stage.Context, s message.Side, bytes int, share int32) {
	if more := int64(bytes) - int64(share); share > 0 && more != 0 {
		c.Send(message.BrokerAt(c.Self().Node), &message.Spent{Side: s, Bytes: more})
	}
}

// bringShare reads for one follower that is throttled.
func (p *Partition) bringShare(c stage.Context, share int32) {
	i := slices.IndexFunc(p.followers.pulls, func(q pulling) bool {
		n := q.from.Address.Node
		return !q.reading && p.replica.Throttles(n) && p.replica.Due(n) == replica.Bring
	})
	if i < 0 {
		p.spent(c, message.LeaderSide, 0, share)
	} else {
		p.gather(c, &p.followers.pulls[i], share)
	}
	p.bringAll(c)
}

// pullShare asks the leader for no more than a share.
func (p *Partition) pullShare(c stage.Context, share int32) {
	if !p.mustPull() {
		p.spent(c, message.FollowerSide, 0, share)
		return
	}
	m := p.wants()
	m.BytesMax = min(m.BytesMax, share)
	p.follow.share = share
	p.follow.asked = c.Ask(p.leader(), m, pullPatience)
}

// settleShare tells what a pull has brought, and of a pull that nobody answers, that it brought nothing.
func (p *Partition) settleShare(c stage.Context, bytes int) {
	p.spent(c, message.FollowerSide, bytes, p.follow.share)
	p.follow.share = 0
}
