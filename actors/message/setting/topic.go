package setting

import (
	"slices"
	"time"
)

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
	// LeaderThrottled and FollowerThrottled are which replicas replicate at a throttled rate.
	LeaderThrottled, FollowerThrottled Replicas
	// ProducerExpiry is the broker's producer.id.expiration.ms.
	ProducerExpiry time.Duration
	// VerifyTransactions is the broker's transaction.partition.verification.enable: a partition asks whether a transaction that begins in it is open
	// (KIP-890).
	VerifyTransactions bool
	// CleanerBackoff is the broker's log.cleaner.backoff.ms; negative where log.cleaner.enable is off.
	CleanerBackoff time.Duration
}

// TopicFrom resolves a topic's overrides over a broker's layers. Values are taken to have been checked.
func TopicFrom(own map[string]string, l Layers) Topic {
	text := func(name string) string { return l.value(OfTopic, name, own) }
	num := func(name string) int64 { return number(text(name)) }
	policy := Elements(text("cleanup.policy"))
	backoff := l.Millis("log.cleaner.backoff.ms")
	if !l.Bool("log.cleaner.enable") {
		backoff = -1
	}
	return Topic{
		CleanupCompact:           slices.Contains(policy, "compact"),
		CleanupDelete:            slices.Contains(policy, "delete"),
		RetentionMillis:          num("retention.ms"),
		RetentionBytes:           num("retention.bytes"),
		SegmentBytes:             num("segment.bytes"),
		SegmentMillis:            num("segment.ms"),
		SegmentJitterMillis:      num("segment.jitter.ms"),
		MaxMessageBytes:          int32(num("max.message.bytes")),
		MinInsyncReplicas:        int32(num("min.insync.replicas")),
		LogAppendTime:            text("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMaxMillis: num("message.timestamp.before.max.ms"),
		TimestampAfterMaxMillis:  num("message.timestamp.after.max.ms"),
		Compression:              text("compression.type"),
		GzipLevel:                int(num("compression.gzip.level")),
		Lz4Level:                 int(num("compression.lz4.level")),
		ZstdLevel:                int(num("compression.zstd.level")),
		UncleanElection:          truth(text("unclean.leader.election.enable")),
		FlushMessages:            num("flush.messages"),
		FlushMillis:              num("flush.ms"),
		IndexIntervalBytes:       int32(num("index.interval.bytes")),
		FileDeleteDelayMillis:    num("file.delete.delay.ms"),
		DeleteRetentionMillis:    num("delete.retention.ms"),
		MinCleanableDirtyRatio:   fraction(text("min.cleanable.dirty.ratio")),
		MinCompactionLagMillis:   num("min.compaction.lag.ms"),
		MaxCompactionLagMillis:   num("max.compaction.lag.ms"),
		Fsync:                    text("durability") != "replicated",
		LeaderThrottled:          Replicas(text("leader.replication.throttled.replicas")),
		FollowerThrottled:        Replicas(text("follower.replication.throttled.replicas")),
		ProducerExpiry:           l.Millis("producer.id.expiration.ms"),
		VerifyTransactions:       l.Bool("transaction.partition.verification.enable"),
		CleanerBackoff:           backoff,
	}
}
