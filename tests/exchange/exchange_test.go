// Package exchange lets unmodified clients exchange the same records through the real binary, in every direction: kcat,
// Kafka's own console producer and consumer, troupe produce and consume, and franz-go. Each writes the same records with each
// codec into one partition (keys, headers, a value of 1 MB, empty and null keys and values), and then each reads the
// whole partition back, by partition and offset, and must see every record of everybody byte for byte.
//
// kcat and Kafka's tools (Java) have to be there: a test that lacks them is skipped, or fails with TROUPE_CI=1.
package exchange

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

const topic = "exchange"

// The topic and the clients take batches larger than Kafka's default, which a value of 1 MB and its header exceed.
const messageBytesMax = "4000000"

func TestMain(m *testing.M) { broker.Main(m) }

// record is what a client is given, and what is to come out at the others. The header says where it comes from.
type record struct {
	key, value *string
	header     string // of the one header, "from"
}

// client is one program that writes and reads.
type client interface {
	name() string
	// produce writes records, all with the same header, in their order to partition 0.
	produce(t *testing.T, b *broker.Broker, codec string, records []record)
	// consume reads partition 0 from its start to its end, which is after n records.
	consume(t *testing.T, b *broker.Broker, n int) []record
}

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func TestEveryDirection(t *testing.T) {
	clients := []client{newKcat(t), newConsole(t), troupe{}, franz{}}
	b := broker.New(t, t.TempDir())
	b.Start()
	b.CreateTopic(t, topic, 1, map[string]string{"max.message.bytes": messageBytesMax})
	var want []record
	for _, c := range clients {
		for _, codec := range codecs {
			records := sample(c.name() + "-" + codec)
			c.produce(t, b, codec, records)
			want = append(want, records...)
		}
	}
	for _, c := range clients {
		t.Run(c.name()+" reads", func(t *testing.T) { compare(t, c.consume(t, b, len(want)), want) })
	}
	t.Run("codecs", func(t *testing.T) { everyCodecWasUsed(t, b, clients) })
}

// sample are the records of one producer and codec; the last one's value is null.
func sample(from string) []record {
	text := func(s string) *string { return &s }
	return []record{
		{text("key"), text("a value: with a separator, ünïcode and " + from), from},
		{text("empty value"), text(""), from},
		{text(""), text("empty key"), from},
		{nil, text("null key " + from), from},
		{text("big"), text(big(1 << 20)), from},
		{text("null value"), nil, from},
	}
}

// big is text that compresses, but not to nothing.
func big(size int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var s strings.Builder
	for s.Len() < size {
		s.WriteString(strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(8)))
	}
	return s.String()[:size]
}

func compare(t *testing.T, got, want []record) {
	if len(got) != len(want) {
		t.Errorf("%d records, not %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.header != w.header || shown(g.key) != shown(w.key) || shown(g.value) != shown(w.value) {
			t.Errorf("record %d is %s, not %s", i, g, w)
		}
	}
}

// shown tells null from every text.
func shown(s *string) string {
	if s == nil {
		return "null"
	}
	return "'" + *s + "'"
}

func (r record) String() string {
	short := func(s string) string {
		if len(s) > 60 {
			return s[:60] + "…"
		}
		return s
	}
	return short(shown(r.key)) + " = " + short(shown(r.value)) + " from " + r.header
}
