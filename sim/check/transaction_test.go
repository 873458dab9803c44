package check

import (
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// txn is a batch of two records of a transaction of producer 7.
func (s *scene) txn(sequence int32) *Batch {
	b := &Batch{Client: "txn", Partition: s.p, Count: 2, Bytes: 100, Time: 1000, Producer: 7, Sequence: sequence, Transactional: true}
	to := record.NewBuilder(0)
	to.ProducerID, to.ProducerEpoch, to.BaseSequence, to.Flags = 7, 0, sequence, record.Transactional
	to.Add(1000, nil, []byte("first"))
	to.Add(1000, nil, []byte("second"))
	bytes, err := to.Build(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Sent(b, bytes)
	s.last[b] = bytes
	return b
}

func (s *scene) marker(base int64, commit bool) []byte {
	b := record.NewBuilder(base)
	b.ProducerID, b.ProducerEpoch = 7, 0
	b.LeaderEpoch = 0
	end := record.Marker{Type: record.Abort}
	if commit {
		end.Type = record.Commit
	}
	b.AddControl(1000, end)
	bytes, err := b.Build(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes
}

func (s *scene) committed(high, stable int64, aborted []Aborted, bytes ...[]byte) {
	s.ReadCommitted(s.p, s.Floor(s.p), 0, high, stable, slices.Concat(bytes...), aborted)
}

func (s *scene) audit(bytes ...[]byte) {
	end := record.Batch(bytes[len(bytes)-1]).NextOffset()
	s.Whole(s.p, 0, end, s.read(0, end, bytes...), nil, 1000)
}

func TestWhatBreaksAnInvariantOfTransactions(t *testing.T) {
	leads := func(high, stable int64) message.Bounds {
		return message.Bounds{HighWatermark: high, LastStable: stable, LogEnd: high, IsLeader: true}
	}
	for _, c := range []struct {
		broken *Invariant
		name   string
		happen func(s *scene)
	}{
		{nil, "one that is aborted, and one that is not", func(s *scene) {
			a, b := s.txn(0), s.txn(2)
			log := [][]byte{s.at(a, 0, 0), s.marker(2, false), s.at(b, 3, 0), s.marker(5, true)}
			s.committed(6, 6, []Aborted{{7, 0}}, log...)
			s.Decided(a, false)
			s.Decided(b, true)
			s.audit(log...)
		}},
		{BytesAreKept, "a marker of nobody's", func(s *scene) {
			delete(s.producers, 7)
			s.read(0, 1, s.marker(0, true))
		}},
		{StableInMark, "above", func(s *scene) { s.committed(2, 3, nil) }},
		{ReadBelowStable, "above", func(s *scene) { s.committed(2, 0, nil, s.at(s.txn(0), 0, 0)) }},
		{ReadBelowStable, "it was open", func(s *scene) {
			a := s.txn(0)
			s.committed(2, 2, nil, s.at(a, 0, 0))
			s.audit(s.at(a, 0, 0))
		}},
		{AbortedUnseen, "an aborted one was read", func(s *scene) {
			log := [][]byte{s.at(s.txn(0), 0, 0), s.marker(2, false)}
			s.committed(3, 3, nil, log...)
			s.audit(log...)
		}},
		{AbortedUnseen, "a committed one was not", func(s *scene) {
			log := [][]byte{s.at(s.txn(0), 0, 0), s.marker(2, true)}
			s.committed(3, 3, []Aborted{{7, 0}}, log...)
			s.audit(log...)
		}},
		{AbortedUnseen, "two consumers are told otherwise", func(s *scene) {
			log := [][]byte{s.at(s.txn(0), 0, 0), s.marker(2, false)}
			s.committed(3, 3, []Aborted{{7, 0}}, log...)
			s.committed(3, 3, nil, log...)
		}},
		{EndIsKept, "it ended otherwise", func(s *scene) {
			a := s.txn(0)
			s.Decided(a, true)
			s.audit(s.at(a, 0, 0), s.marker(2, false))
		}},
		{EndIsKept, "its marker is gone", func(s *scene) {
			a := s.txn(0)
			s.Decided(a, true)
			s.audit(s.at(a, 0, 0))
		}},
		{nil, "a backup knows nothing of its end", func(s *scene) {
			a := s.txn(0)
			then := s.Remember()
			s.Decided(a, true)
			s.Recall(then)
			s.audit(s.at(a, 0, 0))
		}},
		{StableBelowOpen, "a transaction is open", func(s *scene) {
			w := NewStable(s.History)
			w.Next(1, s.p, leads(2, 2))
			w.Take(1, s.p, s.at(s.txn(0), 0, 0), 2)
			w.Shows(1, s.p, leads(2, 2))
		}},
		{nil, "a transaction is open of which all is deleted", func(s *scene) {
			w := NewStable(s.History)
			w.Next(1, s.p, leads(4, 4))
			w.Take(1, s.p, append(s.at(s.txn(0), 0, 0), s.at(s.batch("a", -1), 2, 0)...), 4)
			b := leads(4, 4)
			b.LogStart = 2
			w.Shows(1, s.p, b)
		}},
		{nil, "compaction has taken it out of the copy that has come instead", func(s *scene) {
			w := NewStable(s.History)
			w.Next(1, s.p, leads(2, 2))
			w.Take(1, s.p, s.at(s.txn(0), 0, 0), 2)
			w.Gone(1, s.p)
			w.Next(1, s.p, leads(4, 4))
			w.Take(1, s.p, s.at(s.batch("a", -1), 2, 0), 4)
			w.Shows(1, s.p, leads(4, 4))
		}},
		{nil, "it has ended", func(s *scene) {
			w := NewStable(s.History)
			w.Next(1, s.p, leads(3, 3))
			w.Take(1, s.p, append(s.at(s.txn(0), 0, 0), s.marker(2, false)...), 3)
			w.Shows(1, s.p, leads(3, 3))
		}},
		{MarkersStay, "compaction has taken a marker too early", func(s *scene) {
			w, a, b := NewStable(s.History), s.txn(0), s.txn(2)
			all := slices.Concat(s.at(a, 0, 0), s.at(b, 2, 0), s.marker(4, false), s.at(s.batch("a", -1), 5, 0))
			w.Next(1, s.p, leads(7, 7))
			w.Take(1, s.p, all, 7)
			w.Whole(2, s.p, slices.Concat(record.Hollow(s.at(b, 2, 0)), s.at(s.batch("a", -1), 5, 0)))
		}},
		{nil, "compaction has taken a transaction and its marker", func(s *scene) {
			w, a := NewStable(s.History), s.txn(0)
			w.Next(1, s.p, leads(5, 5))
			w.Take(1, s.p, slices.Concat(s.at(a, 0, 0), s.marker(2, false), s.at(s.batch("a", -1), 3, 0)), 5)
			w.Whole(1, s.p, slices.Concat(s.at(s.batch("a", -1), 3, 0)))
			w.Whole(2, s.p, slices.Concat(s.at(a, 0, 0), s.marker(2, false)))
			w.Whole(3, s.p, slices.Concat(s.at(a, 0, 0))) // it has not got further yet
		}},
		{StableStays, "it falls", func(s *scene) {
			w := NewStable(s.History)
			w.Next(1, s.p, leads(2, 2))
			w.Take(1, s.p, s.at(s.batch("a", -1), 0, 0), 2)
			w.Shows(1, s.p, leads(2, 2))
			w.Shows(1, s.p, leads(2, 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.NewProducer("txn", 7)
			c.happen(s)
			switch v := s.Violation(); {
			case c.broken == nil && v != nil:
				t.Errorf("nothing is wrong, and it says: %v", v)
			case c.broken != nil && (v == nil || v.Invariant != c.broken):
				t.Errorf("it says %v, it should speak of %s", v, c.broken.Name)
			}
		})
	}
}
