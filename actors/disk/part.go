package disk

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/journal"
)

// part is what the disk knows of one partition.
type part struct {
	to    message.Address
	index int // in Disk.order

	point journal.Point
	end   int64 // up to here the log is durable, in its files or in the journal
	start int64 // the log start to be remembered once the running round is durable

	refs     []journal.Ref // to be replayed; nil once Replayed
	asked    bool          // somebody has asked to recover it
	since    uint64        // the earliest round that the journal must keep for it, 0 none
	since2   uint64        // the same for what came after flushing began
	last     uint64        // the last round that was given entries of it, also if that failed
	bound    bool          // its entries may contradict its files: synced directly it needs a marker behind them
	ghost    bool          // it was forgotten and nothing came since: all that is known is that the journal may have entries of it
	unproven bool          // what it had in the journal at the start may never have been synced: its files must be
	restart  bool          // so may have been its start, which no file holds: it is written once more
	unmarked bool          // its files were synced, and the journal does not know yet
	queued   bool          // in Disk.unmarked

	dirty    []message.Syncer // not synced yet: what rests on the journal, and what this round dirtied
	flushing []message.Syncer // being synced for the checkpoint
	void     bool             // flushing was overtaken by a failure: it will prove nothing
	flushed  int64            // up to here the log is in its files when flushing is done

	suspect     bool   // a sync failed, and it has not asked to recover since
	tainted     bool   // a sync failed, and nothing of it was synced since
	incarnation uint64 // of the last commit
	dead        uint64 // the incarnation that was told Unsynced

	held bool // its commits wait for flushing to end

	turn
}

// turn is a partition's part of one round.
type turn struct {
	round     uint64
	way       plan.Way
	must      plan.Way
	bytes     int64
	commits   int
	roundEnd  int64
	cut       int64 // the lowest truncation, -1 none
	marks     bool  // a marker must follow its sync
	journals  bool  // it has entries in the round
	err       error
	completed bool // by the fallback
}

// join makes the partition a member of a round.
func (p *part) join(round uint64) {
	if p.turn = (turn{round: round, cut: -1}); p.unproven {
		p.must = plan.Direct
	}
	p.start = p.point.Start
}

// add takes one commit into the turn.
func (p *part) add(m *message.Commit) {
	for _, f := range m.Files {
		p.rest(f)
	}
	if p.ghost { // with a marker behind its first sync
		p.ghost, p.must = false, plan.Direct
	}
	if p.incarnation != m.Incarnation { // a restarted replica counts anew
		p.incarnation, p.commits = m.Incarnation, 0
	}
	p.commits++
	p.roundEnd = m.End
	switch {
	case m.Batch != nil:
		p.bytes += journal.EntryBytes(len(m.Batch))
	case len(m.Files) > 0 || !m.StartAt && !m.Truncate:
		p.must = plan.Direct
	}
	if m.Truncate && (p.cut < 0 || m.End < p.cut) {
		p.cut = m.End
	}
	if m.StartAt {
		p.start = max(p.start, m.Base)
	}
}

// rest remembers that a file has to be synced.
func (p *part) rest(f message.Syncer) {
	if !slices.Contains(p.dirty, f) {
		p.dirty = append(p.dirty, f)
	}
}

// rests makes the journal keep its rounds from sequence on for the partition.
func (p *part) rests(sequence uint64) {
	p.last = sequence
	since := &p.since
	if p.flushing != nil {
		since = &p.since2
	}
	if *since == 0 {
		*since = sequence
	}
}

// needed is the earliest round that the journal must keep, 0 if none.
func (p *part) needed() uint64 {
	if p.since == 0 {
		return p.since2
	}
	return p.since
}

// synced notes that all its files are synced up to the end of the round.
func (p *part) synced() {
	p.point.Synced, p.end = p.roundEnd, p.roundEnd
	clear(p.dirty)
	p.dirty, p.since, p.since2, p.unproven, p.tainted = p.dirty[:0], 0, 0, false, false
}

// marked notes that a marker of what is synced is in the journal.
func (p *part) marked() { p.last, p.bound, p.unmarked = 0, false, false }

// fail makes the partition suspect until it asks to recover.
func (p *part) fail() {
	p.suspect, p.tainted, p.dead = true, true, p.incarnation
	p.dirty, p.since, p.since2 = nil, p.needed(), 0
	p.void, p.unmarked = p.flushing != nil, false
}

// needsFlush says that something of it rests on the journal that can be synced now.
func (p *part) needsFlush() bool {
	return !p.suspect && p.flushing == nil && p.refs == nil && (len(p.dirty) > 0 || p.since > 0)
}

// flush takes what is to be synced for the checkpoint.
func (p *part) flush() {
	p.flushing, p.dirty, p.flushed = p.dirty, nil, p.end
	if p.flushing == nil {
		p.flushing = []message.Syncer{}
	}
}

// settle notes that what flush took is synced.
func (p *part) settle() {
	p.point.Synced = p.flushed
	p.since, p.since2, p.unproven, p.tainted = p.since2, 0, false, false
}
