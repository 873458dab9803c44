package message

import (
	"errors"
	"fmt"
	"io"
)

// View is what a partition's replica publishes of its log: an immutable picture that any reader may keep and read from
// without asking the replica, for as long as its files exist. A new one is published after every commit.
//
// It is one of the two things that actors share through memory; the other is the metadata image.
type View interface {
	// Bounds are where the log starts, what is committed and stable, and where it ends.
	Bounds() Bounds
	// Read finds whole batches from the batch that holds offset on, up to but excluding the batch at limit (a high
	// watermark or last stable offset), at most maxBytes of them, but at least one batch if oneAtLeast. An empty Slice
	// without error means that there is nothing yet, or that even one batch is more than maxBytes. Errors:
	// ErrOffsetOutOfRange, a *Damaged that names the range, or the file system's.
	Read(offset, limit int64, maxBytes int, oneAtLeast bool) (Slice, error)
	// Trimmed is a slice that Read found, without the batches at its end that compaction has emptied; an empty Slice if it has no others. Where
	// it cannot tell, it is the slice.
	Trimmed(Slice) Slice
	// OffsetForTime is the first record below limit whose timestamp is at least millis; found is false if there is none.
	// It may read and decompress: callers offload it.
	OffsetForTime(millis, limit int64) (at TimedOffset, found bool, err error)
	// MaxTimestamp is the record below limit with the largest timestamp. It may read.
	MaxTimestamp(limit int64) (at TimedOffset, found bool, err error)
	// Aborted are the aborted transactions of which a reader of the offsets from from on up to to, which is at most the last stable offset, may
	// meet a batch. It may read.
	Aborted(from, to int64) ([]Aborted, error)
	// EpochEnd is the largest leader epoch that is at most epoch, and the offset at which it ends; (-1, -1) if none.
	EpochEnd(epoch int32) (found int32, end int64)
	// EpochAt is the leader epoch of the batch at offset, -1 if the log does not know.
	EpochAt(offset int64) int32
	// Bytes is how much the log's segments hold on disk.
	Bytes() int64
}

// Bounds are the offsets that matter of a log.
type Bounds struct {
	LogStart      int64
	HighWatermark int64 // consumers read below it
	LastStable    int64 // read_committed consumers read below it
	LogEnd        int64
	Leader        NodeID
	LeaderEpoch   int32
	IsLeader      bool
	Resigned      bool // this leader has asked that another may lead, and does not know yet whether one does
	Damaged       int  // ranges that are known to be damaged in this copy, and not mended yet
}

// Slice is a range of whole batches in one file. An empty one has no File.
type Slice struct {
	File  io.ReaderAt // the door may find that it can send it without a copy (vfs.Sender)
	At    int64
	Bytes int
	First int64 // base offset of the first batch
	Next  int64 // the offset after the last batch
}

// TimedOffset is a record's place in time.
type TimedOffset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
}

// Aborted is a transaction that was aborted, as a reader of what is committed has to know it (KIP-98).
type Aborted struct {
	Producer int64
	First    int64 // offset of its first batch; that of the marker if it has none
	Last     int64 // offset of its marker
	Stable   int64 // of the transactions that were open when it ended the first begins here, or Last+1
}

// RememberedBatches is how many batches of a producer a partition remembers: as many as it may have in flight.
const RememberedBatches = 5

// Latest is where a partition's log has the last of a producer: what tells, read again, what comes next from it, and what it repeats.
type Latest struct {
	First, Last int64 // base offsets of the first and the last of its batches that are remembered; -1: none is, in its epoch
	Marker      int64 // offset of the marker that ended its last transaction; -1: there is none; math.MaxInt64: nobody knows
}

// ErrOffsetOutOfRange is a read outside of what the log holds.
var ErrOffsetOutOfRange = errors.New("the offset is outside of the log")

// Damaged is a range of a log whose bytes fail their checks below what was once durable. It is kept, answered with an
// error that names it, and never cut away. Who meets it sends it to the partition, which mends it from another replica if there is one.
type Damaged struct {
	File        string
	From, To    int64 // bytes within the file
	First, Next int64 // offsets: what is readable ends before First and goes on at Next
	Why         string
}

// Error names the range.
func (d *Damaged) Error() string {
	return fmt.Sprintf("%s: bytes %d to %d are damaged (%s): offsets %d to %d cannot be read", d.File, d.From, d.To, d.Why, d.First, d.Next-1)
}
