package setting

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Every row can be trusted: its default passes its own check, its synonyms exist, its sentence is one.
func TestTableIsSound(t *testing.T) {
	for scope := range scopeNames {
		all := All(Scope(scope))
		if len(all) == 0 {
			t.Errorf("no %s settings", Scope(scope))
		}
		for i, s := range all {
			if i > 0 && all[i-1].Name == s.Name {
				t.Errorf("%s stands twice in the table", s.Name)
			}
			checkRow(t, s)
		}
	}
}

func checkRow(t *testing.T, s *Setting) {
	if !s.Null && s.Check(s.Default) != nil && s.Default != "" {
		t.Errorf("the default: %v", s.Check(s.Default))
	}
	for _, v := range s.Sim {
		if err := s.Check(v); err != nil {
			t.Errorf("for the simulator: %v", err)
		}
	}
	for _, other := range s.Synonyms {
		if _, ok := Lookup(OfBroker, other.Name); !ok {
			t.Errorf("%s: its synonym %s is not in the table", s.Name, other.Name)
		}
	}
	if !strings.HasSuffix(s.Sentence, ".") {
		t.Errorf("%s: %q is no sentence", s.Name, s.Sentence)
	}
	if s.Idle && len(s.Sim) > 0 {
		t.Errorf("%s does nothing: the simulator need not draw it", s.Name)
	}
}

// S135: tool-visible texts, compared literally by scripts.
func TestRefusalsAreKafkasSentences(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"cleanup.policy", "shred", "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"},
		{"retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{"retention.ms", "soon", "Invalid value soon for configuration retention.ms: Not a number of type LONG"},
		{"segment.bytes", "3000000000", "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT"},
		{"min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"},
		{"foo", "1", "Unknown topic config name: foo"},
	} {
		s, err := Known(OfTopic, c.name)
		if err == nil {
			err = s.Check(c.value)
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: got %v, want %s", c.name, c.value, err, c.want)
		}
	}
}

// S108: APPEND and SUBTRACT are for lists only.
func TestAlter(t *testing.T) {
	value := "compact"
	policy, _ := Lookup(OfTopic, "cleanup.policy")
	if next, keep, err := policy.Alter(Append, "delete", &value); next != "delete,compact" || !keep || err != nil {
		t.Errorf("append: %q %v %v", next, keep, err)
	}
	if next, _, err := policy.Alter(Append, "delete,compact", &value); next != "delete,compact" || err != nil {
		t.Errorf("append what is there: %q %v", next, err)
	}
	if next, _, err := policy.Alter(Subtract, "delete,compact", &value); next != "delete" || err != nil {
		t.Errorf("subtract: %q %v", next, err)
	}
	retention, _ := Lookup(OfTopic, "retention.ms")
	if _, _, err := retention.Alter(Append, "1", &value); err == nil {
		t.Error("append to a number is not refused")
	}
	if _, keep, err := retention.Alter(Delete, "1", nil); keep || err != nil {
		t.Error("delete does not remove")
	}
}

// S106: the source is that of the winning synonym, and synonyms come in priority order.
func TestResolveFindsTheStrongestLayer(t *testing.T) {
	s, _ := Lookup(OfTopic, "retention.ms")
	l := Layers{Static: NewValues(map[string]string{"log.retention.hours": "2"})}
	check := func(r Resolved, value string, source Source, from ...string) {
		t.Helper()
		var names []string
		for _, o := range r.From {
			names = append(names, o.Name)
		}
		if *r.Value != value || r.Source != source || !slices.Equal(names, from) {
			t.Errorf("got %s from %d %v, want %s from %d %v", *r.Value, r.Source, names, value, source, from)
		}
	}
	check(l.Resolve(s, nil), "7200000", FromStart, "log.retention.hours", "log.retention.hours")
	l.Static = l.Static.With("log.retention.minutes", "1")
	check(l.Resolve(s, nil), "60000", FromStart, "log.retention.minutes", "log.retention.hours", "log.retention.hours")
	l.Cluster = map[string]string{"log.retention.ms": "5"}
	check(l.Resolve(s, nil), "5", FromBrokersDefault, "log.retention.ms", "log.retention.minutes", "log.retention.hours", "log.retention.hours")
	l.Broker = map[string]string{"log.retention.ms": "4"}
	r := l.Resolve(s, map[string]string{"retention.ms": "-1"})
	check(r, "-1", FromTopic, "retention.ms", "log.retention.ms", "log.retention.ms", "log.retention.minutes", "log.retention.hours", "log.retention.hours")
}

func TestTopicFrom(t *testing.T) {
	l := Layers{Static: NewValues(map[string]string{"log.retention.hours": "-1", "message.max.bytes": "100", "log.durability": "replicated"})}
	got := TopicFrom(map[string]string{"cleanup.policy": "compact, delete", "segment.bytes": "1024"}, l)
	want := Topic{CleanupCompact: true, CleanupDelete: true, RetentionMillis: -1, RetentionBytes: -1, SegmentBytes: 1024,
		SegmentMillis: 604800000, MaxMessageBytes: 100, MinInsyncReplicas: 1, TimestampBeforeMaxMillis: 1<<63 - 1,
		TimestampAfterMaxMillis: 3600000, Compression: "producer", GzipLevel: -1, Lz4Level: 9, ZstdLevel: 3,
		FlushMessages: 1<<63 - 1, FlushMillis: 1<<63 - 1, IndexIntervalBytes: 4096, FileDeleteDelayMillis: 60000,
		DeleteRetentionMillis: 86400000, MinCleanableDirtyRatio: 0.5, MaxCompactionLagMillis: 1<<63 - 1, ProducerExpiry: 24 * time.Hour, VerifyTransactions: true, CleanerBackoff: 15 * time.Second}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNearest(t *testing.T) {
	if near := Nearest(OfBroker, "log.retention.hour"); near != "log.retention.hours" {
		t.Errorf("near log.retention.hour: %q", near)
	}
	if near := Nearest(OfBroker, "zzzzzzzzzzzz"); near != "" {
		t.Errorf("near nothing: %q", near)
	}
}

func BenchmarkTopicFrom(b *testing.B) {
	l := Layers{Static: NewValues(nil)}
	for b.Loop() {
		TopicFrom(nil, l)
	}
}

func TestForeignIsForeign(t *testing.T) {
	if !slices.IsSorted(foreign) {
		t.Error("the list is not in ascending order")
	}
	for _, name := range foreign {
		if _, ok := Lookup(OfBroker, name); ok {
			t.Errorf("%s is in the table", name)
		}
	}
	if !Foreign("zookeeper.connect") || !Foreign("sasl.jaas.config") || Foreign("log.retention.hour") {
		t.Error("what is foreign is not told apart")
	}
}
