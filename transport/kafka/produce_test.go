package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

// produceOf asks to append batches to partitions 0, 1, ... of a topic.
func produceOf(acks int16, topic string, batches ...[]byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = acks, 1000
	t := kmsg.ProduceRequestTopic{Topic: topic, TopicID: idOf(topic)}
	for i, b := range batches {
		t.Partitions = append(t.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: b})
	}
	q.Topics = append(q.Topics, t)
	return q
}

// refused is the fate of one batch in a produce of that version, of which nothing reaches a partition.
func refused(t *testing.T, version int16, acks int16, topic string, b []byte, more ...message.MetadataRecord) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	h := newHouse(t, cluster(map[string]int{"t": 1}, more...))
	r := call(h, produceOf(acks, topic, b), kmsg.NewPtrProduceResponse(), version)
	if len(h.asks) > 0 {
		t.Errorf("a partition was asked: %+v", h.asks[0].what)
	}
	return r.Topics[0].Partitions[0]
}

func flagged(flags record.Attributes) []byte {
	return batch(1, func(b *record.Builder) { b.Flags = flags; b.ProducerID, b.BaseSequence = 7, 0 })
}

func spoiled(at int, to byte) []byte {
	b := batch(2)
	b[at] = to
	return b
}

func sealedAgain(b record.Batch) []byte {
	b.Seal()
	return b
}

func TestWhatIsRefusedAtTheDoor(t *testing.T) {
	zstd := batch(3, func(b *record.Builder) { b.Codec = record.Zstd })
	two := append(append([]byte(nil), batch(1)...), batch(1)...)
	for _, c := range []struct {
		claim   string
		version int16
		acks    int16
		topic   string
		batch   []byte
		code    message.Code
	}{
		{"S12: acks not -1, 0, 1 -> INVALID_REQUIRED_ACKS per partition", 9, 2, "t", batch(1), message.InvalidRequiredAcks},
		{"S14: exactly one record batch per partition", 9, -1, "t", two, message.InvalidRecord},
		{"S14: zero batches also error", 9, -1, "t", []byte{}, message.InvalidRecord},
		{"S14: zero batches also error", 9, -1, "t", nil, message.InvalidRecord},
		{"S14: magic=2, else INVALID_RECORD", 9, -1, "t", spoiled(16, 1), message.InvalidRecord},
		{"S15: zstd batch in Produce < v7 -> UNSUPPORTED_COMPRESSION_TYPE", 6, -1, "t", zstd, message.UnsupportedCompressionType},
		{"S16: CRC-32C is verified; mismatch -> CORRUPT_MESSAGE(2)", 9, -1, "t", spoiled(70, 99), message.CorruptMessage},
		{"S17: lastOffsetDelta = count-1", 9, -1, "t", sealedAgain(spoiled(26, 5)), message.InvalidRecord},
		{"S17: control batches from a client -> INVALID_RECORD", 9, -1, "t", flagged(record.Control), message.InvalidRecord},
		{"S20: a client sending the LogAppendTime bit -> INVALID_TIMESTAMP", 9, -1, "t", flagged(record.LogAppendTime), message.InvalidTimestamp},
		{"S28: topic name absent -> UNKNOWN_TOPIC_OR_PARTITION(3)", 9, -1, "absent", batch(1), message.UnknownTopicOrPartition},
		{"S28: v13: unknown id -> UNKNOWN_TOPIC_ID(100)", 13, -1, "absent", batch(1), message.UnknownTopicID},
		{"L6: illegal topic name in produce -> INVALID_TOPIC_EXCEPTION(17)", 9, -1, "a b", batch(1), message.InvalidTopicException},
		{"a transactional batch of nobody's", 9, -1, "t", flagged(record.Transactional), message.TransactionalIDAuthorizationFailed},
	} {
		p := refused(t, c.version, c.acks, c.topic, c.batch)
		if message.Code(p.ErrorCode) != c.code || p.BaseOffset != -1 {
			t.Errorf("%s: code %d, offset %d, message %v", c.claim, p.ErrorCode, p.BaseOffset, p.ErrorMessage)
		}
	}
}

// S13: "acks=0: no response bytes at all; if any partition failed, close the connection."
func TestWithoutAcknowledgementThereIsNoAnswer(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}))
	given := 0
	h.tell(&Frame{Bytes: request(produceOf(0, "t", batch(1)), 9, 1), Done: func(reusable bool) { given++ }})
	h.answer(h.asks[0], &message.Appended{})
	if h.silent(); h.wire.closed || given != 1 {
		t.Errorf("closed %v, frame given back %d times", h.wire.closed, given)
	}
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 2)
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 2)
	h.ask(produceOf(0, "absent", batch(1)), 9, 3)
	if h.silent(); !h.wire.closed {
		t.Error("the connection is open after an append failed")
	}
}

// Every version carries what the partition answered.
func TestAnAppendIsAnsweredInEveryVersion(t *testing.T) {
	for version := int16(3); version <= 13; version++ {
		h := newHouse(t, cluster(map[string]int{"t": 2}))
		h.ask(produceOf(-1, "t", batch(1), batch(3)), version, 9)
		if len(h.asks) != 2 {
			t.Fatalf("version %d: %d partitions are asked", version, len(h.asks))
		}
		a := h.asks[1].what.(*message.Append)
		if h.asks[1].to != address("t", 1) || record.Batch(a.Batch).Count() != 3 || a.Acks != -1 || !a.FromClient || a.Verified || a.MaxTimestamp != noon.UnixMilli() {
			t.Errorf("version %d: the append is %+v", version, a)
		}
		h.answer(h.asks[1], &message.Appended{BaseOffset: 100, LogAppendTime: 5, LogStart: 40})
		h.silent()
		h.answer(h.asks[0], &message.Appended{Code: message.InvalidRecord, Message: "no", BaseOffset: -1, LogAppendTime: -1, LogStart: -1,
			RecordErrors: []message.RecordError{{Index: 0, Message: "bad"}}})
		r := read(h, kmsg.NewPtrProduceResponse(), version, 9)
		bad, good := r.Topics[0].Partitions[0], r.Topics[0].Partitions[1]
		if good.ErrorCode != 0 || good.BaseOffset != 100 || good.LogAppendTime != 5 || version >= 5 && good.LogStartOffset != 40 {
			t.Errorf("version %d: %+v", version, good)
		}
		if bad.ErrorCode != 87 || version >= 8 && (*bad.ErrorMessage != "no" || len(bad.ErrorRecords) != 1 || *bad.ErrorRecords[0].ErrorMessage != "bad") {
			t.Errorf("version %d: %+v", version, bad)
		}
	}
}

// S28: "Not leader -> NOT_LEADER_OR_FOLLOWER(6) + v10+ tagged current_leader{leader_id,epoch} and top-level
// node_endpoints."
func TestTheNewLeaderIsNamed(t *testing.T) {
	other := message.NodeID(2)
	moved := []message.MetadataRecord{
		&message.BrokerRecord{Node: other, Rack: "r", Endpoints: []message.Endpoint{{Listener: "PLAINTEXT", Host: "two", Port: 9}}},
		&message.PartitionRecord{Partition: at("t", 0), Leader: other, LeaderEpoch: 6, Replicas: []message.NodeID{2, 1}, ISR: []message.NodeID{2}},
	}
	for version := int16(9); version <= 13; version++ {
		h := newHouse(t, cluster(map[string]int{"t": 1}, moved...))
		r := call(h, produceOf(-1, "t", batch(1)), kmsg.NewPtrProduceResponse(), version)
		p := r.Topics[0].Partitions[0]
		if p.ErrorCode != 6 {
			t.Fatalf("version %d: code %d", version, p.ErrorCode)
		}
		if version < 10 {
			continue
		}
		if p.CurrentLeader.LeaderID != 2 || p.CurrentLeader.LeaderEpoch != 6 || len(r.Brokers) != 1 || r.Brokers[0].Host != "two" || *r.Brokers[0].Rack != "r" {
			t.Errorf("version %d: %+v, brokers %+v", version, p, r.Brokers)
		}
	}
}

// A partition that does not answer in the client's time is REQUEST_TIMED_OUT; one that is down is KAFKA_STORAGE_ERROR.
// Then somebody may still hold the frame: it is not used again.
func TestAFrameThatMayBeHeldIsNotUsedAgain(t *testing.T) {
	for _, c := range []struct {
		answer   any
		code     message.Code
		reusable bool
	}{
		{&message.Appended{}, message.OK, true},
		{&stage.TimedOut{}, message.RequestTimedOut, false},
		{&stage.Down{}, message.KafkaStorageError, false},
	} {
		h := newHouse(t, cluster(map[string]int{"t": 1}))
		var given []bool
		h.tell(&Frame{Bytes: request(produceOf(-1, "t", batch(1)), 9, 1), Done: func(reusable bool) { given = append(given, reusable) }})
		if len(given) != 0 {
			t.Fatal("the frame is given back before the partition answered")
		}
		if d := h.asks[0].patience; d.Milliseconds() < 1000 || d.Milliseconds() > 2000 {
			t.Errorf("the patience is %v", d)
		}
		h.answer(h.asks[0], c.answer)
		r := read(h, kmsg.NewPtrProduceResponse(), 9, 1)
		if got := message.Code(r.Topics[0].Partitions[0].ErrorCode); got != c.code || len(given) != 1 || given[0] != c.reusable {
			t.Errorf("%T: code %d, given %v", c.answer, got, given)
		}
	}
}

// S25: "compression.type=producer stores the batch as sent; any other value recompresses."
func TestATopicsCompressionIsItsOwn(t *testing.T) {
	for name, codec := range map[string]record.Codec{"gzip": record.Gzip, "snappy": record.Snappy, "lz4": record.Lz4, "zstd": record.Zstd, "uncompressed": record.None} {
		h := newHouse(t, cluster(map[string]int{"t": 1}, config("t", "compression.type", name)))
		sent := batch(20, func(b *record.Builder) { b.Codec = record.Gzip })
		h.ask(produceOf(-1, "t", sent), 9, 1)
		got, err := record.Check(h.asks[0].what.(*message.Append).Batch)
		if err != nil || got.Attributes().Codec() != codec || got.Count() != 20 {
			t.Fatalf("%s: %v, codec %v", name, err, got.Attributes().Codec())
		}
		was, _ := sent.Plain(nil, 1<<20)
		is, err := got.Plain(nil, 1<<20)
		if err != nil || !bytes.Equal(was, is) {
			t.Errorf("%s: the records changed: %v", name, err)
		}
	}
}

// S139: "A compacted topic rejects a batch with keyless records as INVALID_RECORD(87) with record_errors[] and the text
// 'Compacted topic cannot accept message without key in topic partition T-0.' (batch_index from 0)."
func TestACompactedTopicWantsKeys(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Lz4} {
		b := record.NewBuilder(0)
		b.Codec = codec
		b.Add(1, []byte("k"), []byte("v"))
		b.Add(1, nil, []byte("v"))
		built, _ := b.Build(nil)
		p := refused(t, 9, -1, "t", built, config("t", "cleanup.policy", "compact"))
		if p.ErrorCode != 87 || len(p.ErrorRecords) != 1 || p.ErrorRecords[0].RelativeOffset != 1 ||
			*p.ErrorRecords[0].ErrorMessage != "Compacted topic cannot accept message without key in topic partition t-0." {
			t.Errorf("%v: %+v", codec, p)
		}
	}
}

// Batches that are looked into elsewhere keep their place: a later produce does not overtake them.
func TestReworkKeepsTheOrder(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}, config("t", "compression.type", "gzip")))
	h.mail = append(h.mail, letter{what: &Frame{Bytes: request(produceOf(-1, "t", batch(1)), 9, 1)}},
		letter{what: &Frame{Bytes: request(produceOf(-1, "t", batch(2, func(b *record.Builder) { b.Codec = record.Gzip })), 9, 2)}})
	h.run()
	if len(h.asks) != 2 {
		t.Fatalf("%d appends are under way", len(h.asks))
	}
	for i, a := range h.asks {
		if n := record.Batch(a.what.(*message.Append).Batch).Count(); int(n) != i+1 {
			t.Errorf("append %d has %d records", i, n)
		}
	}
}

// S27: "Producing to an internal topic -> INVALID_TOPIC_EXCEPTION unless client.id = __admin_client": the partition is told.
func TestTheAdminClientMayWriteAnywhere(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}))
	b := request(produceOf(-1, "t", batch(1)), 8, 1)
	b = append(append(b[:8:8], "\x00\x0e__admin_client"...), b[14:]...)
	h.tell(&Frame{Bytes: b})
	if h.asks[0].what.(*message.Append).FromClient {
		t.Error("the admin client is taken for any client")
	}
}

func TestDoorNamesAreKafkas(t *testing.T) {
	for name, want := range map[string]bool{"a": false, "a.b_c-9": false, "": true, ".": true, "..": true, "a/b": true, "ä": true,
		strings.Repeat("x", 249): false, strings.Repeat("x", 250): true} {
		if illegal(name) != want {
			t.Errorf("%q: illegal is %v (S44)", name, !want)
		}
	}
}
