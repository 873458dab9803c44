package partition

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// truncation is a cut of the log's tail, or of all of it.
//
//	Commit{Truncate} ─▶ disk ─▶ Synced ─▶ cut elsewhere ─▶ shortened ─▶ Commit ─▶ pull
type truncation struct {
	to   int64
	anew bool // the log is emptied and begins there
}

// cutCost is what a stage may expect of a cut and of learning anew who has written what.
const cutCost = 500 * time.Microsecond

// cut has a truncation written down before it is made, and everything below it synced, so that no more is called durable than is. Even
// if another leads meanwhile it is then made: a restart would make it from the journal.
func (p *Partition) cut(c stage.Context, t truncation) {
	if t.anew || t.to < p.log.End() {
		c.Log().Info("the log contradicts the leader's and is cut", "topic", p.replica.Office().Name, "end", p.log.End(), "to", t.to, "anew", t.anew)
	}
	if p.sent < p.log.End() {
		p.commit(c, nil, message.Trace{})
	}
	p.leavePass(c)
	p.phase, p.cutting = cutting, t
	end := t.to
	if t.anew {
		end = p.log.Start()
	}
	p.sendCommit(c, &message.Commit{Base: end, End: end, Truncate: true})
}

// cutOnceSynced cuts when the disk has nothing of the log in its hands. Who waited for the disk has got it; the
// others' appends are gone, or another leader's to acknowledge.
func (p *Partition) cutOnceSynced(c stage.Context) {
	if p.log == nil || p.answered < p.commits || p.compaction.working {
		return
	}
	p.free(c, p.replica.Now())
	p.answerParked(c, message.NotLeaderOrFollower)
	l, t, files, path, now := p.log, p.cutting, c.FS(), dir(p.post.ID), c.Now()
	p.log, p.handover = nil, new(log.Handover)
	to := p.handover
	c.Offload(cutCost, func() any { return &shortened{shorten(l, t, files, path, now).give(to)} })
}

// shortened is what comes back from a cut: the same log.
type shortened struct{ *found }

// shorten cuts and learns anew who has written what: a picture of what is gone goes with it.
func shorten(l *log.Log, t truncation, files vfs.FS, dir string, now time.Time) *found {
	f := &found{log: l}
	err := error(nil)
	if t.anew {
		err = l.TruncateAll(t.to)
	} else {
		err = l.Truncate(t.to)
	}
	if err != nil {
		return f.failed(fmt.Errorf("cut %s to %d: %w", dir, t.to, err))
	}
	if f.known, err = loadProducers(files, dir, l, now); err != nil {
		return f.failed(fmt.Errorf("read the producers of %s: %w", dir, err))
	}
	return f
}

// shortened takes the log back, has the cut synced before anything is built on it, and goes on.
func (p *Partition) shortened(c stage.Context, m *shortened) {
	p.handover, p.log = nil, m.log
	switch {
	case p.phase == leaving:
		p.depart(c)
		return
	case m.err != nil:
		p.fail(c, m.err)
	}
	p.learn(m.known)
	p.phase = open
	out := p.replica.Truncated(p.log.End())
	p.log.Configure(rolling(p.replica.Office()))
	p.sendCommit(c, &message.Commit{Base: p.log.End(), StartAt: p.cutting.anew, Files: p.log.Dirty()})
	out.Changed = true // whatever was said about leadership meanwhile
	p.begin(c, out)
}
