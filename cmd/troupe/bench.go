package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/cmd/troupe/bench"
)

func newBench() *cobra.Command {
	return group("bench", "Measure a broker", `  troupe bench produce --duration 30s
  troupe bench latency --rate 20000 --acks 1 --json`,
		newBenchOf("produce", "Write as fast as it goes, or at a rate, and measure how long acknowledgements take", 0, bench.Load.Produce),
		newBenchOf("fetch", "Read a topic from its start as fast as it goes", 0, bench.Load.Fetch),
		newBenchOf("latency", "Write at a rate, read at the same time, and measure from end to end", 1000, bench.Load.Latency))
}

// measurement is what the flags of a bench command say.
type measurement struct {
	broker
	printer
	bench.Load
	partitions  int32
	replicas    int16
	compression string
	acks        string
	linger      time.Duration
	batch       int32
}

func newBenchOf(kind, short string, rate int, run func(bench.Load, context.Context) (bench.Result, error)) *cobra.Command {
	var m measurement
	c := &cobra.Command{
		Use: kind, Short: short, Args: cobra.NoArgs,
		Example: fmt.Sprintf("  troupe bench %s --topic load --duration 10s", kind),
		RunE:    func(c *cobra.Command, _ []string) error { return m.run(c, run) },
	}
	m.broker.flag(c)
	m.printer.flag(c)
	f := c.Flags()
	f.StringVar(&m.Topic, "topic", "troupe-bench", "the topic; it is created if it is not there")
	f.DurationVar(&m.Duration, "duration", 10*time.Second, "how long to measure")
	f.Int32Var(&m.partitions, "partitions", 12, "how many partitions a new topic gets")
	f.Int16Var(&m.replicas, "replicas", -1, "how many replicas a new topic gets")
	if kind == "fetch" {
		return c
	}
	f.DurationVar(&m.WarmUp, "warm-up", time.Second, "how long to run before it is measured")
	f.IntVar(&m.Size, "size", 1024, "bytes of a value")
	f.IntVar(&m.Rate, "rate", rate, "records a second; 0 is as many as there can be")
	f.IntVar(&m.Clients, "clients", 1, "how many producers")
	f.StringVarP(&m.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&m.acks, "acks", "all", "all, 1 or 0")
	f.DurationVar(&m.linger, "linger", 0, "how long a producer waits to fill a batch")
	f.Int32Var(&m.batch, "batch-bytes", 1_000_000, "the largest batch")
	return c
}

func (m *measurement) run(c *cobra.Command, run func(bench.Load, context.Context) (bench.Result, error)) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	finish := m.watch(c.ErrOrStderr())
	result, err := run(m.Load, ctx)
	finish()
	if err != nil {
		return err
	}
	return m.show(c.OutOrStdout(), result)
}

func (m *measurement) prepare(ctx context.Context) error {
	m.Dial = func(o ...kgo.Opt) (*kgo.Client, error) { return m.dial(ctx, o...) }
	if m.compression != "" {
		p := produce{compression: m.compression, acks: m.acks, partition: -1}
		options, err := p.options(m.Topic)
		if err != nil {
			return err
		}
		m.Options = append(options, kgo.ProducerBatchMaxBytes(m.batch), kgo.ProducerLinger(m.linger), kgo.MaxBufferedRecords(100_000))
	}
	return m.admin(ctx, func(a *kadm.Client) error {
		r, err := a.CreateTopic(ctx, m.partitions, m.replicas, nil, m.Topic)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return told(err, r.ErrMessage)
	})
}

// watch shows a bar while the load runs, if somebody looks.
func (m *measurement) watch(to io.Writer) (finish func()) {
	if m.json || !isTerminal(to) {
		return func() {}
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(to), progressbar.OptionShowIts(), progressbar.OptionSetItsString("records"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	m.Progress = func(n int64) { _ = bar.Set64(n) }
	return func() { _ = bar.Finish() }
}

func (m *measurement) show(out io.Writer, r bench.Result) error {
	if m.json {
		return m.print(out, r, "", nil)
	}
	err := table(out, "RECORDS SECONDS RECORDS/S MB/S FAILED", func(row func(...any)) {
		row(r.Records, fmt.Sprintf("%.2f", r.Seconds), fmt.Sprintf("%.0f", r.RecordsSecond), fmt.Sprintf("%.1f", r.MegabytesSec), r.Failed)
	})
	if err != nil || r.Latency == nil {
		return err
	}
	fmt.Fprintf(out, "\nlatency in milliseconds\n")
	err = table(out, "P50 P90 P99 P99.9 MAX MEAN", func(row func(...any)) {
		t := r.Latency
		ms := func(v float64) string { return fmt.Sprintf("%.2f", v) }
		row(ms(t.P50), ms(t.P90), ms(t.P99), ms(t.P999), ms(t.Max), ms(t.Mean))
	})
	fmt.Fprintln(out)
	bench.Picture(out, r.Histogram, 50)
	return err
}
