package exchange

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

// franz is the Go client franz-go.
type franz struct{}

func (franz) name() string { return "franz-go" }

var franzCodecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func (franz) produce(t *testing.T, b *broker.Broker, codec string, records []record) {
	c := b.NewClient(t, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(franzCodecs[codec]), kgo.ProducerBatchMaxBytes(4_000_000))
	defer c.Close()
	for _, r := range records {
		k := &kgo.Record{Key: bytesOf(r.key), Value: bytesOf(r.value), Headers: []kgo.RecordHeader{{Key: "from", Value: []byte(r.header)}}}
		c.Produce(context.Background(), k, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Flush(context.Background()); err != nil {
		t.Error(err)
	}
}

func (franz) consume(t *testing.T, b *broker.Broker, _ int) (all []record) {
	for _, r := range b.ReadAll(t, topic, 1) {
		all = append(all, record{textOf(r.Key), textOf(r.Value), headerOf(r)})
	}
	return all
}

// everyCodecWasUsed looks at the batches as they are stored: a client that quietly sent none would prove nothing.
func everyCodecWasUsed(t *testing.T, b *broker.Broker, clients []client) {
	used := map[string]bool{}
	for _, r := range b.ReadAll(t, topic, 1) {
		used[headerOf(r)+" "+codecs[r.Attrs.CompressionType()]] = true
	}
	for _, c := range clients {
		for _, codec := range codecs {
			if !used[c.name()+"-"+codec+" "+codec] {
				t.Errorf("no batch of %s is compressed with %s", c.name(), codec)
			}
		}
	}
}

func bytesOf(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

func textOf(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func headerOf(r *kgo.Record) string {
	if len(r.Headers) != 1 || r.Headers[0].Key != "from" {
		return ""
	}
	return string(r.Headers[0].Value)
}
