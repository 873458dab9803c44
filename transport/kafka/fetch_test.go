package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// fetchOf asks for partitions of a topic from offset 0 on, outside of a session.
func fetchOf(waitMillis, minBytes int32, topic string, partitions ...int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.SessionEpoch = waitMillis, minBytes, 1<<20, -1
	t := kmsg.FetchRequestTopic{Topic: topic, TopicID: idOf(topic)}
	for _, p := range partitions {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.PartitionMaxBytes = p, 1<<20
		t.Partitions = append(t.Partitions, part)
	}
	q.Topics = append(q.Topics, t)
	return q
}

// library is a house with topic t of so many partitions, and a log for each; nil is one that is not open.
func library(t testing.TB, partitions int, l func(i int) *log) *house {
	h := newHouse(t, cluster(map[string]int{"t": partitions}))
	for i := range partitions {
		if l := l(i); l != nil {
			h.views[address("t", i)] = l
		}
	}
	return h
}

func empty(int) *log { return newLog() }

// change gives a partition another view and tells whoever asked to be told.
func (h *house) change(partition int, l *log) {
	h.views[address("t", partition)] = l
	for _, a := range append([]*asked(nil), h.asks...) {
		if a.to == address("t", partition) {
			h.answer(a, &message.Progressed{})
		}
	}
}

// Every version carries the records, and the bounds.
func TestRecordsAreReadInEveryVersion(t *testing.T) {
	for version := int16(4); version <= 18; version++ {
		l := newLog(2, 3)
		l.bounds.LogStart = 0
		h := library(t, 1, func(int) *log { return l })
		r := call(h, fetchOf(0, 1, "t", 0), kmsg.NewPtrFetchResponse(), version)
		p := r.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.HighWatermark != 5 || p.LastStableOffset != 5 || string(p.RecordBatches) != string(l.bytes) || p.AbortedTransactions != nil {
			t.Errorf("version %d: %+v", version, p)
		}
	}
}

// S30: "Respond at once iff max_wait<=0 or no partitions or bytes>=min_bytes or any partition error or diverging epoch.
// Else park up to max_wait."
func TestWhenAFetchIsAnswered(t *testing.T) {
	full := func(int) *log { return newLog(1) }
	for _, c := range []struct {
		name  string
		logs  func(int) *log
		query func() *kmsg.FetchRequest
		waits bool
	}{
		{"no wait", empty, func() *kmsg.FetchRequest { return fetchOf(0, 1, "t", 0) }, false},
		{"no partitions", empty, func() *kmsg.FetchRequest { return fetchOf(500, 1, "t") }, false},
		{"enough bytes", full, func() *kmsg.FetchRequest { return fetchOf(500, 1, "t", 0) }, false},
		{"too few bytes", full, func() *kmsg.FetchRequest { return fetchOf(500, 9999, "t", 0) }, true},
		{"no bytes", empty, func() *kmsg.FetchRequest { return fetchOf(500, 1, "t", 0) }, true},
		{"an error", empty, func() *kmsg.FetchRequest { return fetchOf(500, 1, "t", 0, 99) }, false},
		{"no bytes wanted", empty, func() *kmsg.FetchRequest { return fetchOf(500, 0, "t", 0) }, false},
		{"as much as fits, and there is more", func(int) *log { return newLog(1, 1) }, func() *kmsg.FetchRequest { // DelayedFetch: "falling behind"
			q := fetchOf(500, int32(len(newLog(1).bytes))+10, "t", 0)
			q.MaxBytes = q.MinBytes
			return q
		}, false},
		{"an absurd min_bytes is clamped (S32)", full, func() *kmsg.FetchRequest {
			q := fetchOf(500, 1<<30, "t", 0)
			q.MaxBytes = 50
			return q
		}, false},
	} {
		h := library(t, 2, c.logs)
		h.ask(c.query(), 12, 1)
		if waits := len(h.wire.answers) == 0; waits != c.waits {
			t.Errorf("%s: waits is %v", c.name, waits)
		}
		if c.waits {
			h.sleep(499 * time.Millisecond)
			h.silent()
			h.sleep(time.Millisecond)
			read(h, kmsg.NewPtrFetchResponse(), 12, 1)
		}
	}
}

// S30: "wake on append/HW advance."
func TestAParkedFetchWakes(t *testing.T) {
	h := library(t, 3, empty)
	h.ask(fetchOf(500, 1, "t", 0, 1, 2), 12, 1)
	if len(h.asks) != 3 {
		t.Fatalf("%d partitions are asked for news", len(h.asks))
	}
	if a := h.asks[0].what.(*message.Await); *a != (message.Await{LeaderEpoch: epoch}) {
		t.Errorf("asked for %+v", a)
	}
	h.change(1, newLog(4))
	r := read(h, kmsg.NewPtrFetchResponse(), 12, 1)
	if ps := r.Topics[0].Partitions; len(ps) != 3 || len(ps[1].RecordBatches) == 0 || ps[1].HighWatermark != 4 {
		t.Errorf("the answer is %+v", ps)
	}
	h.ask(fetchOf(500, 1, "t", 0, 2), 12, 2)
	if len(h.asks) != 2 {
		t.Errorf("%d questions are open: a partition is asked once until it answers", len(h.asks))
	}
}

// What comes in parts is added up until there is enough.
func TestMinBytesAreAddedUp(t *testing.T) {
	h := library(t, 2, empty)
	one := int32(len(newLog(1).bytes))
	h.ask(fetchOf(500, 3*one, "t", 0, 1), 12, 1)
	h.change(0, newLog(1))
	h.change(1, newLog(1))
	h.silent()
	h.change(0, newLog(1, 1))
	r := read(h, kmsg.NewPtrFetchResponse(), 12, 1)
	if ps := r.Topics[0].Partitions; len(ps[0].RecordBatches) != int(2*one) || len(ps[1].RecordBatches) != int(one) {
		t.Errorf("the answer is %+v", ps)
	}
}

// S31: "The first non-empty partition returns at least one complete batch even if larger than partition_max_bytes and
// max_bytes; afterwards limits count down, and remaining partitions still appear (empty)."
func TestOneBatchAlwaysFits(t *testing.T) {
	h := library(t, 3, func(i int) *log {
		if i == 0 {
			return newLog()
		}
		return newLog(1, 1)
	})
	q := fetchOf(500, 1, "t", 0, 1, 2)
	q.MaxBytes, q.Topics[0].Partitions[1].PartitionMaxBytes = 10, 10
	ps := call(h, q, kmsg.NewPtrFetchResponse(), 12).Topics[0].Partitions
	one := len(newLog(1).bytes)
	if len(ps) != 3 || len(ps[0].RecordBatches) != 0 || len(ps[1].RecordBatches) != one || len(ps[2].RecordBatches) != 0 || ps[2].HighWatermark != 2 {
		t.Errorf("the answer is %+v", ps)
	}
}

// S33: "offset > LEO or < logStartOffset -> OFFSET_OUT_OF_RANGE(1); LEO exactly, or between HW and LEO -> empty, wait.
// Response fields on error: HW -1, logStart -1." S34: "Data served to consumers stops at HW; READ_COMMITTED stops at LSO."
func TestOffsetsAreHeldAgainstTheBounds(t *testing.T) {
	l := newLog(1, 1, 1, 1)
	l.bounds = message.Bounds{LogStart: 1, LastStable: 2, HighWatermark: 3, LogEnd: 4, LeaderEpoch: epoch, IsLeader: true}
	one := len(newLog(1).bytes)
	for _, c := range []struct {
		offset    int64
		committed int8
		code      int16
		bytes     int
	}{
		{0, 0, 1, 0}, {5, 0, 1, 0}, {4, 0, 0, 0}, {3, 0, 0, 0}, {1, 0, 0, 2 * one}, {1, 1, 0, one}, {2, 1, 0, 0}, {2, 0, 0, one},
	} {
		h := library(t, 1, func(int) *log { return l })
		q := fetchOf(0, 1, "t", 0)
		q.IsolationLevel, q.Topics[0].Partitions[0].FetchOffset = c.committed, c.offset
		p := call(h, q, kmsg.NewPtrFetchResponse(), 12).Topics[0].Partitions[0]
		if p.ErrorCode != c.code || len(p.RecordBatches) != c.bytes {
			t.Errorf("offset %d isolation %d: code %d, %d bytes", c.offset, c.committed, p.ErrorCode, len(p.RecordBatches))
		}
		if c.code != 0 && (p.HighWatermark != -1 || p.LogStartOffset != -1 || p.LastStableOffset != -1) {
			t.Errorf("offset %d: bounds are told with the error: %+v", c.offset, p)
		}
		if c.code == 0 && (c.committed == 1) != (p.AbortedTransactions != nil) {
			t.Errorf("L1: aborted transactions of isolation %d are %v", c.committed, p.AbortedTransactions)
		}
		if p.RecordBatches == nil {
			t.Error("L1: records are null")
		}
	}
}

// S36: "current_leader_epoch older -> FENCED_LEADER_EPOCH(74), newer -> UNKNOWN_LEADER_EPOCH(75), -1 = no check.
// last_fetched_epoch (v12+) with divergence -> diverging_epoch{epoch,end_offset}, no data. Topic id mismatch v13+ ->
// UNKNOWN_TOPIC_ID(100)."
func TestEpochsFence(t *testing.T) {
	l := newLog(5, 5)
	l.epochs = [][2]int64{{2, 5}, {5, 10}}
	for _, c := range []struct {
		theirs, fetched int32
		offset          int64
		code            int16
		diverging       int32
		end             int64
	}{
		{-1, -1, 0, 0, -1, -1}, {5, -1, 0, 0, -1, -1}, {4, -1, 0, 74, -1, -1}, {6, -1, 0, 75, -1, -1},
		{-1, 5, 10, 0, -1, -1}, {-1, 4, 8, 0, 2, 5}, {-1, 2, 8, 0, 2, 5}, {-1, 2, 5, 0, -1, -1}, {-1, 1, 5, 1, -1, -1},
	} {
		h := library(t, 1, func(int) *log { return l })
		q := fetchOf(500, 0, "t", 0)
		p := &q.Topics[0].Partitions[0]
		p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.FetchOffset = c.theirs, c.fetched, c.offset
		r := call(h, q, kmsg.NewPtrFetchResponse(), 12).Topics[0].Partitions[0]
		if r.ErrorCode != c.code || r.DivergingEpoch.Epoch != c.diverging || r.DivergingEpoch.EndOffset != c.end || c.diverging >= 0 && len(r.RecordBatches) > 0 {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	h := library(t, 1, empty)
	if p := call(h, fetchOf(500, 1, "gone", 0), kmsg.NewPtrFetchResponse(), 13).Topics[0].Partitions[0]; p.ErrorCode != 100 {
		t.Errorf("an unknown id: code %d", p.ErrorCode)
	}
}

// S36: "v16+ returns leader endpoints. KAFKA_STORAGE_ERROR maps to NOT_LEADER for v<=5."
func TestLeadersAreNamedToReaders(t *testing.T) {
	moved := []message.MetadataRecord{
		&message.BrokerRecord{Node: 2, Endpoints: []message.Endpoint{{Listener: "PLAINTEXT", Host: "two", Port: 9}}},
		&message.PartitionRecord{Partition: at("t", 0), Leader: 2, LeaderEpoch: 6, Replicas: []message.NodeID{2}, ISR: []message.NodeID{2}},
	}
	h := newHouse(t, cluster(map[string]int{"t": 1}, moved...))
	r := call(h, fetchOf(500, 1, "t", 0), kmsg.NewPtrFetchResponse(), 16)
	if p := r.Topics[0].Partitions[0]; p.ErrorCode != 6 || p.CurrentLeader.LeaderID != 2 || p.CurrentLeader.LeaderEpoch != 6 || len(r.Brokers) != 1 {
		t.Errorf("%+v, brokers %+v", p, r.Brokers)
	}
	for version, code := range map[int16]int16{5: 6, 6: 56} {
		h := library(t, 1, func(int) *log { return &log{failing: errors.New("broken"), bounds: newLog(1).bounds} })
		if p := call(h, fetchOf(500, 1, "t", 0), kmsg.NewPtrFetchResponse(), version).Topics[0].Partitions[0]; p.ErrorCode != code {
			t.Errorf("version %d: code %d", version, p.ErrorCode)
		}
	}
}

// Damage is answered with CORRUPT_MESSAGE and named in the log, once.
func TestDamageIsNamed(t *testing.T) {
	h := library(t, 1, func(int) *log {
		return &log{bounds: newLog(9).bounds, failing: &message.Damaged{File: "00.log", From: 1, To: 2, First: 3, Next: 4, Why: "checksum"}}
	})
	for range 3 {
		if p := call(h, fetchOf(500, 1, "t", 0), kmsg.NewPtrFetchResponse(), 12).Topics[0].Partitions[0]; p.ErrorCode != 2 {
			t.Fatalf("code %d", p.ErrorCode)
		}
	}
	if n := countLines(h, "00.log"); n != 1 {
		t.Errorf("%d lines name the file", n)
	}
}

// A partition that has not opened its log yet is made to, and a full answer waits for it beyond max_wait.
func TestAFetchOpensPartitions(t *testing.T) {
	h := library(t, 2, func(i int) *log {
		if i == 0 {
			return nil
		}
		return newLog(1)
	})
	h.ask(fetchOf(100, 1, "t", 0, 1), 12, 1)
	if a := h.asks[0]; a.to != address("t", 0) || a.what.(*message.Await).HighWatermark != -1 {
		t.Fatalf("asked %+v", h.asks)
	}
	h.sleep(200 * time.Millisecond)
	h.silent()
	h.change(0, newLog(1))
	if ps := read(h, kmsg.NewPtrFetchResponse(), 12, 1).Topics[0].Partitions; ps[0].HighWatermark != 1 || len(ps[0].RecordBatches) == 0 {
		t.Errorf("the answer is %+v", ps)
	}
}

// One that never opens does not hold the others for ever; one that is down is KAFKA_STORAGE_ERROR at once.
func TestAPartitionThatDoesNotOpen(t *testing.T) {
	h := library(t, 2, func(i int) *log { return []*log{nil, newLog(1)}[i] })
	h.ask(fetchOf(100, 1, "t", 0, 1), 12, 1)
	h.sleep(100*time.Millisecond + openPatience)
	if ps := read(h, kmsg.NewPtrFetchResponse(), 12, 1).Topics[0].Partitions; ps[0].ErrorCode != 6 || len(ps[1].RecordBatches) == 0 {
		t.Errorf("the answer is %+v", ps)
	}
	h = library(t, 1, func(i int) *log { return nil })
	h.ask(fetchOf(100, 1, "t", 0), 12, 1)
	h.answer(h.asks[0], &stage.Down{})
	if ps := read(h, kmsg.NewPtrFetchResponse(), 12, 1).Topics[0].Partitions; ps[0].ErrorCode != 56 {
		t.Errorf("the answer is %+v", ps)
	}
}

// A topic that is deleted while a fetch waits for it is told.
func TestADeletedTopicIsTold(t *testing.T) {
	h := library(t, 1, empty)
	h.ask(fetchOf(500, 1, "t", 0), 13, 1)
	h.views[message.BrokerAt(me)] = with(h.views[message.BrokerAt(me)].(*image.Image), &message.TopicRemoved{ID: idOf("t")})
	delete(h.views, address("t", 0))
	h.answer(h.asks[0], &stage.Down{})
	if p := read(h, kmsg.NewPtrFetchResponse(), 13, 1).Topics[0].Partitions[0]; p.ErrorCode != 100 {
		t.Errorf("the answer is %+v", p)
	}
}

func countLines(h *house, with string) int { return strings.Count(h.logged.String(), with) }
