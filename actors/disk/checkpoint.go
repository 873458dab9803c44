package disk

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// checkpoint syncs, a handful at a time, the files that rest on the journal, writes down what is synced, and frees the
// journal's files.
type checkpoint struct {
	changed   bool // anything since the last one began
	scheduled bool
	running   bool
	urgent    bool // no pauses: the node shuts down, or the ring is nearly full
	waiting   bool // for the running round, which syncs the very files
	began     time.Time
	failed    time.Time
	direct    int64 // bytes that were synced directly since

	queue   []*part
	slice   []*part
	files   []message.Syncer
	index   map[message.Syncer]int
	recycle uint64 // the journal's files before it may be freed as soon as it is idle
}

type flushDone struct {
	errs  []error
	began time.Time
}

type saved struct {
	from uint64
	err  error
}

type removed struct{}

const (
	directMax  = 64 << 20    // bytes synced directly after which a checkpoint spares the next start reading them
	directRest = time.Second // but not more often than this
	saveCost   = 2 * time.Millisecond
)

// schedule makes sure that a checkpoint comes if anything has changed.
func (d *Disk) schedule(c stage.Context) {
	if p := &d.checkpoint; p.changed && !p.scheduled {
		p.scheduled = true
		c.After(d.o.Interval, &checkpointDue{})
	}
}

func (d *Disk) checkpointDue(c stage.Context) {
	d.checkpoint.scheduled = false
	d.beginCheckpoint(c)
}

// checkpointIfDue begins one when the ring is half full or much was synced directly.
func (d *Disk) checkpointIfDue(c stage.Context) {
	p := &d.checkpoint
	d.schedule(c)
	p.urgent = p.urgent || d.used*4 > d.journal.Size()*3
	switch {
	case p.running && p.waiting:
		p.waiting = false
		d.flushNext(c)
	case p.running:
	case !d.closing.IsZero() && d.idle():
		d.beginCheckpoint(c)
	case c.Now().Sub(p.failed) < crowdedFor: // not again at once
	case d.used*2 > d.journal.Size() && p.changed, p.direct > directMax && c.Now().Sub(p.began) > directRest:
		d.beginCheckpoint(c)
	}
}

func (d *Disk) idle() bool { return !d.round.running && len(d.gathering) == 0 && len(d.held) == 0 }

func (d *Disk) beginCheckpoint(c stage.Context) {
	p := &d.checkpoint
	if p.running || d.journal == nil || d.closed {
		return
	}
	p.running, p.changed, p.direct, p.began = true, false, 0, c.Now()
	p.queue = p.queue[:0]
	for _, part := range d.order {
		if part.needsFlush() {
			p.queue = append(p.queue, part)
		}
	}
	d.flushNext(c)
}

// flushParallel is how many files a checkpoint syncs at once. While a file is being synced, appends to it stall: with all
// of them at once every partition stalls for as long as the whole checkpoint takes, one by one each only for its own part.
const flushParallel = 1

// flushNext syncs the next handful of partitions' files, or writes the checkpoint when there are none.
func (d *Disk) flushNext(c stage.Context) {
	p := &d.checkpoint
	d.takeSlice()
	switch {
	case len(p.slice) > 0:
		files, parallel, began := p.files, flushParallel, c.Now()
		c.Offload(d.expected(len(files), 0, 0), func() any {
			if planted.Is(planted.CheckpointUnsynced) {
				return &flushDone{began: began}
			}
			return &flushDone{errs: journal.SyncAll(files, parallel), began: began}
		})
	case len(p.queue) > 0:
		p.waiting = true
	default:
		d.save(c)
	}
}

// takeSlice takes partitions off the queue that the running round does not sync itself.
func (d *Disk) takeSlice() {
	p := &d.checkpoint
	p.slice, p.files, p.index = p.slice[:0], p.files[:0], map[message.Syncer]int{}
	rest := p.queue[:0]
	for _, part := range p.queue {
		switch {
		case len(p.files) >= d.o.Parallel || d.busy(part):
			rest = append(rest, part)
		case part.needsFlush():
			d.takePart(part)
		}
	}
	p.queue = rest
}

func (d *Disk) takePart(part *part) {
	p := &d.checkpoint
	part.flush()
	if d.round.running && part.round == d.round.number && part.journals { // what is being written now stays
		part.since2 = part.last
	}
	p.slice = append(p.slice, part)
	for _, f := range part.flushing {
		if _, ok := p.index[f]; !ok {
			p.index[f] = len(p.files)
			p.files = append(p.files, f)
		}
	}
}

// busy says that the running round may sync the partition's files: also one that goes through the journal, which may fail.
func (d *Disk) busy(p *part) bool {
	return d.round.running && p.round == d.round.number && p.way == plan.Direct
}

// flushDone notes what is synced, and goes on after a pause as long as the syncs took, so that commits have their share.
func (d *Disk) flushDone(c stage.Context, m *flushDone) {
	p := &d.checkpoint
	for _, part := range p.slice {
		d.flushPart(c, part, m.errs)
	}
	p.slice = p.slice[:0]
	d.release()
	d.recoverWaiting(c)
	if pause := c.Now().Sub(m.began); len(p.queue) > 0 && !p.urgent {
		c.After(pause, &flushNext{})
	} else {
		d.flushNext(c)
	}
	d.start(c)
}

func (d *Disk) flushPart(c stage.Context, part *part, errs []error) {
	files, void := part.flushing, part.void
	part.flushing, part.void = nil, false
	if void {
		return
	}
	var all []error
	for _, f := range files {
		if errs != nil {
			all = append(all, errs[d.checkpoint.index[f]])
		}
	}
	if err := errors.Join(all...); err != nil {
		if d.round.running && part.round == d.round.number && !part.held {
			// The journal may be reading its batches: it is told when the round is over, as it gives their memory back then.
			part.err, part.suspect = errors.Join(part.err, err), true
			return
		}
		d.unsynced(c, part, err)
		return
	}
	if part.settle(); part.since == 0 {
		d.unmark(part)
	}
}

// save writes the checkpoint. What every partition still needs of the journal stays.
func (d *Disk) save(c stage.Context) {
	point := journal.Checkpoint{From: d.next, Points: make([]journal.Point, 0, len(d.order))}
	for _, p := range d.order {
		if needed := p.needed(); needed > 0 && !planted.Is(planted.JournalRecycledEarly) {
			point.From = min(point.From, needed)
		}
		if !p.ghost {
			point.Points = append(point.Points, p.point)
		}
	}
	files, path := c.FS(), d.o.Checkpoint
	c.Offload(saveCost, func() any { return &saved{from: point.From, err: point.Save(files, path)} })
}

// saved frees what the journal need not keep any more.
func (d *Disk) saved(c stage.Context, m *saved) {
	p := &d.checkpoint
	p.running, p.urgent = false, false
	if m.err != nil {
		c.Log().Error("writing the journal's checkpoint", "error", m.err)
		p.changed, p.failed = true, c.Now()
	} else {
		d.from, p.recycle = m.from, m.from
		d.stats.Checkpoints++
		d.unbind()
	}
	if !d.round.running {
		d.recycle(c)
	}
	d.schedule(c)
	d.close(c, m.err)
}

// unbind frees partitions of whose entries a replay would find none any more.
func (d *Disk) unbind() {
	var gone []*part
	for _, p := range d.order {
		if p.last < d.from {
			p.last, p.bound = 0, false
		}
		if p.ghost && !p.bound {
			gone = append(gone, p)
		}
	}
	for _, p := range gone {
		d.strike(p)
	}
}

// recycle frees journal files; the journal must be idle.
func (d *Disk) recycle(c stage.Context) {
	if d.checkpoint.recycle == 0 {
		return
	}
	d.remove(c, d.journal.Recycle(d.checkpoint.recycle))
	d.checkpoint.recycle, d.used = 0, d.journal.Used()
}

// remove deletes journal files that the ring does not need.
func (d *Disk) remove(c stage.Context, paths []string) {
	if len(paths) == 0 {
		return
	}
	files, log := c.FS(), c.Log()
	c.Offload(saveCost, func() any {
		for _, path := range paths {
			if err := files.Remove(path); err != nil {
				log.Warn("removing a journal file", "error", err)
			}
		}
		return &removed{}
	})
}

// flushed makes everything durable and closes the journal: a clean shutdown.
func (d *Disk) flushed(c stage.Context) {
	d.closing = c.Caller()
	d.closeSoon(c)
}

// closeSoon ends a clean shutdown as soon as the journal is open and everything is in it.
func (d *Disk) closeSoon(c stage.Context) {
	switch {
	case d.failed != nil:
		d.closed = true
		c.Answer(d.closing, &message.FlushDone{Err: d.failed})
	case d.journal != nil:
		d.checkpoint.urgent = true
		d.checkpointIfDue(c)
	}
}

// close ends a clean shutdown once a checkpoint has been written behind the last commit; what a partition could not replay
// or sync stays in the journal.
func (d *Disk) close(c stage.Context, err error) {
	if d.closing.IsZero() || d.closed {
		return
	}
	if err == nil && (d.checkpoint.changed || !d.idle()) {
		d.checkpoint.urgent = true
		d.checkpointIfDue(c)
		return
	}
	d.closed = true
	c.Answer(d.closing, &message.FlushDone{Err: errors.Join(err, d.journal.Close())})
}
