package http

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// Views is where the actors' published views are: a stage.
type Views interface {
	Published(by message.Address) any
}

// Logs shows the node's partitions when somebody looks: what the broker's image names and the replicas have published.
// A partition that nobody has used since the start publishes nothing and is only counted.
type Logs struct {
	Node  message.NodeID
	Views Views
}

var (
	partitionsDesc = prometheus.NewDesc("troupe_partitions", "Partitions of the cluster.", nil, nil)
	topicsDesc     = prometheus.NewDesc("troupe_topics", "Topics of the cluster.", nil, nil)
	indexDesc      = prometheus.NewDesc("troupe_metadata_index", "The last metadata record that the node has applied.", nil, nil)
	startDesc      = prometheus.NewDesc("troupe_partition_log_start_offset", "The first offset that can be read.", []string{"topic", "partition"}, nil)
	markDesc       = prometheus.NewDesc("troupe_partition_high_watermark", "The offset behind the last committed record.", []string{"topic", "partition"}, nil)
	endDesc        = prometheus.NewDesc("troupe_partition_log_end_offset", "The offset behind the last record.", []string{"topic", "partition"}, nil)
	damagedDesc    = prometheus.NewDesc("troupe_partition_damaged_ranges", "Ranges of this copy of the log that are damaged and not mended from another replica yet.", []string{"topic", "partition"}, nil)
	bytesDesc      = prometheus.NewDesc("troupe_partition_log_bytes", "Bytes of the partition's segments.", []string{"topic", "partition"}, nil)
)

// Describe implements prometheus.Collector.
func (l Logs) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{partitionsDesc, topicsDesc, indexDesc, startDesc, markDesc, endDesc, damagedDesc, bytesDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l Logs) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	img, ok := l.Views.Published(message.BrokerAt(l.Node)).(*image.Image)
	if !ok {
		return
	}
	gauge(topicsDesc, int64(img.TopicCount()))
	gauge(partitionsDesc, int64(img.PartitionCount()))
	gauge(indexDesc, img.Index)
	for t := range img.Topics() {
		for i := range t.Partitions {
			view, ok := l.Views.Published(message.PartitionAt(l.Node, t.At(int32(i)))).(message.View)
			if !ok {
				continue
			}
			b, partition := view.Bounds(), strconv.Itoa(i)
			gauge(startDesc, b.LogStart, t.Name, partition)
			gauge(markDesc, b.HighWatermark, t.Name, partition)
			gauge(endDesc, b.LogEnd, t.Name, partition)
			gauge(damagedDesc, int64(b.Damaged), t.Name, partition)
			gauge(bytesDesc, view.Bytes(), t.Name, partition)
		}
	}
}
