package http

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keys is above every API key that there is.
const keys = 128

// Counters count what happens at the Kafka door. Counting takes no lock and allocates nothing; the sums are made when
// somebody looks.
type Counters struct {
	name        func(key int16) string
	requests    [keys]requests
	refused     atomic.Int64
	connections atomic.Int64
	opened      atomic.Int64
}

// requests are the requests of one API.
type requests struct {
	within  [len(bucketBounds)]atomic.Int64 // took at most the bound, and more than the one before
	count   atomic.Int64
	nanos   atomic.Int64
	in, out atomic.Int64 // bytes
}

// bucketBounds are what requests are sorted by: from half a millisecond to ten seconds.
var bucketBounds = [...]time.Duration{500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second}

// NewCounters counts from zero. name is what an API key is called.
func NewCounters(name func(key int16) string) *Counters { return &Counters{name: name} }

// Request counts an answered request.
func (c *Counters) Request(key int16, took time.Duration, bytesIn, bytesOut int) {
	if key < 0 || key >= keys {
		return
	}
	r := &c.requests[key]
	for i, bound := range bucketBounds {
		if took <= bound {
			r.within[i].Add(1)
			break
		}
	}
	r.count.Add(1)
	r.nanos.Add(int64(took))
	r.in.Add(int64(bytesIn))
	r.out.Add(int64(bytesOut))
}

// Refused counts a request that was answered by closing its connection.
func (c *Counters) Refused(int16) { c.refused.Add(1) }

// Connections counts a connection that came (1) or went (-1).
func (c *Counters) Connections(change int) {
	c.connections.Add(int64(change))
	if change > 0 {
		c.opened.Add(int64(change))
	}
}

var (
	tookDesc    = prometheus.NewDesc("troupe_kafka_request_seconds", "Time from a request's arrival to its answer.", []string{"api"}, nil)
	inDesc      = prometheus.NewDesc("troupe_kafka_request_bytes_total", "Bytes of requests.", []string{"api"}, nil)
	outDesc     = prometheus.NewDesc("troupe_kafka_response_bytes_total", "Bytes of answers.", []string{"api"}, nil)
	refusedDesc = prometheus.NewDesc("troupe_kafka_refused_requests_total", "Requests that were answered by closing their connection.", nil, nil)
	openDesc    = prometheus.NewDesc("troupe_kafka_connections", "Open connections of Kafka clients.", nil, nil)
	openedDesc  = prometheus.NewDesc("troupe_kafka_connections_opened_total", "Connections of Kafka clients that were accepted.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Counters) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tookDesc, inDesc, outDesc, refusedDesc, openDesc, openedDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Counters) Collect(to chan<- prometheus.Metric) {
	for key := range c.requests {
		if c.requests[key].count.Load() > 0 {
			c.requests[key].collect(c.name(int16(key)), to)
		}
	}
	to <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(c.refused.Load()))
	to <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(c.connections.Load()))
	to <- prometheus.MustNewConstMetric(openedDesc, prometheus.CounterValue, float64(c.opened.Load()))
}

func (r *requests) collect(api string, to chan<- prometheus.Metric) {
	buckets := make(map[float64]uint64, len(bucketBounds))
	sum := uint64(0)
	for i, bound := range bucketBounds {
		sum += uint64(r.within[i].Load())
		buckets[bound.Seconds()] = sum
	}
	to <- prometheus.MustNewConstHistogram(tookDesc, max(sum, uint64(r.count.Load())), time.Duration(r.nanos.Load()).Seconds(), buckets, api)
	to <- prometheus.MustNewConstMetric(inDesc, prometheus.CounterValue, float64(r.in.Load()), api)
	to <- prometheus.MustNewConstMetric(outDesc, prometheus.CounterValue, float64(r.out.Load()), api)
}
