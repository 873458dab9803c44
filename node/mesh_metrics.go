package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-broker/troupe/transport/mesh"
)

// ways shows what the mesh has counted, when somebody looks.
type ways struct{ mesh *mesh.Mesh }

var (
	meshFramesDesc  = prometheus.NewDesc("troupe_mesh_frames_total", "Frames between this node and others, by direction.", []string{"direction"}, nil)
	meshBytesDesc   = prometheus.NewDesc("troupe_mesh_bytes_total", "Bytes between this node and others, by direction.", []string{"direction"}, nil)
	meshResetsDesc  = prometheus.NewDesc("troupe_mesh_resets_total", "Links to other nodes that were up and broke.", nil, nil)
	meshRefusedDesc = prometheus.NewDesc("troupe_mesh_refused_total", "Frames and words that were dropped: not ours, of another cluster, damaged, too large or unknown.", nil, nil)
	meshPeersDesc   = prometheus.NewDesc("troupe_mesh_peers", "Nodes whose link is up.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w ways) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{meshFramesDesc, meshBytesDesc, meshResetsDesc, meshRefusedDesc, meshPeersDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (w ways) Collect(to chan<- prometheus.Metric) {
	c := w.mesh.Counts()
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	counter(meshFramesDesc, c.FramesIn, "in")
	counter(meshFramesDesc, c.FramesOut, "out")
	counter(meshBytesDesc, c.BytesIn, "in")
	counter(meshBytesDesc, c.BytesOut, "out")
	counter(meshResetsDesc, c.Resets)
	counter(meshRefusedDesc, c.Refused)
	to <- prometheus.MustNewConstMetric(meshPeersDesc, prometheus.GaugeValue, float64(len(w.mesh.Peers())))
}
