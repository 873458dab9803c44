package partition

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// restIfIdle lets go of a log that nobody has written to or waited for since the last sweep. Readers then find no view and
// ask for one, which opens the log again; who holds a view may go on with it until the next sweep.
func (p *Partition) restIfIdle(c stage.Context) {
	idle := !p.used
	p.used = false
	switch {
	case !idle || !p.quiet():
	case p.replica.SyncedEnd() < p.log.End(): // durability=replicated: it rests when that is synced
		p.commit(c, nil, message.Trace{})
	default:
		c.Publish(nil)
		p.visible = false
		if err := p.retireLog(c); err != nil {
			c.Log().Warn("the indexes were not saved", "err", err)
		}
	}
}

// quiet says that nobody waits for anything, and that the disk has answered.
func (p *Partition) quiet() bool {
	return len(p.awaiting) == 0 && len(p.enlistings) == 0 && len(p.deletions) == 0 && p.acksAll.empty() && p.acksLocal.empty() &&
		p.answered == p.commits && !p.settling && !p.replica.Resigned() && !p.mustPull() && !p.followers.busy() && !p.mending.busy(p) && !p.compaction.busy() && p.replica.HighWatermark() == p.log.End()
}

// retireLog closes all of the log but what its views need.
func (p *Partition) retireLog(c stage.Context) error {
	p.saveProducers(c)
	p.recovered = message.Recovered{RecoveryPoint: p.replica.SyncedEnd(), LogStart: p.log.Start()}
	p.noteDue(c)
	p.retired, p.log, p.phase = p.log, nil, closed
	p.producers.Clear()
	p.acksAll, p.acksLocal, p.awaiting, p.deletions = queue{}, queue{}, nil, nil
	return p.retired.Retire()
}

// closeRetired closes what the sweep before has retired.
func (p *Partition) closeRetired(c stage.Context) {
	if p.retired == nil {
		return
	}
	if err := p.retired.Close(); err != nil {
		c.Log().Error("the log was not closed well", "err", err)
	}
	p.retired = nil
}

// Parked is how many requests wait here for the disk, for news, or for the log to be opened.
func (p *Partition) Parked() int {
	return p.acksAll.len() + p.acksLocal.len() + p.heldBack() + len(p.deletions) + len(p.awaiting) + len(p.waiting)
}

// Reach is where the log ends here, -1 while it is not open: for those who look on.
func (p *Partition) Reach() int64 {
	if p.phase != open {
		return -1
	}
	return p.log.End()
}

// Durable is how far the log is synced here, as far as the disk has said: for those who look on.
func (p *Partition) Durable() int64 { return p.replica.SyncedEnd() }
