package partition

import (
	"errors"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
)

const (
	// readCost is what a stage may expect of reading what was just written.
	readCost = 50 * time.Microsecond
	// tellDelay is how long followers may not know that the high watermark has moved, if no records tell them.
	tellDelay = 5 * time.Millisecond
	// pullBytesMost bounds one answer, whatever is asked for.
	pullBytesMost = 16 << 20
)

// followers is what there is between a leader and its followers.
type followers struct {
	pulls    []pulling       // that wait for something, or are being answered; at most one of each follower
	telling  bool            // a tell is on its way
	watching bool            // a look is on its way
	proposal stage.RequestID // for another in-sync set; 0: none
	draw     drawing
}

// pulling is a follower's pull.
type pulling struct {
	from    stage.Caller
	ask     *message.Pull
	reading bool // what it gets is being read
}

// serveFollower takes a follower's word, and parks its pull if it asks for something.
func (p *Partition) serveFollower(c stage.Context, from stage.Caller, m *message.Pull) {
	node := from.Address.Node
	out, no := p.replica.Pull(node, m, past{p.log}, c.Now())
	if no != nil {
		p.carryOut(c, out)
		if p.cannotTell(m, no) {
			no = p.replica.Answer(message.KafkaStorageError, -1)
		}
		c.Answer(from, no)
		return
	}
	if !from.IsZero() {
		p.parkPull(c, pulling{from: from, ask: m})
	}
	p.carryOut(c, out)
	p.propose(c)
	p.bringAll(c)
	p.tellSoon(c)
}

// parkPull lets a follower's pull take the place of its last one.
func (p *Partition) parkPull(c stage.Context, q pulling) {
	pulls := &p.followers.pulls
	if i := p.pullOf(q.from.Address.Node); i >= 0 {
		c.Answer((*pulls)[i].from, p.replica.Answer(message.OK, p.replica.Start()))
		(*pulls)[i] = q
		return
	}
	*pulls = append(*pulls, q)
}

func (p *Partition) pullOf(node message.NodeID) int {
	return slices.IndexFunc(p.followers.pulls, func(q pulling) bool { return q.from.Address.Node == node })
}

// bringAll has read what followers wait for, whether it is synced here or not: they sync it at the same time.
func (p *Partition) bringAll(c stage.Context) {
	for i := range p.followers.pulls {
		switch q := &p.followers.pulls[i]; {
		case q.reading || p.replica.Due(q.from.Address.Node) != replica.Bring:
		case p.replica.Throttles(q.from.Address.Node):
			p.draw(c, message.LeaderSide, q.ask.BytesMax)
		default:
			p.gather(c, q, 0)
		}
	}
}

// cannotTell says that a follower is to cut what is damaged here: of which epochs that is this log does not know any more, and the follower may have
// the only copy that is whole. It tries again, and is asked for what is damaged meanwhile.
func (p *Partition) cannotTell(m *message.Pull, no *message.Pulled) bool {
	from := int64(0)
	switch {
	case no.DivergingEpoch >= 0:
		from = no.DivergingEnd
	case no.Code != message.OffsetOutOfRange:
		return false
	}
	return slices.ContainsFunc(p.mending.damaged, func(d message.Damaged) bool { return d.First < m.End && from < d.Next })
}

// gathered is what comes back from reading elsewhere.
type gathered struct {
	from  stage.Caller
	share int32  // that was drawn for it; 0: it is not throttled
	raw   []byte // lent
	err   error
}

// gather reads whole batches for a follower into one buffer, as many as fit its share if it is throttled.
func (p *Partition) gather(c stage.Context, q *pulling, share int32) {
	q.reading = true
	v, from, gaps := p.log.View(p.seen), q.from, p.log.Gaps()
	at, most := max(q.ask.End, p.log.Start()), int(min(max(q.ask.BytesMax, 0), pullBytesMost))
	if share > 0 {
		most = min(most, int(share))
	}
	c.Offload(readCost, func() any {
		raw, err := read(v, at, v.Bounds().LogEnd, most, gaps)
		return &gathered{from, share, raw, err}
	})
}

// gathered answers the pull, unless it was answered otherwise meanwhile.
func (p *Partition) gathered(c stage.Context, m *gathered) {
	p.spent(c, message.LeaderSide, len(m.raw), m.share)
	i := slices.IndexFunc(p.followers.pulls, func(q pulling) bool { return q.from == m.from })
	if i < 0 || p.phase != open {
		loan.GiveBack(m.raw)
		return
	}
	if m.err == nil && len(m.raw) > 0 {
		p.answerPull(c, i, m.raw)
		return
	}
	if !errors.Is(m.err, message.ErrOffsetOutOfRange) { // retention was faster: the next pull hears where to begin
		c.Log().Error("a follower cannot be served", "topic", p.replica.Office().Name, "follower", m.from.Address.Node, "err", m.err)
	}
	p.strikePull(i)
	c.Answer(m.from, p.replica.Answer(message.KafkaStorageError, -1))
	if damage, damaged := errors.AsType[*message.Damaged](m.err); damaged {
		p.damageFound(c, *damage)
	}
}

// answerPull answers with batches, or without any if only the high watermark is news.
func (p *Partition) answerPull(c stage.Context, i int, raw []byte) {
	from := p.followers.pulls[i].from
	p.strikePull(i)
	a := p.replica.Answer(message.OK, p.replica.Start())
	a.Batches, a.Lent, a.Gaps = raw, raw, p.log.Compacted()
	c.Answer(from, a)
}

func (p *Partition) strikePull(i int) { p.followers.pulls = slices.Delete(p.followers.pulls, i, i+1) }

// tellSoon has followers told that the high watermark has moved. Under load the next records tell them.
func (p *Partition) tellSoon(c stage.Context) {
	if !p.followers.telling && slices.ContainsFunc(p.followers.pulls, p.untold) {
		p.followers.telling = true
		c.After(tellDelay, &tell{})
	}
}

func (p *Partition) untold(q pulling) bool {
	return !q.reading && p.replica.Due(q.from.Address.Node) == replica.Tell
}

func (p *Partition) tellFollowers(c stage.Context) {
	p.followers.telling = false
	if p.phase != open || planted.Is(planted.MarkUntold) {
		return
	}
	for i := len(p.followers.pulls) - 1; i >= 0; i-- {
		if p.untold(p.followers.pulls[i]) {
			p.answerPull(c, i, nil)
		}
	}
}

// hearAnew lets followers whose word counts no more pull again.
func (p *Partition) hearAnew(c stage.Context) {
	p.followers.pulls = slices.DeleteFunc(p.followers.pulls, func(q pulling) bool {
		anew := p.replica.Unproven(q.from.Address.Node)
		if anew {
			c.Answer(q.from, p.replica.Answer(message.OK, p.replica.Start()))
		}
		return anew
	})
}

// dismissFollowers leaves no pull parked.
func (p *Partition) dismissFollowers(c stage.Context, code message.Code) {
	for _, q := range p.followers.pulls {
		c.Answer(q.from, p.replica.Answer(code, -1))
	}
	p.followers.pulls = nil
}

// busy says that a pull is being answered, or soon will be, or that who is in sync is not settled.
func (f *followers) busy() bool {
	return f.telling || f.watching || f.draw.busy() || f.proposal != 0 || slices.ContainsFunc(f.pulls, func(q pulling) bool { return q.reading })
}
