package partition

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// worthOpening says that a request needs the log: a sweep does only where something on disk can expire.
func (p *Partition) worthOpening(c stage.Context, r request) bool {
	if _, sweep := r.ask.(*message.Sweep); !sweep {
		return true
	}
	t := &p.replica.Office().Config
	if !p.compacts() && (!t.CleanupDelete || t.RetentionMillis < 0 && t.RetentionBytes < 0) {
		return false
	}
	if c.Now().Before(p.due) {
		return false
	}
	names, err := c.FS().List(dir(p.post.ID))
	return err == nil && len(names) > 0
}

func onlySweeps(asked []request) bool {
	for _, r := range asked {
		if _, sweep := r.ask.(*message.Sweep); !sweep {
			return false
		}
	}
	return len(asked) > 0
}

// sweep deletes what retention no longer keeps, and forgets producers that were silent for too long. It is not done if
// the disk has no room even for that.
func (p *Partition) sweep(c stage.Context) (done bool) {
	t := &p.replica.Office().Config
	committed := p.replica.HighWatermark()
	p.producers.Expire(c.Now(), t.ProducerExpiry, committed)
	if committed < 0 {
		return true
	}
	before := p.log.Start()
	old := retention(t, committed)
	if some, err := p.log.HasOld(old, c.Now()); err == nil && some {
		if !p.leavePass(c) {
			return false // it is over soon
		}
		p.saveProducers(c)
	}
	segments, err := p.log.DeleteOld(old, c.Now())
	switch {
	case err != nil && vfs.NoRoom(err):
		c.Log().Warn("old segments could not be deleted", "topic", p.replica.Office().Name, "err", err)
	case err != nil:
		p.fail(c, fmt.Errorf("delete old segments: %w", err))
	}
	if segments > 0 || p.log.Start() != before {
		c.Log().Info("old segments were deleted", "topic", p.replica.Office().Name, "segments", segments, "start", p.log.Start())
		p.startMoved(c)
	}
	return err == nil
}

// noteDue remembers, before the log is let go of, when a sweep will be worth opening it.
func (p *Partition) noteDue(c stage.Context) {
	at, ever, err := p.log.Due(retention(&p.replica.Office().Config, p.log.End()).Age)
	if p.due = at; err == nil && !ever {
		p.due = c.Now().Add(flushNever)
	}
}

// sweepAndClose sweeps a log that nobody else has asked for, and lets go of it again. No view of it was ever published,
// so that no reader is left behind.
func (p *Partition) sweepAndClose(c stage.Context) {
	p.waiting = nil
	if done := p.sweep(c); !done || p.visible || p.sent < p.log.End() {
		return // the sweep has changed something and the disk is at it, or it is to be tried again: stay
	}
	if err := p.close(c); err != nil {
		p.fail(c, fmt.Errorf("close the log: %w", err))
	}
}

func retention(t *setting.Topic, committed int64) log.Retention {
	r := log.Retention{Age: -1, Bytes: -1, Below: committed}
	if t.CleanupDelete && t.RetentionMillis >= 0 {
		r.Age = time.Duration(min(t.RetentionMillis, int64(flushNever/time.Millisecond)*100)) * time.Millisecond
	}
	if t.CleanupDelete {
		r.Bytes = t.RetentionBytes
	}
	return r
}

// startMoved shows the new log start to readers and has it remembered.
func (p *Partition) startMoved(c stage.Context) {
	p.replica.StartFrom(p.log.Start())
	p.sendCommit(c, &message.Commit{Base: p.log.Start(), StartAt: true, Files: p.log.Dirty()})
	p.publish(c)
}

// deletion is a DeleteRecords that is carried out when the disk has answered so many commits.
type deletion struct {
	commits uint64
	target  int64 // where the log starts then
	from    stage.Caller
}

// deleteRecords has a new log start remembered (S52). Readers see it, and the asker hears of it, when no crash can bring
// the records back: a start that was shown must not fall.
func (p *Partition) deleteRecords(c stage.Context, from stage.Caller, m *message.DeleteRecords) {
	target := m.Offset
	if target == -1 {
		target = p.replica.HighWatermark()
	}
	if code := p.mayDelete(target); code != message.OK {
		c.Answer(from, &message.RecordsDeleted{Code: code, LowWatermark: -1})
		return
	}
	if planted.Is(planted.DeletionOneMore) {
		target++
	}
	earlier := int64(-1)
	if n := len(p.deletions); n > 0 {
		earlier = p.deletions[n-1].target
	}
	if target > max(earlier, p.log.Start()) {
		p.saveProducers(c)
		p.sendCommit(c, &message.Commit{Base: target, StartAt: true, Files: p.log.Dirty()})
	}
	p.deletions = append(p.deletions, deletion{p.commits, max(target, earlier), from})
	p.answerDeletions(c, p.answered, message.OK) // what retention has taken here followers may still have
}

// answerDeletions carries out and answers those that wait for no more than so many commits, and that followers have carried out, too:
// else another leader would bring the records back.
func (p *Partition) answerDeletions(c stage.Context, commits uint64, code message.Code) {
	n := 0
	for n < len(p.deletions) && p.deletions[n].commits <= commits {
		n++
	}
	if n == 0 {
		return
	}
	low := int64(-1)
	if code == message.OK {
		p.replica.StartFrom(p.deletions[n-1].target)
		p.tellSoon(c)
		for n > 0 && p.deletions[n-1].target > p.replica.LowWatermark() && !planted.Is(planted.DeletionUncopied) {
			n--
		}
		if n == 0 {
			return
		}
		if target := p.deletions[n-1].target; target > p.log.Start() {
			p.log.SetStart(target)
			p.publish(c) // before the answers: who was told finds it so
		}
		low = min(p.log.Start(), p.replica.LowWatermark())
	}
	if !p.replica.Leads() && code == message.OK { // who leads now may not have heard of it
		code, low = message.NotLeaderOrFollower, -1
	}
	for _, d := range p.deletions[:n] {
		c.Answer(d.from, &message.RecordsDeleted{Code: code, LowWatermark: low})
	}
	p.deletions = p.deletions[n:]
}

func (p *Partition) mayDelete(target int64) message.Code {
	office := p.replica.Office()
	switch {
	case office.Internal:
		return message.InvalidTopicException
	case !p.replica.Leads():
		return message.NotLeaderOrFollower
	case !office.Config.CleanupDelete:
		return message.PolicyViolation
	case p.replica.HighWatermark() < 0:
		return message.OffsetNotAvailable
	case target < 0 || target > p.replica.HighWatermark():
		return message.OffsetOutOfRange
	}
	return message.OK
}
