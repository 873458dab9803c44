package partition

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const (
	// recoverPatience bounds how long a disk may take to read its journal.
	recoverPatience = 5 * time.Minute
	// openCost is what a stage may expect of opening a log.
	openCost = 200 * time.Microsecond
	// roomPatience is how long a disk without room is left alone before the log that needs some is opened again.
	roomPatience = 10 * time.Second
)

// start asks the disk what it knows before the log is touched.
func (p *Partition) start(c stage.Context) {
	if p.post.Disk.IsZero() {
		p.post.Disk = message.DiskAt(c.Self().Node)
	}
	p.enumerate(c)
	p.replica = replica.New(c.Self().Node, p.post.Leadership)
	p.replica.Hope(p.post.wished)
	p.introduce(c)
}

// enumerate gives this instance a number, in whose name it speaks with the disk.
func (p *Partition) enumerate(c stage.Context) {
	p.post.instances++
	p.incarnation = uint64(c.Now().UnixNano())<<8 + p.post.instances
	p.commits, p.answered = 0, 0
}

// introduce asks the disk what it knows.
func (p *Partition) introduce(c stage.Context) {
	p.recovery = c.Ask(p.post.Disk, &message.Recover{Partition: p.post.ID}, recoverPatience)
}

// recover keeps what the disk knows. The log is opened at once where the journal has to be replayed into it.
func (p *Partition) recover(c stage.Context, m *message.Recovered) {
	switch {
	case p.phase == leaving:
		p.depart(c)
	case m.Err != nil:
		p.fail(c, fmt.Errorf("the journal cannot be read: %w", m.Err))
	default:
		p.post.suspect = p.post.suspect || m.Suspect
		m.Suspect = p.post.suspect
		p.recovered, p.phase = *m, closed
		p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool { return !p.worthOpening(c, r) })
		if len(p.waiting) > 0 || len(m.Entries) > 0 || m.Suspect || p.replica.Follows() {
			p.open(c)
		}
	}
}

// forsaken is a disk that does not answer.
func (p *Partition) forsaken(c stage.Context) {
	switch p.phase {
	case starting:
		p.fail(c, fmt.Errorf("%s does not say what it knows of the log", p.post.Disk))
	case leaving:
		p.depart(c)
	}
}

// found is what comes back from opening a log elsewhere.
type found struct {
	log      *log.Log
	known    known
	recovery log.Recovery
	synced   int64            // all below it is durable
	dirty    []message.Syncer // what has to be synced
	replayed bool             // the journal had something to say
	err      error
}

// open reads the log elsewhere; found comes back.
func (p *Partition) open(c stage.Context) {
	p.phase, p.handover = opening, new(log.Handover)
	r, fs, now := p.recovered, c.FS(), c.Now()
	options := log.Options{FS: fs, Dir: dir(p.post.ID), RecoveryPoint: r.RecoveryPoint, LogStart: r.LogStart, Suspect: r.Suspect, Reopened: p.reopened,
		Config: rolling(p.replica.Office())}
	p.recovered = message.Recovered{RecoveryPoint: r.RecoveryPoint, LogStart: r.LogStart}
	to, pass := p.handover, p.post.pass
	p.post.pass = nil
	c.Offload(openCost, func() any {
		if pass != nil { // an earlier instance's may be at the files
			_ = pass.Settle() // what it has left over goes when the log is opened
		}
		return find(fs, options, r.Entries, now).give(to)
	})
}

// find opens a log, replays the journal over it and learns who has written what.
func find(fs vfs.FS, o log.Options, redo []message.Redo, now time.Time) *found {
	l, recovery, err := log.Open(o, now)
	if err != nil {
		return &found{err: fmt.Errorf("open %s: %w", o.Dir, err)}
	}
	f := &found{log: l, recovery: recovery, replayed: len(redo) > 0}
	if err := l.Redo(redo, now); err != nil {
		return f.failed(fmt.Errorf("replay the journal over %s: %w", o.Dir, err))
	}
	if f.known, err = loadProducers(fs, o.Dir, l, now); err != nil {
		return f.failed(fmt.Errorf("read the producers of %s: %w", o.Dir, err))
	}
	f.synced, f.dirty = l.End(), recovery.Dirty
	if f.replayed || o.Suspect || len(recovery.Dirty) > 0 { // else what is dirty is the first append's to commit
		f.dirty = append(f.dirty, l.Dirty()...)
	}
	if len(recovery.Dirty) > 0 {
		f.synced = min(o.RecoveryPoint, l.End())
	}
	return f
}

func (f *found) failed(err error) *found {
	f.log.Close()
	return &found{err: err}
}

// give closes the log if its owner has stopped and will not hear of it.
func (f *found) give(to *log.Handover) *found {
	if f.err == nil {
		f.err = to.Give(f.log)
	}
	return f
}

// opened takes the log over and serves who has waited for it.
func (p *Partition) opened(c stage.Context, f *found) {
	p.handover, p.log = nil, f.log
	switch {
	case p.phase == leaving:
		p.depart(c)
		return
	case vfs.NoRoom(f.err):
		p.awaitRoom(c, f.err)
		return
	case f.err != nil:
		p.fail(c, f.err)
	}
	p.reopened = true
	p.tell(c, f)
	p.learn(f.known)
	p.phase = open
	p.log.Configure(rolling(p.replica.Office()))
	p.sent = f.synced
	out := p.replica.Opened(p.log.End(), f.synced, c.Now())
	p.makeDurable(c, f)
	if onlySweeps(p.waiting) && !p.mustPull() && p.replica.SyncedEnd() == p.log.End() && !(p.compacts() && p.log.Soiled()) {
		p.sweepAndClose(c)
		return
	}
	p.begin(c, out)
}

// learn takes over what the log says of its producers.
func (p *Partition) learn(k known) {
	p.producers, p.unsaved, p.blind = k.producers, k.scanned, k.blind
}

// begin serves who has waited for the log, and pulls where that is this replica's part.
func (p *Partition) begin(c stage.Context, out replica.Out) {
	p.replica.StartFrom(p.log.Start())
	p.carryOut(c, out)
	p.used = true // a sweep among those who wait must not close it before the others are served
	waiting := p.waiting
	p.waiting = nil
	for _, r := range waiting {
		p.ask(c, r)
	}
	p.watch(c)
	p.pull(c)
	p.mend(c)
	p.compaction.sealed = -1
	p.tidySoon(c)
}

// awaitRoom refuses everybody until there may be room to open the log, and asks the disk anew then. To fail would not help:
// a replica that fails too often stays down.
func (p *Partition) awaitRoom(c stage.Context, err error) {
	c.Log().Warn("the log cannot be opened until the disk has room", "topic", p.replica.Office().Name, "err", err)
	p.phase = cramped
	p.answerAll(c, message.KafkaStorageError)
	p.cramp(c)
	if p.replica.Leads() {
		p.resign(c, err)
	}
	c.After(roomPatience, &retry{})
}

func (p *Partition) retry(c stage.Context) {
	if p.phase != cramped {
		return
	}
	if p.phase = starting; p.elsewhere {
		p.phase = leaving
	}
	p.introduce(c)
}

// tell reports what opening found wrong.
func (p *Partition) tell(c stage.Context, f *found) {
	p.damageFound(c, f.recovery.Quarantine...)
	if f.recovery.Cut > 0 {
		c.Log().Info("an unsynced tail of the log was cut", "bytes", f.recovery.Cut, "end", f.log.End())
	}
}

// makeDurable has synced what opening has changed, or what it found and nobody knows to be on disk.
func (p *Partition) makeDurable(c stage.Context, f *found) {
	if f.replayed {
		c.Send(p.post.Disk, &message.Replayed{Partition: p.post.ID, End: p.log.End(), Files: f.dirty})
	}
	if len(f.recovery.Dirty) > 0 {
		p.sendCommit(c, &message.Commit{Base: f.synced, Files: f.dirty})
	}
}

// outgrownBytes is how large the last segment of a log may get that a coordinator replays, whatever lies before it.
const outgrownBytes = 1 << 20

// rolling is what a log wants to know of its topic. That of an internal one is replayed as a whole by who coordinates next: it ends its
// segments early, so that this is a small multiple of what lives, and not all that was written until a segment was full.
func rolling(o *message.Leadership) log.Config {
	t := &o.Config
	c := log.Config{SegmentBytes: t.SegmentBytes, SegmentAge: rollAge(t.SegmentMillis, t.CleanupCompact, t.MaxCompactionLagMillis),
		IndexIntervalBytes: t.IndexIntervalBytes, Gaps: t.CleanupCompact}
	if o.Internal && t.CleanupCompact {
		c.OutgrownBytes = outgrownBytes
	}
	return c
}
