package controller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// three starts three voters.
func three(t *testing.T, o controller.Options) *world {
	o.Contacts = []message.NodeID{1, 2, 3}
	w := newWorld(t, o)
	w.start(1, 2, 3)
	w.serving(1, 2, 3)
	w.run("all know each other", func() bool {
		return w.image(1).BrokerCount() == 3 && w.image(2).BrokerCount() == 3 && w.image(3).BrokerCount() == 3
	})
	return w
}

// others are those who are not named.
func others(not message.NodeID, of ...message.NodeID) []message.NodeID {
	return slices.DeleteFunc(of, func(n message.NodeID) bool { return n == not })
}

// die takes a node's power, and everybody's connections to it.
func (w *world) die(id message.NodeID) {
	w.crash(id)
	w.down(id)
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	w.run(fmt.Sprint(d), func() bool { return !w.now.Before(end) })
}

func (w *world) quorum(at message.NodeID) *message.QuorumDescribed {
	w.t.Helper()
	return w.ask(message.ControllerAt(at), &message.DescribeQuorum{}).(*message.QuorumDescribed)
}

func nodes(members []message.QuorumMember) (ids []message.NodeID) {
	for _, m := range members {
		ids = append(ids, m.Node)
	}
	return ids
}

// Whoever asks, at whatever node: what was answered to have been made is found there (S138).
func TestWhatAnotherNodeDecidedIsHereWhenItIsAnswered(t *testing.T) {
	w := three(t, controller.Options{})
	for i := range 30 {
		at := message.NodeID(1 + i%3)
		name := fmt.Sprint("T", i)
		w.create(at, name, 1)
		if w.image(at).Topic(name) == nil {
			t.Fatalf("node %d answered that %s is there and does not have it; %d leads", at, name, w.image(at).Leader)
		}
	}
	w.unhurt()
}

// A process that dies loses its connections: nobody waits for the silence to have lasted.
func TestADeadLeaderIsReplacedAndFencedInHalfASecond(t *testing.T) {
	for range 10 {
		w := three(t, controller.Options{})
		w.pass(3 * time.Second)
		dead := w.image(1).Leader
		rest := others(dead, 1, 2, 3)
		died := w.now
		w.die(dead)
		w.run("another leader, and the dead broker fenced", func() bool {
			i := w.image(rest[0])
			return i.Leader != dead && i.Leader != message.Nobody && !i.Alive(dead)
		})
		if took := w.now.Sub(died); took > 600*time.Millisecond {
			t.Fatalf("that took %v", took)
		}
		w.start(dead)
		w.serving(dead)
		w.run("it is back", func() bool { return w.image(rest[0]).Alive(dead) && w.image(dead).Alive(dead) })
		w.unhurt()
	}
}

// askDeposed cuts a leader off and asks it. Another one makes the topic T meanwhile, and nothing may be answered before that is heard of.
func (w *world) askDeposed(t *testing.T, old message.NodeID, question any) any {
	t.Helper()
	rest := others(old, 1, 2, 3)
	w.cut = map[message.NodeID]bool{old: true}
	id := w.send(message.ControllerAt(old), question)
	w.run("another leader", func() bool { l := w.image(rest[0]).Leader; return l != old && l != message.Nobody })
	w.create(rest[0], "T", 1)
	if w.answers[id] != nil {
		t.Fatalf("a leader that cannot know has answered %+v", w.answers[id])
	}
	w.cut = nil
	w.run("an answer", func() bool { return w.answers[id] != nil })
	return w.answers[id]
}

// A leader that nobody hears, and that has not noticed, knows nothing of what was made since: it must not say that it is not there.
func TestADeposedLeaderDeniesNothing(t *testing.T) {
	w := three(t, controller.Options{})
	old := w.image(1).Leader
	answer := w.askDeposed(t, old, &message.DeleteTopics{Topics: []message.TopicRef{{Name: "T"}}})
	if a := answer.(*message.TopicsDeleted); a.Results[0].Code != message.OK {
		t.Fatalf("%+v", a.Results[0])
	}
}

// Nor does it confirm, to those of its own node, that they know of everything, before they do.
func TestADeposedLeaderConfirmsNothing(t *testing.T) {
	w := three(t, controller.Options{})
	old := w.image(1).Leader
	rest := others(old, 1, 2, 3)
	confirmed := func(at message.NodeID) bool {
		_, ok := w.ask(message.ControllerAt(at), &message.Confirm{}).(*message.Confirmed)
		return ok
	}
	if !confirmed(old) || !confirmed(rest[0]) {
		t.Fatal("it is not confirmed what everybody knows")
	}
	w.askDeposed(t, old, &message.Confirm{})
	if w.image(old).Topic("T") == nil {
		t.Fatal("it was answered before the topic was there")
	}
}

// What it had proposed may be committed by its successor. That proves nothing of the time after, in which it still decided.
func TestADeposedLeadersProposalProvesNothing(t *testing.T) {
	w := three(t, controller.Options{})
	old := w.image(1).Leader
	rest := others(old, 1, 2, 3)
	w.lose = func(l letter) bool {
		return l.to.Node == old && l.from.Address.Kind == message.KindController && l.from.Address.Node != old
	}
	w.send(message.ControllerAt(old), &message.CreateTopics{Topics: []message.NewTopic{{Name: "S", Partitions: 1, Replication: 1}}})
	w.idle()
	w.lose, w.cut = nil, map[message.NodeID]bool{old: true}
	for _, n := range rest {
		w.queue = append(w.queue, letter{to: message.ControllerAt(n), msg: &stage.Gone{Address: message.ControllerAt(old)}})
	}
	w.run("another leader", func() bool { l := w.image(rest[0]).Leader; return l != old && l != message.Nobody })
	w.create(rest[0], "T", 1)
	id := w.send(message.ControllerAt(old), &message.DeleteTopics{Topics: []message.TopicRef{{Name: "T"}}})
	w.idle()
	w.cut = nil
	w.run("an answer", func() bool { return w.answers[id] != nil })
	if a := w.answers[id].(*message.TopicsDeleted); a.Results[0].Code != message.OK {
		t.Fatalf("%+v", a.Results[0])
	}
}

// A request that was passed to a node that led, and which comes there when the asker's own node leads, goes back: kept there it would be
// carried out when that node leads again, long after its asker has gone.
func TestWhatTheLeaderPassedOnGoesBackToIt(t *testing.T) {
	w := three(t, controller.Options{})
	leader := w.image(1).Leader
	w.asked++
	id := w.asked
	w.queue = append(w.queue, letter{to: message.ControllerAt(others(leader, 1, 2, 3)[0]), msg: &message.DeleteTopics{Topics: []message.TopicRef{{Name: "T"}}},
		from: stage.Caller{Address: message.Address{Node: leader, Kind: message.KindOther}, Request: id}})
	w.run("an answer", func() bool { return w.answers[id] != nil })
	if _, back := w.answers[id].(*message.NotLeading); !back {
		t.Fatalf("%+v", w.answers[id])
	}
	w.unhurt()
}

// A connection that is lost between a follower and the leader topples nobody: the others hear the leader still.
func TestALostConnectionTopplesNobody(t *testing.T) {
	w := three(t, controller.Options{})
	w.pass(3 * time.Second)
	leader, term := w.image(1).Leader, w.quorum(1).Term
	follower := others(leader, 1, 2, 3)[0]
	for range 5 {
		w.down(follower)
		w.pass(time.Second)
	}
	if q := w.quorum(leader); q.Leader != leader || q.Term != term {
		t.Fatalf("%d led in term %d, and now %d in %d", leader, term, q.Leader, q.Term)
	}
	if !w.image(leader).Alive(follower) {
		t.Fatal("a broker that is heard again was fenced")
	}
	w.unhurt()
}

// A node beats as often as it was told to from its registration on, and not only when it knows its topics: else it were fenced at once.
func TestARegisteredNodeBeatsAsOftenAsItWasTold(t *testing.T) {
	w := three(t, controller.Options{Static: setting.NewValues(map[string]string{"broker.heartbeat.interval.ms": "50", "broker.session.timeout.ms": "300"})})
	leader := w.image(1).Leader
	again := others(leader, 1, 2, 3)[0]
	w.die(again)
	w.run("it is fenced", func() bool { return !w.image(leader).Alive(again) })
	behind := false // it hears that it is registered before its own image says so
	w.lose = func(l letter) bool {
		switch l.msg.(type) {
		case *message.RegisterBroker:
			behind = true
		case *message.BrokerAlive:
			behind = false
		case *message.Raft:
			return behind && l.to.Node == again
		}
		return false
	}
	w.start(again)
	w.run("it is back", func() bool { return w.image(leader).Alive(again) })
	w.lose = nil
	for range 40 {
		if w.pass(50 * time.Millisecond); !w.image(leader).Alive(again) {
			t.Fatal("it is fenced again")
		}
	}
	w.unhurt()
}

// A broker that is silent for broker.session.timeout.ms is fenced, by whatever leader, and serves nothing from then on.
func TestASilentBrokerIsFencedAndServesNothing(t *testing.T) {
	w := three(t, controller.Options{Static: setting.NewValues(map[string]string{"broker.session.timeout.ms": "4000"})})
	leader := w.image(1).Leader
	silent := others(leader, 1, 2, 3)[0]
	r := w.ask(message.ControllerAt(leader), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: -1, Replication: -1,
		Assignment: []message.Assignment{{Replicas: []message.NodeID{silent}}}}}}).(*message.TopicsCreated).Results[0]
	at := message.PartitionAt(silent, message.PartitionID{Topic: r.ID})
	w.run("the partition is led", func() bool { return w.last(at) == silent })

	w.nodes[silent].actors[message.BrokerAt(silent)] = nil // its controller lives, so that no connection is lost
	quiet := w.now
	w.run("it is fenced", func() bool { return !w.image(leader).Alive(silent) })
	if took := w.now.Sub(quiet); took < 3*time.Second || took > 5*time.Second {
		t.Fatalf("it was fenced after %v", took)
	}
	if p := w.image(leader).Topic("T").Partition(0); p.Leader != message.Nobody {
		t.Fatalf("%d leads", p.Leader)
	}
	w.spawn(message.BrokerAt(silent), w.broker(w.nodes[silent]))
	w.run("it is back and leads", func() bool { return w.image(leader).Alive(silent) && w.last(at) == silent })
	w.unhurt()
}

// last is the leader that a partition heard of last.
func (w *world) last(at message.Address) message.NodeID {
	told := w.nodes[at.Node].told[at]
	for _, m := range slices.Backward(told) {
		if l, ok := m.(*message.Leadership); ok {
			return l.Leader
		}
	}
	return message.Nobody
}

func TestAFencedBrokersPartitionsHearThatNobodyLeads(t *testing.T) {
	w := three(t, controller.Options{})
	leader := w.image(1).Leader
	lost := others(leader, 1, 2, 3)[0]
	r := w.ask(message.ControllerAt(leader), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: -1, Replication: -1,
		Assignment: []message.Assignment{{Replicas: []message.NodeID{leader, lost}}}}}}).(*message.TopicsCreated).Results[0]
	at := message.PartitionAt(lost, message.PartitionID{Topic: r.ID})
	w.run("the follower knows its leader", func() bool { return w.last(at) == leader })
	w.cut[lost] = true
	w.down(lost)
	w.run("it is fenced", func() bool { return !w.image(leader).Alive(lost) })
	delete(w.cut, lost)
	heard := len(w.nodes[lost].told[at])
	w.run("it is back", func() bool { return w.image(lost).Alive(lost) && w.image(leader).Alive(lost) && w.last(at) == leader })
	nobody := slices.ContainsFunc(w.nodes[lost].told[at][heard:], func(m any) bool {
		l, ok := m.(*message.Leadership)
		return ok && l.Leader == message.Nobody
	})
	if !nobody {
		t.Fatalf("it heard %+v", w.nodes[lost].told[at][heard:])
	}
	w.unhurt()
}

// A node that stops in good order is relieved of what it leads before it does.
func TestWhoWithdrawsLeadsNothingAnyMore(t *testing.T) {
	w := three(t, controller.Options{})
	leaving := w.image(1).Leader
	other := others(leaving, 1, 2, 3)[0]
	w.ask(message.ControllerAt(leaving), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: -1, Replication: -1,
		Assignment: []message.Assignment{{Replicas: []message.NodeID{leaving, other}}}}}})
	asked := w.now
	if _, ok := w.ask(message.BrokerAt(leaving), &message.Withdraw{}).(*message.Withdrawn); !ok || w.now.Sub(asked) > time.Second {
		t.Fatalf("after %v", w.now.Sub(asked))
	}
	if p := w.image(leaving).Topic("T").Partition(0); p.Leader != other || p.InSync(leaving) {
		t.Fatalf("%+v", p)
	}
	w.unhurt()
}

// Leadership goes back to the preferred replica when that is in sync again.
func TestLeadershipGoesBack(t *testing.T) {
	w := three(t, controller.Options{Static: setting.NewValues(map[string]string{"leader.imbalance.check.interval.seconds": "5"})})
	leader := w.image(1).Leader
	preferred := others(leader, 1, 2, 3)[0]
	id := w.ask(message.ControllerAt(leader), &message.CreateTopics{Topics: []message.NewTopic{{Name: "T", Partitions: -1, Replication: -1,
		Assignment: []message.Assignment{{Replicas: []message.NodeID{preferred, leader}}}}}}).(*message.TopicsCreated).Results[0].ID
	w.die(preferred)
	w.run("the other leads", func() bool { return w.image(leader).Topic("T").Partition(0).Leader == leader })
	w.start(preferred)
	w.serving(preferred)
	p := w.image(leader).Topic("T").Partition(0)
	w.ask(message.BrokerAt(leader), &message.AlterPartition{Partitions: []message.NewISR{{Partition: message.PartitionID{Topic: id},
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: []message.NodeID{preferred, leader}}}})
	w.run("it leads again", func() bool { return w.image(preferred).Topic("T").Partition(0).Leader == preferred })
	w.unhurt()
}

func TestWhoIsAloneWithdrawsAtOnce(t *testing.T) {
	w := alone(t, controller.Options{})
	w.idle()
	id := w.send(message.BrokerAt(1), &message.Withdraw{})
	w.idle()
	if _, ok := w.answers[id].(*message.Withdrawn); !ok || len(w.timers) > 1 { // the first housekeeping
		t.Fatalf("answered %+v, timers %+v", w.answers[id], w.timers)
	}
}

// join starts a node that is not among the founders.
func (w *world) join(id message.NodeID) {
	w.nodes[id] = newNode(id)
	w.start(id)
	w.serving(id)
}

// A node that joins learns and, once it has caught up, votes; of more than five the rest only learn.
func TestNodesJoinAndVote(t *testing.T) {
	w := alone(t, controller.Options{SnapshotEntries: 4, SegmentBytes: 1 << 10})
	for i := range 10 {
		w.create(1, fmt.Sprint("T", i), 1)
	}
	for id := message.NodeID(2); id <= 7; id++ {
		w.join(id)
		if w.image(id).TopicCount() != 10 {
			t.Fatalf("node %d knows %d topics", id, w.image(id).TopicCount())
		}
		w.run("it belongs to the quorum", func() bool {
			q := w.quorum(id)
			return len(q.Voters) == min(int(id), 5) && len(q.Voters)+len(q.Observers) == int(id)
		})
	}
	w.run("all elect", func() bool { return w.quorum(7).Leader != message.Nobody })
	w.die(1)
	w.run("another leads", func() bool { l := w.image(7).Leader; return l != 1 && l != message.Nobody })
	w.create(7, "U", 1)
	w.start(1)
	w.serving(1)
	w.run("the first knows it too", func() bool { return w.image(1).Topic("U") != nil })
	if q := w.quorum(1); !slices.Equal(nodes(q.Voters), []message.NodeID{1, 2, 3, 4, 5}) || !slices.Equal(nodes(q.Observers), []message.NodeID{6, 7}) {
		t.Fatalf("%+v", q)
	}
	w.unhurt()
}

// The founder, started again, must not believe that it still votes alone: with what only it had it would contradict the others.
func TestAFounderRemembersWhoVotesWithIt(t *testing.T) {
	w := alone(t, controller.Options{})
	w.join(2)
	w.join(3)
	w.run("three vote", func() bool { return len(w.quorum(1).Voters) == 3 })
	w.crash(2)
	w.crash(3)
	w.send(message.ControllerAt(1), &message.CreateTopics{Topics: []message.NewTopic{{Name: "lonely", Partitions: 1, Replication: 1}}})
	w.idle()
	w.crash(1)
	w.start(1)
	w.pass(20 * time.Second)
	if i := w.image(1); i != nil && i.Topic("lonely") != nil {
		t.Fatal("one of three voters decided alone")
	}
	w.crash(1)
	w.start(2, 3)
	w.serving(2, 3)
	w.create(2, "T", 1)
	w.start(1)
	w.serving(1)
	w.run("the first has caught up", func() bool { return w.image(1).Topic("T") != nil && w.image(1).Topic("lonely") == nil })
	w.unhurt()
}

func TestWhoIsUnregisteredVotesNoMore(t *testing.T) {
	w := three(t, controller.Options{})
	w.pass(time.Second)
	dead := others(w.image(1).Leader, 1, 2, 3)[0]
	alive := others(dead, 1, 2, 3)
	refused := w.ask(message.ControllerAt(alive[1]), &message.UnregisterBroker{Node: dead}).(*message.Results)
	if refused.Problems[0].Code == message.OK || len(w.quorum(alive[0]).Voters) != 3 {
		t.Fatalf("a broker that lives: %+v", refused.Problems)
	}
	w.die(dead)
	w.run("it is fenced", func() bool { return !w.image(alive[0]).Alive(dead) })
	done := w.ask(message.ControllerAt(alive[1]), &message.UnregisterBroker{Node: dead}).(*message.Results)
	if done.Problems[0].Code != message.OK || w.image(alive[1]).Broker(dead) != nil {
		t.Fatalf("%+v", done.Problems)
	}
	if q := w.quorum(alive[0]); !slices.Equal(nodes(q.Voters), alive) || len(q.Observers) != 0 {
		t.Fatalf("%+v", q)
	}
	w.unhurt()
}

func TestAnotherClustersDataIsRefused(t *testing.T) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1}, Cluster: "AAAAAAAAAAAAAAAAAAAAAA"})
	w.start(1)
	w.serving(1)
	if id := w.image(1).Cluster; id != "AAAAAAAAAAAAAAAAAAAAAA" {
		t.Fatalf("the cluster is %s", id)
	}
	w.crash(1)
	w.opts.Cluster = "BBBBBBBBBBBBBBBBBBBBBB"
	w.start(1)
	for len(w.failures) == 0 && w.step() {
	}
	if len(w.failures) == 0 || !strings.Contains(w.failures[0].Error(), "is of the cluster AAAAAAAAAAAAAAAAAAAAAA") {
		t.Fatalf("failures: %v", w.failures)
	}
}

// A snapshot that is lost on its way is sent again.
func TestALostSnapshotIsSentAgain(t *testing.T) {
	w := three(t, controller.Options{SnapshotEntries: 4, SegmentBytes: 1 << 10})
	behind := others(w.image(1).Leader, 1, 2, 3)[0]
	other := others(behind, 1, 2, 3)[0]
	w.crash(behind)
	for i := range 20 {
		w.create(other, fmt.Sprint("T", i), 1)
	}
	w.start(behind)
	w.lose = func(l letter) bool {
		m, ok := l.msg.(*message.Raft)
		return ok && l.to.Node == behind && l.from.Request != 0 && len(m.Message) > 0
	}
	w.run("a snapshot is lost", func() bool { return w.lost > 0 })
	w.lose = nil
	w.down(behind)
	w.run("it has caught up", func() bool { i := w.image(behind); return i != nil && i.TopicCount() == 20 })
	w.unhurt()
}

// TestNothingAnsweredIsLost: three nodes with real disks, whose power goes, whose connections are cut and restored at any
// moment. What was answered is there in the end, and all images are equal.
func TestNothingAnsweredIsLost(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	w := newWorld(t, controller.Options{Contacts: []message.NodeID{1, 2, 3}, SnapshotEntries: 5, SegmentBytes: 1 << 9})
	w.chance = rand.New(rand.NewPCG(seed, 1))
	w.realDisk = true
	w.start(1, 2, 3)
	asked := map[string]any{}
	for round := range 40 {
		n := message.NodeID(1 + w.chance.IntN(3))
		switch w.chance.IntN(6) {
		case 0:
			w.die(n)
			w.start(n)
		case 1:
			w.cut[n] = true
			if w.chance.IntN(2) == 0 {
				w.down(n)
			}
		case 2, 3:
			clear(w.cut)
		}
		for range w.chance.IntN(4) {
			name := fmt.Sprintf("T%d-%d", round, len(asked))
			asked[name] = w.send(message.ControllerAt(message.NodeID(1+w.chance.IntN(3))),
				&message.CreateTopics{Topics: []message.NewTopic{{Name: name, Partitions: 1, Replication: 1}}})
		}
		for range w.chance.IntN(300) {
			if !w.step() {
				w.wait()
			}
		}
	}
	clear(w.cut)
	w.serving(1, 2, 3)
	w.create(1, "last", 1)
	w.run("all images are equal", func() bool {
		return w.image(1).Index == w.image(2).Index && w.image(2).Index == w.image(3).Index && w.image(1).Topic("last") != nil
	})
	made := 0
	for name, id := range asked {
		a, _ := w.answers[id.(requestID)].(*message.TopicsCreated)
		if a == nil || a.Results[0].Code != message.OK {
			continue
		}
		made++
		for n := range w.nodes {
			if topic := w.image(n).Topic(name); topic == nil || topic.ID != a.Results[0].ID {
				t.Fatalf("%s was answered, and node %d does not have it", name, n)
			}
		}
	}
	for n := range w.nodes {
		if one, other := records(w, 1), records(w, n); one != other {
			t.Fatalf("at index %d nodes 1 and %d differ:\n%s\n%s", w.image(1).Index, n, one, other)
		}
	}
	w.unhurt()
	t.Logf("%d of %d topics were answered, index %d", made, len(asked), w.image(1).Index)
}

func records(w *world, n message.NodeID) string {
	return string(message.EncodeMetadata(w.image(n).Records()))
}

// A node that is heard, and whose disk does not take what the controller decides, knows behind half a session that its metadata is old: others
// may lead what it led.
func TestANodeThatFallsBehindKnowsIt(t *testing.T) {
	w := three(t, controller.Options{Static: setting.NewValues(map[string]string{"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500"})})
	w.pass(time.Second)
	slow := others(w.image(1).Leader, 1, 2, 3)[0]
	rest := others(slow, 1, 2, 3)
	n := w.nodes[slow]
	n.unsynced = true
	w.create(rest[0], "T", 1)
	w.pass(time.Second)
	if w.image(slow).Topic("T") != nil || w.image(slow).Stale {
		t.Fatalf("a moment behind: %+v", w.image(slow))
	}
	w.pass(3 * time.Second)
	if b := w.image(rest[0]).Broker(slow); b.Fenced || !w.image(slow).Stale || w.image(rest[0]).Stale {
		t.Fatalf("it is fenced: %v; it knows: %v", b.Fenced, w.image(slow).Stale)
	}
	n.unsynced = false
	w.queue = append(w.queue, n.held...)
	w.run("it has caught up, and knows", func() bool { return w.image(slow).Topic("T") != nil && !w.image(slow).Stale })
	w.unhurt()
}
