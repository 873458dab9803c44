// Package bench loads a Kafka cluster through an ordinary client and measures what it does.
package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Load is what is done to a topic.
type Load struct {
	Dial     func(...kgo.Opt) (*kgo.Client, error)
	Topic    string
	Size     int           // bytes of a value
	Duration time.Duration // how long, after the warm-up
	WarmUp   time.Duration // not measured
	Rate     int           // records a second in all; 0: as many as there can be
	Clients  int
	Options  []kgo.Opt // of producers
	// Progress is told, now and then, how many records were moved.
	Progress func(records int64)
}

// Result is what was measured.
type Result struct {
	Kind          string  `json:"kind"` // produce, fetch or latency
	Records       int64   `json:"records"`
	Bytes         int64   `json:"bytes"`
	Seconds       float64 `json:"seconds"`
	RecordsSecond float64 `json:"records_per_second"`
	MegabytesSec  float64 `json:"megabytes_per_second"`
	Failed        int64   `json:"failed"`
	Latency       *Times  `json:"latency_ms,omitempty"`

	Histogram *hdrhistogram.Histogram `json:"-"`
}

// Times are the quantiles of a latency in milliseconds.
type Times struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

func timesOf(h *hdrhistogram.Histogram) *Times {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return &Times{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000, Mean: h.Mean() / 1000}
}

// meter counts from several goroutines what happens after the warm-up.
type meter struct {
	from     time.Time // what ends before is not measured
	records  atomic.Int64
	bytes    atomic.Int64
	failed   atomic.Int64
	problem  atomic.Pointer[error]
	progress func(int64)

	mu   sync.Mutex
	hist *hdrhistogram.Histogram // microseconds
}

func (l *Load) meter() *meter {
	return &meter{from: time.Now().Add(l.WarmUp), progress: l.Progress, hist: hdrhistogram.New(1, 600_000_000, 3)}
}

func (m *meter) moved(bytes int, took time.Duration, now time.Time) {
	if now.Before(m.from) {
		return
	}
	m.bytes.Add(int64(bytes))
	if n := m.records.Add(1); n%1024 == 0 && m.progress != nil {
		m.progress(n)
	}
	if took >= 0 {
		m.mu.Lock()
		_ = m.hist.RecordValue(max(1, took.Microseconds()))
		m.mu.Unlock()
	}
}

func (m *meter) fail(err error) {
	m.failed.Add(1)
	m.problem.CompareAndSwap(nil, &err)
}

func (m *meter) result(kind string, until time.Time) (Result, error) {
	r := Result{Kind: kind, Records: m.records.Load(), Bytes: m.bytes.Load(), Failed: m.failed.Load(), Seconds: max(until.Sub(m.from), 1).Seconds()}
	r.RecordsSecond = float64(r.Records) / r.Seconds
	r.MegabytesSec = float64(r.Bytes) / r.Seconds / 1e6
	if m.hist.TotalCount() > 0 {
		r.Latency, r.Histogram = timesOf(m.hist), m.hist
	}
	if p := m.problem.Load(); p != nil {
		return r, fmt.Errorf("%d records failed, the first with: %w", r.Failed, *p)
	}
	return r, nil
}

// Produce writes records for the load's duration and measures the time until each is acknowledged.
func (l Load) Produce(ctx context.Context) (Result, error) {
	m := l.meter()
	until := m.from.Add(l.Duration)
	err := l.each(func(int) error {
		client, err := l.Dial(l.Options...)
		if err != nil {
			return err
		}
		defer client.Close()
		l.write(ctx, client, m, until)
		return client.Flush(ctx)
	})
	if err != nil {
		return Result{}, err
	}
	return m.result("produce", time.Now())
}

// each runs the load's clients side by side.
func (l Load) each(one func(n int) error) error {
	errs := make([]error, max(1, l.Clients))
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = one(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// write produces until the time is up, at the client's share of the rate.
func (l Load) write(ctx context.Context, client *kgo.Client, m *meter, until time.Time) {
	body := make([]byte, max(8, l.Size))
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(body)
	pace := pacer{every: l.pause(), next: time.Now()}
	for ctx.Err() == nil && m.failed.Load() == 0 {
		began := pace.wait()
		if began.After(until) {
			return
		}
		value := append([]byte(nil), body...)
		binary.BigEndian.PutUint64(value, uint64(began.UnixNano()))
		client.Produce(ctx, &kgo.Record{Topic: l.Topic, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				m.fail(err)
				return
			}
			now := time.Now()
			m.moved(len(value), now.Sub(began), now)
		})
	}
}

func (l Load) pause() time.Duration {
	if l.Rate <= 0 {
		return 0
	}
	return time.Second * time.Duration(max(1, l.Clients)) / time.Duration(l.Rate)
}

// pacer lets through one record every so often. What it could not let through in time it lets through at once later, and
// says when it was due: a stall counts against every record that it held up.
type pacer struct {
	every time.Duration
	next  time.Time
}

func (p *pacer) wait() (due time.Time) {
	if p.every == 0 {
		return time.Now()
	}
	due = p.next
	p.next = due.Add(p.every)
	if d := time.Until(due); d > 0 {
		time.Sleep(d)
	}
	return due
}

// Fetch reads the topic from its start until the duration is over or nothing has come for a while.
func (l Load) Fetch(ctx context.Context) (Result, error) {
	m := l.meter()
	deadline, stop := context.WithDeadline(ctx, m.from.Add(l.Duration))
	defer stop()
	client, err := l.Dial(kgo.ConsumeTopics(l.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(50<<20), kgo.MaxConcurrentFetches(2))
	if err != nil {
		return Result{}, err
	}
	defer client.Close()
	last := time.Now()
	for deadline.Err() == nil && time.Since(last) < 2*time.Second {
		poll, cancel := context.WithTimeout(deadline, time.Second)
		fetches := client.PollFetches(poll)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) {
			last = time.Now()
			m.moved(len(r.Key)+len(r.Value), -1, last)
		})
	}
	return m.result("fetch", last)
}

// Latency writes at the load's rate and reads at the same time, and measures the time from when a record was due to be
// written until it was read.
func (l Load) Latency(ctx context.Context) (Result, error) {
	reader, err := l.Dial(kgo.ConsumeTopics(l.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return Result{}, err
	}
	defer reader.Close()
	m := l.meter()
	until := m.from.Add(l.Duration)
	reading, stop := context.WithDeadline(ctx, until.Add(2*time.Second))
	defer stop()
	written := &meter{from: until, hist: m.hist} // counts nothing but failures
	var all sync.WaitGroup
	all.Go(func() { l.read(reading, reader, m) })
	err = l.each(func(int) error {
		writer, err := l.Dial(l.Options...)
		if err != nil {
			return err
		}
		defer writer.Close()
		l.write(ctx, writer, written, until)
		return writer.Flush(ctx)
	})
	all.Wait()
	if p := written.problem.Load(); p != nil && err == nil {
		err = *p
	}
	if err != nil {
		return Result{}, err
	}
	return m.result("latency", until)
}

func (l Load) read(ctx context.Context, client *kgo.Client, m *meter) {
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if len(r.Value) < 8 {
				return
			}
			now := time.Now()
			due := time.Unix(0, int64(binary.BigEndian.Uint64(r.Value)))
			m.moved(len(r.Value), max(0, now.Sub(due)), now)
		})
	}
}
