package txn

import (
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// In version 2 each transaction has an epoch of its own (S94, S129); the end may be asked for again.
func TestEachTransactionHasAnEpoch(t *testing.T) {
	s := newScene(t)
	s.init()
	for epoch := range int16(3) {
		s.add(100, epoch, a0, a1)
		if a := s.end(100, epoch, true, 2); a.Code != message.OK || a.Producer != 100 || a.Epoch != epoch+1 {
			t.Fatalf("%+v", a)
		}
		s.expect("PrepareCommit", 100, epoch+1)
		code(t, s.end(100, epoch, true, 2).Code, message.ConcurrentTransactions)
		code(t, s.end(100, epoch+1, false, 2).Code, message.ConcurrentTransactions) // the next one's, which was begun in vain
		code(t, s.add(100, epoch+1, a0).Code, message.ConcurrentTransactions)
		code(t, s.init().Code, message.ConcurrentTransactions)
		for _, m := range s.mark(message.OK) {
			if m.Epoch != epoch+1 || m.Version != 2 || !m.Commit {
				t.Fatalf("%+v", m)
			}
		}
		s.expect("CompleteCommit", 100, epoch+1)
		if a := s.end(100, epoch, true, 2); a.Code != message.OK || a.Epoch != epoch+1 {
			t.Fatalf("%+v", a)
		}
	}
}

// The table of S94 for version 2.
func TestTheTableOfEnds(t *testing.T) {
	const none, bumps = message.OK, message.Code(1 << 10)
	for _, c := range []struct {
		state                                                string
		abortAgain, abortCurrent, commitAgain, commitCurrent message.Code
	}{
		{"Empty", message.ProducerFenced, bumps, message.ProducerFenced, message.InvalidTxnState},
		{"CompleteAbort", none, bumps, message.InvalidTxnState, message.InvalidTxnState},
		{"CompleteCommit", message.InvalidTxnState, bumps, none, message.InvalidTxnState},
	} {
		for i, want := range []message.Code{c.abortAgain, c.abortCurrent, c.commitAgain, c.commitCurrent} {
			s := newScene(t)
			s.init()
			s.init()
			if c.state != "Empty" {
				s.add(100, 1, a0)
				s.end(100, 1, c.state == "CompleteCommit", 2)
				s.mark(message.OK)
			}
			current := s.described().Epoch
			s.expect(c.state, 100, current)
			a := s.end(100, current-1+int16(i%2), i >= 2, 2)
			switch {
			case want == bumps && a.Code == message.OK && a.Epoch == current+1:
				s.expect("CompleteAbort", 100, current+1)
			case want == none && a.Code == message.OK && a.Epoch == current:
			case want != bumps && want != none && a.Code == want:
			default:
				t.Errorf("%s, case %d: %+v", c.state, i, a)
			}
		}
	}
}

// A producer of version 1 keeps its epoch; the same end may be asked for again, the other one not (S93, S94).
func TestAProducerOfVersion1KeepsItsEpoch(t *testing.T) {
	for _, commit := range []bool{true, false} {
		s := newScene(t)
		s.init()
		code(t, s.end(100, 0, commit, 0).Code, message.InvalidTxnState)
		for range 2 {
			s.add(100, 0, a0)
			code(t, s.end(100, 1, commit, 0).Code, message.ProducerFenced)
			code(t, s.end(100, 0, commit, 0).Code, message.OK)
			code(t, s.end(100, 0, commit, 0).Code, message.ConcurrentTransactions)
			if marks := s.mark(message.OK); len(marks) != 1 || marks[0].Epoch != 0 || marks[0].Version != 0 || marks[0].Commit != commit {
				t.Fatalf("%+v", marks)
			}
			code(t, s.end(100, 0, commit, 0).Code, message.OK)
			code(t, s.end(100, 0, !commit, 0).Code, message.InvalidTxnState)
		}
	}
}

// The last epoch of an id ends its last transaction; the next one has another id, and a lost answer is given again.
func TestTheLastTransactionOfAnID(t *testing.T) {
	s := newScene(t)
	s.init()
	s.wear()
	s.add(100, math.MaxInt16-1, a0)
	if a := s.end(100, math.MaxInt16-1, true, 2); a.Code != message.OK || a.Producer != 101 || a.Epoch != 0 {
		t.Fatalf("%+v", a)
	}
	code(t, s.add(101, 0, a0).Code, message.ConcurrentTransactions)
	s.begin()
	if marks := s.mark(message.OK); len(marks) != 1 || marks[0].Producer != 100 || marks[0].Epoch != math.MaxInt16 {
		t.Fatalf("%+v", marks)
	}
	s.expect("CompleteCommit", 101, 0)
	s.begin()
	if a := s.end(100, math.MaxInt16-1, true, 2); a.Code != message.OK || a.Producer != 101 || a.Epoch != 0 {
		t.Fatalf("%+v", a)
	}
	code(t, s.end(99, 3, true, 2).Code, message.InvalidProducerIDMapping)
}

// All partitions come in or none; who is somebody else is told so (S91).
func TestPartitionsComeInTogether(t *testing.T) {
	s := newScene(t)
	code(t, s.add(100, 0, a0).Code, message.InvalidProducerIDMapping)
	s.init()
	code(t, s.add(7, 0, a0).Code, message.InvalidProducerIDMapping)
	code(t, s.add(100, 1, a0).Code, message.ProducerFenced)
	a := s.add(100, 0, a0, message.NamedPartition{Topic: "b"}, a1)
	if a.Code != message.OK || len(a.Codes) != 3 || a.Codes[0] != message.OperationNotAttempted || a.Codes[1] != message.UnknownTopicOrPartition {
		t.Fatalf("%+v", a)
	}
	s.expect("Empty", 100, 0)
	s.add(100, 0, a0)
	written := len(s.log)
	if a := s.add(100, 0, a0); a.Code != message.OK || len(a.Codes) != 1 || len(s.log) != written {
		t.Errorf("what is there already is written again: %+v", a)
	}
	v := answer[*message.Enlisted](s, &message.Enlist{TransactionalID: "x", Producer: 100, Partitions: []message.NamedPartition{a0, a1}, VerifyOnly: true})
	if v.Code != message.OK || v.Codes[0] != message.OK || v.Codes[1] != message.TransactionAbortable {
		t.Errorf("%+v", v)
	}
}

// A marker is sent until it is taken, whatever is in the way; one for a partition that is gone is not needed.
func TestMarkersAreSentUntilTheyAreTaken(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0, a1, o0)
	s.end(100, 0, true, 2)
	if to := s.asked[0].To; to != message.CoordinatorAt(2, message.PartitionID{Topic: topicO}) {
		t.Errorf("the marker of committed offsets goes to %v", to)
	}
	if to := s.asked[1].To; to != message.PartitionAt(2, message.PartitionID{Topic: topicA}) {
		t.Errorf("a marker goes to %v", to)
	}
	for _, why := range []message.Code{message.NotLeaderOrFollower, message.KafkaStorageError, message.TransactionCoordinatorFenced} {
		if n := len(s.mark(why)); n != 3 {
			t.Fatalf("%d markers are sent", n)
		}
		s.pass(markPause)
	}
	lost := s.asked[2]
	s.asked = s.asked[:2]
	s.took(s.txns.Heard(s.now, lost.Ref, nil)) // nobody knows what became of it
	s.mark(message.OK)
	s.expect("PrepareCommit", 100, 1)
	s.know(0)
	s.pass(markPause)
	s.expect("CompleteCommit", 100, 1)
}

// Between the decision and its markers a coordinator may fail: the next one sends them (S99).
func TestMarkersAreSentBehindAFailover(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0, a1)
	s.end(100, 0, false, 2)
	s.begin()
	if marks := s.mark(message.OK); len(marks) != 2 || marks[0].Commit || marks[0].Epoch != 1 || marks[0].Version != 2 {
		t.Fatalf("%+v", marks)
	}
	s.expect("CompleteAbort", 100, 1)
	s.begin()
	s.expect("CompleteAbort", 100, 1)
	if len(s.asked) > 0 {
		t.Errorf("%+v", s.asked)
	}
}

// What is open for too long is aborted, and its producer fenced (S97, S126).
func TestWhoTakesTooLongIsFenced(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0)
	s.pass(time.Minute - time.Second)
	s.expect("Ongoing", 100, 0)
	s.begin() // with all of its time behind it
	s.pass(bounds.AbortCheck + time.Second)
	if marks := s.mark(message.OK); len(marks) != 1 || marks[0].Commit || marks[0].Epoch != 1 || marks[0].Version != 2 {
		t.Fatalf("%+v", marks)
	}
	s.expect("CompleteAbort", 100, 1)
	code(t, s.end(100, 0, true, 2).Code, message.InvalidTxnState)
	code(t, s.add(100, 0, a0).Code, message.ProducerFenced)
	code(t, s.bump(100, 0).Code, message.ProducerFenced)
}

// Ids that nobody uses are forgotten, those of open transactions are not (S97).
func TestIDsAreForgotten(t *testing.T) {
	s := newScene(t)
	s.init()
	s.pass(bounds.Retention + bounds.RetentionScan)
	code(t, s.described().Code, message.TransactionalIDNotFound)
	code(t, s.add(100, 0, a0).Code, message.InvalidProducerIDMapping)
	s.begin()
	code(t, s.described().Code, message.TransactionalIDNotFound)
}

// Lists are filtered by states, producers and how long something is open (S98).
func TestTransactionsAreListed(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0)
	answer[*message.ProducerInitiated](s, &message.InitProducer{TransactionalID: "y", Timeout: time.Minute, Producer: noID})
	s.now = s.now.Add(5 * time.Second)
	for _, c := range []struct {
		ask  message.ListTransactions
		want string
	}{
		{message.ListTransactions{Longer: -1}, "xy"},
		{message.ListTransactions{Longer: -1, States: []string{"Ongoing", "Dead"}}, "x"},
		{message.ListTransactions{Longer: -1, Producers: []int64{101}}, "y"},
		{message.ListTransactions{Longer: 6 * time.Second, States: []string{"Ongoing"}}, ""},
		{message.ListTransactions{Longer: 4 * time.Second, States: []string{"Ongoing"}}, "x"},
	} {
		got := ""
		for _, l := range answer[*message.TransactionsListed](s, &c.ask).Transactions {
			got += l.TransactionalID
		}
		if got != c.want {
			t.Errorf("%+v lists %q", c.ask, got)
		}
	}
}
