package group

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

// transactional is a commit by producer 7, of version 2 unless it says otherwise.
func transactional(epoch int16, at int64) *message.CommitTxnOffsets {
	return &message.CommitTxnOffsets{CommitOffsets: *commit("", -1, at), TransactionalID: "x", Producer: 7, Epoch: epoch, Version: 2, Abortable: true}
}

// coordinator answers the first question to the coordinator of transactions.
func (s *scene) coordinator(answer any) *message.Enlist {
	s.t.Helper()
	for i, a := range s.asks {
		if m, ok := a.Word.(*message.Enlist); ok {
			s.asks = append(s.asks[:i:i], s.asks[i+1:]...)
			s.took(s.groups.Heard(s.now, a.Ref, answer))
			return m
		}
	}
	s.t.Fatal("the coordinator of transactions is not asked")
	return nil
}

func taken() *message.Enlisted { return &message.Enlisted{Codes: []message.Code{message.OK}} }

// join commits as a part of a transaction, to which the coordinator agrees.
func (s *scene) joinTxn(m *message.CommitTxnOffsets) {
	s.t.Helper()
	n := s.ask(m)
	if s.answers[n] == nil {
		s.coordinator(taken())
	}
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.OK || a.Codes[0] != message.OK {
		s.t.Fatalf("%+v", a)
	}
}

// write plays the partition, which writes all markers that are on their way.
func (s *scene) write(code message.Code) {
	asks := s.asks
	s.asks = nil
	for _, a := range asks {
		m := a.Word.(*message.Mark)
		if code == message.OK {
			s.log = append(s.log, entry{marker: &brain.Marker{Txn: brain.Txn{Producer: m.Producer, Epoch: m.Epoch}, Commit: m.Commit}})
		}
		s.took(s.groups.Heard(s.now, a.Ref, &message.Marked{Code: code}))
	}
}

func (s *scene) end(epoch int16, commit bool) {
	s.t.Helper()
	n := s.ask(&message.Mark{Producer: 7, Epoch: epoch, Commit: commit, Version: 2})
	s.write(message.OK)
	if a := answered[*message.Marked](s, n); a.Code != message.OK {
		s.t.Fatalf("%+v", a)
	}
}

// stable is what is committed, for who waits for transactions.
func (s *scene) stable() message.FetchedOffset {
	a := answer[*message.OffsetsFetched](s, &message.FetchOffsets{Group: "g", Epoch: -1, RequireStable: true, Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1}}}})
	return a.Topics[0].Offsets[0]
}

func (s *scene) expectOffset(at int64, pending bool) {
	s.t.Helper()
	if got := s.committed(); got != at {
		s.t.Fatalf("offset %d is committed, and not %d", got, at)
	}
	if f := s.stable(); pending && f.Code != message.UnstableOffsetCommit || !pending && (f.Code != message.OK || f.Offset != at) {
		s.t.Fatalf("who waits for transactions is told %+v", f)
	}
}

// S96, S130: offsets of a transaction are not there before its marker, and never if it is aborted, failover or not. Who waits for
// transactions is told to come again.
func TestOffsetsWaitForTheirTransaction(t *testing.T) {
	for _, commits := range []bool{true, false} {
		for _, again := range []func(s *scene){func(*scene) {}, (*scene).again} {
			s := newScene(t)
			answer[*message.OffsetsCommitted](s, commit("", -1, 3))
			s.joinTxn(transactional(0, 5))
			s.joinTxn(transactional(0, 6))
			again(s)
			s.expectOffset(3, true)
			s.end(1, commits)
			again(s)
			if commits {
				s.expectOffset(6, false)
			} else {
				s.expectOffset(3, false)
			}
		}
	}
}

// The records of a transaction are its producer's.
func TestOffsetsAreWrittenAsTheProducers(t *testing.T) {
	s := newScene(t)
	s.joinTxn(transactional(4, 5))
	if r := s.log[0].record; r.Txn == nil || *r.Txn != (brain.Txn{Producer: 7, Epoch: 4}) {
		t.Errorf("%+v", r)
	}
}

// A commit without a transaction behind one of a transaction is the later one, whenever that ends.
func TestTheLaterCommitCounts(t *testing.T) {
	s := newScene(t)
	s.joinTxn(transactional(0, 5))
	answer[*message.OffsetsCommitted](s, commit("", -1, 9))
	s.again()
	s.end(1, true)
	s.expectOffset(9, false)
	s.again()
	s.expectOffset(9, false)
}

// A marker that the partition could not write ends nothing; it comes again.
func TestMarkersThatAreNotWritten(t *testing.T) {
	s := newScene(t)
	s.joinTxn(transactional(0, 5))
	n := s.ask(&message.Mark{Producer: 7, Epoch: 1, Commit: true, Version: 2})
	s.write(message.NotEnoughReplicas)
	if a := answered[*message.Marked](s, n); a.Code != message.NotEnoughReplicas {
		t.Fatalf("%+v", a)
	}
	s.expectOffset(-1, true)
	n = s.ask(&message.Mark{Producer: 7, Epoch: 1, Commit: true, Version: 2})
	s.took(s.groups.Heard(s.now, s.asks[0].Ref, nil))
	if a := answered[*message.Marked](s, n); a.Code != message.RequestTimedOut {
		t.Fatalf("%+v", a)
	}
	s.asks = nil
	s.end(1, true)
	s.expectOffset(5, false)
}

// KIP-890: the coordinator of transactions is asked before a transaction begins here, once, and for old producers only whether it has begun.
func TestTransactionsAreVerified(t *testing.T) {
	for version := int16(0); version <= 2; version += 2 {
		s := newScene(t)
		c := transactional(0, 5)
		c.Version = version
		s.ask(c)
		if m := s.coordinator(taken()); m.TransactionalID != "x" || m.Producer != 7 || m.VerifyOnly != (version < 2) || m.Partitions[0].Topic != message.GroupsTopic {
			t.Errorf("version %d: %+v", version, m)
		}
		s.ask(c)
		if len(s.asks) > 0 {
			t.Errorf("version %d: it is asked again: %+v", version, s.asks)
		}
		for _, want := range []struct{ said, told message.Code }{{message.ProducerFenced, message.InvalidProducerEpoch}, {message.InvalidProducerIDMapping, message.InvalidProducerIDMapping},
			{message.TransactionAbortable, message.TransactionAbortable}} {
			s := newScene(t)
			n := s.ask(c)
			s.coordinator(&message.Enlisted{Code: want.said})
			if a := answered[*message.OffsetsCommitted](s, n); a.Code != want.told || len(s.log) > 0 {
				t.Errorf("version %d: %+v", version, a)
			}
		}
		for _, silence := range []any{nil, &message.Uncoordinated{Code: message.NotCoordinator}} {
			s := newScene(t)
			n := s.ask(c)
			s.coordinator(silence)
			if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.CoordinatorLoadInProgress {
				t.Errorf("version %d: %+v", version, a)
			}
		}
	}
	s := newScene(t)
	old := transactional(0, 5)
	old.Abortable = false
	n := s.ask(old)
	s.coordinator(&message.Enlisted{Codes: []message.Code{message.TransactionAbortable}})
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.InvalidTxnState {
		t.Errorf("%+v", a)
	}
}

// While the last transaction of the producer is being ended the coordinator is asked again for a moment.
func TestTheNextTransactionWaitsForTheLast(t *testing.T) {
	s := newScene(t)
	n := s.ask(transactional(1, 5))
	s.coordinator(&message.Enlisted{Code: message.ConcurrentTransactions})
	s.pass(verifyPause)
	s.coordinator(taken())
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.OK {
		t.Fatalf("%+v", a)
	}
	n = s.ask(&message.CommitTxnOffsets{CommitOffsets: *commit("", -1, 5), TransactionalID: "y", Producer: 8, Version: 2})
	for range verifyRetries / verifyPause {
		s.coordinator(&message.Enlisted{Code: message.ConcurrentTransactions})
		s.pass(verifyPause)
	}
	s.coordinator(&message.Enlisted{Code: message.ConcurrentTransactions})
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.ConcurrentTransactions {
		t.Fatalf("%+v", a)
	}
}

// What the coordinator has said before a marker came is of the transaction that has ended: it is asked again.
func TestAMarkerDoubtsTheCoordinatorsWord(t *testing.T) {
	s := newScene(t)
	n := s.ask(transactional(0, 5))
	s.ask(&message.Mark{Producer: 7, Epoch: 1})
	s.coordinator(taken())
	if s.answers[n] != nil {
		t.Fatalf("%+v", s.answers[n])
	}
	s.coordinator(&message.Enlisted{Code: message.ProducerFenced})
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.InvalidProducerEpoch {
		t.Fatalf("%+v", a)
	}
}

// Whose transaction is being ended here may not add to it.
func TestNothingComesBehindAMarker(t *testing.T) {
	s := newScene(t)
	s.joinTxn(transactional(0, 5))
	s.ask(&message.Mark{Producer: 7, Epoch: 0, Commit: true})
	late := transactional(0, 6)
	late.Version = 0
	n := s.ask(late)
	s.coordinator(&message.Enlisted{Code: message.InvalidProducerIDMapping})
	s.write(message.OK)
	if a := answered[*message.OffsetsCommitted](s, n); a.Code != message.InvalidProducerIDMapping {
		t.Fatalf("%+v", a)
	}
	s.expectOffset(5, false)
}

// S96: "v3+ validates member/generation: ILLEGAL_GENERATION / FENCED_INSTANCE_ID / UNKNOWN_MEMBER_ID".
func TestTransactionsKnowTheirMembers(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	for _, c := range []struct {
		member     string
		generation int32
		want       message.Code
	}{{ids[1], 1, message.OK}, {"", -1, message.OK}, {ids[1], 0, message.IllegalGeneration}, {"nobody", 1, message.UnknownMemberID}} {
		m := transactional(0, 5)
		m.Member, m.Generation = c.member, c.generation
		n := s.ask(m)
		if c.want == message.OK && s.answers[n] == nil {
			s.coordinator(taken())
		}
		if a := answered[*message.OffsetsCommitted](s, n); a.Code != c.want {
			t.Errorf("%+v: %+v", c, a)
		}
	}
	m := transactional(0, 5)
	m.Group, m.Generation, m.Member = "nothing", 1, "m"
	if a := answer[*message.OffsetsCommitted](s, m); a.Code != message.IllegalGeneration {
		t.Errorf("%+v", a)
	}
}

// S75: "No expiry with pending txn offsets."
func TestPendingOffsetsKeepTheOthers(t *testing.T) {
	s := newScene(t)
	answer[*message.OffsetsCommitted](s, commit("", -1, 3))
	s.joinTxn(transactional(0, 5))
	s.pass(3 * bounds.Retention)
	s.expectOffset(3, true)
	s.end(1, false)
	s.pass(2 * bounds.RetentionCheck)
	s.expectOffset(-1, false)
}

// What is deleted does not come back when a transaction commits it: with its partition, its topic, or its group.
func TestDeletedOffsetsDoNotComeBack(t *testing.T) {
	for name, deletes := range map[string]func(s *scene){
		"offset": func(s *scene) {
			answer[*message.OffsetsDeleted](s, &message.DeleteOffsets{Group: "g", Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1}}}})
		},
		"topic": func(s *scene) { s.took(s.groups.TopicsChanged(s.now, []string{"t"}, nil)) },
		"group": func(s *scene) { answer[*message.GroupsDeleted](s, &message.DeleteGroups{Groups: []string{"g"}}) },
	} {
		for _, before := range []bool{true, false} {
			s := newScene(t)
			c := commit("", -1, 3)
			c.Offsets[0].Partition = 2
			if before {
				c.Offsets[0].Partition = 1
			}
			answer[*message.OffsetsCommitted](s, c)
			s.joinTxn(transactional(0, 5))
			deletes(s)
			s.again()
			s.end(1, true)
			if got := s.committed(); got != -1 {
				t.Errorf("%s: offset %d is committed", name, got)
			}
		}
	}
}

// A producer of an older epoch commits nothing.
func TestOlderEpochsCommitNothing(t *testing.T) {
	s := newScene(t)
	s.joinTxn(transactional(3, 5))
	if a := answer[*message.OffsetsCommitted](s, transactional(2, 6)); a.Code != message.InvalidProducerEpoch {
		t.Errorf("%+v", a)
	}
	s.end(3, false) // of the same epoch, as old producers have it
	s.expectOffset(-1, false)
}

// Replay may begin in the middle of a transaction, and find markers of which nothing is left.
func TestMarkersOfNothing(t *testing.T) {
	s := newScene(t)
	s.groups.ReplayMarker(time.Unix(0, 0), brain.Marker{Txn: brain.Txn{Producer: 1}, Commit: true})
	s.expectOffset(-1, false)
}

// Who ends a transaction asks first whether it is a member still: it is not let wait for news of the group.
func TestWhoTransactsIsNotHeld(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	beat := &message.GroupHeartbeat{Group: "g", Member: ids[0], Generation: 1, Holding: message.Held}
	held := s.ask(beat)
	if s.answers[held] != nil {
		t.Fatalf("it is not held: %+v", s.answers[held])
	}
	c := transactional(0, 5)
	c.Member, c.Generation = ids[0], 1
	s.joinTxn(c)
	answered[*message.GroupBeat](s, held)
	answer[*message.GroupBeat](s, beat)
	s.end(1, true)
	if n := s.ask(beat); s.answers[n] != nil {
		t.Fatalf("it is not held: %+v", s.answers[n])
	}
}
