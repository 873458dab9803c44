package txn

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// markPatience is how long a partition may take to write a marker, and markPause how long one rests that it could not write.
const (
	markPatience = 10 * time.Second
	markPause    = 100 * time.Millisecond
)

// marking is a marker on its way to a partition.
type marking struct {
	id       string
	producer int64
	epoch    int16
	part     message.NamedPartition
}

// tell has every partition of an ending transaction told.
func (t *Transactions) tell(now time.Time, x *transaction) {
	for _, p := range slices.Clone(x.parts) {
		t.send(now, x, p)
	}
	t.complete(now, x)
}

// send sends a partition its marker. One that is gone needs none.
func (t *Transactions) send(now time.Time, x *transaction, p message.NamedPartition) {
	ref := marking{x.id, x.producer, x.epoch, p}
	topic := t.image.Topic(p.Topic)
	if topic == nil || topic.Partition(p.Index) == nil {
		x.exclude(p)
		return
	}
	leader := topic.Partition(p.Index).Leader
	if leader == message.Nobody {
		t.later(now, ref)
		return
	}
	t.out.Asks = append(t.out.Asks, brain.Ask{Ref: ref, To: seat(topic, leader, p.Index), Patience: markPatience, Word: &message.Mark{
		Producer: x.producer, Epoch: x.epoch, CoordinatorEpoch: t.place.Epoch, Commit: x.state == prepareCommit, Version: x.version}})
}

// seat is who writes the marker: where offsets are kept, the coordinator that has to know.
func seat(topic *image.Topic, leader message.NodeID, index int32) message.Address {
	if topic.Name == message.GroupsTopic {
		return message.CoordinatorAt(leader, topic.At(index))
	}
	return message.PartitionAt(leader, topic.At(index))
}

func (t *Transactions) later(now time.Time, ref marking) {
	t.failed = append(t.failed, ref)
	if t.again.IsZero() {
		t.again = now.Add(markPause)
	}
}

// marked is a partition's word on a marker. Whatever it is that was in the way, the marker is sent until it is taken.
func (t *Transactions) marked(now time.Time, ref marking, answer any) {
	x := t.awaits(ref)
	if x == nil {
		return
	}
	if m, _ := answer.(*message.Marked); m == nil || m.Code != message.OK {
		t.later(now, ref)
		return
	}
	x.exclude(ref.part)
	if planted.Is(planted.OneMarkerEnough) {
		x.parts = nil
	}
	t.complete(now, x)
}

// awaits is the transaction that waits for a marker; nil if none does.
func (t *Transactions) awaits(ref marking) *transaction {
	x := t.named[ref.id]
	if x == nil || !x.state.ending() || x.producer != ref.producer || x.epoch != ref.epoch || !x.has(ref.part) {
		return nil
	}
	return x
}

// resend sends markers again that were not taken.
func (t *Transactions) resend(now time.Time) {
	failed := t.failed
	t.failed, t.again = nil, time.Time{}
	for _, ref := range failed {
		if x := t.awaits(ref); x != nil {
			t.send(now, x, ref.part)
			t.complete(now, x)
		}
	}
}

// complete ends a transaction of which nobody has to be told any more; false if somebody has.
func (t *Transactions) complete(now time.Time, x *transaction) bool {
	if len(x.parts) > 0 || !x.state.ending() {
		return false
	}
	if x.next != noID {
		x.previous, x.producer, x.epoch, x.next = x.producer, x.next, 0, noID
	}
	t.turn(x, x.state+completeCommit-prepareCommit)
	x.parts = nil
	t.write(now, x)
	return true
}
