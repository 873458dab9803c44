package disk

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// suspected is a replica that starts again after a failed sync and waits for its journal entries to be found.
type suspected struct {
	to   stage.Caller
	part *part
}

type suspectRead struct {
	suspected
	found journal.Found
	reply *message.Recovered
}

const loadCost = 200 * time.Microsecond

// recover answers what a replica must know before it opens its log: at once, or when its entries are read.
func (d *Disk) recover(c stage.Context, to stage.Caller, id message.PartitionID) {
	if d.journal == nil && d.failed == nil {
		d.waiting, d.asked = append(d.waiting, to), append(d.asked, id)
		return
	}
	if d.failed != nil {
		c.Answer(to, &message.Recovered{Err: d.failed})
		return
	}
	p, ok := d.parts[id]
	if !ok {
		c.Answer(to, &message.Recovered{})
		return
	}
	if p.suspect && p.flushing != nil {
		// It will write its files again: a sync that still runs may fail and take that along, and nobody would be told.
		d.waiting, d.asked = append(d.waiting, to), append(d.asked, id)
		return
	}
	p.asked = true
	reply := &message.Recovered{RecoveryPoint: p.point.Synced, LogStart: p.point.Start, Suspect: p.tainted}
	switch {
	case len(p.refs) > 0:
		d.load(c, to, p, reply)
	case p.suspect && p.since > 0:
		d.suspects = append(d.suspects, suspected{to, p})
		d.start(c)
	default:
		p.suspect = false
		c.Answer(to, reply)
	}
}

// recoverWaiting answers those who had to wait.
func (d *Disk) recoverWaiting(c stage.Context) {
	waiting, asked := d.waiting, d.asked
	d.waiting, d.asked = nil, nil
	for i, caller := range waiting {
		d.recover(c, caller, asked[i])
	}
}

// load reads what was found when the journal was opened. It is kept until the replica has replayed it.
func (d *Disk) load(c stage.Context, to stage.Caller, p *part, reply *message.Recovered) {
	p.suspect = false
	refs := p.refs
	c.Offload(loadCost, func() any {
		reply.Entries, reply.Err = journal.Load(refs)
		return &loaded{to: to, reply: reply}
	})
}

// readSuspect looks for the entries of a partition whose files failed: they are the only durable copy now. It takes a
// round's place, because the journal must not be written meanwhile.
func (d *Disk) readSuspect(c stage.Context) {
	s := d.suspects[0]
	d.suspects = d.suspects[1:]
	d.round.running = true
	j, id, since := d.journal, s.part.point.Partition, s.part.since
	reply := &message.Recovered{RecoveryPoint: s.part.point.Synced, LogStart: s.part.point.Start, Suspect: true}
	c.Offload(loadCost, func() any {
		found, err := j.Read(id, since)
		if err == nil {
			reply.Entries, err = journal.Load(found.Refs)
		}
		reply.Err = err
		return &suspectRead{suspected: s, found: found, reply: reply}
	})
}

func (d *Disk) suspectRead(c stage.Context, m *suspectRead) {
	d.round.running = false
	m.part.suspect = m.reply.Err != nil
	m.part.refs = m.found.Refs
	m.part.point.Start = max(m.part.point.Start, m.found.Start) // of a round whose other half has failed
	c.Answer(m.to, m.reply)
	d.start(c)
}

// replayed lets a partition's entries rest on the files that now hold them.
func (d *Disk) replayed(c stage.Context, m *message.Replayed) {
	p, ok := d.parts[m.Partition]
	if !ok {
		return
	}
	p.refs, p.suspect, p.end = nil, false, m.End
	for _, f := range m.Files {
		p.rest(f)
	}
	d.checkpoint.changed = true
	d.schedule(c)
}
