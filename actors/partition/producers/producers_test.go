package producers

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"pgregory.net/rapid"
)

var noon = time.UnixMilli(1_700_000_000_000)

// header is all of a batch that the brain looks at.
func header(id int64, epoch int16, sequence, count int32, base int64) record.Batch {
	b := record.Batch(make([]byte, record.HeaderSize))
	b.SetBaseOffset(base)
	put(b[43:], id)
	b[51], b[52] = byte(uint16(epoch)>>8), byte(epoch)
	put32(b[53:], sequence)
	put32(b[23:], count-1)
	put32(b[57:], count)
	return b
}

func put(b []byte, v int64) {
	put32(b, int32(v>>32))
	put32(b[4:], int32(v))
}

func put32(b []byte, v int32) {
	for i := range 4 {
		b[i] = byte(uint32(v) >> (24 - 8*i))
	}
}

// written appends batches of one producer, n records each from sequence 0 on.
func written(batches int, n int32) *Producers {
	p := &Producers{}
	for i := range batches {
		at := int64(i) * int64(n)
		p.Append(header(7, 0, int32(at), n, at), noon)
	}
	return p
}

// S21: Retry whose epoch+first+last sequence match any of the 5 → success with the original base offset.
func TestARetryOfTheLastFiveIsADuplicate(t *testing.T) {
	p := written(7, 10)
	for i := int32(2); i < 7; i++ {
		v := p.Check(header(7, 0, i*10, 10, 999), false)
		if !v.Duplicate || v.Base != int64(i*10) || v.End != int64(i*10+10) {
			t.Errorf("batch %d: %+v", i, v)
		}
	}
	if v := p.Check(header(7, 0, 10, 10, 999), false); v.Code != message.OutOfOrderSequenceNumber {
		t.Errorf("the sixth last: %+v", v)
	}
	if v := p.Check(header(7, 0, 60, 9, 999), false); v.Duplicate {
		t.Errorf("the same first and another last sequence: %+v", v)
	}
}

// S22: Otherwise next baseSequence must be last+1, else OUT_OF_ORDER_SEQUENCE_NUMBER(45). New (higher) epoch must begin at 0;
// lower epoch → INVALID_PRODUCER_EPOCH(47).
func TestSequencesAndEpochs(t *testing.T) {
	p := written(2, 10)
	p.Append(header(8, 3, 0, 1, 20), noon)
	for _, c := range []struct {
		name string
		b    record.Batch
		want message.Code
	}{
		{"next", header(7, 0, 20, 1, 0), message.OK},
		{"gap", header(7, 0, 21, 1, 0), message.OutOfOrderSequenceNumber},
		{"overlap", header(7, 0, 19, 5, 0), message.OutOfOrderSequenceNumber},
		{"new epoch at 0", header(7, 1, 0, 1, 0), message.OK},
		{"new epoch elsewhere", header(7, 1, 20, 1, 0), message.OutOfOrderSequenceNumber},
		{"old epoch", header(8, 2, 1, 1, 0), message.InvalidProducerEpoch},
		{"negative sequence", header(8, 3, -1, 1, 0), message.InvalidRecord},
		{"not idempotent", header(-1, -1, -1, 1, 0), message.OK},
	} {
		if v := p.Check(c.b, false); v.Code != c.want || v.Duplicate {
			t.Errorf("%s: %+v, want code %d", c.name, v, c.want)
		}
	}
}

// S22: wrapping Int.MAX→0.
func TestSequencesWrap(t *testing.T) {
	for _, c := range []struct{ first, count, next int32 }{
		{math.MaxInt32 - 9, 10, 0},
		{math.MaxInt32 - 4, 10, 5},
		{math.MaxInt32, 1, 0},
	} {
		p := &Producers{}
		b := header(7, 0, c.first, c.count, 0)
		p.Append(b, noon)
		if v := p.Check(header(7, 0, c.next, 1, 0), false); v != (Verdict{}) {
			t.Errorf("%d records from %d, then %d: %+v", c.count, c.first, c.next, v)
		}
		if v := p.Check(b, false); !v.Duplicate {
			t.Errorf("%d records from %d again: %+v", c.count, c.first, v)
		}
	}
}

// S23: no state for this pid: any starting sequence is accepted; with TV2 verification a non-zero first sequence is
// rejected OUT_OF_ORDER.
func TestAnUnknownProducerMayBeginAnywhere(t *testing.T) {
	p := &Producers{}
	if v := p.Check(header(7, 4, 123, 1, 0), false); v != (Verdict{}) {
		t.Errorf("%+v", v)
	}
	if v := p.Check(header(7, 4, 123, 1, 0), true); v.Code != message.OutOfOrderSequenceNumber {
		t.Errorf("verified: %+v", v)
	}
	if v := p.Check(header(7, 4, 0, 1, 0), true); v != (Verdict{}) {
		t.Errorf("verified from 0: %+v", v)
	}
}

// S24: Producer state expires after producer.id.expiration.ms without writes.
func TestSilentProducersAreForgotten(t *testing.T) {
	p := written(1, 1)
	p.Append(header(8, 0, 0, 1, 1), noon.Add(time.Hour))
	p.Expire(noon.Add(24*time.Hour), 24*time.Hour, 1000)
	if got := p.Describe(); len(got) != 1 || got[0].ID != 8 {
		t.Errorf("%+v", got)
	}
	p.Expire(noon.Add(25*time.Hour), 24*time.Hour, 1000)
	if p.Len() != 0 || p.byID != nil {
		t.Errorf("%d are left", p.Len())
	}
}

// Seed 3131 of three nodes: for longer than that too few were in sync, and the retry behind it was written again.
func TestWhoWaitsForACommitIsNotForgotten(t *testing.T) {
	p := written(1, 1)
	last := p.byID[7].batches[p.byID[7].count-1].base
	p.Expire(noon.Add(48*time.Hour), 24*time.Hour, last)
	if p.Len() != 1 {
		t.Fatal("its last batch is not committed, and it is forgotten")
	}
	p.Expire(noon.Add(71*time.Hour), 24*time.Hour, last+1)
	if p.Len() != 1 {
		t.Fatal("its last batch is committed, and it had no time to hear of it")
	}
	if p.Expire(noon.Add(72*time.Hour), 24*time.Hour, last+1); p.Len() != 0 {
		t.Error("it is known for ever")
	}
}

// S128: coordinator_epoch is -1 until the first marker of that producer was written.
func TestDescribe(t *testing.T) {
	p := written(2, 3)
	p.Append(header(2, 1, 0, 1, 6), noon)
	want := []message.ProducerState{
		{ID: 2, Epoch: 1, CoordinatorEpoch: -1, TxnStart: -1},
		{ID: 7, LastSequence: 5, CoordinatorEpoch: -1, TxnStart: -1}}
	if got := p.Describe(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestAgainstTheWholeHistory compares the brain with one that remembers every batch and rule by itself, and with its own
// snapshot at every step.
func TestAgainstTheWholeHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, history, end := Producers{}, map[int64][]record.Batch{}, int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				id := rapid.Int64Range(-1, 2).Draw(t, "id")
				first := rapid.SampledFrom([]int32{0, 0, 1, 2, 3, 4, 5, 6, math.MaxInt32, math.MaxInt32 - 1}).Draw(t, "first")
				if known := history[id]; len(known) > 0 && rapid.Bool().Draw(t, "next") {
					first = after(lastSequence(known[len(known)-1]))
				}
				b := header(id, int16(rapid.IntRange(0, 2).Draw(t, "epoch")), first, int32(rapid.IntRange(1, 3).Draw(t, "count")), end)
				got, want := p.Check(b, false), judge(history[id], b)
				got.Message = ""
				if got != want {
					t.Fatalf("is %+v, must be %+v", got, want)
				}
				if got == (Verdict{}) {
					p.Append(b, noon)
					end = b.NextOffset()
					if id >= 0 {
						history[id] = append(history[id], b)
					}
				}
			},
			"restart": func(t *rapid.T) {
				q, offset, err := Decode(p.Snapshot(end))
				if err != nil || offset != end || !slices.Equal(p.Snapshot(end), q.Snapshot(end)) {
					t.Fatalf("offset %d, must be %d: %v", offset, end, err)
				}
				p = q
			},
		})
	})
}

// judge is the rule, told with the whole history of one producer.
func judge(history []record.Batch, b record.Batch) Verdict {
	if len(history) == 0 {
		return Verdict{}
	}
	last := history[len(history)-1]
	for i := len(history) - 1; i >= max(0, len(history)-5); i-- {
		old := history[i]
		if old.ProducerEpoch() != last.ProducerEpoch() {
			break
		}
		if old.ProducerEpoch() == b.ProducerEpoch() && old.BaseSequence() == b.BaseSequence() && old.Count() == b.Count() {
			return Verdict{Duplicate: true, Base: old.BaseOffset(), End: old.NextOffset()}
		}
	}
	next := int64(last.BaseSequence()) + int64(last.Count())
	if next > math.MaxInt32 {
		next -= math.MaxInt32 + 1
	}
	switch {
	case b.ProducerEpoch() < last.ProducerEpoch():
		return Verdict{Code: message.InvalidProducerEpoch}
	case b.ProducerEpoch() > last.ProducerEpoch() && b.BaseSequence() == 0:
		return Verdict{}
	case b.ProducerEpoch() == last.ProducerEpoch() && int64(b.BaseSequence()) == next:
		return Verdict{}
	}
	return Verdict{Code: message.OutOfOrderSequenceNumber}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	good := written(5, 2).Snapshot(10)
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 1
		if _, _, err := Decode(bad); err == nil {
			t.Errorf("a flipped bit in byte %d was not found", i)
		}
		if _, _, err := Decode(good[:i]); err == nil {
			t.Errorf("%d of %d bytes were taken", i, len(good))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&Producers{}).Snapshot(0))
	f.Add(written(1, 1).Snapshot(1))
	f.Add(written(6, 3).Snapshot(100))
	p := written(2, 1)
	p.Append(transactional(8, 0, 0, 1, 2), noon)
	p.Append(transactional(9, 0, -1, 1, 3), noon)
	p.Append(marker(message.Mark{Producer: 8}, 4), noon)
	f.Add(p.Snapshot(5))
	f.Add(append([]byte("TPS1"), p.Snapshot(5)[4:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		seal(b)
		p, offset, err := Decode(b)
		if err != nil {
			return
		}
		again := p.Snapshot(offset)
		if string(b[:4]) == magic && !slices.Equal(again, b) {
			t.Errorf("%x is read as %x", b, again)
		}
		if q, at, err := Decode(again); err != nil || at != offset || !slices.Equal(q.Snapshot(offset), again) {
			t.Errorf("%x is read as %x: %v", again, q.Snapshot(offset), err)
		}
	})
}

// seal lets the fuzzer get past the checksum.
func seal(b []byte) {
	if len(b) >= headSize {
		put32(b[4:], int32(checksum(b)))
	}
}
