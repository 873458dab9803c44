package disk

import (
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// round is the commit round that is running. Its memory is used again by the next.
type round struct {
	number  uint64
	running bool
	began   time.Time

	commits []*message.Commit
	owners  []*part // of the commits
	parts   []*part
	shares  []plan.Share
	entries []journal.Entry
	markers int     // how many of the entries, the first ones, are markers that nobody waits for
	marked  []*part // whose

	files       []message.Syncer
	index       map[message.Syncer]int // in files
	directBytes int64
	bytes       int64 // in the journal
	reserved    int64 // bytes of entries that go to the journal whichever way is chosen
	journalErr  error
	syncing     bool
	journalling bool
	marking     bool // markers must follow the direct syncs
	falling     bool // the journal failed: its share is being synced directly
}

type directDone struct {
	errs  []error // nil, or one per file
	began time.Time
}

type journalDone struct {
	sequence uint64
	err      error
	began    time.Time
}

const (
	markersMax = 64 // markers nobody waits for, in one round
	costLeast  = 20 * time.Microsecond
)

// commit gathers, and begins a round if none is running.
func (d *Disk) commit(c stage.Context, m *message.Commit) {
	if d.failed != nil || d.closed || !d.closing.IsZero() {
		d.refuse(c, m)
		return
	}
	if planted.Is(planted.AckBeforeSync) {
		c.Send(home(c, m.Partition), &message.Synced{Incarnation: m.Incarnation, End: m.End, Commits: 1})
	}
	d.gathering = append(d.gathering, m)
	d.start(c)
}

// start begins a round with everything that has gathered.
func (d *Disk) start(c stage.Context) {
	if d.round.running || d.journal == nil {
		return
	}
	if len(d.suspects) > 0 {
		d.readSuspect(c)
		return
	}
	if len(d.gathering) == 0 {
		return
	}
	d.begin(c.Now())
	d.join(c)
	d.hold()
	d.choose(c.Now())
	d.lay()
	d.carryOut(c)
}

// begin empties the round's memory and swaps the gathered commits in.
func (d *Disk) begin(now time.Time) {
	r := &d.round
	d.gathering, d.spare = d.spare[:0], d.gathering
	*r = round{
		number: r.number + 1, running: true, began: now,
		commits: r.commits[:0], owners: r.owners[:0], parts: r.parts[:0], shares: r.shares[:0], entries: r.entries[:0], marked: r.marked[:0], files: r.files[:0], index: r.index,
	}
	if r.index == nil {
		r.index = map[message.Syncer]int{}
	}
	clear(r.index)
}

// join sorts the commits by partition.
func (d *Disk) join(c stage.Context) {
	r := &d.round
	for _, m := range d.spare {
		p := d.of(m.Partition)
		switch {
		case p.dead != 0 && p.dead == m.Incarnation:
			continue // it has been told
		case p.suspect: // it started again before that, and does not know
			p.dead = m.Incarnation
			c.Send(home(c, m.Partition), &message.Unsynced{Incarnation: m.Incarnation, Err: errSuspect})
			continue
		case p.held:
			d.held = append(d.held, m)
			continue
		}
		if p.round != r.number {
			p.join(r.number)
			r.parts = append(r.parts, p)
			if p.restart {
				r.reserved += journal.EntryBytes(0)
			}
			if p.to.IsZero() {
				p.to = home(c, m.Partition)
			}
		}
		p.add(m)
		r.commits, r.owners = append(r.commits, m), append(r.owners, p)
		if m.StartAt || m.Truncate {
			r.reserved += journal.EntryBytes(0)
		}
	}
	clear(d.spare)
}

// finish tells everybody, and begins the next round.
func (d *Disk) finish(c stage.Context) {
	r := &d.round
	r.running = false
	for _, p := range r.parts {
		d.finishPart(c, p)
	}
	d.stats.round(r, c.Now())
	clear(r.commits)
	clear(r.entries)
	d.next, d.used = d.journal.Next(), d.journal.Used()
	d.publishLater(c)
	d.recycle(c)
	d.start(c)
	d.checkpointIfDue(c)
}

func (d *Disk) finishPart(c stage.Context, p *part) {
	if p.err != nil {
		d.unsynced(c, p, p.err)
		return
	}
	if p.suspect { // failed, or dropped, while the round ran
		return
	}
	p.point.Start = p.start
	if p.cut >= 0 { // from now on no more than this is known to be whole
		p.point.Synced, p.flushed = min(p.point.Synced, p.cut), min(p.flushed, p.cut)
	}
	p.end, p.restart = p.roundEnd, false
	if p.way == plan.Direct {
		p.synced()
		d.checkpoint.direct += p.bytes
		if p.marks {
			p.marked()
		} else {
			d.unmark(p)
		}
	}
	d.checkpoint.changed = true
	if planted.Is(planted.AckBeforeSync) {
		return
	}
	c.Send(p.to, &message.Synced{Incarnation: p.incarnation, End: p.roundEnd, Commits: p.commits})
}

// unsynced tells a replica that its sync failed. It is suspect until it asks to recover.
func (d *Disk) unsynced(c stage.Context, p *part, err error) {
	p.fail()
	d.stats.Failed++
	c.Send(p.to, &message.Unsynced{Incarnation: p.incarnation, Err: err})
}
