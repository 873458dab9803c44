package message

// Syncer is something whose bytes can be made durable: a file or a directory. Sync may block for long and is called
// from other goroutines than its owner's. Syncers are compared with == to sync each once: let one file or directory have
// equal values (a pointer, or a struct that names it). To sync what was removed meanwhile is no error.
type Syncer interface{ Sync() error }

// Recover asks the disk, when a replica starts, what it must know before it opens its log.
type Recover struct{ Partition PartitionID }

// Recovered answers Recover. Entries must be replayed over the log in order, after it has recovered its own valid
// prefix; the replica then says Replayed. With no entries the log need not be opened before it is used.
type Recovered struct {
	Entries       []Redo
	RecoveryPoint int64 // below this offset the log was synced and whole; 0 if nothing is known
	LogStart      int64 // at least this; 0 if nothing is known
	// Suspect: an earlier sync of this log failed in this process. What lies above RecoveryPoint may be in the page cache
	// only, and no other sync would write it: write it again, and have that synced.
	Suspect bool
	Err     error // the journal cannot be read: stay down
}

// Redo is one journal entry: the batch at Base, or, where Batch is nil, a truncation to Base, or with StartAt a move of
// the log start to Base. A batch that the log has already at that place (same base offset, epoch and checksum) or that lies
// below its start is passed over, and what the log has behind it stays; one that contradicts the log replaces it
// from Base on.
type Redo struct {
	LeaderEpoch int32
	Base        int64
	Batch       []byte
	StartAt     bool
}

// Replayed tells the disk that everything in Recovered is in the log's files (page cache), which end at End; Files are
// what has to be synced before the journal may forget it.
type Replayed struct {
	Partition PartitionID
	End       int64
	Files     []Syncer
}

// Commit asks the disk to make an append durable. It is sent once per append and not answered one by one: Synced says up
// to where the sender's log is durable. Batch is not looked at any more once a Synced or Unsynced covers it.
//
// A Commit with neither Batch nor Truncate has no bytes for the journal: its Files are synced directly.
//
// A truncation is written ahead: Truncate goes to the disk before the log is cut, which happens when it is Synced; the
// files of the cut are those of the next Commit. To cut first and tell then is safe only where nothing above End was ever durable:
// a crash in between would leave a log that ends below what is known to be on disk, and that looks like damage.
type Commit struct {
	Partition   PartitionID
	Incarnation uint64 // of the replica: an answer to an earlier incarnation is ignored
	LeaderEpoch int32
	Base, End   int64 // offsets: what is appended starts at Base, the log ends at End afterwards
	Batch       []byte
	Truncate    bool     // the log is about to be cut to End
	StartAt     bool     // the log start was moved to Base
	Files       []Syncer // every file and directory that this append dirtied
	Trace       Trace
}

// Synced is the disk's word that everything up to End of the sender's log is durable. Commits is how many of the sender's
// Commits it answers, the oldest unanswered ones: End alone does not tell a truncation or a moved start from what was
// there before.
type Synced struct {
	Incarnation uint64
	End         int64
	Commits     int
}

// Unsynced is the disk's word that a sync failed: nothing above what was Synced before may be believed to be on disk. A
// failed sync is never tried again; the replica fails and starts again from what is known to be durable.
type Unsynced struct {
	Incarnation uint64
	Err         error
}

// Dropped tells the disk that a partition is deleted: forget its journal entries and checkpoints.
type Dropped struct{ Partition PartitionID }

// Settled is the broker actor's word, once after a start, that it has started every partition that this node holds
// according to an image that is at least as new as everything the controller had committed when this node registered.
// Journal entries that belong to none of Partitions, and that nobody has asked for, are of deleted topics: the disk may
// forget them. Before that it keeps them all.
type Settled struct{ Partitions []PartitionID }

// AwaitFailure asks the disk for its failure, the end of everything that it makes durable: a DiskFailed, or the stage's
// word that the actor is down.
type AwaitFailure struct{}

// DiskFailed answers AwaitFailure.
type DiskFailed struct{ Err error }

// Flushed asks the disk to make everything durable that it was given, write its checkpoint and close: a clean shutdown.
// The disk answers with FlushDone.
type Flushed struct{}

// FlushDone answers Flushed.
type FlushDone struct{ Err error }

// Trace carries an OpenTelemetry span over an actor's border; the zero Trace is not recorded.
type Trace struct {
	ID     [16]byte
	Parent [8]byte
}
