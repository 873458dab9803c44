package coordinator

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

// marked is the control batch that a partition writes.
func marked(m *message.Mark) record.Batch {
	b := record.NewBuilder(0)
	b.Flags, b.ProducerID, b.ProducerEpoch = record.Transactional|record.Control, m.Producer, m.Epoch
	key := []byte{0, 0, 0, 0}
	if m.Commit {
		key[3] = 1
	}
	b.Add(1, key, []byte{0, 0, 0, 0, 0, 0})
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

// ledger plays the coordinator of transactions, which agrees to everything.
type ledger struct{}

func (ledger) Receive(c stage.Context) {
	if m, ok := c.Message().(*message.Enlist); ok {
		c.Answer(c.Caller(), &message.Enlisted{Codes: make([]message.Code, len(m.Partitions))})
	}
}

var books = message.PartitionID{Topic: message.TopicID{8}}

func (s *scene) withTransactions() {
	s.stage.Spawn(message.BrokerAt(1), func() stage.Actor { return crier{} })
	s.stage.Spawn(message.CoordinatorAt(1, books), func() stage.Actor { return ledger{} })
	img := metadata(s.t, 1, 1, 1)
	next, _, err := img.Apply(2, &message.TopicRecord{Name: message.TransactionsTopic, ID: books.Topic},
		&message.PartitionRecord{Partition: books, Leader: 1, Replicas: []message.NodeID{1}, ISR: []message.NodeID{1}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.publish(next)
}

func (s *scene) commitTxn(offset int64) *any {
	return s.ask(&message.CommitTxnOffsets{TransactionalID: "x", Producer: 7, Epoch: 2, Version: 2,
		CommitOffsets: message.CommitOffsets{Group: "g", Generation: -1, Offsets: []message.CommittedOffset{{Topic: "t", Offset: offset}}}})
}

// Offsets of a transaction are a batch of its producer's, apart from everything else; the marker is written behind them, and both are
// learnt again from the log.
func TestTransactionsGoThroughTheLog(t *testing.T) {
	for _, ends := range []bool{true, false} {
		s := newScene(t)
		s.withTransactions()
		s.lead(1)
		s.commit(3)
		s.held = true
		s.commit(4)
		s.commitTxn(5)
		s.commit(6)
		s.held, s.high = false, s.end
		s.stage.Send(message.PartitionAt(1, place), &shown{})
		s.release()
		if len(s.sizes) != 4 {
			t.Fatalf("the appends had %v records", s.sizes)
		}
		producers := []int64{}
		for rest := s.bytes; len(rest) > 0; rest = rest[record.Batch(rest).Size():] {
			b := record.Batch(rest)
			producers = append(producers, b.ProducerID())
			if own := b.ProducerID() == 7; own != b.Attributes().Has(record.Transactional) || own && (b.ProducerEpoch() != 2 || b.BaseSequence() != -1) {
				t.Errorf("a batch of producer %d in epoch %d has attributes %x", b.ProducerID(), b.ProducerEpoch(), b.Attributes())
			}
		}
		if producers[2] != -1 || producers[3] != 7 { // the coordinator of transactions was asked meanwhile
			t.Errorf("batches are of producers %v", producers)
		}
		if ends {
			s.commitTxn(9)
			s.mark(true)
		}
		s.again()
		if !ends {
			s.commitTxn(9)
			if got := s.committed(); got != int64(6) {
				t.Fatalf("committed is %v", got)
			}
			s.mark(true)
		}
		if got := s.committed(); got != int64(9) {
			t.Errorf("committed is %v", got)
		}
	}
}

// again has the coordinator lead anew.
func (s *scene) again() {
	s.epoch++
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.time.RunFor(time.Millisecond)
	s.lead(1)
}

func (s *scene) mark(commit bool) {
	s.t.Helper()
	a := s.ask(&message.Mark{Producer: 7, Epoch: 3, Commit: commit, Version: 2})
	if m, ok := (*a).(*message.Appended); ok {
		s.t.Fatalf("%+v", m)
	}
	if m, ok := (*a).(*message.Marked); !ok || m.Code != message.OK {
		s.t.Fatalf("the marker is answered with %+v", *a)
	}
}

// What an earlier term has asked is not heard any more.
func TestAnswersToAnEarlierTerm(t *testing.T) {
	s := newScene(t)
	s.withTransactions()
	s.lead(1)
	s.held = true
	s.commit(3) // and so the questions behind it wait
	n := s.commitTxn(5)
	s.lead(2)
	s.held, s.high = false, s.end
	s.again()
	s.time.RunFor(time.Second)
	s.expectCode(n, message.NotCoordinator)
}
