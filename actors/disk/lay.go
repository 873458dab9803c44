package disk

import (
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// choose asks the plan.
func (d *Disk) choose(now time.Time) {
	r := &d.round
	for _, p := range r.parts {
		r.shares = append(r.shares, plan.Share{Files: len(p.dirty), Bytes: p.bytes, Must: p.must})
	}
	d.plan.Choose(now, r.shares, d.room())
	for i, p := range r.parts {
		p.way = r.shares[i].Way
	}
}

// lay lays out what is written to the journal and what is synced.
func (d *Disk) lay() {
	d.layMarkers()
	for _, p := range d.round.parts {
		if p.restart {
			d.entry(p, journal.Entry{Kind: journal.StartAt, Partition: p.point.Partition, Offset: p.point.Start})
		}
	}
	for i, m := range d.round.commits {
		d.layCommit(d.round.owners[i], m)
	}
	for _, p := range d.round.parts {
		if p.way == plan.Direct {
			d.laySync(p)
		}
	}
	if r := &d.round; len(r.entries) == r.markers && !r.marking {
		d.unlay()
	}
}

// layMarkers lets what was synced directly in earlier rounds ride along: in front of everything else, so that a
// marker voids what came before it only.
func (d *Disk) layMarkers() {
	r := &d.round
	room := d.room()
	for _, p := range r.parts {
		room -= p.bytes
	}
	rest := d.unmarked[:0]
	for i, p := range d.unmarked {
		if r.markers == markersMax || room < journal.EntryBytes(0) {
			rest = append(rest, d.unmarked[i:]...)
			break
		}
		if !p.unmarked || p.suspect {
			p.queued = false
			continue
		}
		if p.round == r.number && p.way == plan.Direct {
			rest = append(rest, p)
			continue
		}
		r.entries = append(r.entries, journal.Entry{Kind: journal.Marker, Partition: p.point.Partition, Offset: p.point.Synced})
		r.marked = append(r.marked, p)
		r.markers++
		p.queued = false
		room -= journal.EntryBytes(0)
	}
	d.unmarked = rest
	r.bytes += journal.EntryBytes(0) * int64(r.markers)
}

// unlay takes the markers back where nothing else is written: nobody waits for them.
func (d *Disk) unlay() {
	r := &d.round
	for _, p := range r.marked {
		d.unmark(p)
	}
	r.entries, r.marked, r.markers, r.bytes = r.entries[:0], r.marked[:0], 0, 0
}

// unmark remembers that the journal is to be told what is synced of the partition.
func (d *Disk) unmark(p *part) {
	if p.unmarked = true; !p.queued {
		p.queued = true
		d.unmarked = append(d.unmarked, p)
	}
}

func (d *Disk) layCommit(p *part, m *message.Commit) {
	e := journal.Entry{Partition: m.Partition, Epoch: m.LeaderEpoch}
	if m.Truncate { // before the files are cut, or a crash between the two would leave a gap below what is in the journal
		e.Kind, e.Offset = journal.Truncate, m.End
		d.entry(p, e)
		p.bound = true
	}
	if m.StartAt && !planted.Is(planted.DeletionForgotten) { // no file holds it, so it is written whichever way the rest goes
		e.Kind, e.Offset = journal.StartAt, m.Base
		d.entry(p, e)
	}
	if m.Batch != nil && p.way == plan.Journal {
		e.Kind, e.Offset, e.Batch = journal.Batch, m.Base, m.Batch
		d.entry(p, e)
	}
}

func (d *Disk) entry(p *part, e journal.Entry) {
	d.round.entries = append(d.round.entries, e)
	d.round.bytes += journal.EntryBytes(len(e.Batch))
	p.journals, p.unmarked = true, false
	p.rests(d.next)
}

// laySync adds the partition's files, each once though several partitions may share a directory.
func (d *Disk) laySync(p *part) {
	r := &d.round
	r.directBytes += p.bytes
	for _, f := range p.dirty {
		if _, ok := r.index[f]; !ok {
			r.index[f] = len(r.files)
			r.files = append(r.files, f)
		}
	}
	// An entry that is still in the journal would, replayed, contradict the files: the journal must know that they are
	// newer before anybody is told.
	if p.bound {
		p.marks, r.marking = true, true
	}
}

// mark lays out the markers that must follow the syncs.
func (d *Disk) mark() {
	r := &d.round
	for _, p := range r.parts {
		if p.marks && p.err == nil {
			p.journals = true
			r.entries = append(r.entries, journal.Entry{Kind: journal.Marker, Partition: p.point.Partition, Offset: p.roundEnd})
			r.bytes += journal.EntryBytes(0)
		}
	}
}
