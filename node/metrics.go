package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// disks shows what the data directory's actor has published of itself, when somebody looks.
type disks struct {
	node  message.NodeID
	views stage.Sender
}

var (
	commitsDesc       = prometheus.NewDesc("troupe_disk_commits_total", "Appends that were made durable.", nil, nil)
	roundDesc         = prometheus.NewDesc("troupe_disk_round_seconds", "Time that a group commit took.", nil, nil)
	syncDesc          = prometheus.NewDesc("troupe_disk_sync_seconds", "Time that the syncs of a group commit took, by its way: direct or journal.", []string{"way"}, nil)
	syncBytesDesc     = prometheus.NewDesc("troupe_disk_synced_bytes_total", "Bytes made durable, by way.", []string{"way"}, nil)
	syncFilesDesc     = prometheus.NewDesc("troupe_disk_synced_files_total", "Files synced directly.", nil, nil)
	failuresDesc      = prometheus.NewDesc("troupe_disk_failures_total", "Partitions that were told that a sync failed.", nil, nil)
	journalErrDesc    = prometheus.NewDesc("troupe_journal_errors_total", "Writes or syncs of the journal that failed.", nil, nil)
	checkpointsDesc   = prometheus.NewDesc("troupe_journal_checkpoints_total", "Checkpoints of the journal.", nil, nil)
	journalUsedDesc   = prometheus.NewDesc("troupe_journal_used_bytes", "Bytes of the journal that may be needed.", nil, nil)
	compactPassesDesc = prometheus.NewDesc("troupe_compaction_passes_total", "Compactions that came to their end.", nil, nil)
	compactFailedDesc = prometheus.NewDesc("troupe_compaction_failures_total", "Compactions that failed for another reason than a full disk.", nil, nil)
	compactReadDesc   = prometheus.NewDesc("troupe_compaction_read_bytes_total", "Bytes that compaction has read.", nil, nil)
	compactWriteDesc  = prometheus.NewDesc("troupe_compaction_written_bytes_total", "Bytes that compaction has written.", nil, nil)
	compactFreedDesc  = prometheus.NewDesc("troupe_compaction_freed_bytes_total", "Bytes that logs have become smaller by.", nil, nil)
	compactLastDesc   = prometheus.NewDesc("troupe_compaction_last_timestamp_seconds", "When a compaction has come to its end last; absent before the first.", nil, nil)
	compactTookDesc   = prometheus.NewDesc("troupe_compaction_last_seconds", "How long that one took.", nil, nil)
	dirtiestDesc      = prometheus.NewDesc("troupe_compaction_dirty_ratio_max", "The largest share of a compacted log that no compaction has been through.", nil, nil)
	uncleanableDesc   = prometheus.NewDesc("troupe_compaction_uncleanable_partitions", "Partitions whose log cannot be compacted and is left alone; the node has logged why.", nil, nil)
	journalSizeDesc   = prometheus.NewDesc("troupe_journal_size_bytes", "Bytes of the journal's files.", nil, nil)
)

// Describe implements prometheus.Collector.
func (d disks) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{commitsDesc, roundDesc, syncDesc, syncBytesDesc, syncFilesDesc, failuresDesc, journalErrDesc, checkpointsDesc, journalUsedDesc, journalSizeDesc,
		compactPassesDesc, compactFailedDesc, compactReadDesc, compactWriteDesc, compactFreedDesc, compactLastDesc, compactTookDesc, dirtiestDesc, uncleanableDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (d disks) Collect(to chan<- prometheus.Metric) {
	s, ok := d.views.Published(message.DiskAt(d.node)).(*disk.Stats)
	if !ok {
		return
	}
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	counter(commitsDesc, s.Commits)
	counter(syncBytesDesc, s.Direct.Bytes, "direct")
	counter(syncBytesDesc, s.Journal.Bytes, "journal")
	counter(syncFilesDesc, s.Direct.Files)
	counter(failuresDesc, s.Failed)
	counter(journalErrDesc, s.JournalErrors)
	counter(checkpointsDesc, s.Checkpoints)
	to <- prometheus.MustNewConstMetric(journalUsedDesc, prometheus.GaugeValue, float64(s.JournalUsed))
	to <- prometheus.MustNewConstMetric(journalSizeDesc, prometheus.GaugeValue, float64(s.JournalSize))
	d.compactions(&s.Compactions, to)
	to <- histogram(roundDesc, s.RoundLatency)
	to <- histogram(syncDesc, s.Direct.Latency, "direct")
	to <- histogram(syncDesc, s.Journal.Latency, "journal")
}

// compactions shows what compaction has done.
func (d disks) compactions(s *disk.Compactions, to chan<- prometheus.Metric) {
	for _, one := range []struct {
		desc *prometheus.Desc
		n    uint64
	}{{compactPassesDesc, s.Passes}, {compactFailedDesc, s.Failed}, {compactReadDesc, s.Read}, {compactWriteDesc, s.Written}, {compactFreedDesc, s.Freed}} {
		to <- prometheus.MustNewConstMetric(one.desc, prometheus.CounterValue, float64(one.n))
	}
	gauge := func(desc *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v)
	}
	gauge(dirtiestDesc, s.Dirtiest)
	gauge(uncleanableDesc, float64(s.Uncleanable))
	if !s.Last.IsZero() {
		gauge(compactLastDesc, float64(s.Last.UnixMilli())/1000)
		gauge(compactTookDesc, s.Took.Seconds())
	}
}

func histogram(desc *prometheus.Desc, l disk.Latencies, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(l.Buckets))
	sum := uint64(0)
	for i, n := range l.Buckets {
		if sum += n; i < len(l.Buckets)-1 {
			buckets[l.Bound(i).Seconds()] = sum
		}
	}
	return prometheus.MustNewConstHistogram(desc, sum, l.Sum.Seconds(), buckets, labels...)
}
