package txn

import (
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// A new transactional id gets a producer id of its own and epoch 0; each new instance the next epoch (S88, S89).
func TestEachInstanceHasAnEpoch(t *testing.T) {
	s := newScene(t)
	for epoch := range int16(3) {
		if a := s.init(); a.Code != message.OK || a.Producer != 100 || a.Epoch != epoch {
			t.Fatalf("%+v", a)
		}
		s.begin()
	}
	s.expect("Empty", 100, 2)
}

// A time-out that is none, or longer than the broker allows, is refused (S88, S127).
func TestTimeoutsAreBounded(t *testing.T) {
	s := newScene(t)
	for _, d := range []time.Duration{0, -time.Second, bounds.TimeoutMax + time.Millisecond} {
		code(t, answer[*message.ProducerInitiated](s, &message.InitProducer{TransactionalID: "x", Timeout: d, Producer: noID}).Code, message.InvalidTransactionTimeout)
	}
}

// Where there are no producer ids nobody gets one, and it may be tried again.
func TestWithoutIDsTheClientComesAgain(t *testing.T) {
	s := newScene(t)
	s.noIDs = true
	code(t, answer[*message.Uncoordinated](s, &message.InitProducer{TransactionalID: "x", Timeout: time.Minute, Producer: noID}).Code, message.CoordinatorNotAvailable)
	s.noIDs = false
	if a := s.init(); a.Code != message.OK || a.Epoch != 0 {
		t.Fatalf("%+v", a)
	}
}

// An open transaction is aborted before another instance gets its epoch, and its producer is fenced at once (S89).
func TestAnotherInstanceFencesAndAborts(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0, o0)
	code(t, s.init().Code, message.ConcurrentTransactions)
	code(t, s.add(100, 0, a1).Code, message.ConcurrentTransactions)
	code(t, s.init().Code, message.ConcurrentTransactions)
	marks := s.mark(message.OK)
	if len(marks) != 2 || marks[0].Commit || marks[0].Epoch != 1 || marks[0].CoordinatorEpoch != 5 {
		t.Fatalf("%+v", marks)
	}
	code(t, s.add(100, 0, a1).Code, message.ProducerFenced)
	if a := s.init(); a.Code != message.OK || a.Epoch != 2 {
		t.Fatalf("%+v", a)
	}
	code(t, s.bump(100, 0).Code, message.ProducerFenced)
}

// A producer may have its epoch raised, and ask again for what it was given; an older one is fenced (S90, KIP-360).
func TestAnEpochIsRaisedOnce(t *testing.T) {
	s := newScene(t)
	s.init()
	for range 2 {
		if a := s.bump(100, 0); a.Code != message.OK || a.Epoch != 1 {
			t.Fatalf("%+v", a)
		}
	}
	if a := s.bump(100, 1); a.Code != message.OK || a.Epoch != 2 {
		t.Fatalf("%+v", a)
	}
	code(t, s.bump(100, 0).Code, message.ProducerFenced)
	code(t, s.bump(99, 2).Code, message.ProducerFenced)
}

// Who raises its epoch while its transaction is open has it aborted, and gets the epoch that did it.
func TestWhoRaisesItsEpochIsNotFencedByItself(t *testing.T) {
	s := newScene(t)
	s.init()
	s.add(100, 0, a0)
	code(t, s.bump(100, 0).Code, message.ConcurrentTransactions)
	s.mark(message.OK)
	if a := s.bump(100, 0); a.Code != message.OK || a.Producer != 100 || a.Epoch != 1 {
		t.Fatalf("%+v", a)
	}
}

// A stale instance that raises its epoch does not end the transaction of the one that has fenced it.
func TestAStaleInstanceAbortsNothing(t *testing.T) {
	s := newScene(t)
	s.init()
	s.init()
	s.add(100, 1, a0)
	code(t, s.bump(100, 0).Code, message.ProducerFenced)
	s.expect("Ongoing", 100, 1)
}

// When the epochs of an id are used up there is another id; who has not heard of it may ask again (S90).
func TestEpochsThatAreUsedUp(t *testing.T) {
	s := newScene(t)
	s.init()
	s.wear()
	for range 2 {
		if a := s.bump(100, math.MaxInt16-1); a.Code != message.OK || a.Producer != 101 || a.Epoch != 0 {
			t.Fatalf("%+v", a)
		}
	}
	code(t, s.bump(100, 7).Code, message.ProducerFenced)
	s.wear()
	if a := s.init(); a.Code != message.OK || a.Producer != 102 || a.Epoch != 0 {
		t.Fatalf("%+v", a)
	}
}

// Fencing takes the epoch that is kept for it, which nobody is given.
func TestTheLastEpochOnlyFences(t *testing.T) {
	s := newScene(t)
	s.init()
	s.wear()
	s.add(100, math.MaxInt16-1, a0)
	code(t, s.init().Code, message.ConcurrentTransactions)
	if marks := s.mark(message.OK); len(marks) != 1 || marks[0].Epoch != math.MaxInt16 {
		t.Fatalf("%+v", marks)
	}
	code(t, s.end(100, math.MaxInt16-1, false, 2).Code, message.ProducerFenced)
	if a := s.init(); a.Code != message.OK || a.Producer != 101 || a.Epoch != 0 {
		t.Fatalf("%+v", a)
	}
}
