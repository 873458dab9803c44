package partition

import (
	"fmt"
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// removed is what comes back from deleting the files elsewhere.
type removed struct{ err error }

// removeCost is what a stage may expect of deleting a partition's files.
const removeCost = time.Millisecond

// delete says goodbye to everybody. Parked appends, whose bytes a commit may still be reading, wait for the disk, and
// files that are being opened for that; then everything goes.
func (p *Partition) delete(c stage.Context, m *message.Deleted) {
	before := p.phase
	p.leavePass(c)
	p.phase, p.elsewhere = leaving, m.Elsewhere
	p.answerAll(c, message.UnknownTopicOrPartition)
	if before == closed || before == open || before == cramped {
		p.departOnceSynced(c)
	}
}

// departOnceSynced waits for the last commit's Synced or Unsynced.
func (p *Partition) departOnceSynced(c stage.Context) {
	if (p.log != nil || p.void) && p.answered < p.commits || p.compaction.working {
		return
	}
	p.answerParked(c, message.UnknownTopicOrPartition)
	p.depart(c)
}

// depart deletes the files. The disk may be at them still: to sync what was removed is no error. Of a replica that may come back the
// journal is told first that the log is empty: what it has of this one would be replayed over the next.
func (p *Partition) depart(c stage.Context) {
	c.Publish(nil)
	if p.elsewhere && !p.void {
		p.void = true
		p.sendCommit(c, &message.Commit{Truncate: true})
		return
	}
	p.closeRetired(c)
	l, files, path := p.log, c.FS(), dir(p.post.ID)
	p.log = nil
	c.Send(p.post.Disk, &message.Dropped{Partition: p.post.ID})
	c.Offload(removeCost, func() any {
		if l != nil {
			return &removed{l.Remove()}
		}
		return &removed{files.RemoveAll(path)}
	})
}

// departLater keeps the files until the disk may have room for the word that they go. To the disk it is another instance then: the one that
// it had no room for hears no more of it.
func (p *Partition) departLater(c stage.Context, err error) {
	c.Log().Warn("the files of a replica that went elsewhere stay until the disk has room", "err", err)
	p.letGo(c)
	p.void, p.phase = false, cramped
	p.enumerate(c)
	c.After(roomPatience, &retry{})
}

// abandon ends this actor and leaves its files.
func (p *Partition) abandon(c stage.Context) {
	p.letGo(c)
	c.Stop(c.Self())
}

// letGo closes the files of a replica that leaves.
func (p *Partition) letGo(c stage.Context) {
	p.answerParked(c, message.UnknownTopicOrPartition)
	p.closeRetired(c)
	if p.log == nil {
		return
	}
	if err := p.log.Close(); err != nil {
		c.Log().Error("the log was not closed well", "err", err)
	}
	p.log = nil
}

// gone ends this actor. Files that could not be deleted are found again at the next start.
func (p *Partition) gone(c stage.Context, m *removed) {
	if m.err != nil {
		c.Log().Error("the files of a deleted partition are still there", "err", m.err)
	}
	c.Stop(c.Self())
}

// stop lets go of everything in good order, so that the next start has nothing to read. To parked appends, whose bytes
// a commit may still be reading, the stage says Down.
func (p *Partition) stop(c stage.Context) {
	p.answerAll(c, message.NotLeaderOrFollower)
	p.closeRetired(c)
	p.leave(c)
	p.forsakePass()
	if p.log == nil || p.phase == leaving {
		return
	}
	c.Publish(nil)
	if p.phase == open && p.sent < p.log.End() {
		p.commit(c, nil, message.Trace{})
	}
	if err := p.close(c); err != nil {
		c.Log().Error("the log was not closed well", "err", err)
	}
}

// close lets go of the log's memory and files, and remembers what opening it again wants to know.
func (p *Partition) close(c stage.Context) error {
	p.saveProducers(c)
	p.recovered = message.Recovered{RecoveryPoint: p.replica.SyncedEnd(), LogStart: p.log.Start()}
	p.noteDue(c)
	l := p.log
	p.log, p.phase = nil, closed
	p.producers.Clear()
	return l.Close()
}

// leave has a log that is being opened closed as soon as it is.
func (p *Partition) leave(c stage.Context) {
	if p.handover == nil {
		return
	}
	if err := p.handover.Leave(); err != nil {
		c.Log().Error("the log was not closed well", "err", err)
	}
	p.handover = nil
}

// fail ends this instance; the stage starts another one, which begins with what is on disk, and says Down to parked
// appends, whose bytes a commit may still be reading.
func (p *Partition) fail(c stage.Context, err error) {
	p.answerAll(c, message.KafkaStorageError)
	c.Publish(nil) // its files are closed now; who asks waits for the next instance's
	p.closeRetired(c)
	p.leave(c)
	p.forsakePass()
	if p.log != nil {
		if closing := p.log.Close(); closing != nil {
			err = fmt.Errorf("%w (and closing: %w)", err, closing)
		}
	}
	c.Fail(err)
}

// answerAll leaves nobody waiting but parked appends.
func (p *Partition) answerAll(c stage.Context, code message.Code) {
	p.wake(c, code)
	p.dismissFollowers(c, code)
	p.dismissHeld(c, code)
	for _, r := range p.waiting {
		p.refuse(c, r, code)
	}
	p.waiting = nil
}

// answerParked refuses the appends that are in the log but may never be committed. Nobody may be reading their bytes.
func (p *Partition) answerParked(c stage.Context, code message.Code) {
	p.answerDeletions(c, p.commits, code)
	p.answerUpTo(c, &p.acksLocal, math.MaxInt64, code)
	p.answerUpTo(c, &p.acksAll, math.MaxInt64, code)
}

// refuse answers a request in the words that it expects.
func (p *Partition) refuse(c stage.Context, r request, code message.Code) {
	switch m := r.ask.(type) {
	case *message.Append:
		p.post.refused.Note(m.Batch, code, "the partition is not served here now", c.Now())
		c.Answer(r.from, p.no(code, "the partition is not served here now"))
	case *message.Await:
		c.Answer(r.from, &message.Progressed{Code: code})
	case *message.DeleteRecords:
		c.Answer(r.from, &message.RecordsDeleted{Code: code, LowWatermark: -1})
	case *message.DescribeProducers:
		c.Answer(r.from, &message.ProducersDescribed{Code: code})
	case *message.Mark:
		c.Answer(r.from, unmarked(code, "the partition is not served here now"))
	case *message.Mend:
		c.Answer(r.from, &message.Mended{Code: code})
	case *message.Pull:
		c.Answer(r.from, p.replica.Answer(code, -1))
	}
}
