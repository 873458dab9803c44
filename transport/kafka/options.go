package kafka

import (
	"log/slog"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Options are what a connection must know of its broker. The zero value of a field is its default.
type Options struct {
	Node message.NodeID
	// Listener is the name under which the address that the client used is advertised (S11); "PLAINTEXT" by default.
	Listener string
	// Index tells the listeners of a node apart.
	Index uint16
	// Static is the broker's configuration as it was started; dynamic settings come from the metadata image.
	Static setting.Values
	// Sessions are the fetch sessions of all connections of the node; nil: no sessions (S37).
	Sessions *Sessions
	// Metrics counts; nil: nobody counts.
	Metrics Metrics
	// Tracer makes spans; nil: nobody traces.
	Tracer Tracer
	// Log takes what a listener says; actors use their stage's. slog.Default by default.
	Log *slog.Logger
}

// Metrics is told what happens at the door. Its methods are called from several goroutines and must not block.
type Metrics interface {
	// Request is told when an answer is handed to the wire: how long the request took, and how large both were.
	Request(key int16, took time.Duration, bytesIn, bytesOut int)
	// Refused is told of a request that was answered by closing its connection.
	Refused(key int16)
	// Connections is told of a connection that came (1) or went (-1).
	Connections(change int)
}

// Tracer makes the span of a request that appends or reads.
type Tracer interface {
	// Begin opens a span; the zero Trace, if the request is not sampled. end closes it and may be nil.
	Begin(name string, at time.Time) (trace message.Trace, end func(at time.Time))
}

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Request(int16, time.Duration, int, int) {}
func (noMetrics) Refused(int16)                          {}
func (noMetrics) Connections(int)                        {}

func (o Options) withDefaults() Options {
	if o.Listener == "" {
		o.Listener = "PLAINTEXT"
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}
