package group

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// heart is a heartbeat that may be held.
func heart(id string, generation int32, how message.Holding) *message.GroupHeartbeat {
	return &message.GroupHeartbeat{Group: "g", Member: id, Generation: generation, Holding: how}
}

func (s *scene) waits(n Caller) {
	s.t.Helper()
	if a := s.answers[n]; a != nil {
		s.t.Fatalf("question %d is answered with %+v, and there is no news", n, a)
	}
}

func (s *scene) told(n Caller, code message.Code) {
	s.t.Helper()
	if a := answered[*message.GroupBeat](s, n); a.Code != code {
		s.t.Fatalf("question %d is answered with code %d and not %d", n, a.Code, code)
	}
}

func TestAHeartbeatIsHeldUntilThereIsNews(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	first, second := s.ask(heart(ids[0], 1, message.Held)), s.ask(heart(ids[1], 1, message.Held))
	s.pass(time.Second)
	s.waits(first)
	s.ask(join(""))
	s.told(first, message.RebalanceInProgress)
	s.told(second, message.RebalanceInProgress)
}

func TestAHeldHeartbeatHearsThatSomebodyHasLeft(t *testing.T) {
	s := newScene(t)
	ids := s.gather(3)
	held := s.ask(heart(ids[0], 1, message.Held))
	s.ask(&message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[2]}}})
	s.told(held, message.RebalanceInProgress)
}

func TestAHeldHeartbeatHearsThatSomebodyIsDead(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	s.pass(9 * time.Second)
	s.told(s.ask(heart(ids[0], 1, message.Unheld)), message.OK)
	held := s.ask(heart(ids[0], 1, message.Held))
	s.pass(1500 * time.Millisecond) // the other's session of 10 s is over
	s.told(held, message.RebalanceInProgress)
}

func TestWhoIsRemovedWhileHeldIsTold(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	held := s.ask(heart(ids[0], 1, message.Held))
	s.ask(&message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[0]}}})
	s.told(held, message.UnknownMemberID)
}

// A third of the session is for the wait, or what the group's settings say; whoever rests after an answer waits for three times that.
func TestAHoldEndsInTime(t *testing.T) {
	for _, c := range []struct {
		how     message.Holding
		session time.Duration
		want    time.Duration
	}{{message.Held, 10 * time.Second, 2900 * time.Millisecond}, {message.Held, 6 * time.Second, 2 * time.Second},
		{message.HeldResting, 45 * time.Second, 5800 * time.Millisecond}, {message.HeldResting, 6 * time.Second, 2 * time.Second}} {
		s := newScene(t)
		j := join("")
		j.Session = c.session
		one := s.ask(j)
		s.pass(2 * bounds.InitialDelay)
		id := answered[*message.GroupJoined](s, one).Member
		s.ask(&message.SyncGroup{Group: "g", Member: id, Generation: 1})
		held := s.ask(heart(id, 1, c.how))
		s.pass(c.want - time.Millisecond)
		s.waits(held)
		s.pass(time.Millisecond)
		s.told(held, message.OK)
	}
}

// The session begins when a held heartbeat is answered: until then its client has nothing to answer for.
func TestASessionBeginsWithTheAnswer(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	s.ask(heart(ids[0], 1, message.Held))
	s.pass(2900*time.Millisecond + 9*time.Second)
	if s.state() != "Stable" {
		t.Fatal(s.state())
	}
	s.pass(2 * time.Second)
	if s.state() != "Empty" {
		t.Fatal(s.state())
	}
}

// Who is held and gone dies when it would have died without: its session began when it asked.
func TestALostConnectionKeepsNobodyAlive(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	s.ask(heart(ids[0], 1, message.Held))
	s.pass(time.Second)
	s.ask(&message.AnswerHeartbeat{Group: "g", Member: ids[0], Lost: true})
	s.pass(8900 * time.Millisecond)
	if s.state() != "Stable" {
		t.Fatal(s.state())
	}
	s.pass(200 * time.Millisecond)
	if s.state() != "Empty" {
		t.Fatal(s.state())
	}
}

// A client that hangs up while it is held may be one that waits for less: it is held for half as long.
func TestAnImpatientClientIsHeldForLess(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	s.ask(heart(ids[0], 1, message.Held))
	s.pass(2 * time.Second)
	s.ask(&message.AnswerHeartbeat{Group: "g", Member: ids[0], Lost: true})
	held := s.ask(heart(ids[0], 1, message.Held))
	s.pass(1449 * time.Millisecond)
	s.waits(held)
	s.pass(time.Millisecond)
	s.told(held, message.OK)
}

func TestANextRequestEndsAHold(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	held := s.ask(heart(ids[0], 1, message.Held))
	s.ask(&message.AnswerHeartbeat{Group: "g", Member: ids[0]})
	s.told(held, message.OK)
	old := s.ask(heart(ids[0], 1, message.Held))
	s.waits(s.ask(heart(ids[0], 1, message.Held))) // on another connection
	s.told(old, message.OK)
}

// Members that rest between two heartbeats are answered together, so that they rest together: who has news finds all of them or waits once.
func TestWhoRestsRestsTogether(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	first := s.ask(heart(ids[0], 1, message.HeldResting))
	s.pass(time.Second)
	second := s.ask(heart(ids[1], 1, message.HeldResting))
	s.pass(bounds.SessionMin) // a third of the session of 10 s is 3.3 s
	s.waits(first)
	s.pass(1400 * time.Millisecond)
	s.told(first, message.OK)
	s.told(second, message.OK)
}

func TestAHoldOfNothingIsAnAnswer(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	s.told(s.ask(heart(ids[0], 1, message.Unheld)), message.OK)
	s.told(s.ask(heart(ids[0], 7, message.Held)), message.IllegalGeneration)
}

// Where another node may coordinate by now nobody is told that there is no news.
func TestWhoIsHeldIsAbandonedInDoubt(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	one, two := s.ask(heart(ids[0], 1, message.Held)), s.ask(heart(ids[1], 1, message.Held))
	if all := s.groups.Abandon(); len(all) != 2 || all[0] != one || all[1] != two {
		t.Fatal(all)
	}
	s.pass(5 * time.Second)
	s.waits(one)
}

// By KIP-848.

func (c *consumerNow) waitingBeat(how message.Holding) Caller {
	return c.s.ask(&message.ConsumerHeartbeat{Group: "g", Member: c.id, Epoch: c.epoch, Rebalance: -1, Holding: how})
}

func TestAMemberIsHeldUntilItIsAssignedAnew(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a := s.consumer("a", "t")
	held := a.waitingBeat(message.Held)
	s.pass(time.Second)
	s.waits(held)
	s.consumer("b", "t")
	told := answered[*message.ConsumerBeat](s, held)
	if !told.Assigned || len(told.Assignment) != 2 || told.Interval != 5*time.Second {
		t.Fatalf("%+v", told)
	}
	a.epoch = told.Epoch
	if now := answered[*message.ConsumerBeat](s, a.waitingBeat(message.Held)); now.Interval != 5*time.Second { // it has to give something up: nothing is to wait behind
		t.Fatalf("%+v", now)
	}
}

func TestWhoWaitsForAPartitionIsToldWhenItIsFree(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	b := s.consumer("b", "t")
	held := b.waitingBeat(message.Held)
	s.waits(held)
	told := answered[*message.ConsumerBeat](s, a.waitingBeat(message.Held))
	a.epoch = told.Epoch
	s.waits(held)
	s.ask(&message.ConsumerHeartbeat{Group: "g", Member: "a", Epoch: a.epoch, Rebalance: -1, Owned: told.Assignment})
	if now := answered[*message.ConsumerBeat](s, held); len(now.Assignment) != 1 {
		t.Fatalf("%+v", now)
	}
}

// What it said when it asked may not be so any more when it is told: it may have taken up what it was given before.
func TestWhatAHeldMemberHasSaidIsNotBelieved(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	held := s.ask(&message.ConsumerHeartbeat{Group: "g", Member: "a", Epoch: a.epoch, Rebalance: -1, Owned: []message.PartitionID{}, Holding: message.Held})
	s.waits(held)
	b := s.consumer("b", "t")
	if len(b.owned) != 0 {
		t.Fatalf("it is given %v before the other has given it up", b.owned)
	}
}

// librdkafka gives an answer as long as its interval, and Java's consumer spins from then on.
func TestAHoldIsShorterThanTheIntervalThatWasTold(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	held := a.waitingBeat(message.Held)
	s.pass(4499 * time.Millisecond)
	s.waits(held)
	s.pass(time.Millisecond)
	if told := answered[*message.ConsumerBeat](s, held); told.Interval != 5*time.Second || told.Assigned {
		t.Fatalf("%+v", told)
	}
}

func TestWhoRestsIsToldToComeAgainAtOnce(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	held := a.waitingBeat(message.HeldResting)
	s.pass(4900 * time.Millisecond)
	if told := answered[*message.ConsumerBeat](s, held); told.Interval != 100*time.Millisecond {
		t.Fatalf("%+v", told)
	}
}

// Java's consumer waits at its end for every answer, and a static one, or one of Kafka Streams, says nothing that would end a hold.
func TestWhoGoesWithoutAWordIsNotHeld(t *testing.T) {
	s := newScene(t)
	j := join("")
	j.Instance = "i"
	one := s.ask(j)
	s.pass(2 * bounds.InitialDelay)
	id := answered[*message.GroupJoined](s, one).Member
	s.ask(&message.SyncGroup{Group: "g", Member: id, Generation: 1})
	s.told(s.ask(heart(id, 1, message.Held)), message.OK)

	s = newScene(t)
	one = s.ask(join("", "stream"))
	s.pass(2 * bounds.InitialDelay)
	id = answered[*message.GroupJoined](s, one).Member
	s.ask(&message.SyncGroup{Group: "g", Member: id, Generation: 1})
	s.told(s.ask(heart(id, 1, message.Held)), message.OK)
}
