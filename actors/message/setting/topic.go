package setting

import "time"

// Topic is the effective configuration of one topic: the topic's own overrides over the broker's defaults, parsed.
// Field by field as in Kafka's topic configs; durations of -1 ms mean for ever (Forever).
type Topic struct {
	CleanupCompact, CleanupDelete  bool
	RetentionMillis                int64 // -1: for ever
	RetentionBytes                 int64 // -1: any size
	SegmentBytes                   int64
	SegmentMillis                  int64
	SegmentJitterMillis            int64
	MaxMessageBytes                int32
	MinInsyncReplicas              int32
	LogAppendTime                  bool // message.timestamp.type
	TimestampBeforeMaxMillis       int64
	TimestampAfterMaxMillis        int64
	Compression                    string // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel, Lz4Level, ZstdLevel int
	UncleanElection                bool
	FlushMessages                  int64
	FlushMillis                    int64
	IndexIntervalBytes             int32
	FileDeleteDelayMillis          int64
	DeleteRetentionMillis          int64
	MinCleanableDirtyRatio         float64
	MinCompactionLagMillis         int64
	MaxCompactionLagMillis         int64
	// Fsync is Troupe's own durability=fsync (default): acknowledged means synced. False is durability=replicated, Kafka's
	// rule: acknowledged means in the page cache of every in-sync replica.
	Fsync bool
	// ProducerExpiry is the broker's producer.id.expiration.ms.
	ProducerExpiry time.Duration
}
