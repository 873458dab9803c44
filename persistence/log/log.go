// Package log is one partition's log on disk: segments of record batches, their sparse indexes, and the history of leader
// epochs. One owner, no locks, no goroutines; readers use the views that it hands out.
//
//	<dir>/00000000000000000000.log    record batches, one behind the other, as they are on the wire
//	<dir>/00000000000000000000.index  sparse index of a sealed segment (index.go), can be made anew
//	<dir>/00000000000000000000.txnindex  which transactions were aborted, if any were (aborts.go), can be made anew
//	<dir>/00000000000000004711.log    the last segment's index is in memory only
//	<dir>/start                       where the first segment begins, if not at 0 (start.go)
//	<dir>/epochs                      where each leader epoch begins (epochs.go), can be made anew
//	<dir>/cleaned                     how far compaction is (cleaned.go), once there was some
//
// A segment's name is the offset of its first record, or of the first it will have. Directory and files are made by the
// first append. It refuses to know about commits, syncs and producers (but for what was aborted): it says what is dirty, its owner has it synced.
package log

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Options say where a log is and how it rolls. Everything but FS, Dir and RecoveryPoint may be changed later by Configure.
type Options struct {
	FS  vfs.FS
	Dir string // "topics/<uuid>/<partition>"; made on the first append, not on Open
	// RecoveryPoint: below this offset everything was synced and whole. Damage below it is quarantined, what is invalid
	// above it is an unsynced tail and cut. Before a Truncate below it is made, it must be lowered durably, or the
	// missing records are taken for damage after a crash.
	RecoveryPoint int64
	// LogStart is at least this.
	LogStart int64
	// Suspect says that a sync of this log has failed in this process: whatever was changed above the recovery point is
	// written again, even where the log ends there.
	Suspect bool
	// Reopened says that this process has had the log open before and nothing has failed: what it cut is somebody's to sync
	// already, and must not be synced beside them, nor is there anything to be written again.
	Reopened bool
	Config   Config
}

// Config is how a log rolls and indexes.
type Config struct {
	SegmentBytes int64         // 0: 1 GiB, which is also the most
	SegmentAge   time.Duration // since the first append in the segment; 0: never
	// OutgrownBytes: the last segment ends, too, once it has outgrown this and all that lies before it, so that compaction reaches it; 0: not
	// for that. What no pass has been through is then never much more than what one has left.
	OutgrownBytes      int64
	IndexIntervalBytes int32 // between two index entries; 0: 4096
	// Gaps: offsets may be missing between batches, because the log is compacted. Without it every batch must begin
	// where the one before it ended.
	Gaps bool
}

const (
	segmentBytesMax    = 1 << 30
	indexIntervalBytes = 4096
)

func (c Config) withDefaults() Config {
	if c.SegmentBytes <= 0 || c.SegmentBytes > segmentBytesMax {
		c.SegmentBytes = segmentBytesMax
	}
	if c.IndexIntervalBytes <= 0 {
		c.IndexIntervalBytes = indexIntervalBytes
	}
	return c
}

func (c Config) rules() rules { return rules{gaps: c.Gaps, interval: int64(c.IndexIntervalBytes)} }

// Log is an open log.
type Log struct {
	place  *place
	config Config

	shape *shape // what changes rarely, shared with the views
	start int64
	next  int64 // the end offset
	size  int64 // of the last segment
	since time.Time
	index sketch // of the last segment
	trail trail  // of the last segment

	aborts aborts

	history   handle // the epochs file
	first     handle // the start file
	firstBase int64  // what it says
	dirty     dirty
	doomed    []*handle // of removed files, open until the next removal for readers that are in the middle of one
	ragged    bool      // bytes of a failed write stand behind the end
	broken    error     // a failed write could not be undone, or a sync failed

	cleaned  cleaned   // how far compaction is
	replaced []*handle // files whose place others have taken, under other names, for readers that are at them
}

// shape is what views share until a segment rolls or goes, an epoch begins or the log is configured. It never changes,
// another takes its place.
type shape struct {
	rules    rules
	segments []*segment        // in ascending order; empty as long as nothing was ever appended
	sealed   int64             // bytes of all but the last
	damaged  []message.Damaged // of the last segment
	epochs   epochs
}

// reshape is a copy of the shape to be changed and put in its place.
func (l *Log) reshape() *shape {
	s := *l.shape
	l.shape = &s
	return l.shape
}

// setSegments puts other segments in place.
func (l *Log) setSegments(segments []*segment) *shape {
	s := l.reshape()
	s.segments, s.sealed = segments, 0
	for _, seg := range segments[:max(0, len(segments)-1)] {
		s.sealed += seg.size
	}
	return s
}

func (l *Log) last() *segment {
	if n := len(l.shape.segments); n > 0 {
		return l.shape.segments[n-1]
	}
	return nil
}

// Configure changes how the log rolls from now on.
func (l *Log) Configure(c Config) {
	l.config = c.withDefaults()
	if l.shape.rules != l.rules() {
		l.reshape().rules = l.rules()
	}
}

// SetStart moves the log start up, at most to the end; what lies wholly below it is removed by DeleteOld.
func (l *Log) SetStart(offset int64) {
	if offset = min(offset, l.next); offset > l.start {
		l.start = offset
		l.forgetEpochs()
	}
}

// Start is the first offset that may be read, End the offset of the next record.
func (l *Log) Start() int64 { return l.start }

// End is the offset of the next record.
func (l *Log) End() int64 { return l.next }

// Gaps says that offsets may be missing between batches.
func (l *Log) Gaps() bool { return l.shape.rules.gaps }

// Bytes is how much the segments hold on disk.
func (l *Log) Bytes() int64 { return l.shape.sealed + l.size }

// LastEpoch is the leader epoch of the last batch, -1 in an empty log.
func (l *Log) LastEpoch() int32 {
	if l.start >= l.next {
		return -1
	}
	return l.shape.epochs.last()
}

// SaveIndexes writes what recovery would otherwise have to rebuild: the last segment's index, and those of older ones
// that were missing or bad; in the page cache only.
func (l *Log) SaveIndexes() error {
	for _, seg := range l.shape.segments {
		if sum := seg.known.Load(); sum != nil && sum.entries != nil && seg != l.last() {
			if err := saveSealed(seg, sum); err != nil {
				return err
			}
		}
	}
	if l.last() == nil || l.size == 0 || len(l.shape.damaged) > 0 { // as in saveSealed
		return nil
	}
	return saveIndex(l.last(), l.lastHead(), l.index.entries)
}

func (l *Log) lastHead() head {
	return head{base: l.index.base, next: l.next, maxTime: l.index.maxTime, covered: l.size}
}

// saveSealed writes a sealed segment's index and lets its entries go from memory. That of a damaged one stays there:
// without a file the damage, which the file cannot tell, is found again after a restart.
func saveSealed(seg *segment, sum *summary) error {
	if len(sum.damaged) > 0 || seg.index.gone.Load() {
		return nil
	}
	h := head{base: seg.base, next: sum.next, maxTime: sum.maxTime, covered: sum.size}
	if err := saveIndex(seg, h, sum.entries); err != nil {
		return err
	}
	seg.known.Store(&summary{next: sum.next, size: sum.size, maxTime: sum.maxTime, count: sum.count})
	return nil
}

func saveIndex(seg *segment, h head, entries []entry) error {
	f, err := seg.index.create()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(encodeIndex(h, entries), 0)
	return err
}

// errRetired is why a retired log takes nothing more.
var errRetired = errors.New("it is retired")

// Retire saves the indexes and lets go of most memory. The log takes nothing more, but its views can be read until Close.
func (l *Log) Retire() error {
	err := l.SaveIndexes()
	l.broken, l.index, l.trail, l.aborts = errRetired, sketch{base: l.index.base}, trail{}, aborts{}
	return err
}

// Close closes the files and saves the indexes. It does not sync; what Dirty has handed out can still be synced.
func (l *Log) Close() error {
	var err error
	if !errors.Is(l.broken, errRetired) { // else another may have the files by now
		err = l.SaveIndexes()
	}
	for _, seg := range l.shape.segments {
		err = errors.Join(err, seg.log.close(), seg.index.close(), seg.aborts.close())
	}
	return errors.Join(err, l.history.close(), l.first.close(), l.closeDoomed(), dropReplaced(l.place, l.replaced))
}

// Remove deletes everything. The log is not to be used any more.
func (l *Log) Remove() error {
	var err error
	for _, seg := range l.shape.segments {
		seg.log.gone.Store(true)
		seg.aborts.gone.Store(true)
		err = errors.Join(err, seg.log.close(), seg.index.close(), seg.aborts.close())
	}
	l.history.gone.Store(true)
	l.first.gone.Store(true)
	err = errors.Join(err, l.history.close(), l.first.close(), l.closeDoomed(), dropReplaced(l.place, l.replaced))
	return errors.Join(err, l.place.fs.RemoveAll(l.place.dir))
}
