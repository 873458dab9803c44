package producers

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"pgregory.net/rapid"
)

// transactional is header for a batch of a transaction.
func transactional(id int64, epoch int16, sequence, count int32, base int64) record.Batch {
	b := header(id, epoch, sequence, count, base)
	b[22] |= byte(record.Transactional)
	return b
}

// marker is the control batch that m asks for.
func marker(m message.Mark, base int64) record.Batch {
	b := record.NewBuilder(base)
	b.ProducerID, b.ProducerEpoch = m.Producer, m.Epoch
	end := record.Marker{Type: record.Abort, CoordinatorEpoch: m.CoordinatorEpoch}
	if m.Commit {
		end.Type = record.Commit
	}
	b.AddControl(noon.UnixMilli(), end)
	built, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return built
}

// S92: Non-transactional idempotent write by that pid during an open txn → INVALID_TXN_STATE.
func TestWhatIsNotOfTheTransactionIsRefusedInItsMidst(t *testing.T) {
	p := &Producers{}
	p.Append(transactional(7, 0, 0, 2, 0), noon)
	if v := p.Check(header(7, 0, 2, 1, 2), false); v.Code != message.InvalidTxnState {
		t.Errorf("%+v", v)
	}
	if v := p.Check(transactional(7, 0, 2, 1, 2), false); v != (Verdict{}) {
		t.Errorf("its own: %+v", v)
	}
	if v := p.Check(header(8, 0, 0, 1, 2), false); v != (Verdict{}) {
		t.Errorf("another producer's: %+v", v)
	}
	p.Append(marker(message.Mark{Producer: 7}, 2), noon)
	if v := p.Check(header(7, 0, 2, 1, 3), false); v != (Verdict{}) {
		t.Errorf("behind the marker: %+v", v)
	}
}

// S94: marker carries epoch+1 and partition leader rejects markers with epoch ≤ current (idempotent retry tolerated, KAFKA-19999).
func TestMarkersAndEpochs(t *testing.T) {
	p := &Producers{}
	p.Append(transactional(7, 3, 0, 1, 0), noon)
	p.Append(transactional(8, 3, 0, 1, 1), noon)
	p.Append(marker(message.Mark{Producer: 8, Epoch: 4, CoordinatorEpoch: 9}, 2), noon)
	for _, c := range []struct {
		name string
		m    message.Mark
		want Verdict
	}{
		{"the same epoch", message.Mark{Producer: 7, Epoch: 3, Version: 2}, Verdict{Code: message.InvalidProducerEpoch}},
		{"the same epoch, old clients", message.Mark{Producer: 7, Epoch: 3, Version: 1}, Verdict{}},
		{"an older one, old clients", message.Mark{Producer: 7, Epoch: 2, Version: 1}, Verdict{Code: message.InvalidProducerEpoch}},
		{"the next", message.Mark{Producer: 7, Epoch: 4, Version: 2}, Verdict{}},
		{"again", message.Mark{Producer: 8, Epoch: 4, CoordinatorEpoch: 9, Version: 2}, Verdict{Duplicate: true}},
		{"again, by a newer coordinator", message.Mark{Producer: 8, Epoch: 4, CoordinatorEpoch: 10, Version: 2}, Verdict{Duplicate: true}},
		{"by an older coordinator", message.Mark{Producer: 8, Epoch: 5, CoordinatorEpoch: 8, Version: 2}, Verdict{Code: message.TransactionCoordinatorFenced}},
		{"nobody's", message.Mark{Producer: 9, Epoch: 0, Version: 2}, Verdict{}},
	} {
		v := p.CheckMark(&c.m)
		if v.Message = ""; v != c.want {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	if v := p.Check(transactional(8, 4, 0, 1, 3), true); v != (Verdict{}) {
		t.Errorf("the epoch that the marker began: %+v", v)
	}
	if v := p.Check(transactional(8, 4, 1, 1, 3), true); v.Code != message.OutOfOrderSequenceNumber {
		t.Errorf("and not from its beginning: %+v", v)
	}
}

// S24: never while it has an open txn.
func TestWhoHasATransactionOpenIsNotForgotten(t *testing.T) {
	p := &Producers{}
	p.Append(transactional(7, 0, 0, 1, 0), noon)
	p.Expire(noon.Add(48*time.Hour), 24*time.Hour, 1000)
	if p.Len() != 1 {
		t.Error("it was forgotten")
	}
	p.Append(marker(message.Mark{Producer: 7}, 1), noon)
	if p.Expire(noon.Add(48*time.Hour), 24*time.Hour, 1000); p.Len() != 0 {
		t.Error("it is known for ever")
	}
}

// S34: LSO = min(first unstable offset, HW), and a marker that is not committed yet decides nothing.
func TestTheLastStableOffset(t *testing.T) {
	p := &Producers{}
	expect := func(high, want int64) {
		t.Helper()
		if got := p.Stable(high); got != want {
			t.Errorf("at high watermark %d it is %d, not %d", high, got, want)
		}
	}
	p.Append(header(1, 0, 0, 3, 0), noon)
	expect(2, 2)
	p.Append(transactional(7, 0, 0, 1, 3), noon)
	p.Append(transactional(8, 0, 0, 1, 4), noon)
	expect(3, 3)
	expect(5, 3)
	p.Append(marker(message.Mark{Producer: 8}, 5), noon)
	p.Append(marker(message.Mark{Producer: 7}, 6), noon)
	expect(6, 3)
	p.Append(header(1, 0, 3, 1, 7), noon)
	expect(7, 7)
	expect(8, 8)
}

// A coordinator's batches in a producer's name have no sequences (S96).
func TestBatchesWithoutSequence(t *testing.T) {
	p := &Producers{}
	b := transactional(7, 2, -1, 1, 0)
	if v := p.Check(b, false); v != (Verdict{}) {
		t.Fatalf("%+v", v)
	}
	p.Append(b, noon)
	if v := p.Check(transactional(7, 2, -1, 1, 1), false); v != (Verdict{}) || !p.InTransaction(7, 2) {
		t.Errorf("another: %+v", v)
	}
	if v := p.Check(transactional(7, 1, -1, 1, 1), false); v.Code != message.InvalidProducerEpoch {
		t.Errorf("of an older epoch: %+v", v)
	}
}

// TestAPictureFromBeforeTransactionsIsRead makes one as it was written.
func TestAPictureFromBeforeTransactionsIsRead(t *testing.T) {
	b := append([]byte("TPS1"), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, 10)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint64(b, 7)
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint64(b, uint64(noon.UnixMilli()))
	b = append(b, 1)
	b = binary.BigEndian.AppendUint32(b, 4)
	b = binary.BigEndian.AppendUint32(b, 5)
	b = binary.BigEndian.AppendUint64(b, 8)
	b = binary.BigEndian.AppendUint64(b, 99)
	seal(b)
	p, offset, err := Decode(b)
	want := message.ProducerState{ID: 7, Epoch: 3, LastSequence: 5, LastTimestamp: 99, CoordinatorEpoch: -1, TxnStart: -1}
	if err != nil || offset != 10 || !slices.Equal(p.Describe(), []message.ProducerState{want}) {
		t.Errorf("%d %v %+v", offset, err, p.Describe())
	}
}

// TestAPictureWithoutMarkersIsRead makes one as it was written before compaction asked for them: the last marker may be anywhere.
func TestAPictureWithoutMarkersIsRead(t *testing.T) {
	p := &Producers{}
	p.Append(transactional(7, 2, 0, 1, 0), noon)
	p.Append(marker(message.Mark{Producer: 7, Epoch: 2}, 1), noon)
	p.Append(transactional(7, 2, 1, 1, 2), noon)
	b := append([]byte("TPS2"), p.Snapshot(3)[4:]...)
	b = slices.Delete(b, headSize+producerSize-9, headSize+producerSize-1)
	seal(b)
	q, offset, err := Decode(b)
	if err != nil || offset != 3 || !slices.Equal(q.Describe(), p.Describe()) || !q.Open() || q.Remembered()[7] != (message.Latest{First: 0, Last: 2, Marker: math.MaxInt64}) {
		t.Errorf("%d %v %+v %+v", offset, err, q.Describe(), q.Remembered())
	}
	if r, _, err := Decode(p.Snapshot(3)); err != nil || r.Remembered()[7] != (message.Latest{First: 0, Last: 2, Marker: 1}) {
		t.Errorf("%v %+v", err, r.Remembered())
	}
}

// story is all that was ever appended, and what follows from it by looking at all of it.
type story struct {
	batches []record.Batch
	high    int64
	stable  int64
}

func (s *story) end() int64 {
	if n := len(s.batches); n > 0 {
		return s.batches[n-1].NextOffset()
	}
	return 0
}

// openAt are the transactions that are open below an offset: their first offsets by producer.
func (s *story) openAt(offset int64) map[int64]int64 {
	begun := map[int64]int64{}
	for _, b := range s.batches {
		_, is := begun[b.ProducerID()]
		switch a := b.Attributes(); {
		case b.BaseOffset() >= offset:
		case a.Has(record.Control):
			delete(begun, b.ProducerID())
		case a.Has(record.Transactional) && !is:
			begun[b.ProducerID()] = b.BaseOffset()
		}
	}
	return begun
}

// lso is the first of what is open at the high watermark.
func (s *story) lso() int64 {
	lso := s.high
	for _, first := range s.openAt(s.high) {
		lso = min(lso, first)
	}
	return lso
}

// TestTransactionsAgainstTheWholeHistory compares what is open, stable and aborted with what a look at every batch says, through
// pictures and cuts.
func TestTransactionsAgainstTheWholeHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, s := Producers{}, story{}
		next := map[int64]int32{}
		epochs := map[int64]int16{}
		check := func(t *rapid.T) {
			stable := p.Stable(s.high)
			if want := s.lso(); stable != want || stable < s.stable {
				t.Fatalf("stable is %d, must be %d, was %d; the high watermark is %d", stable, want, s.stable, s.high)
			}
			s.stable = stable
			begun := s.openAt(s.end())
			for _, d := range p.Describe() {
				first, is := begun[d.ID]
				if !is {
					first = -1
				}
				if d.TxnStart != first || p.InTransaction(d.ID, d.Epoch) != is {
					t.Fatalf("%+v, must begin at %d", d, first)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": check,
			"write": func(t *rapid.T) {
				id := rapid.Int64Range(0, 3).Draw(t, "id")
				b := transactional(id, epochs[id], next[id], 2, s.end())
				if v := p.Check(b, false); v.Code != message.OK {
					t.Fatalf("%+v", v)
				}
				p.Append(b, noon)
				s.batches, next[id] = append(s.batches, b), next[id]+2
			},
			"mark": func(t *rapid.T) {
				m := message.Mark{Producer: rapid.Int64Range(0, 3).Draw(t, "id"), Commit: rapid.Bool().Draw(t, "commit"), Version: int16(rapid.IntRange(1, 2).Draw(t, "version"))}
				if m.Epoch = epochs[m.Producer]; m.Version == 2 {
					m.Epoch++
				}
				if v := p.CheckMark(&m); v != (Verdict{}) {
					t.Fatalf("%+v", v)
				}
				b := marker(m, s.end())
				s.sayAborts(t, &p, b, !m.Commit)
				if m.Epoch > epochs[m.Producer] {
					epochs[m.Producer], next[m.Producer] = m.Epoch, 0
				}
				p.Append(b, noon)
				s.batches = append(s.batches, b)
			},
			"commit": func(t *rapid.T) { s.high = rapid.Int64Range(s.high, s.end()).Draw(t, "high") },
			"restart": func(t *rapid.T) {
				q, _, err := Decode(p.Snapshot(s.end()))
				if err != nil || !slices.Equal(p.Snapshot(s.end()), q.Snapshot(s.end())) {
					t.Fatalf("%v", err)
				}
				p = q
			},
			"cut": func(t *rapid.T) {
				for len(s.batches) > 0 && s.batches[len(s.batches)-1].BaseOffset() >= s.high && rapid.Bool().Draw(t, "more") {
					s.batches = s.batches[:len(s.batches)-1]
				}
				p = Producers{}
				clear(next)
				clear(epochs)
				for _, b := range s.batches {
					p.Append(b, noon)
					if b.ProducerEpoch() > epochs[b.ProducerID()] {
						next[b.ProducerID()] = 0
					}
					if epochs[b.ProducerID()] = b.ProducerEpoch(); !b.Attributes().Has(record.Control) {
						next[b.ProducerID()] = b.BaseSequence() + 2
					}
				}
			},
		})
	})
}

// sayAborts compares what the index is to say of a marker.
func (s *story) sayAborts(t *rapid.T, p *Producers, b record.Batch, aborts bool) {
	a, is := p.Aborts(b)
	if is != aborts {
		t.Fatalf("%+v %v", a, is)
	}
	if !aborts {
		return
	}
	begun := s.openAt(s.end())
	want := message.Aborted{Producer: b.ProducerID(), First: b.BaseOffset(), Last: b.BaseOffset(), Stable: b.BaseOffset() + 1}
	if first, is := begun[want.Producer]; is {
		want.First = first
	}
	delete(begun, want.Producer)
	for _, first := range begun {
		want.Stable = min(want.Stable, first)
	}
	if a != want {
		t.Fatalf("%+v, must be %+v", a, want)
	}
}
