package disk

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// crowdedFor is how long a journal that found no room on the disk is spared batches.
const crowdedFor = time.Second

// room is how many bytes of entries the round may still have in the journal.
func (d *Disk) room() int64 {
	if d.round.began.Before(d.crowded) {
		return 0
	}
	return d.journal.Room() - d.round.reserved
}

// fallBack decides for each partition that has entries in a failed round: its own files may still be synced, which
// is not a second try, they are other files. But the failed round may be found by a replay all the same, unless the disk
// was just full: so the partition is bound from now on.
func (d *Disk) fallBack(c stage.Context) {
	r := &d.round
	full := errors.Is(r.journalErr, vfs.ErrFull)
	if full && d.hasBatches() {
		d.spread(c)
		return
	}
	r.falling, r.marking, r.files, r.directBytes = true, false, r.files[:0], 0
	clear(r.index)
	for _, p := range r.parts {
		if !p.journals {
			continue
		}
		bound := p.bound || p.cut >= 0
		p.bound = p.bound || !full
		if p.way == plan.Direct || bound || p.flushing != nil || p.start > p.point.Start {
			p.err = errors.Join(p.err, r.journalErr)
			continue
		}
		p.way = plan.Direct
		d.laySync(p)
		p.marks, r.marking = false, false
	}
	if len(r.files) > 0 {
		d.syncFiles(c)
		return
	}
	d.finish(c)
}

func (d *Disk) hasBatches() bool {
	for i := range d.round.entries {
		if d.round.entries[i].Kind == journal.Batch {
			return true
		}
	}
	return false
}

// spread takes out of the round what the journal had no room for: nothing of it was written. It comes again in the next,
// in which batches are synced in their files, and what must be in the journal has the reserve. A checkpoint may free
// room meanwhile.
func (d *Disk) spread(c stage.Context) {
	d.crowded = c.Now().Add(crowdedFor)
	d.gathering = append(d.takeOut(func(p *part) bool { return p.journals && p.err == nil }), d.gathering...)
	d.unlay()
	d.finish(c)
	d.beginCheckpoint(c)
}
