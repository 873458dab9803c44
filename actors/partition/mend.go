package partition

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
)

// mending is how a replica gets back what its disk has damaged: from another replica, since what is committed is the same in all.
//
//	opened, read, scrubbed, told by a reader ─▶ damaged ─▶ Mend ─▶ another replica ─▶ Mended ─▶ log ─▶ Commit
//
// A crash at any step leaves the damage, which is found again, or what stood there before.
type mending struct {
	damaged   []message.Damaged // each is kept and not served until it is mended
	asked     stage.RequestID   // the question to another replica; 0: none
	turn      int               // who is asked next
	resting   bool              // a remend is on its way
	scrubbing bool
	scrubbed  int64 // up to here the log was read and checked; the next sweep goes on there
}

const (
	// mendPatience is how long another replica may take to find what is asked for.
	mendPatience = 10 * time.Second
	// misfitPause is how long damage is left alone for which another replica has sent what does not fit. A misdirected write that has
	// left a whole batch where another one should be is such: more than what cannot be read would have to be written anew.
	misfitPause = 10 * time.Minute
	// scrubBytes is how much of an open log each sweep reads and checks.
	scrubBytes = 4 << 20
	scrubCost  = 500 * time.Microsecond
)

// damageFound reports damage, once, and begins to mend it. A partition without another copy can only report it.
func (p *Partition) damageFound(c stage.Context, found ...message.Damaged) {
	for _, d := range log.Joined(found) {
		same := func(k message.Damaged) bool { return k.File == d.File && k.First < d.Next && d.First < k.Next }
		if p.log == nil || d.Next <= p.log.Start() || d.First == d.Next || slices.ContainsFunc(p.mending.damaged, same) {
			continue
		}
		c.Log().Error("a part of the log is damaged and not served", "topic", p.replica.Office().Name, "err", &d)
		p.mending.damaged = append(p.mending.damaged, d)
	}
	p.mend(c)
}

// busy says that there is something to mend, or to look at: the log stays open for it.
func (m *mending) busy(p *Partition) bool {
	return m.scrubbing || len(m.damaged) > 0 && len(p.replica.Office().Replicas) > 1
}

// mend asks another replica for the first of what is damaged, as soon as that is known to be committed.
func (p *Partition) mend(c stage.Context) {
	m, others := &p.mending, p.lenders(c.Self().Node)
	if p.phase != open || m.asked != 0 || m.resting || len(m.damaged) == 0 || len(others) == 0 {
		return
	}
	d := &m.damaged[0]
	if d.From == d.To || d.Next > p.replica.Shared() {
		p.mendLater(c, p.post.PauseMax)
		return
	}
	to := message.PartitionAt(others[m.turn%len(others)], p.post.ID)
	from := max(d.First, p.log.Start()) // what is below was deleted, and is given away by nobody
	m.asked = c.Ask(to, &message.Mend{LeaderEpoch: p.replica.Office().LeaderEpoch, From: from, Next: d.Next, BytesMax: p.post.PullBytes}, mendPatience)
}

// lenders are the other replicas, the leader first.
func (p *Partition) lenders(self message.NodeID) (nodes []message.NodeID) {
	office := p.replica.Office()
	if office.Leader != self && office.Leader != message.Nobody {
		nodes = append(nodes, office.Leader)
	}
	for _, n := range office.Replicas {
		if n != self && n != office.Leader {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// mendLater lets something else be mended first, and another replica be asked.
func (p *Partition) mendLater(c stage.Context, pause time.Duration) {
	m := &p.mending
	m.asked = 0
	m.turn++
	if len(m.damaged) > 1 {
		m.damaged = append(m.damaged[1:], m.damaged[0])
	}
	if !m.resting {
		m.resting = true
		c.After(pause, &remend{})
	}
}

func (p *Partition) remend(c stage.Context) {
	p.mending.resting = false
	p.mend(c)
}

// lend reads for another replica what is damaged in its copy.
func (p *Partition) lend(c stage.Context, from stage.Caller, m *message.Mend) {
	code := message.OK
	switch office := p.replica.Office(); {
	case m.LeaderEpoch < office.LeaderEpoch:
		code = message.FencedLeaderEpoch
	case m.LeaderEpoch > office.LeaderEpoch:
		code = message.UnknownLeaderEpoch
	case m.From >= m.Next || m.Next > p.replica.Shared():
		code = message.OffsetNotAvailable
	}
	if code != message.OK {
		c.Answer(from, &message.Mended{Code: code})
		return
	}
	v, gaps, most := p.log.View(p.seen), p.log.Gaps(), int(min(max(m.BytesMax, 0), pullBytesMost))
	c.Offload(readCost, func() any {
		raw, err := read(v, m.From, m.Next, most, gaps)
		return &lent{from: from, raw: raw, err: err}
	})
}

// lent is what comes back from reading for another replica.
type lent struct {
	from stage.Caller
	raw  []byte
	err  error
}

func (p *Partition) lent(c stage.Context, m *lent) {
	code := message.OK
	damage, damaged := errors.AsType[*message.Damaged](m.err)
	switch {
	case damaged:
		code = message.CorruptMessage
	case errors.Is(m.err, message.ErrOffsetOutOfRange):
		code = message.OffsetOutOfRange
	case m.err != nil || len(m.raw) == 0:
		code = message.KafkaStorageError
	}
	c.Answer(m.from, &message.Mended{Code: code, Batches: m.raw})
	if damaged && p.phase == open {
		p.damageFound(c, *damage)
	}
}

// mended writes what came into its place, and has it synced. What does not fit stays damaged.
func (p *Partition) mended(c stage.Context, m *message.Mended) {
	if p.mending.asked == 0 || c.Answers() != p.mending.asked {
		return
	}
	p.mending.asked = 0
	if p.phase != open || len(p.mending.damaged) == 0 {
		return
	}
	d := p.mending.damaged[0]
	if d.Next <= p.log.Start() { // it was deleted meanwhile
		p.mending.damaged = p.mending.damaged[1:]
		p.mend(c)
		return
	}
	if m.Code != message.OK || !p.leavePass(c) {
		p.mendLater(c, p.post.PauseMax)
		return
	}
	rest, err := p.log.Mend(d, m.Batches)
	if err != nil {
		c.Log().Warn("a part of the log could not be mended", "topic", p.replica.Office().Name, "err", err)
		p.forgetStale(c, d)
		return
	}
	c.Log().Warn("a part of the log was mended from another replica", "topic", p.replica.Office().Name, "first", d.First, "bytes", len(m.Batches))
	p.mending.damaged = p.mending.damaged[1:]
	if rest.To > 0 {
		p.mending.damaged = slices.Insert(p.mending.damaged, 0, rest)
	}
	p.commit(c, nil, message.Trace{})
	p.publish(c)
	if p.blind && len(p.mending.damaged) == 0 { // what was damaged may have ended a transaction
		p.cut(c, truncation{to: p.log.End()})
		return
	}
	p.mend(c)
}

// forgetStale looks anew at what could not be mended: the log may have been cut there, or mended in part.
func (p *Partition) forgetStale(c stage.Context, d message.Damaged) {
	now, _, err := p.log.Verify(d.First, d.Next)
	if err != nil {
		p.mendLater(c, p.post.PauseMax)
		return
	}
	p.mending.damaged, now = slices.Delete(p.mending.damaged, 0, 1), log.Joined(now)
	for _, found := range now {
		if found.Next > found.First {
			p.mending.damaged = append(p.mending.damaged, found)
		}
	}
	pause := p.post.PauseMax
	if slices.ContainsFunc(now, func(n message.Damaged) bool { return n.File == d.File && n.From == d.From && n.Next == d.Next }) {
		pause = misfitPause
	}
	p.publish(c)
	p.mendLater(c, pause)
}

// scrubIfUsed reads and checks a part of a log that has other copies: damage that nobody reads would be found when those are gone.
// A log that is not used may rest.
func (p *Partition) scrubIfUsed(c stage.Context) {
	m, end := &p.mending, p.replica.Shared()
	if !p.used || m.scrubbing || len(p.lenders(c.Self().Node)) == 0 {
		return
	}
	from := max(m.scrubbed, p.log.Start())
	if from >= end {
		from = p.log.Start()
	}
	if from >= end {
		return
	}
	m.scrubbing = true
	v := p.log.View(p.seen)
	c.Offload(scrubCost, func() any {
		damaged, next, err := check(v, from, end)
		return &scrubbed{next: next, damaged: damaged, err: err}
	})
}

// scrubbed is what comes back from checking a part of the log.
type scrubbed struct {
	next    int64
	damaged []message.Damaged
	err     error
}

func (p *Partition) scrubbed(c stage.Context, m *scrubbed) {
	p.mending.scrubbing = false
	if m.err == nil {
		p.mending.scrubbed = m.next
	}
	if p.phase == open && m.err == nil {
		p.damageFound(c, m.damaged...)
	}
}

// verifier is what a log's views can do besides: find what is damaged in a range of offsets.
type verifier interface {
	Verify(from, limit int64) (damaged []message.Damaged, read int64, err error)
}

// check reads scrubBytes or so from an offset on.
func check(v message.View, from, end int64) (damaged []message.Damaged, next int64, err error) {
	s, err := v.Read(from, end, scrubBytes, true)
	next = s.Next
	if d, ok := errors.AsType[*message.Damaged](err); ok {
		next = d.Next
	} else if err != nil {
		return nil, from, err
	}
	damaged, _, err = v.(verifier).Verify(from, next)
	return damaged, next, err
}

// read reads whole batches into one lent buffer, and checks them: what is damaged goes to nobody. What comes in front of it does.
func read(v message.View, at, limit int64, most int, gaps bool) ([]byte, error) {
	s, err := v.Read(at, limit, most, true)
	if err != nil || s.Bytes == 0 {
		return nil, err
	}
	raw := loan.Lend(s.Bytes)[:s.Bytes]
	if _, err := s.File.ReadAt(raw, s.At); err != nil {
		return nil, err
	}
	whole, next := 0, s.First
	for whole < len(raw) {
		b, err := record.Check(raw[whole:])
		if err != nil || b.BaseOffset() < next || b.BaseOffset() > next && !gaps {
			break
		}
		whole, next = whole+len(b), b.NextOffset()
	}
	if whole > 0 {
		return raw[:whole], nil
	}
	damaged, _, err := v.(verifier).Verify(next, s.Next)
	if err == nil && len(damaged) > 0 {
		return nil, &damaged[0]
	}
	return nil, fmt.Errorf("what was read at offset %d is no batch: %w", next, err)
}
