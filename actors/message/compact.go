package message

import "time"

// Cleaner is the broker actor's word to this node's disk on how logs are compacted there: whenever the settings may have changed.
type Cleaner struct {
	Enabled        bool          // log.cleaner.enable
	Threads        int           // log.cleaner.threads: so many logs at once
	MapBytes       int64         // log.cleaner.dedupe.buffer.size, of all together
	MapLoad        float64       // log.cleaner.io.buffer.load.factor
	Block          int64         // log.cleaner.io.buffer.size
	BytesPerSecond float64       // log.cleaner.io.max.bytes.per.second, of all together
	Backoff        time.Duration // log.cleaner.backoff.ms
}

// Soiled tells the disk how much of a partition's log no compaction has been through, and whether it is due. Nothing answers it; Compact
// comes when it is the partition's turn.
type Soiled struct {
	Partition PartitionID
	Ratio     float64 // dirty bytes of all that would be read, from 0 to 1
	Bytes     int64   // dirty ones
	Due       bool    // more than min.cleanable.dirty.ratio, of an internal topic more than half, or older than max.compaction.lag.ms
	Overdue   bool    // that older one
}

// Compact is the disk's word that it is a partition's turn to compact its log. Compacted answers it, at once if there is nothing to do.
type Compact struct {
	MapBytes       int64 // of memory for keys
	MapLoad        float64
	Block          int64   // bytes to read at a time
	BytesPerSecond float64 // to read and write, at most
}

// Compacted tells the disk that a pass of compaction is over, and what it has done.
type Compacted struct {
	Partition     PartitionID
	Read, Written int64 // bytes
	Freed         int64 // bytes that the log is smaller by
	Took          time.Duration
	Whole         bool // it came to its end
	Failed        bool // the log cannot be compacted, and is left alone
}
