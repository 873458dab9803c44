package partition

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// verifying makes a house whose partition asks the coordinator of transactions, which node 2 is.
func verifying(h *house, o *message.Leadership) {
	o.Config.VerifyTransactions = true
	id := message.TopicID{8}
	img, _, err := image.Empty().Apply(1, &message.TopicRecord{Name: message.TransactionsTopic, ID: id, Internal: true},
		&message.PartitionRecord{Partition: message.PartitionID{Topic: id}, Leader: 2, Replicas: []message.NodeID{2}, ISR: []message.NodeID{2}})
	if err != nil {
		panic(err)
	}
	h.image = img
}

// inTransaction is a batch of a transaction of producer 7.
func inTransaction(n int, sequence int32, v2 bool) *message.Append {
	return epochal(n, 7, 0, sequence, v2)
}

func epochal(n int, producer int64, epoch int16, sequence int32, v2 bool) *message.Append {
	b := record.NewBuilder(0)
	for range n {
		b.Add(noon.UnixMilli(), []byte("key"), []byte("value"))
	}
	b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.Flags = producer, epoch, sequence, record.Transactional
	built, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return &message.Append{Batch: built, Acks: -1, MaxTimestamp: noon.UnixMilli(), FromClient: true, Verified: v2, TransactionalID: "mine"}
}

// says answers the last question to the coordinator.
func (h *house) says(code message.Code) {
	h.t.Helper()
	if len(h.enlists) == 0 {
		h.t.Fatal("the coordinator was not asked")
	}
	h.mail = append(h.mail, letter{what: &message.Enlisted{Code: code}, answers: h.enlists[len(h.enlists)-1].id})
	h.run()
}

func (h *house) appended(id stage.RequestID, code message.Code, base int64) {
	h.t.Helper()
	if a := told[*message.Appended](h, id); a.Code != code || a.BaseOffset != base {
		h.t.Errorf("request %d: %+v", id, a)
	}
}

func (h *house) marked(id stage.RequestID, code message.Code, offset int64) {
	h.t.Helper()
	if a := told[*message.Marked](h, id); a.Code != code || a.Offset != offset {
		h.t.Errorf("request %d: %+v", id, a)
	}
}

func (h *house) stable(want int64) {
	h.t.Helper()
	if b := h.bounds(); b.LastStable != want {
		h.t.Errorf("the last stable offset is %d, not %d: %+v", b.LastStable, want, b)
	}
}

func (h *house) aborted(want ...message.Aborted) {
	h.t.Helper()
	b := h.bounds()
	found, err := h.published.(message.View).Aborted(b.LogStart, b.LastStable)
	if err != nil || !slices.Equal(found, want) {
		h.t.Errorf("aborted is %+v, not %+v: %v", found, want, err)
	}
}

// S92: a partition asks before the first batch of a transaction, whether it is in it or to be taken in; once; what the producer sends
// meanwhile waits in its order, and what others send does not.
func TestATransactionBeginsWhenItsCoordinatorSaysSo(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		h := raise(t, verifying)
		first, second, third := h.ask(inTransaction(2, 0, v2)), h.ask(inTransaction(1, 2, v2)), h.ask(inTransaction(1, 3, v2))
		other := h.ask(batch(1, 9, 0))
		want := message.Enlist{TransactionalID: "mine", Producer: 7, Partitions: []message.NamedPartition{{Topic: "t", Index: 3}}, VerifyOnly: !v2}
		if got := h.enlists; len(got) != 1 || got[0].Producer != want.Producer || got[0].TransactionalID != want.TransactionalID || got[0].VerifyOnly != want.VerifyOnly ||
			!slices.Equal(got[0].Partitions, want.Partitions) || got[0].to.Node != 2 || got[0].to.Kind != message.KindCoordinator {
			t.Fatalf("%+v", got)
		}
		h.sync()
		h.appended(other, message.OK, 0)
		h.says(message.OK)
		h.sync()
		h.appended(first, message.OK, 1)
		h.appended(second, message.OK, 3)
		h.appended(third, message.OK, 4)
		h.stable(1)
		retry := h.ask(inTransaction(2, 0, v2))
		h.appended(retry, message.OK, 1)
		if len(h.enlists) != 1 {
			t.Errorf("it was asked %d times", len(h.enlists))
		}
	}
}

// S91, S92: what a producer is told where its coordinator says no.
func TestATransactionThatIsNone(t *testing.T) {
	for _, c := range []struct {
		v2       bool
		says     message.Code
		told     message.Code
		verified string
	}{
		{false, message.InvalidTxnState, message.InvalidTxnState, ""},
		{false, message.TransactionAbortable, message.TransactionAbortable, ""},
		{true, message.TransactionAbortable, message.TransactionAbortable, ""},
		{true, message.ProducerFenced, message.InvalidProducerEpoch, ""},
		{true, message.InvalidProducerIDMapping, message.InvalidProducerIDMapping, ""},
		{false, message.CoordinatorLoadInProgress, message.NotEnoughReplicas, ""},
		{true, message.NotCoordinator, message.NotEnoughReplicas, ""},
	} {
		h := raise(t, verifying)
		first, second := h.ask(inTransaction(1, 0, c.v2)), h.ask(inTransaction(1, 1, c.v2))
		h.says(c.says)
		h.appended(first, c.told, -1)
		h.appended(second, c.told, -1)
		if h.me.(*Partition).log.End() != 0 || h.me.(*Partition).enlistings != nil {
			t.Errorf("%+v: something stays", c)
		}
	}
}

// S92: internally retrying 51 for ≤100 ms.
func TestConcurrentTransactionsAreWaitedForAWhile(t *testing.T) {
	h := raise(t, verifying)
	id := h.ask(inTransaction(1, 0, true))
	h.says(message.ConcurrentTransactions)
	h.unanswered(id)
	h.pass(20 * time.Millisecond)
	if len(h.enlists) != 2 {
		t.Fatalf("it was asked %d times", len(h.enlists))
	}
	h.pass(90 * time.Millisecond)
	h.says(message.ConcurrentTransactions)
	h.appended(id, message.ConcurrentTransactions, -1)

	id = h.ask(inTransaction(1, 0, false))
	h.says(message.ConcurrentTransactions)
	h.pass(20 * time.Millisecond)
	h.says(message.OK)
	h.sync()
	h.appended(id, message.OK, 0)
}

// A coordinator that is gone, or that nobody knows, is no reason for an error that ends the transaction.
func TestACoordinatorThatDoesNotAnswer(t *testing.T) {
	h := raise(t, verifying)
	id := h.ask(inTransaction(1, 0, true))
	h.mail = append(h.mail, letter{what: &stage.Down{}, answers: h.enlists[0].id})
	h.run()
	h.appended(id, message.NotEnoughReplicas, -1)
	h.image = nil
	id = h.ask(inTransaction(1, 0, true))
	h.appended(id, message.NotEnoughReplicas, -1)
}

// What waits for a coordinator is not left behind by a leader that is one no more.
func TestWhatWaitsForACoordinatorIsToldOfAnotherLeader(t *testing.T) {
	h := raise(t, verifying)
	id := h.ask(inTransaction(1, 0, true))
	o := office()
	o.Leader, o.LeaderEpoch, o.Replicas = 2, 6, []message.NodeID{1, 2}
	h.send(o)
	h.appended(id, message.NotLeaderOrFollower, -1)
	h.says(message.OK) // too late
}

// KIP-890: a batch that comes after its transaction has ended begins no other, though the coordinator has said yes before.
func TestAMarkerMakesTheCoordinatorsWordStale(t *testing.T) {
	h := raise(t, verifying)
	id := h.ask(inTransaction(1, 0, false))
	mark := h.ask(&message.Mark{Producer: 7, Version: 1})
	h.sync()
	h.marked(mark, message.OK, 0)
	h.says(message.OK)
	h.unanswered(id)
	h.says(message.InvalidTxnState)
	h.appended(id, message.InvalidTxnState, -1)
}

// transaction.partition.verification.enable=false: only who adds partitions through the broker has it asked.
func TestVerificationCanBeSwitchedOff(t *testing.T) {
	h := raise(t, verifying, func(_ *house, o *message.Leadership) { o.Config.VerifyTransactions = false })
	id := h.ask(inTransaction(1, 0, false))
	h.sync()
	h.appended(id, message.OK, 0)
	h.ask(epochal(1, 8, 0, 0, true))
	if len(h.enlists) != 1 || h.enlists[0].VerifyOnly {
		t.Errorf("%+v", h.enlists)
	}
}

// S95: Markers are control batches; LSO moves after the marker.
func TestMarkersEndTransactions(t *testing.T) {
	h := raise(t)
	h.ask(inTransaction(2, 0, false))
	h.ask(plain(1))
	h.sync()
	h.stable(0)
	parked := h.ask(&message.Await{HighWatermark: 3, LeaderEpoch: 5})
	mark := h.ask(&message.Mark{Producer: 7, Epoch: 1, Version: 2, CoordinatorEpoch: 3})
	h.unanswered(mark)
	h.stable(0)
	again := h.ask(&message.Mark{Producer: 7, Epoch: 1, Version: 2, CoordinatorEpoch: 3})
	h.unanswered(again)
	h.unanswered(parked)
	h.sync()
	h.marked(mark, message.OK, 3)
	h.marked(again, message.OK, -1)
	told[*message.Progressed](h, parked)
	h.stable(4)
	h.aborted(message.Aborted{Producer: 7, First: 0, Last: 3, Stable: 4})
	if h.me.(*Partition).log.End() != 4 {
		t.Error("a marker that is there was written again")
	}
	old := h.ask(&message.Mark{Producer: 7, Epoch: 0, Version: 2, CoordinatorEpoch: 3})
	h.marked(old, message.InvalidProducerEpoch, -1)
	zombie := h.ask(&message.Mark{Producer: 7, Epoch: 2, Version: 2, CoordinatorEpoch: 2})
	h.marked(zombie, message.TransactionCoordinatorFenced, -1)
	d := told[*message.ProducersDescribed](h, h.ask(&message.DescribeProducers{}))
	if want := (message.ProducerState{ID: 7, Epoch: 1, LastSequence: -1, LastTimestamp: d.Producers[0].LastTimestamp, CoordinatorEpoch: 3, TxnStart: -1}); d.Producers[0] != want {
		t.Errorf("%+v", d.Producers)
	}
}

// What is open and what was aborted survives a clean end, a kill and a loss of power, in journal or not.
func TestTransactionsSurviveARestart(t *testing.T) {
	for name, end := range map[string]func(h *house){
		"clean": func(h *house) { h.send(&stage.Stopping{}) },
		"kill":  func(h *house) { h.fs = h.fs.Keep() },
	} {
		h := raise(t)
		h.ask(inTransaction(1, 0, false))
		h.ask(epochal(1, 8, 0, 0, false))
		h.ask(&message.Mark{Producer: 8, Epoch: 0, Version: 1})
		h.ask(plain(1))
		h.sync()
		h.stable(0)
		end(h)
		h.again(message.Recovered{RecoveryPoint: 0})
		h.ask(&message.Await{HighWatermark: -1})
		h.sync()
		if h.stable(0); t.Failed() {
			t.Fatal(name)
		}
		mark := h.ask(&message.Mark{Producer: 7, Epoch: 0, Version: 1, Commit: true})
		h.sync()
		h.marked(mark, message.OK, 4)
		h.stable(5)
		h.aborted(message.Aborted{Producer: 8, First: 1, Last: 2, Stable: 0})
	}
}

// The journal has a marker that the files have lost, and their index of aborted transactions with it.
func TestAMarkerFromTheJournalIsInTheIndexAgain(t *testing.T) {
	h := raise(t)
	h.ask(epochal(2, 8, 0, 0, false))
	h.ask(&message.Mark{Producer: 8, Epoch: 0, Version: 1})
	var redo []message.Redo
	for _, m := range h.commits() {
		redo = append(redo, message.Redo{LeaderEpoch: m.LeaderEpoch, Base: m.Base, Batch: slices.Clone(m.Batch)})
	}
	h.fs = vfs.Memory(vfs.MemoryOptions{})
	h.again(message.Recovered{Entries: redo})
	h.ask(&message.Await{HighWatermark: -1})
	h.stable(3)
	h.aborted(message.Aborted{Producer: 8, First: 0, Last: 2, Stable: 3})
}

// KIP-392: a follower knows from its own log what is stable.
func TestAFollowerKnowsWhatIsStable(t *testing.T) {
	leader := raise(t)
	leader.ask(inTransaction(2, 0, false))
	leader.ask(&message.Mark{Producer: 7, Epoch: 0, Version: 1})
	leader.ask(epochal(1, 8, 0, 0, false))
	leader.sync()
	raw, err := read(leader.published.(message.View), 0, 4, 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	h := raise(t, func(_ *house, o *message.Leadership) { o.Leader, o.Replicas = 2, []message.NodeID{1, 2} })
	p := h.me.(*Partition)
	pulled := func(high int64, raw []byte) {
		h.mail = append(h.mail, letter{what: &message.Pulled{LeaderEpoch: 5, HighWatermark: high, DivergingEpoch: -1, Batches: raw}, answers: p.follow.asked})
		h.run()
		h.sync()
	}
	pulled(2, raw)
	h.stable(0)
	pulled(4, nil)
	h.stable(3)
	h.aborted(message.Aborted{Producer: 7, First: 0, Last: 2, Stable: 3})
}

// Damage that hides a marker leaves its transaction open, in the eyes of who has to read the log anew, until another replica has mended it.
func TestAMarkerThatWasDamagedEndsItsTransactionWhenItIsMended(t *testing.T) {
	w := newCluster(t, 7, 2)
	defer w.close()
	at := message.PartitionAt(1, here)
	first := inTransaction(1, 0, false)
	size := len(first.Batch)
	for _, what := range []any{first, &message.Mark{Producer: 7, Version: 1, Commit: true}, plain(1)} {
		w.nodes[0].stage.Ask(at, what, time.Minute, func(any) {})
		w.world.RunFor(time.Second)
	}
	m := w.nodes[1]
	stable := func() int64 {
		m.stage.Ask(message.PartitionAt(2, here), &message.Await{HighWatermark: -1}, time.Minute, func(any) {})
		w.world.RunFor(20 * time.Millisecond)
		v, ok := m.stage.Published(message.PartitionAt(2, here)).(message.View)
		if !ok {
			return -1
		}
		return v.Bounds().LastStable
	}
	if got := stable(); got != 3 {
		t.Fatalf("the last stable offset is %d", got)
	}
	w.kill(m)
	if err := m.files.Rot(dir(here)+"/00000000000000000000.log", int64(size)+70, 3); err != nil {
		t.Fatal(err)
	}
	_ = m.files.Remove(dir(here) + "/" + pictureName)
	w.back(m)
	w.nodes[0].stage.Ask(at, plain(1), time.Minute, func(any) {})
	w.world.RunFor(5 * time.Second)
	p := m.stage.Actor(message.PartitionAt(2, here)).(*Partition)
	if got := stable(); got != 4 || p.blind || len(p.mending.damaged) > 0 {
		t.Errorf("the last stable offset is %d, blind %v, damaged %v", got, p.blind, p.mending.damaged)
	}
}
