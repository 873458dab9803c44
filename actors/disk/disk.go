// Package disk is the actor that makes appends durable, one per data directory: group commit over a journal or by
// syncing the files themselves, the journal's checkpoints, what a replica must know when it starts, and whose turn it is to be
// compacted.
//
// It refuses to look into logs and batches: it is given bytes for the journal and things that can be synced. It never syncs
// again what failed to sync, and it never forgets a journal entry that may be needed.
package disk

import (
	"errors"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// Options are how a disk works; zero values stand for the defaults.
type Options struct {
	Dir        string        // of the journal's files: "journal"
	Checkpoint string        // the checkpoint's file: "journal.checkpoint"
	FileBytes  int64         // of one journal file: 64 MiB
	Files      int           // of the journal's ring, at least 2: 4
	GrowBytes  int64         // steps in which a new journal file grows: 1 MiB
	Reserve    int64         // room in the journal for what cannot go elsewhere when the disk is full: 256 KiB
	Parallel   int           // files that are synced at a time: 16; 1 in simulation, where nothing is parallel
	Interval   time.Duration // between checkpoints while anything changes: 60 s
	Spans      message.Spans // of traced commits; nil: nobody traces
}

func (o Options) withDefaults() Options {
	def(&o.Dir, "journal")
	def(&o.Checkpoint, "journal.checkpoint")
	def(&o.FileBytes, 64<<20)
	def(&o.Files, 4)
	def(&o.GrowBytes, 1<<20)
	def(&o.Reserve, min(256<<10, o.FileBytes/16))
	def(&o.Parallel, 16)
	def(&o.Interval, time.Minute)
	o.Files = max(o.Files, 2)
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Disk is one data directory's group commit.
//
//	Commit ─▶ gathering ─▶ plan ─▶ journal or files (offload) ─▶ Synced, Unsynced
//	                                  └▶ resting ─▶ checkpoint ─▶ recycled journal
type Disk struct {
	o    Options
	plan *plan.Plan

	journal *journal.Journal // nil until it is open
	failed  error            // why it will never be
	waiting []stage.Caller   // of Recover, until it is open, or until a checkpoint lets go of a suspect's files
	asked   []message.PartitionID
	settled *message.Settled

	parts map[message.PartitionID]*part
	order []*part // the same, in an order that can be repeated

	gathering []*message.Commit
	held      []*message.Commit // of partitions that are being flushed and cannot go through the journal
	spare     []*message.Commit
	round     round
	crowded   time.Time // the disk was full: until then no batch goes through the journal
	next      uint64    // the journal's next round, and how much it holds, as of the last time that it was idle
	used      int64
	unmarked  []*part // whose markers may ride along with the next journal write
	suspects  []suspected

	checkpoint checkpoint
	from       uint64 // of the durable checkpoint
	closing    stage.Caller
	closed     bool

	cleaner  plan.Cleaner // whose turn it is to be compacted
	settings message.Cleaner

	stats stats
}

// Messages to self.
type (
	checkpointDue struct{}
	flushNext     struct{}
	publishStats  struct{}
)

// Results of what was offloaded.
type (
	opened struct {
		journal *journal.Journal
		found   []journal.Found
		from    uint64
		err     error
	}
	loaded struct {
		to    stage.Caller
		reply *message.Recovered
	}
)

// New makes the actor's constructor. A second actor that it makes takes the place of one that failed, and is broken.
func New(o Options) func() stage.Actor {
	o = o.withDefaults()
	var first *Disk
	return func() stage.Actor {
		if first != nil {
			return &broken{first}
		}
		first = &Disk{o: o, plan: plan.New(o.Parallel), stats: stats{spans: o.Spans}, parts: map[message.PartitionID]*part{}}
		return first
	}
}

// Receive is the table of contents.
func (d *Disk) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *message.Commit:
		d.commit(c, m)
	case *directDone:
		d.directDone(c, m)
	case *journalDone:
		d.journalDone(c, m)
	case *stage.Started:
		d.open(c)
	case *opened:
		d.opened(c, m)
	case *message.Recover:
		d.cleaner.Forget(m.Partition) // whatever it was at, it begins anew
		d.recover(c, c.Caller(), m.Partition)
		d.compactNext(c)
	case *loaded:
		c.Answer(m.to, m.reply)
	case *suspectRead:
		d.suspectRead(c, m)
	case *message.Replayed:
		d.replayed(c, m)
	case *message.Dropped:
		d.cleaner.Forget(m.Partition)
		d.forget(m.Partition)
	case *message.Settled:
		d.settle(m)
	case *checkpointDue:
		d.checkpointDue(c)
	case *flushNext:
		d.flushNext(c)
	case *flushDone:
		d.flushDone(c, m)
	case *saved:
		d.saved(c, m)
	case *removed:
	case *message.AwaitFailure: // is answered by what comes after this actor
	case *message.Flushed:
		d.flushed(c)
	case *publishStats:
		d.publish(c)
	case *message.Soiled:
		d.soiled(c, m)
	case *message.Compacted:
		d.compacted(c, m)
	case *message.Cleaner:
		d.clean(c, m)
	case *stage.Stopping:
		d.stop(c)
	default:
		c.Unhandled()
	}
}

// open reads checkpoint and journal elsewhere.
func (d *Disk) open(c stage.Context) {
	files, o, seed := c.FS(), d.o, c.Rand().Uint64()
	c.Offload(time.Millisecond, func() any {
		point, err := journal.LoadCheckpoint(files, o.Checkpoint)
		if err != nil {
			return &opened{err: err}
		}
		j, found, err := journal.Open(journal.Options{
			FS: files, Dir: o.Dir, FileBytes: o.FileBytes, Files: o.Files, GrowBytes: o.GrowBytes, Reserve: o.Reserve, Seed: seed,
		}, point)
		return &opened{journal: j, found: found, from: point.From, err: err}
	})
}

// opened takes over what is known, and answers those who waited for it.
func (d *Disk) opened(c stage.Context, m *opened) {
	if m.err != nil {
		d.failed = m.err
		c.Log().Error("the journal cannot be read: no partition is opened", "error", m.err)
		for _, commit := range d.gathering {
			d.refuse(c, commit)
		}
		d.gathering = nil
	} else {
		d.journal, d.from = m.journal, m.from
		d.know(m.found)
		d.remove(c, d.journal.Recycle(d.from))
		d.next, d.used = d.journal.Next(), d.journal.Used()
	}
	d.recoverWaiting(c)
	if d.settled != nil {
		d.settle(d.settled)
	}
	d.schedule(c)
	d.start(c)
	if !d.closing.IsZero() {
		d.closeSoon(c)
	}
}

func (d *Disk) know(found []journal.Found) {
	for _, f := range found {
		p := d.of(f.Partition)
		p.point, p.end, p.refs, p.since = f.Point, f.Point.Synced, f.Refs, f.First
		if f.First > 0 {
			p.last, p.bound, p.unproven = f.Last, true, f.Unproven
			p.restart = f.Unproven && f.Point.Start > 0
		}
	}
}

// of is the partition's place, made if there is none.
func (d *Disk) of(id message.PartitionID) *part {
	p, ok := d.parts[id]
	if !ok {
		p = &part{index: len(d.order), point: journal.Point{Partition: id}}
		d.parts[id] = p
		d.order = append(d.order, p)
	}
	return p
}

// forget drops what is known of a partition; its journal entries are passed over from now on, but not by another process: that there
// may be some is remembered, since a replica that comes back to this node must not have them replayed over its files.
func (d *Disk) forget(id message.PartitionID) {
	p, ok := d.parts[id]
	if !ok {
		return
	}
	d.strike(p)
	if d.journal != nil {
		again := d.of(id)
		again.bound, again.last, again.ghost = true, d.next, true
	}
	p.fail()
	p.refs, p.since = nil, 0
	theirs := func(m *message.Commit) bool { return m.Partition == id }
	d.gathering = slices.DeleteFunc(d.gathering, theirs)
	d.held = slices.DeleteFunc(d.held, theirs)
}

// strike takes a partition off the lists.
func (d *Disk) strike(p *part) {
	last := d.order[len(d.order)-1]
	d.order[p.index], last.index = last, p.index
	d.order = d.order[:len(d.order)-1]
	delete(d.parts, p.point.Partition)
}

// settle forgets entries of partitions that are known to be gone.
func (d *Disk) settle(m *message.Settled) {
	if d.settled = m; d.journal == nil {
		return
	}
	known := make(map[message.PartitionID]bool, len(m.Partitions))
	for _, id := range m.Partitions {
		known[id] = true
	}
	var gone []message.PartitionID
	for _, p := range d.order {
		id := p.point.Partition
		if !p.ghost && !p.asked && p.incarnation == 0 && !known[id] && id != message.MetadataLog {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		d.forget(id)
	}
	d.settled = nil
}

func (d *Disk) stop(c stage.Context) {
	if d.journal != nil && !d.closed && !d.round.running {
		if err := d.journal.Close(); err != nil {
			c.Log().Warn("closing the journal", "error", err)
		}
	}
}

// refuse answers a commit that nothing can be done about.
func (d *Disk) refuse(c stage.Context, m *message.Commit) {
	err := d.failed
	if err == nil {
		err = errClosed
	}
	c.Send(home(c, m.Partition), &message.Unsynced{Incarnation: m.Incarnation, Err: err})
}

var (
	errClosed  = errors.New("the data directory is being closed")
	errSuspect = errors.New("an earlier sync of this log failed")
)

// home is where a partition's replica lives.
func home(c stage.Context, id message.PartitionID) message.Address {
	if id == message.MetadataLog {
		return message.ControllerAt(c.Self().Node)
	}
	return message.PartitionAt(c.Self().Node, id)
}
