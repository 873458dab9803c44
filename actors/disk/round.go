package disk

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
	"github.com/troupe-broker/troupe/persistence/vfs"
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
	if m.Truncate { // from now on no more than this is known to be whole
		p := d.of(m.Partition)
		p.point.Synced, p.flushed = min(p.point.Synced, m.End), min(p.flushed, m.End)
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
		case p.suspect, p.dead != 0 && p.dead == m.Incarnation:
			continue // it has been told
		case p.held:
			d.held = append(d.held, m)
			continue
		}
		if p.round != r.number {
			p.join(r.number)
			r.parts = append(r.parts, p)
			if p.to.IsZero() {
				p.to = home(c, m.Partition)
			}
		}
		p.add(m)
		r.commits, r.owners = append(r.commits, m), append(r.owners, p)
		if m.StartAt {
			r.reserved += journal.EntryBytes(0)
		}
	}
	clear(d.spare)
}

// hold sends partitions whose files are being synced for the checkpoint through the journal, or makes them wait where that
// cannot be: one file must never be synced twice at the same time, because only one of the two would be told of an error.
func (d *Disk) hold() {
	r, room, any := &d.round, d.journal.Room()-d.round.reserved, false
	for _, p := range r.parts {
		if p.flushing == nil {
			continue
		}
		if room -= p.bytes; p.must == plan.Either && room >= 0 {
			p.must = plan.Journal
			continue
		}
		p.held, any = true, true
	}
	if any {
		d.withhold()
	}
}

// withhold takes the commits of held partitions out of the round.
func (d *Disk) withhold() {
	r := &d.round
	commits, owners, parts := r.commits[:0], r.owners[:0], r.parts[:0]
	for i, m := range r.commits {
		if r.owners[i].held {
			d.held = append(d.held, m)
		} else {
			commits, owners = append(commits, m), append(owners, r.owners[i])
		}
	}
	for _, p := range r.parts {
		if !p.held {
			parts = append(parts, p)
		}
	}
	r.commits, r.owners, r.parts = commits, owners, parts
}

// release gives held commits back, in front of what has gathered since.
func (d *Disk) release() {
	if len(d.held) == 0 {
		return
	}
	for _, m := range d.held {
		d.of(m.Partition).held = false
	}
	d.gathering = append(d.held, d.gathering...)
	d.held = nil
}

// choose asks the plan.
func (d *Disk) choose(now time.Time) {
	r := &d.round
	for _, p := range r.parts {
		r.shares = append(r.shares, plan.Share{Files: len(p.dirty), Bytes: p.bytes, Must: p.must})
	}
	d.plan.Choose(now, r.shares, d.journal.Room()-r.reserved)
	for i, p := range r.parts {
		p.way = r.shares[i].Way
	}
}

// lay lays out what is written to the journal and what is synced.
func (d *Disk) lay() {
	d.layMarkers()
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
	room := d.journal.Room() - r.reserved
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
	if m.Truncate && p.way == plan.Journal {
		e.Kind, e.Offset = journal.Truncate, m.End
		d.entry(p, e)
		p.bound = true
	}
	if m.StartAt { // no file holds it, so it is written whichever way the rest goes
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
	// An entry that is still in the journal would, replayed, contradict what a truncation has made of the files, and a
	// checkpoint may promise more than is left: the journal must know before anybody is told.
	if p.bound || p.cut >= 0 {
		p.marks, r.marking = true, true
	}
}

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
	p.end = p.roundEnd
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
	c.Send(p.to, &message.Synced{Incarnation: p.incarnation, End: p.roundEnd, Commits: p.commits})
}

// unsynced tells a replica that its sync failed. It is suspect until it asks to recover.
func (d *Disk) unsynced(c stage.Context, p *part, err error) {
	p.fail()
	d.stats.Failed++
	c.Send(p.to, &message.Unsynced{Incarnation: p.incarnation, Err: err})
}
