package controller_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func alone(t *testing.T, o controller.Options) *world {
	o.Contacts = []message.NodeID{1}
	w := newWorld(t, o)
	w.start(1)
	w.serving(1)
	return w
}

func (w *world) serving(ids ...message.NodeID) {
	w.t.Helper()
	for _, id := range ids {
		if s, ok := w.ask(message.BrokerAt(id), &message.AwaitServing{}).(*message.Serving); !ok || s.Code != message.OK {
			w.t.Fatal("no Serving")
		}
	}
}

func (w *world) create(at message.NodeID, name string, partitions int32) message.TopicCreated {
	w.t.Helper()
	a := w.ask(message.ControllerAt(at), &message.CreateTopics{Topics: []message.NewTopic{{Name: name, Partitions: partitions, Replication: 1}}})
	r := a.(*message.TopicsCreated).Results[0]
	if r.Code != message.OK {
		w.t.Fatalf("create %s: %+v", name, r)
	}
	return r
}

// TestATopicServesWhenItsCreationIsAnswered quotes S138: "Suites that do not retry pass always if the leader serves before
// CreateTopics answers."
func TestATopicServesWhenItsCreationIsAnswered(t *testing.T) {
	w := alone(t, controller.Options{})
	r := w.create(1, "T", 3)
	topic := w.image(1).Topic("T")
	if topic == nil || topic.ID != r.ID || len(topic.Partitions) != 3 {
		t.Fatalf("published: %+v", topic)
	}
	for i := range topic.Partitions {
		told := w.nodes[1].told[message.PartitionAt(1, topic.At(int32(i)))]
		if l, ok := told[0].(*message.Leadership); !ok || l.Leader != 1 || !l.Config.Fsync {
			t.Fatalf("partition %d was told %+v", i, told)
		}
	}
}

// S138: of two who bring the same topic about, the one that is refused finds it too, at whatever moment it comes.
func TestWhoIsToldThatATopicExistsFindsIt(t *testing.T) {
	w := alone(t, controller.Options{})
	for moment := range 40 {
		name := fmt.Sprint("T", moment)
		create := &message.CreateTopics{Topics: []message.NewTopic{{Name: name, Partitions: 1, Replication: 1}}}
		w.send(message.ControllerAt(1), create)
		for range moment {
			w.step()
		}
		second := w.send(message.ControllerAt(1), create)
		answered := func(l letter) bool { return l.answers == second && l.to.Kind == message.KindOther }
		w.run("the second answer", func() bool { return slices.ContainsFunc(w.queue, answered) }) // it may overtake what the broker is told
		if w.image(1).Topic(name) == nil {
			t.Fatalf("%d steps behind the first, the second is answered and finds no topic", moment)
		}
		w.idle()
	}
}

func TestWhatWasAnsweredOutlivesAPowerCut(t *testing.T) {
	w := alone(t, controller.Options{SnapshotEntries: 4, SegmentBytes: 1 << 10})
	cluster := w.image(1).Cluster
	var ids []message.TopicID
	for i := range 10 {
		ids = append(ids, w.create(1, fmt.Sprint("T", i), 2).ID)
		w.crash(1)
		w.start(1)
		w.serving(1)
		for n, id := range ids {
			topic := w.image(1).TopicByID(id)
			if topic == nil || topic.Name != fmt.Sprint("T", n) || topic.Partitions[0].LeaderEpoch != int32(i-n+1) {
				t.Fatalf("after crash %d: topic %d is %+v", i, n, topic)
			}
		}
	}
	if len(cluster) != 22 || w.image(1).Cluster != cluster {
		t.Fatalf("the cluster's id was %q and is %q", cluster, w.image(1).Cluster)
	}
}

// TestThePowerGoesAtAnyMoment: with the real disk actor and its journal, whatever step the power goes at, every topic that was
// answered is there, and none that was deleted.
func TestThePowerGoesAtAnyMoment(t *testing.T) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1}, SnapshotEntries: 7, SegmentBytes: 1 << 9})
	w.realDisk = true
	w.start(1)
	want := map[string]bool{}
	for round := range 60 {
		w.serving(1)
		for name, there := range want {
			if (w.image(1).Topic(name) != nil) != there {
				t.Fatalf("round %d: topic %s is there: %t", round, name, !there)
			}
		}
		name := fmt.Sprint("T", round)
		w.create(1, name, int32(1+round%3))
		want[name] = true
		if round%4 == 3 {
			gone := fmt.Sprint("T", round-2)
			w.ask(message.ControllerAt(1), &message.DeleteTopics{Topics: []message.TopicRef{{Name: gone}}})
			want[gone] = false
		}
		w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: "perhaps" + name, Partitions: 1, Replication: 1}}})
		for range w.chance.IntN(40) {
			w.step()
		}
		w.crash(1)
		w.start(1)
		for range w.chance.IntN(round + 1) {
			w.step()
		}
		w.crash(1)
		w.start(1)
	}
	w.unhurt()
}

func TestNothingIsAnsweredBeforeItIsDurable(t *testing.T) {
	w := alone(t, controller.Options{})
	w.idle()
	n := w.nodes[1]
	n.unsynced = true
	var asked []any
	for i := range 3 {
		asked = append(asked, w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: fmt.Sprint("T", i), Partitions: 1, Replication: 1}}}))
	}
	before := len(w.answers)
	w.idle()
	if len(w.answers) != before || w.image(1).TopicCount() != 0 {
		t.Fatal("an unsynced topic was answered or published")
	}
	if len(n.held) != 3 {
		t.Fatalf("%d commits are under way, not one for each of %d requests at once", len(n.held), len(asked))
	}
	n.unsynced = false
	w.queue = append(w.queue, n.held...)
	w.idle()
	if len(w.answers) != before+3 || w.image(1).TopicCount() != 3 {
		t.Fatalf("%d answers, %d topics", len(w.answers)-before, w.image(1).TopicCount())
	}
}

func TestConfigsAndDeletionReachThePartitions(t *testing.T) {
	w := alone(t, controller.Options{})
	id := w.create(1, "T", 1).ID
	at := message.PartitionAt(1, message.PartitionID{Topic: id})
	alter := func(r message.Resource, name, value string) {
		w.ask(message.ControllerAt(1), &message.AlterConfigs{Resources: []message.AlterResource{{Resource: r, Ops: []message.ConfigOp{{Name: name, Value: &value}}}}})
	}
	last := func() any { told := w.nodes[1].told[at]; return told[len(told)-1] }
	alter(message.Resource{Kind: message.ResourceBroker}, "message.max.bytes", "777")
	if l := last().(*message.Leadership); l.Config.MaxMessageBytes != 777 {
		t.Fatalf("told %+v", l)
	}
	alter(message.Resource{Kind: message.ResourceTopic, Name: "T"}, "max.message.bytes", "888")
	if l := last().(*message.Leadership); l.Config.MaxMessageBytes != 888 {
		t.Fatalf("told %+v", l)
	}
	heard := len(w.nodes[1].told[at])
	w.create(1, "U", 1)
	if len(w.nodes[1].told[at]) != heard {
		t.Fatalf("another topic's creation told %+v", last())
	}
	w.ask(message.ControllerAt(1), &message.DeleteTopics{Topics: []message.TopicRef{{Name: "T"}}})
	if _, ok := last().(*message.Deleted); !ok {
		t.Fatalf("told %+v", last())
	}
}

func TestADeletedTopicsDirectoryGoesWithItsLastReplica(t *testing.T) {
	w := alone(t, controller.Options{})
	id := w.create(1, "T", 3).ID
	if err := w.nodes[1].files.MkdirAll("topics/" + id.String()); err != nil {
		t.Fatal(err)
	}
	w.ask(message.ControllerAt(1), &message.DeleteTopics{Topics: []message.TopicRef{{Name: "T"}}})
	w.idle()
	if left, _ := w.nodes[1].files.List("topics"); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

// TestABrokerThatFailedTakesItsPartitionsOver: they live on, and hear what they may have missed.
func TestABrokerThatFailedTakesItsPartitionsOver(t *testing.T) {
	w := alone(t, controller.Options{})
	id := w.create(1, "T", 1).ID
	at := message.PartitionAt(1, message.PartitionID{Topic: id})
	before := len(w.nodes[1].told[at])
	w.spawn(message.BrokerAt(1), w.broker(w.nodes[1]))
	w.serving(1)
	w.idle()
	told := w.nodes[1].told[at]
	if l, ok := told[len(told)-1].(*message.Leadership); !ok || len(told) == before || l.LeaderEpoch != 1 {
		t.Fatalf("told %+v", told)
	}
}

func TestABrokerWaitsForItsController(t *testing.T) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1}})
	w.start(1)
	at := message.ControllerAt(1)
	away := w.nodes[1].actors[at]
	w.nodes[1].actors[at] = nil
	id := w.send(message.BrokerAt(1), &message.NewProducerID{})
	w.idle()
	w.spawn(at, away)
	w.run("the answer", func() bool { return w.answers[id] != nil })
	if a := w.answers[id].(*message.ProducerID); a.Code != message.OK {
		t.Fatalf("%+v", a)
	}
	w.serving(1)
}

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	w := alone(t, controller.Options{})
	seen := map[int64]bool{}
	for life := range 3 {
		for range 1500 {
			a := w.ask(message.BrokerAt(1), &message.NewProducerID{}).(*message.ProducerID)
			if a.Code != message.OK || seen[a.ID] {
				t.Fatalf("life %d: %+v", life, a)
			}
			seen[a.ID] = true
		}
		w.crash(1)
		w.start(1)
	}
}

// TestOnlyWhatIsKnownToBeDeletedIsRemoved: garbage is what the metadata names as deleted, nothing else.
func TestOnlyWhatIsKnownToBeDeletedIsRemoved(t *testing.T) {
	w := alone(t, controller.Options{})
	kept, dead := w.create(1, "kept", 1).ID, w.create(1, "dead", 1).ID
	w.ask(message.ControllerAt(1), &message.DeleteTopics{Topics: []message.TopicRef{{Name: "dead"}}})
	files := w.nodes[1].files
	unknown := message.TopicID{9}
	for _, id := range []message.TopicID{kept, dead, unknown} {
		if err := files.MkdirAll("topics/" + id.String() + "/0"); err != nil {
			t.Fatal(err)
		}
	}
	w.start(1)
	w.serving(1)
	w.idle()
	got, _ := files.List("topics")
	want := []string{kept.String(), unknown.String()}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("topics are %v, want %v", got, want)
	}
	settled := slices.ContainsFunc(w.nodes[1].disk, func(m any) bool {
		s, ok := m.(*message.Settled)
		return ok && slices.Equal(s.Partitions, []message.PartitionID{{Topic: kept}})
	})
	if !settled {
		t.Fatalf("the disk heard %v", w.nodes[1].disk)
	}
}

// What is left of a replica that went elsewhere while its node was down is garbage too; of a partition that nobody has heard of it is not.
func TestAReplicaThatWentElsewhereMeanwhileIsRemoved(t *testing.T) {
	w := three(t, controller.Options{})
	down := others(w.image(1).Leader, 1, 2, 3)[0]
	rest := others(down, 1, 2, 3)
	id := w.ask(message.ControllerAt(rest[0]), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: -1, Replication: -1,
		Assignment: []message.Assignment{{Partition: 0, Replicas: rest}, {Partition: 1, Replicas: []message.NodeID{down, rest[0]}}}}}}).(*message.TopicsCreated).Results[0].ID
	w.die(down)
	files := w.nodes[down].files
	for _, name := range []string{"0", "1", "2", "01", "x"} {
		if err := files.MkdirAll("topics/" + id.String() + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	w.start(down)
	w.serving(down)
	w.pass(time.Second)
	told := func(index int32) []any {
		return w.nodes[down].told[message.PartitionAt(down, message.PartitionID{Topic: id, Index: index})]
	}
	if gone, ok := last(told(0)).(*message.Deleted); !ok || !gone.Elsewhere {
		t.Errorf("the one that is elsewhere heard %+v", told(0))
	}
	if _, gone := last(told(1)).(*message.Deleted); gone || len(told(1)) == 0 {
		t.Errorf("the one that is here heard %+v", told(1))
	}
	if len(told(2)) > 0 || strings.Count(w.logs.String(), "it is left alone") != 3 {
		t.Errorf("one that nobody knows heard %+v, and the log has %s", told(2), w.logs.String())
	}
	w.unhurt()
}

func last(of []any) any {
	if len(of) == 0 {
		return nil
	}
	return of[len(of)-1]
}

func TestTheQuorumDescribesItself(t *testing.T) {
	w := alone(t, controller.Options{})
	q := w.ask(message.ControllerAt(1), &message.DescribeQuorum{}).(*message.QuorumDescribed)
	if q.Leader != 1 || q.Term < 2 || q.HighWatermark != w.image(1).Index+1 || len(q.Voters) != 1 || q.Voters[0].LogEnd != q.HighWatermark {
		t.Fatalf("%+v, image at %d", q, w.image(1).Index)
	}
}

func TestASoleVoterNeedsNoClock(t *testing.T) {
	w := alone(t, controller.Options{})
	w.create(1, "T", 1)
	w.idle()
	for _, set := range w.timers {
		if set.letter.to == message.ControllerAt(1) {
			t.Fatalf("a timer is set: %+v", set.letter.msg)
		}
	}
}

func TestThreeVoters(t *testing.T) {
	o := controller.Options{Contacts: []message.NodeID{1, 2, 3}, SnapshotEntries: 6, SegmentBytes: 1 << 10}
	w := newWorld(t, o)
	w.start(1, 2, 3)
	w.serving(1, 2, 3)
	for i := range 4 {
		w.create(message.NodeID(1+i%3), fmt.Sprint("T", i), 1)
	}
	leader := w.image(1).Leader
	other := 1 + leader%3
	w.run("all know all topics", func() bool {
		return w.image(1).TopicCount() == 4 && w.image(2).TopicCount() == 4 && w.image(3).TopicCount() == 4
	})

	// The leader's power goes: the others go on, and far enough that it needs a snapshot.
	w.crash(leader)
	w.run("another leader", func() bool { return w.image(other).Leader != leader && w.image(other).Leader != message.Nobody })
	for i := range 20 {
		w.create(other, fmt.Sprint("U", i), 1)
	}
	w.start(leader)
	w.serving(leader)
	w.run("it has caught up", func() bool { return w.image(leader).TopicCount() == 24 })
	w.unhurt()
}

// unhurt fails the test if an actor has failed.
func (w *world) unhurt() {
	w.t.Helper()
	if len(w.failures) > 0 {
		w.t.Fatalf("failures: %v", w.failures)
	}
}

// TestWhatALonelyLeaderProposedIsDecidedAnew: its entry is overwritten by the new leader's, cut from its log, and the
// request gets an answer all the same.
func TestWhatALonelyLeaderProposedIsDecidedAnew(t *testing.T) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1, 2, 3}})
	w.start(1, 2, 3)
	w.serving(1, 2, 3)
	lonely := w.image(1).Leader
	other := 1 + lonely%3
	w.run("all know", func() bool { return w.image(other).Leader == lonely })
	w.cut[lonely] = true
	id := w.send(message.ControllerAt(lonely), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: 1, Replication: 1}}})
	w.run("another leader", func() bool { return w.image(other).Leader != lonely && w.image(other).Leader != message.Nobody })
	taken := w.create(other, "T", 1)
	if w.answers[id] != nil {
		t.Fatalf("a leader without a quorum answered %+v", w.answers[id])
	}
	delete(w.cut, lonely)
	w.run("the answer", func() bool { return w.answers[id] != nil })
	if r := w.answers[id].(*message.TopicsCreated).Results[0]; r.Code != message.TopicAlreadyExists {
		t.Fatalf("answered %+v", r)
	}
	if w.image(lonely).Topic("T").ID != taken.ID {
		t.Fatalf("the lonely one knows %+v", w.image(lonely).Topic("T"))
	}
	w.crash(lonely)
	w.start(lonely)
	w.serving(lonely)
	w.unhurt()
}

func TestAFullDiskDelaysAndForgetsNothing(t *testing.T) {
	w := alone(t, controller.Options{})
	w.idle()
	w.nodes[1].files.SetCapacity(1)
	id := w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: 1, Replication: 1}}})
	w.idle()
	if w.answers[id] != nil {
		t.Fatalf("answered %+v", w.answers[id])
	}
	w.nodes[1].files.SetCapacity(1 << 30)
	w.run("the answer", func() bool { return w.answers[id] != nil })
	if w.image(1).Topic("T") == nil {
		t.Fatal("T is not there")
	}
	w.unhurt()
}

// A full disk is tried often and logged seldom: when it begins, once a minute, and when it is over.
func TestAFullDiskIsLoggedSeldom(t *testing.T) {
	w := alone(t, controller.Options{})
	w.idle()
	w.nodes[1].files.SetCapacity(1)
	id := w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: 1, Replication: 1}}})
	logged := func(begun, over int) {
		t.Helper()
		text := w.logs.String()
		if n, m := strings.Count(text, "the disk takes nothing"), strings.Count(text, "the disk takes the metadata log again"); n != begun || m != over {
			t.Fatalf("logged %d and %d times, want %d and %d:\n%s", n, m, begun, over, text)
		}
	}
	began := w.now
	w.run("half a minute", func() bool { return w.now.Sub(began) > 30*time.Second })
	logged(1, 0)
	w.run("a minute", func() bool { return w.now.Sub(began) > 61*time.Second })
	logged(2, 0)
	w.nodes[1].files.SetCapacity(1 << 30)
	w.run("the answer", func() bool { return w.answers[id] != nil })
	logged(2, 1)
	w.unhurt()
}

func TestAFailedSyncIsNotBelieved(t *testing.T) {
	w := alone(t, controller.Options{})
	w.idle()
	w.create(1, "T", 1)
	n := w.nodes[1]
	n.unsynced = true
	w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: "U", Partitions: 1, Replication: 1}}})
	w.idle()
	n.unsynced = false
	held := n.held[0].msg.(*message.Synced)
	w.queue = append(w.queue, letter{to: message.ControllerAt(1), msg: &message.Unsynced{Incarnation: held.Incarnation, Err: errors.New("EIO")}})
	w.idle()
	w.queue = append(w.queue, n.held[0]) // of the instance that failed
	w.create(1, "V", 1)
	if len(w.failures) != 1 || w.image(1).Topic("T") == nil {
		t.Fatalf("failures %v", w.failures)
	}
}

func TestWhatANewerProgramWroteIsRefused(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	if err := snapshot.Save(files, "metadata/snapshot", 2, []byte("?")); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1}})
	w.nodes[1].files = files
	w.start(1)
	for len(w.failures) == 0 && w.step() {
	}
	if len(w.failures) == 0 || !strings.Contains(w.failures[0].Error(), "newer program") {
		t.Fatalf("failures: %v", w.failures)
	}
}
