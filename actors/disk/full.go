package disk

import (
	"errors"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// fallBack decides for each partition that has entries in a failed round: its own files may still be synced, which
// is not a second try, they are other files. But the failed round may be found by a replay all the same, unless the disk
// was just full: so the partition is bound from now on.
func (d *Disk) fallBack(c stage.Context) {
	r := &d.round
	full := errors.Is(r.journalErr, vfs.ErrFull)
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
