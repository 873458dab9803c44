package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

func (w *world) voters(at message.NodeID) []message.NodeID { return nodes(w.quorum(at).Voters) }

// A voter that lost its disk is another one: it learns, and votes when it has learnt; who it was is removed.
func TestAWipedVoterLearnsBeforeItVotes(t *testing.T) {
	w := three(t, controller.Options{SnapshotEntries: 4, SegmentBytes: 1 << 10})
	for i := range 10 {
		w.create(1, fmt.Sprint("T", i), 1)
	}
	wiped := w.image(1).Leader
	alive := others(wiped, 1, 2, 3)
	w.die(wiped)
	w.wipe(wiped)
	w.start(wiped)
	w.serving(wiped)
	w.run("it votes again, with its new directory", func() bool {
		q := w.quorum(alive[0])
		return len(q.Voters) == 3 && len(q.Observers) == 0 && slices.ContainsFunc(q.Voters, func(m message.QuorumMember) bool {
			return m.Node == wiped && m.DirectoryID == w.nodes[wiped].directory
		})
	})
	w.run("it knows all topics", func() bool { return w.image(wiped).TopicCount() == 10 })
	w.die(alive[0])
	w.create(alive[1], "U", 1)
	w.unhurt()
}

// The disk that was taken out comes back, when the quorum knows it no more: who has it registers, and is a member again.
func TestADiskThatWasReplacedComesBack(t *testing.T) {
	w := three(t, controller.Options{})
	w.pass(time.Second)
	node := others(w.image(1).Leader, 1, 2, 3)[0]
	witness := others(node, 1, 2, 3)[0]
	votes := func() bool {
		q := w.quorum(witness)
		return len(q.Voters) == 3 && len(q.Observers) == 0 && slices.ContainsFunc(q.Voters, func(m message.QuorumMember) bool {
			return m.Node == node && m.DirectoryID == w.nodes[node].directory
		})
	}
	w.die(node)
	files, directory := w.nodes[node].files, w.nodes[node].directory
	w.wipe(node)
	w.start(node)
	w.serving(node)
	w.run("the new disk votes", votes)
	w.create(node, "T", 1)
	w.die(node)
	w.nodes[node].files, w.nodes[node].directory = files, directory
	w.start(node)
	w.serving(node)
	w.run("the old disk votes", votes)
	if w.run("it knows what was made without it", func() bool { return w.image(node).Topic("T") != nil }); len(w.failures) > 0 {
		t.Fatal(w.failures)
	}
	w.unhurt()
}

// What a voter promised and took is gone with its disk: the others' words to it are not for who comes in its place. Here a committed
// topic is on one node of two alive, and the wiped one must not help the third, who lacks it, to lead.
func TestAWipedVoterDoesNotVoteTwice(t *testing.T) {
	w := three(t, controller.Options{})
	w.pass(time.Second)
	has := w.image(1).Leader
	rest := others(has, 1, 2, 3)
	wiped, lacks := rest[0], rest[1]
	w.die(lacks)
	w.create(has, "committed", 1)
	w.die(has)
	w.die(wiped)
	w.wipe(wiped)
	w.start(wiped, lacks)
	w.pass(20 * time.Second)
	if q := w.quorum(lacks); q.Leader != message.Nobody || w.image(lacks) != nil && w.image(lacks).Topic("committed") != nil {
		t.Fatalf("%+v", q)
	}
	w.start(has)
	w.serving(has, lacks, wiped)
	w.run("it is everywhere", func() bool {
		return w.image(has).Topic("committed") != nil && w.image(lacks).Topic("committed") != nil && w.image(wiped).Topic("committed") != nil
	})
	w.unhurt()
}

// Where a majority has lost its disks, nobody can lead, and that is said.
func TestAWipedMajorityIsToldSo(t *testing.T) {
	w := three(t, controller.Options{})
	w.pass(time.Second)
	for _, n := range []message.NodeID{1, 3} {
		w.die(n)
		w.wipe(n)
		w.start(n)
	}
	for _, n := range []message.NodeID{1, 3} {
		s := w.ask(message.BrokerAt(n), &message.AwaitServing{}).(*message.Serving)
		if s.Code != message.InconsistentVoterSet || !strings.Contains(s.Message, "of its 3 voters the nodes [1 3] have come back with empty disks") {
			t.Fatalf("node %d: %+v", n, s)
		}
	}
	if q := w.quorum(2); q.Leader != message.Nobody {
		t.Fatalf("%+v", q)
	}
}

func five(t *testing.T, joiners ...message.NodeID) *world {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1, 2, 3, 4, 5},
		Static: setting.NewValues(map[string]string{"controller.quorum.voter.timeout.ms": "5000"})})
	w.start(1, 2, 3, 4, 5)
	w.serving(1, 2, 3, 4, 5)
	for _, n := range joiners {
		w.join(n)
	}
	w.pass(2 * time.Second)
	return w
}

// A fifth voter that is dead keeps its vote, for want of anybody in its place; with a learner it loses it to that one, and gets none
// back while there is no room.
func TestADeadVoterOfFiveGivesItsVoteToALearner(t *testing.T) {
	for _, joiners := range [][]message.NodeID{nil, {6}} {
		w := five(t, joiners...)
		dead := others(w.image(1).Leader, 1, 2, 3, 4, 5)[0]
		witness := others(dead, 1, 2, 3, 4, 5)[0]
		w.die(dead)
		w.pass(4 * time.Second)
		if v := w.voters(witness); len(v) != 5 || !slices.Contains(v, dead) {
			t.Fatalf("after 4 s %d vote", v)
		}
		w.pass(4 * time.Second)
		v := w.voters(witness)
		if slices.Contains(v, dead) != (joiners == nil) || len(v) != 5 {
			t.Fatalf("with %d besides, %d is dead and %d vote", joiners, dead, v)
		}
		w.start(dead)
		w.serving(dead)
		w.pass(2 * time.Second)
		if again := w.voters(witness); !slices.Equal(again, v) {
			t.Fatalf("%d voted, and now %d", v, again)
		}
		w.unhurt()
	}
}

// Two dead of five are one too many to lose another: the three who are left vote alone, until the others are back.
func TestTwoDeadVotersOfFiveAreDoneWithout(t *testing.T) {
	w := five(t)
	rest := others(w.image(1).Leader, 1, 2, 3, 4, 5)
	w.die(rest[0])
	w.die(rest[1])
	w.run("three vote", func() bool { return len(w.voters(rest[2])) == 3 })
	w.die(rest[3])
	w.create(rest[2], "T", 1)
	w.start(rest[0], rest[1], rest[3])
	w.serving(rest[0], rest[1], rest[3])
	w.run("all vote", func() bool { return len(w.voters(rest[2])) == 5 })
	w.unhurt()
}

// A leader that hears nobody gives nobody's vote up: of what it proposes then the others learn when it is back, and count it. Here it would
// be the vote of the one that is left, when the third's is lost with its disk.
func TestALeaderThatHearsNobodyChangesNoVoters(t *testing.T) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1, 2, 3},
		Static: setting.NewValues(map[string]string{"controller.quorum.voter.timeout.ms": "1000"})})
	w.start(1, 2, 3)
	w.serving(1, 2, 3)
	w.pass(2 * time.Second)
	leader := w.image(1).Leader
	rest := others(leader, 1, 2, 3)
	whole, wiped := rest[0], rest[1]
	w.die(wiped)
	w.wipe(wiped)
	w.cut[leader] = true
	w.pass(3 * time.Second)
	w.cut[leader] = false
	w.die(leader)
	w.start(leader)
	w.serving(leader)
	w.start(wiped)
	w.serving(wiped)
	w.create(whole, "T", 1)
	w.run("all vote", func() bool { return len(w.voters(whole)) == 3 })
	w.unhurt()
}
