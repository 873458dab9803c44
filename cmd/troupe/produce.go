package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce is what the flags of the command say.
type produce struct {
	broker
	separator   string
	headers     []string
	compression string
	acks        string
	null        string
	partition   int32
	whole       bool
}

func newProduce() *cobra.Command {
	var p produce
	c := &cobra.Command{
		Use: "produce TOPIC [FILE...]", Short: "Write records: each line of the standard input, or of files", Args: cobra.MinimumNArgs(1),
		Example: `  echo 'hello' | troupe produce orders
  troupe produce orders --key-separator : --header source=shop --compression zstd orders.txt
  troupe produce pictures --whole *.png`,
		RunE: func(c *cobra.Command, args []string) error { return p.run(c, args[0], args[1:]) },
	}
	p.flag(c)
	f := c.Flags()
	f.StringVarP(&p.separator, "key-separator", "k", "", "what stands between key and value in a line; a line without it has no key")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "a header of every record, `name=value`; may be repeated")
	f.StringVarP(&p.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "whose acknowledgement to wait for: all, 1 (the leader's) or 0 (nobody's)")
	f.StringVar(&p.null, "null", "", "a value that stands for null (a tombstone), like NULL")
	f.Int32Var(&p.partition, "partition", -1, "the partition; -1 chooses by key, or evenly")
	f.BoolVar(&p.whole, "whole", false, "each file is one record, rather than each line")
	return c
}

func (p *produce) run(c *cobra.Command, topic string, files []string) error {
	options, err := p.options(topic)
	if err != nil {
		return err
	}
	template, err := p.template()
	if err != nil {
		return err
	}
	bound, err := p.batchBytes(c.Context(), topic)
	if err != nil {
		return err
	}
	client, err := p.dial(c.Context(), append(options, kgo.ProducerBatchMaxBytes(bound))...)
	if err != nil {
		return err
	}
	defer client.Close()
	s := &sending{client: client, produce: p, template: template}
	err = s.all(c.Context(), c.InOrStdin(), files)
	if flushed := client.Flush(c.Context()); err == nil {
		err = flushed
	}
	if failed := s.failed.Load(); failed > 0 {
		return fmt.Errorf("%s: %d records were not written: %w", topic, failed, *s.first.Load())
	}
	return err
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func (p *produce) options(topic string) ([]kgo.Opt, error) {
	codec, ok := codecs[p.compression]
	if !ok {
		return nil, usagef("--compression %s: write none, gzip, snappy, lz4 or zstd", p.compression)
	}
	options := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(codec),
		kgo.BrokerMaxWriteBytes(100 << 20), kgo.UnknownTopicRetries(20)}
	switch p.acks {
	case "all":
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usagef("--acks %s: write all, 1 or 0", p.acks)
	}
	if p.partition >= 0 {
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return options, nil
}

// newTopicBatchBytes is what a topic takes whose max.message.bytes nobody has set.
const newTopicBatchBytes = 1048588

// batchBytes is the largest batch that the topic takes; that of a new topic where there is none yet.
func (p *produce) batchBytes(ctx context.Context, topic string) (bound int32, err error) {
	bound = newTopicBatchBytes
	err = p.admin(ctx, func(a *kadm.Client) error {
		described, err := a.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return err
		}
		config, _ := described.On(topic, nil)
		for _, c := range config.Configs {
			if n, err := strconv.ParseInt(c.MaybeValue(), 10, 32); c.Key == "max.message.bytes" && err == nil {
				bound = int32(n)
			}
		}
		return nil
	})
	return min(bound, 64<<20), err
}

// template is what all records have in common.
func (p *produce) template() (kgo.Record, error) {
	r := kgo.Record{Partition: p.partition}
	for _, h := range p.headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return r, usagef("--header %s: write name=value", h)
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return r, nil
}

// sending writes records without waiting for the one before, and keeps count of what fails.
type sending struct {
	client   *kgo.Client
	produce  *produce
	template kgo.Record

	failed atomic.Int64
	first  atomic.Pointer[error]
}

func (s *sending) all(ctx context.Context, in io.Reader, files []string) error {
	if len(files) == 0 {
		if s.produce.whole {
			return s.whole(ctx, in)
		}
		return s.lines(ctx, in)
	}
	for _, path := range files {
		if err := s.file(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.produce.whole {
		return s.whole(ctx, f)
	}
	return s.lines(ctx, f)
}

func (s *sending) whole(ctx context.Context, in io.Reader) error {
	content, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	r := s.template
	r.Value = content
	s.send(ctx, &r)
	return nil
}

func (s *sending) lines(ctx context.Context, in io.Reader) error {
	reader := bufio.NewReaderSize(in, 1<<16)
	for s.failed.Load() == 0 {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			s.send(ctx, s.record(bytes.TrimSuffix(line, []byte("\n"))))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// record takes a line apart.
func (s *sending) record(line []byte) *kgo.Record {
	r := s.template
	r.Value = line
	if sep := s.produce.separator; sep != "" {
		if key, value, ok := bytes.Cut(line, []byte(sep)); ok {
			r.Key, r.Value = key, value
		}
	}
	if null := s.produce.null; null != "" && string(r.Value) == null {
		r.Value = nil
	}
	return &r
}

func (s *sending) send(ctx context.Context, r *kgo.Record) {
	s.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			s.first.CompareAndSwap(nil, &err)
			s.failed.Add(1)
		}
	})
}
