// Package log is one partition's log on disk: segments of record batches, their sparse indexes, and the history of leader
// epochs. One owner, no locks, no goroutines; readers use the views that it hands out.
package log

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Options say where a log is and how it rolls. Everything but FS, Dir and RecoveryPoint may be changed later by Configure.
type Options struct {
	FS  vfs.FS
	Dir string // "topics/<uuid>/<partition>"; made on the first append, not on Open
	// RecoveryPoint: below this offset everything was synced and whole. Damage below it is quarantined, what is invalid
	// above it is an unsynced tail and cut.
	RecoveryPoint int64
	// LogStart is at least this.
	LogStart int64
	// CutAt, if not negative, cuts the log to this offset at most before anything else (a failed sync).
	CutAt  int64
	Config Config
}

// Config is how a log rolls and indexes.
type Config struct {
	SegmentBytes       int64
	SegmentAge         time.Duration // 0: never
	IndexIntervalBytes int32
}

// Log is an open log.
type Log struct{ _ int }

// Open recovers the longest valid prefix; a directory that is not there is an empty log that starts at opts.LogStart.
func Open(opts Options, now time.Time) (*Log, Recovery, error) { panic("not yet") }

// Recovery says what Open found and did.
type Recovery struct {
	Cut        int64 // bytes of invalid tail that were removed
	Scanned    int64 // bytes read
	Rebuilt    int   // indexes made anew
	Quarantine []message.Damaged
	Dirty      []message.Syncer // must be synced before anything is acknowledged on top of it
}

// Configure changes how the log rolls from now on.
func (l *Log) Configure(c Config) { panic("not yet") }

// Append writes one batch, whose base offset and leader epoch the caller has set, behind the end. now is for rolling by
// age. What it dirtied is in Dirty. On an error the log is as it was before (a partial write is cut away).
// Errors wrap vfs.ErrFull where the disk has no room.
func (l *Log) Append(b record.Batch, now time.Time) error { panic("not yet") }

// Dirty hands out, once, everything that was dirtied since the last call and has to be synced to make the log durable:
// files first, then directories.
func (l *Log) Dirty() []message.Syncer { panic("not yet") }

// Truncate cuts the log so that it ends at offset (the start of a batch; a batch that holds the offset goes whole).
func (l *Log) Truncate(offset int64) error { panic("not yet") }

// TruncateAll empties the log and lets it start at offset.
func (l *Log) TruncateAll(offset int64) error { panic("not yet") }

// SetStart moves the log start up; what lies wholly below it is removed by DeleteOld.
func (l *Log) SetStart(offset int64) { panic("not yet") }

// Start is the first offset that may be read, End the offset of the next record.
func (l *Log) Start() int64 { panic("not yet") }

// End is the offset of the next record.
func (l *Log) End() int64 { panic("not yet") }

// LastEpoch is the leader epoch of the last batch, -1 in an empty log.
func (l *Log) LastEpoch() int32 { panic("not yet") }

// Retention says what DeleteOld may take.
type Retention struct {
	Age   time.Duration // by the segment's largest timestamp; negative: for ever
	Bytes int64         // negative: any size
	Below int64         // never a segment with records at or above this offset (the high watermark)
}

// DeleteOld removes whole segments by age, by size and below the start, the active one too (a new empty one is rolled
// first), moves the start, and says how many segments went.
func (l *Log) DeleteOld(r Retention, now time.Time) (segments int, err error) { panic("not yet") }

// Scan reads every batch from offset on, in order, until each returns false. The batch is valid during the call only.
func (l *Log) Scan(from int64, each func(b record.Batch) bool) error { panic("not yet") }

// View is an immutable picture for readers, with the bounds given (LogStart and LogEnd are filled in by the log). It
// stays readable when the log goes on, rolls or is truncated above the bounds' HighWatermark.
func (l *Log) View(b message.Bounds) message.View { panic("not yet") }

// SaveIndexes writes what recovery would otherwise have to rebuild: the active segment's indexes, in the page cache only.
func (l *Log) SaveIndexes() error { panic("not yet") }

// Close closes the files and saves the indexes. It does not sync.
func (l *Log) Close() error { panic("not yet") }

// Remove deletes everything. The log is not to be used any more.
func (l *Log) Remove() error { panic("not yet") }
