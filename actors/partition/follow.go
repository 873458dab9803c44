package partition

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const (
	// pullPatience bounds how long a leader is believed to have nothing to bring. A lost connection is told at once, so it is long.
	pullPatience = 5 * time.Minute
	// pauseMin is how long a leader that refuses is left alone at first; each time it is twice as long.
	pauseMin = 10 * time.Millisecond
)

// follow is what there is between a follower and its leader.
//
//	Pull ─▶ leader ─▶ Pulled ─▶ log ─▶ Commit ─▶ disk ─▶ Synced ─▶ Pull, which only tells
//	          ◀─ Pull, before that is synced ─┘
type follow struct {
	asked   stage.RequestID // the pull that the leader has; 0: none
	silence time.Duration   // the last pause
	resting bool            // a repull is on its way
	draw    drawing
	share   int32 // that was drawn for the pull; 0: it is not throttled
	held    []borrowed
}

// borrowed is memory with batches in it that the disk may be writing to its journal, until it has answered so many commits.
type borrowed struct {
	commits uint64
	memory  []byte
}

// mustPull says that this replica follows and its leader has no pull of it, nor will it get one by itself.
func (p *Partition) mustPull() bool {
	return p.replica.Follows() && p.follow.asked == 0 && !p.follow.resting
}

// pull asks the leader for what comes behind the log's end, unless it is asked already. It needs the log for that.
func (p *Partition) pull(c stage.Context) {
	switch {
	case !p.mustPull():
	case p.phase == closed:
		p.open(c)
	case p.phase == open && p.replica.Throttled():
		p.draw(c, message.FollowerSide, p.post.PullBytes)
	case p.phase == open:
		p.follow.asked = c.Ask(p.leader(), p.wants(), pullPatience)
	}
}

func (p *Partition) leader() message.Address {
	return message.PartitionAt(p.replica.Office().Leader, p.post.ID)
}

func (p *Partition) wants() *message.Pull {
	return p.replica.Wants(p.log.LastEpoch(), p.log.Start(), p.post.PullBytes)
}

// acknowledge tells a leader that waits with its answer what is synced now, and where the log starts: a pull that asks for nothing.
func (p *Partition) acknowledge(c stage.Context) {
	if p.replica.Follows() && p.follow.asked != 0 {
		c.Send(p.leader(), p.wants())
	}
}

// pause leaves the leader alone for a while, and a longer one the next time.
func (p *Partition) pause(c stage.Context) {
	if p.follow.resting {
		return
	}
	p.follow.silence = min(max(2*p.follow.silence, pauseMin), p.post.PauseMax)
	p.follow.resting = true
	c.After(p.follow.silence, &repull{})
}

func (p *Partition) repull(c stage.Context) {
	p.follow.resting = false
	p.pull(c)
}

// leaderIsSilent is a pull that was not answered in time, or that nobody will answer.
func (p *Partition) leaderIsSilent(c stage.Context) {
	p.follow.asked = 0
	p.settleShare(c, 0)
	if _, late := c.Message().(*stage.TimedOut); late {
		p.pull(c)
		return
	}
	p.pause(c)
}

// pulled is the leader's answer. One to an earlier pull is of an earlier leader.
func (p *Partition) pulled(c stage.Context, m *message.Pulled) {
	if p.follow.asked == 0 || c.Answers() != p.follow.asked {
		return
	}
	p.follow.asked = 0
	p.settleShare(c, len(m.Batches))
	p.ask(c, request{ask: m})
}

// take does what follows from the leader's answer, and asks again: before what came is synced.
func (p *Partition) take(c stage.Context, m *message.Pulled) {
	step, at := p.replica.Pulled(m, past{p.log})
	switch step {
	case replica.Pause:
		p.pause(c)
		return
	case replica.Cut, replica.Begin:
		p.cut(c, p.truncation(step, at))
		return
	}
	if base, ok := p.midst(m.Batches); ok {
		p.cut(c, truncation{to: base, anew: true})
		return
	}
	p.used = p.used || len(m.Batches) > 0
	err := p.allowGaps(m)
	if err == nil {
		err = p.copy(c, m.Batches)
	}
	switch {
	case err == nil:
		p.follow.silence = 0
	case vfs.NoRoom(err):
		p.cramp(c)
		p.pause(c)
	default:
		c.Log().Error("what the leader sent was not appended", "topic", p.replica.Office().Name, "leader", m.LeaderEpoch, "err", err)
		p.pause(c)
	}
	p.hold(m.Lent)
	p.carryOut(c, p.replica.Told(max(m.HighWatermark, m.LogStart))) // what it has deleted was committed
	p.followStart(c, m.LogStart)
	p.pull(c)
}

// hold keeps what came until the disk needs it no more.
func (p *Partition) hold(memory []byte) {
	switch {
	case memory == nil:
		return
	case planted.Is(planted.LentTwice):
		clear(memory) // as if somebody had it already
	default:
		p.follow.held = append(p.follow.held, borrowed{p.commits, memory})
		p.release()
	}
}

// release gives back what the disk needs no more.
func (p *Partition) release() {
	n := 0
	for n < len(p.follow.held) && p.follow.held[n].commits <= p.answered {
		loan.GiveBack(p.follow.held[n].memory)
		n++
	}
	p.follow.held = slices.Delete(p.follow.held, 0, n)
}

// truncation is the cut that the leader asks for. A copy that would lack what was overtaken only above the cut is thrown away, and begun as the
// leader's next answer says.
func (p *Partition) truncation(step replica.Step, at int64) truncation {
	if step == replica.Cut && at < p.log.Proof() {
		return truncation{anew: true}
	}
	return truncation{to: at, anew: step == replica.Begin}
}

// midst is the base of the batch in whose midst an empty log begins: a crash has taken that batch, and left that the log starts there.
func (p *Partition) midst(raw []byte) (base int64, ok bool) {
	if p.log.Start() < p.log.End() || len(raw) == 0 {
		return 0, false
	}
	b, err := record.Check(raw)
	if err != nil {
		return 0, false
	}
	return b.BaseOffset(), b.BaseOffset() < p.log.End() && p.log.End() < b.NextOffset()
}

// cramp tells the leader that it need not wait for this follower, whose disk has no room.
func (p *Partition) cramp(c stage.Context) {
	if p.replica.Follows() {
		c.Send(p.leader(), &message.Cramped{LeaderEpoch: p.replica.Office().LeaderEpoch})
	}
}

// copy appends the leader's batches as they are. What is refused of them is the leader's fault or the network's, or there is
// no room; a disk that is broken is ours.
func (p *Partition) copy(c stage.Context, raw []byte) error {
	for len(raw) > 0 {
		b, err := record.Check(raw)
		if err != nil {
			return err
		}
		if err := p.contradiction(b); err != nil {
			return err
		}
		now := c.Now()
		if err := p.write(b, now); vfs.NoRoom(err) {
			return err
		} else if err != nil {
			p.fail(c, fmt.Errorf("append: %w", err))
		}
		p.appended(c, b, message.Trace{})
		p.saveProducersAfter(c, len(b))
		raw = raw[len(b):]
	}
	if p.post.Resident >= 0 {
		p.log.Cool(p.post.Resident)
	}
	p.tidySoon(c)
	return nil
}

// contradiction is why a batch cannot be what comes next in the leader's log.
func (p *Partition) contradiction(b record.Batch) error {
	end, last, office := p.log.End(), p.log.LastEpoch(), p.replica.Office()
	switch {
	case b.BaseOffset() < end, b.BaseOffset() > end && !p.log.Gaps(), b.LastOffset() < b.BaseOffset():
		return fmt.Errorf("a batch with offsets %d to %d, but the log ends at %d", b.BaseOffset(), b.LastOffset(), end)
	case b.LeaderEpoch() < last || b.LeaderEpoch() > office.LeaderEpoch:
		return fmt.Errorf("a batch of leader epoch %d, but the log has %d and the leader %d", b.LeaderEpoch(), last, office.LeaderEpoch)
	}
	return nil
}

// followStart lets the log begin where the leader's does, once no crash can bring back what was below: as with DeleteRecords. It does not begin behind
// its end, for that may be in the midst of one of the leader's batches.
func (p *Partition) followStart(c stage.Context, start int64) {
	coming := p.log.Start()
	if n := len(p.deletions); n > 0 {
		coming = max(coming, p.deletions[n-1].target)
	}
	if start = min(start, p.replica.HighWatermark(), p.log.End()); start <= coming || planted.Is(planted.StartUncopied) {
		return
	}
	p.saveProducers(c)
	p.sendCommit(c, &message.Commit{Base: start, StartAt: true, Files: p.log.Dirty()})
	p.deletions = append(p.deletions, deletion{commits: p.commits, target: start})
}

// past is a log's history, as the brain asks for it.
type past struct{ log *log.Log }

func (l past) Start() int64 { return l.log.Start() }

// First is the base offset of the batch that the log starts in; where compaction has left none there, the log's start: a copy that is begun anew
// starts where this one does, though there is nothing before the next batch.
func (l past) First() int64 {
	s, err := l.log.View(message.Bounds{}).Read(l.log.Start(), l.log.End(), 1, true)
	if err != nil || s.Bytes == 0 {
		return l.log.Start()
	}
	return min(s.First, l.log.Start())
}

// EpochEnd is nearly always asked for the last one.
func (l past) EpochEnd(epoch int32) (int32, int64) {
	if last := l.log.LastEpoch(); epoch == last && last >= 0 {
		return last, l.log.End()
	}
	return l.log.View(message.Bounds{}).EpochEnd(epoch)
}
