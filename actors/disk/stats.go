package disk

import (
	"math/bits"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Stats is what a disk publishes of itself, all of it since its start.
type Stats struct {
	Commits       uint64 // appends that were made durable
	Direct        Ways   // rounds that synced files, the files and the bytes appended to them
	Journal       Ways   // rounds that wrote the journal, and what they wrote
	Failed        uint64 // partitions that were told Unsynced
	JournalErrors uint64
	Checkpoints   uint64
	RoundLatency  Latencies // from the begin of a round to the last of its Synced

	JournalUsed, JournalSize int64 // bytes
	Partitions               int   // of which something is remembered

	Compactions Compactions

	Broken bool // the actor has failed, and nothing is made durable before the process starts again
}

// Ways are the rounds that went one way.
type Ways struct {
	Rounds, Files, Bytes uint64
	Latency              Latencies // of the sync alone
}

// Latencies counts durations in buckets: bucket i holds what took less than 64 us times two to the i, the last the rest.
type Latencies struct {
	Buckets [16]uint64
	Sum     time.Duration
}

// Bound is the upper bound of bucket i.
func (Latencies) Bound(i int) time.Duration { return 64 * time.Microsecond << i }

func (l *Latencies) add(took time.Duration) {
	l.Buckets[min(bits.Len64(uint64(max(took, 0)/(64*time.Microsecond))), len(l.Buckets)-1)]++
	l.Sum += took
}

func (w *Ways) add(files int, bytes int64, took time.Duration) {
	w.Rounds++
	w.Files += uint64(files)
	w.Bytes += uint64(bytes)
	w.Latency.add(took)
}

// stats counts, and knows whether it is to be published.
type stats struct {
	Stats
	armed bool
	spans message.Spans
}

const publishEvery = 500 * time.Millisecond

func (s *stats) synced(files int, bytes int64, took time.Duration) { s.Direct.add(files, bytes, took) }

func (s *stats) journalled(bytes int64, took time.Duration) { s.Journal.add(0, bytes, took) }

func (s *stats) round(r *round, now time.Time) {
	s.Commits += uint64(len(r.commits))
	s.RoundLatency.add(now.Sub(r.began))
	for _, m := range r.commits {
		if s.spans.Wants(m.Trace) {
			s.spans(m.Trace, "commit", r.began, now)
		}
	}
}

// publishLater publishes soon; on an idle disk nothing wakes up for it.
func (d *Disk) publishLater(c stage.Context) {
	if !d.stats.armed {
		d.stats.armed = true
		c.After(publishEvery, &publishStats{})
	}
}

func (d *Disk) publish(c stage.Context) {
	d.stats.armed = false
	s := d.stats.Stats
	s.Compactions.Dirtiest, s.Compactions.Uncleanable = d.cleaner.Dirtiest(), d.cleaner.Failed()
	if d.journal != nil {
		s.JournalUsed, s.JournalSize, s.Partitions = d.used, d.journal.Size(), len(d.order)
	}
	c.Publish(&s)
}
