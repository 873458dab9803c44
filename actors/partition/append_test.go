package partition

import (
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func TestNothingIsAnsweredBeforeItIsSynced(t *testing.T) {
	for _, acks := range []int16{-1, 1, 0} {
		h := raise(t)
		m := plain(3)
		m.Acks = acks
		first := h.ask(m)
		second := h.ask(plain(2))
		h.unanswered(first)
		if h.bounds().HighWatermark != 0 {
			t.Errorf("acks %d: the high watermark is %d", acks, h.bounds().HighWatermark)
		}
		h.sync()
		if a := told[*message.Appended](h, first); a.Code != message.OK || a.BaseOffset != 0 || a.LogAppendTime != -1 {
			t.Errorf("acks %d: %+v", acks, a)
		}
		if a := told[*message.Appended](h, second); a.BaseOffset != 3 {
			t.Errorf("acks %d: %+v", acks, a)
		}
		if b := h.bounds(); b.HighWatermark != 5 || b.LogEnd != 5 || !b.IsLeader || b.LeaderEpoch != 5 {
			t.Errorf("acks %d: %+v", acks, b)
		}
	}
}

func TestAWordForAnEarlierIncarnationFreesNothing(t *testing.T) {
	h := raise(t)
	id := h.ask(plain(3))
	h.send(&message.Synced{Incarnation: h.commits()[0].Incarnation + 1, End: 3})
	h.send(&message.Unsynced{Incarnation: h.commits()[0].Incarnation + 1, Err: syscall.EIO})
	h.unanswered(id)
	h.sync()
	told[*message.Appended](h, id)
}

func TestEveryAppendIsOneCommitWithItsBytes(t *testing.T) {
	h := raise(t)
	h.ask(plain(3))
	h.ask(plain(2))
	got := h.commits()
	if len(got) != 2 || got[0].Base != 0 || got[0].End != 3 || got[1].Base != 3 || got[1].End != 5 {
		t.Fatalf("%+v", got)
	}
	for _, m := range got {
		if b := record.Batch(m.Batch); b.BaseOffset() != m.Base || b.NextOffset() != m.End || b.LeaderEpoch() != 5 || len(m.Files) == 0 {
			t.Errorf("%+v", m)
		}
	}
}

func replicated(_ *house, o *message.Leadership) { o.Config.Fsync = false }

func TestReplicatedAnswersFromThePageCacheOneViewPerBurst(t *testing.T) {
	h := raise(t, replicated)
	h.ask(&message.Await{HighWatermark: -1})
	views := h.views
	var ids []stage.RequestID
	for range 10 {
		h.number++
		ids = append(ids, h.number)
		h.mail = append(h.mail, letter{what: plain(2), from: stage.Caller{Address: message.ConnectionAt(1, 1), Request: h.number}})
	}
	h.run()
	for i, id := range ids {
		if a := told[*message.Appended](h, id); a.BaseOffset != int64(2*i) {
			t.Errorf("%+v", a)
		}
	}
	if h.views != views+1 || h.bounds().HighWatermark != 20 || len(h.commits()) != 0 {
		t.Errorf("%d views, %+v, %d commits", h.views-views, h.bounds(), len(h.commits()))
	}
}

func TestFlushMessagesAndFlushMillisAreHonoured(t *testing.T) {
	h := raise(t, replicated, func(_ *house, o *message.Leadership) { o.Config.FlushMessages, o.Config.FlushMillis = 5, 1000 })
	h.ask(plain(2))
	h.ask(plain(2))
	if len(h.commits()) != 0 {
		t.Fatal("a flush before it is due")
	}
	h.ask(plain(1))
	if got := h.commits(); len(got) != 1 || got[0].Batch != nil || got[0].End != 5 || len(got[0].Files) == 0 {
		t.Fatalf("%+v", got)
	}
	h.sync()
	h.ask(plain(1))
	h.pass(999 * time.Millisecond)
	before := len(h.commits())
	h.pass(time.Second)
	if before != 0 || len(h.commits()) != 1 {
		t.Errorf("%d flushes before flush.ms, %d after", before, len(h.commits()))
	}
}

func TestWithDurabilityFsyncAgainNothingJumpsTheQueue(t *testing.T) {
	h := raise(t, replicated)
	h.ask(plain(2))
	o := office()
	o.PartitionEpoch = 1
	h.send(o)
	h.ask(plain(2))
	for _, m := range h.commits() {
		if m.Batch != nil {
			t.Errorf("journalled above unsynced bytes: %+v", m)
		}
	}
	h.sync()
	h.ask(plain(2))
	if got := h.commits(); len(got) != 1 || got[0].Batch == nil {
		t.Errorf("%+v", got)
	}
}

// S21: Retry whose epoch+first+last sequence match any of the 5 → success with the original base offset.
func TestADuplicateOfAnUnsyncedBatchWaitsForIt(t *testing.T) {
	h := raise(t)
	h.ask(batch(3, 7, 0))
	h.ask(batch(3, 7, 3))
	retry := h.ask(batch(3, 7, 0))
	h.unanswered(retry)
	h.send(&message.Synced{Incarnation: h.commits()[0].Incarnation, End: 3})
	if a := told[*message.Appended](h, retry); a.Code != message.OK || a.BaseOffset != 0 {
		t.Errorf("%+v", a)
	}
	if retry = h.ask(batch(3, 7, 0)); told[*message.Appended](h, retry).BaseOffset != 0 || len(h.commits()) != 2 {
		t.Errorf("a duplicate of a committed batch was not answered at once, or was appended")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		claim  string
		change func(o *message.Leadership, m *message.Append)
		want   message.Code
		why    string
	}{
		{"S28: Not leader → NOT_LEADER_OR_FOLLOWER(6)",
			func(o *message.Leadership, _ *message.Append) { o.Leader = 2 }, message.NotLeaderOrFollower, "lead"},
		{"S26: acks=all and |ISR| < min.insync.replicas → NOT_ENOUGH_REPLICAS(19) before append",
			func(o *message.Leadership, _ *message.Append) {
				o.Config.MinInsyncReplicas, o.Replicas = 2, []message.NodeID{1, 2}
			}, message.NotEnoughReplicas, "min.insync"},
		{"Partition.effectiveMinIsr: more than there are replicas cannot be asked for",
			func(o *message.Leadership, _ *message.Append) { o.Config.MinInsyncReplicas = 2 }, message.OK, ""},
		{"S26: acks=1 ignores min ISR",
			func(o *message.Leadership, m *message.Append) {
				o.Config.MinInsyncReplicas, o.Replicas, m.Acks = 2, []message.NodeID{1, 2}, 1
			}, message.OK, ""},
		{"S18: batch size > max.message.bytes → MESSAGE_TOO_LARGE(10)",
			func(o *message.Leadership, m *message.Append) { o.Config.MaxMessageBytes = int32(len(m.Batch)) - 1 }, message.MessageTooLarge, "max.message.bytes"},
		{"S18: the whole batch counts, to the byte",
			func(o *message.Leadership, m *message.Append) { o.Config.MaxMessageBytes = int32(len(m.Batch)) }, message.OK, ""},
		{"S18: > segment.bytes → RECORD_LIST_TOO_LARGE(18)",
			func(o *message.Leadership, m *message.Append) { o.Config.SegmentBytes = int64(len(m.Batch)) - 1 }, message.RecordListTooLarge, "segment.bytes"},
		{"S20: CreateTime after now+after.max.ms → INVALID_TIMESTAMP",
			func(o *message.Leadership, _ *message.Append) { o.Config.TimestampAfterMaxMillis = 0 }, message.InvalidTimestamp, "after"},
		{"S20: CreateTime before now−before.max.ms → INVALID_TIMESTAMP",
			func(o *message.Leadership, m *message.Append) {
				o.Config.TimestampBeforeMaxMillis = 1000
				stamp(m.Batch, noon.UnixMilli()-5000, noon.UnixMilli())
			}, message.InvalidTimestamp, "before"},
		{"S20: a hostile timestamp does not overflow",
			func(o *message.Leadership, m *message.Append) {
				o.Config.TimestampBeforeMaxMillis = 1000
				stamp(m.Batch, math.MinInt64, noon.UnixMilli())
			}, message.InvalidTimestamp, "before"},
		{"no timestamp is never too old",
			func(o *message.Leadership, m *message.Append) {
				o.Config.TimestampBeforeMaxMillis = 1000
				stamp(m.Batch, -1, -1)
			}, message.OK, ""},
		{"S20: a client sending the LogAppendTime bit → INVALID_TIMESTAMP",
			func(_ *message.Leadership, m *message.Append) { flag(m.Batch, record.LogAppendTime) }, message.InvalidTimestamp, "LogAppendTime"},
		{"S17: Control batches from a client → INVALID_RECORD",
			func(_ *message.Leadership, m *message.Append) { flag(m.Batch, record.Control) }, message.InvalidRecord, "control"},
		{"S27: Producing to internal topics → INVALID_TOPIC_EXCEPTION",
			func(o *message.Leadership, _ *message.Append) { o.Internal = true }, message.InvalidTopicException, "internal"},
		{"S27: but brokers may",
			func(o *message.Leadership, m *message.Append) { o.Internal, m.FromClient = true, false }, message.OK, ""},
	} {
		m := plain(2)
		h := raise(t, func(h *house, o *message.Leadership) {
			h.now = noon.Add(10 * time.Millisecond)
			c.change(o, m)
			if strings.Contains(c.claim, "after.max.ms") {
				h.now = noon.Add(-time.Hour)
			}
		})
		id := h.ask(m)
		h.sync()
		if a := told[*message.Appended](h, id); a.Code != c.want || !strings.Contains(a.Message, c.why) {
			t.Errorf("%s: %+v", c.claim, a)
		}
	}
}

func flag(b record.Batch, a record.Attributes) {
	b[22] |= byte(a)
	b.Seal()
}

func stamp(b record.Batch, base, largest int64) {
	for i := range 8 {
		b[27+i], b[35+i] = byte(uint64(base)>>(56-8*i)), byte(uint64(largest)>>(56-8*i))
	}
	b.Seal()
}

// S20: On a LogAppendTime topic the broker sets attribute bit 3, maxTimestamp=now in the batch header and returns
// log_append_time_ms; S21: a retry gets the original timestamp.
func TestLogAppendTime(t *testing.T) {
	h := raise(t, func(h *house, o *message.Leadership) { o.Config.LogAppendTime, h.now = true, noon.Add(time.Hour) })
	m := batch(2, 7, 0)
	id := h.ask(m)
	h.sync()
	want := noon.Add(time.Hour).UnixMilli()
	b := record.Batch(m.Batch)
	if a := told[*message.Appended](h, id); a.LogAppendTime != want || b.MaxTimestamp() != want || !b.Attributes().Has(record.LogAppendTime) || b.CRC() != b.Checksum() {
		t.Errorf("%+v, batch of %d", a, b.MaxTimestamp())
	}
	h.now = noon.Add(2 * time.Hour)
	if a := told[*message.Appended](h, h.ask(batch(2, 7, 0))); a.LogAppendTime != want || a.BaseOffset != 0 {
		t.Errorf("the retry: %+v", a)
	}
}

// A full disk answers KAFKA_STORAGE_ERROR for appends, goes on serving reads and recovers when there is room.
func TestAFullDiskRefusesAppendsUntilThereIsRoom(t *testing.T) {
	h := raise(t)
	h.ask(batch(2, 7, 0))
	h.sync()
	h.fs.SetCapacity(1)
	id := h.ask(batch(2, 7, 2))
	if a := told[*message.Appended](h, id); a.Code != message.KafkaStorageError || h.failed != nil {
		t.Fatalf("%+v, %v", a, h.failed)
	}
	if s, err := h.published.(message.View).Read(0, 2, 1<<20, true); err != nil || s.Next != 2 {
		t.Errorf("reading: %+v, %v", s, err)
	}
	h.fs.SetCapacity(1 << 30)
	id = h.ask(batch(2, 7, 2))
	h.sync()
	if a := told[*message.Appended](h, id); a.Code != message.OK || a.BaseOffset != 2 {
		t.Errorf("with room again: %+v", a)
	}
}

// What was under way behind a batch that was refused is refused as well, also of a producer that nobody knew, and also once there is
// room; after the refused one it is taken.
func TestWhatIsBehindARefusedBatchIsRefusedAsWell(t *testing.T) {
	for known := range int32(2) {
		h := raise(t)
		if known > 0 {
			h.ask(batch(2, 7, 0))
			h.sync()
		}
		at := 2 * known
		h.fs.SetCapacity(1)
		first := h.ask(batch(2, 7, at))
		h.fs.SetCapacity(1 << 30)
		second, third := h.ask(batch(2, 7, at+2)), h.ask(batch(2, 7, at+4))
		for i, id := range []stage.RequestID{first, second, third} {
			if a := told[*message.Appended](h, id); a.Code != message.KafkaStorageError {
				t.Errorf("batch %d: %+v", i, a)
			}
		}
		for sequence := at; sequence < at+6; sequence += 2 {
			id := h.ask(batch(2, 7, sequence))
			h.sync()
			if a := told[*message.Appended](h, id); a.Code != message.OK || a.BaseOffset != int64(sequence) {
				t.Errorf("again, sequence %d: %+v", sequence, a)
			}
		}
		if a := told[*message.Appended](h, h.ask(batch(2, 7, at+10))); a.Code != message.OutOfOrderSequenceNumber {
			t.Errorf("a gap that the producer has made: %+v", a)
		}
	}
}

func TestABrokenDiskAnswersEverybodyAndStartsAgain(t *testing.T) {
	h := raise(t)
	waits := h.ask(plain(2))
	h.fs.Inject(vfs.Fault{Op: vfs.OpWrite, Path: ""})
	h.knows.RecoveryPoint = 0
	broken := h.ask(plain(2))
	told[*stage.Down](h, waits) // a commit may still be reading its bytes
	if a := told[*message.Appended](h, broken); a.Code != message.KafkaStorageError {
		t.Errorf("%+v", a)
	}
	if h.failed == nil || h.restarts != 1 {
		t.Errorf("%v, %d restarts", h.failed, h.restarts)
	}
	id := h.ask(plain(2))
	h.sync()
	told[*message.Appended](h, id)
}

// Nothing is cut: the producer that repeats itself hears of a duplicate.
func TestAfterAFailedSyncTheLogGoesOnWithWhatItHas(t *testing.T) {
	h := raise(t)
	kept := h.ask(plain(2))
	h.sync()
	told[*message.Appended](h, kept)
	failed := h.ask(batch(3, 7, 0))
	reader := h.askAs(2, &message.Await{HighWatermark: 2, LeaderEpoch: 5})
	h.knows = message.Recovered{RecoveryPoint: 2, Suspect: true}
	h.send(&message.Unsynced{Incarnation: h.commits()[0].Incarnation, Err: syscall.EIO})
	if a := told[*message.Appended](h, failed); a.Code != message.KafkaStorageError {
		t.Errorf("%+v", a)
	}
	if a := told[*message.Progressed](h, reader); a.Code != message.KafkaStorageError {
		t.Errorf("%+v", a)
	}
	again := h.ask(batch(3, 7, 0))
	h.sync()
	if a := told[*message.Appended](h, again); a.Code != message.OK || a.BaseOffset != 2 || h.bounds().HighWatermark != 5 {
		t.Errorf("%+v, %+v", a, h.bounds())
	}
}
