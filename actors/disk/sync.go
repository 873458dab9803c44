package disk

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// carryOut offloads the syncs and the journal's write; beside each other, unless markers must come second.
func (d *Disk) carryOut(c stage.Context) {
	r := &d.round
	if len(r.files) > 0 {
		d.syncFiles(c)
	}
	if len(r.entries) > 0 && !r.marking {
		d.writeJournal(c)
	}
	d.proceed(c)
}

func (d *Disk) syncFiles(c stage.Context) {
	r := &d.round
	r.syncing = true
	files, parallel, began := r.files, d.o.Parallel, c.Now()
	c.Offload(d.expected(len(files), r.directBytes, 0), func() any {
		return &directDone{errs: journal.SyncAll(files, parallel), began: began}
	})
}

func (d *Disk) writeJournal(c stage.Context) {
	r := &d.round
	r.journalling = true
	j, entries, began := d.journal, r.entries, c.Now()
	c.Offload(d.expected(0, 0, r.bytes), func() any {
		sequence, err := j.Write(entries)
		return &journalDone{sequence: sequence, err: err, began: began}
	})
}

func (d *Disk) expected(files int, direct, journal int64) time.Duration {
	return max(costLeast, time.Duration(d.plan.Cost(files, direct, journal)*float64(time.Second)))
}

// directDone notes which partitions' files are synced.
func (d *Disk) directDone(c stage.Context, m *directDone) {
	r := &d.round
	r.syncing = false
	took := c.Now().Sub(m.began)
	if m.errs == nil && !r.falling {
		d.plan.Synced(c.Now(), len(r.files), r.directBytes, took)
	}
	d.stats.synced(len(r.files), r.directBytes, took)
	for _, p := range r.parts {
		if p.way == plan.Direct && !p.completed && p.err == nil {
			p.err = d.errOf(p, m.errs)
			p.completed = true
		}
	}
	d.proceed(c)
}

func (d *Disk) errOf(p *part, errs []error) error {
	if errs == nil {
		return nil
	}
	var all []error
	for _, f := range p.dirty {
		all = append(all, errs[d.round.index[f]])
	}
	return errors.Join(all...)
}

// proceed goes on to whatever has to come next in the round.
func (d *Disk) proceed(c stage.Context) {
	r := &d.round
	switch {
	case r.syncing || r.journalling:
		return
	case r.journalErr != nil && !r.falling:
		d.fallBack(c)
		return
	case r.marking:
		r.marking = false
		if d.mark(); len(r.entries) > 0 {
			d.writeJournal(c)
			return
		}
	}
	d.finish(c)
}

// journalDone notes what is in the journal.
func (d *Disk) journalDone(c stage.Context, m *journalDone) {
	r := &d.round
	r.journalling, r.journalErr = false, m.err
	took := c.Now().Sub(m.began)
	if m.err == nil {
		d.plan.Journalled(c.Now(), r.bytes, took)
		d.stats.journalled(r.bytes, took)
		d.tellMarked()
	} else {
		d.stats.JournalErrors++
		c.Log().Error("writing the journal", "error", m.err)
	}
	d.proceed(c)
}

// tellMarked notes which markers have become durable.
func (d *Disk) tellMarked() {
	for _, p := range d.round.marked {
		if p.unmarked && p.round != d.round.number {
			p.marked()
		}
		p.unmarked = false
	}
}
