package kafka

import (
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

func reassignmentsOf(partitions ...kmsg.AlterPartitionAssignmentsRequestTopicPartition) *kmsg.AlterPartitionAssignmentsRequest {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t", Partitions: partitions}, {Topic: "u", Partitions: partitions[:1]}}
	return q
}

// KIP-455: null cancels, a list moves; each partition has a fate of its own. KIP-860: v1 may forbid another replication factor.
func TestReassignmentsAreTheControllers(t *testing.T) {
	for version := int16(0); version <= 1; version++ {
		h := newHouse(t, cluster(map[string]int{"t": 2}))
		h.plays = func(to message.Address, what any) any {
			want := &message.ReassignPartitions{KeepReplicationFactor: version == 1, Partitions: []message.Reassignment{
				{NamedPartition: message.NamedPartition{Topic: "t", Index: 0}, Replicas: []message.NodeID{2, 3}},
				{NamedPartition: message.NamedPartition{Topic: "t", Index: 1}},
				{NamedPartition: message.NamedPartition{Topic: "u", Index: 0}, Replicas: []message.NodeID{2, 3}}}}
			if to != message.ControllerAt(me) || !reflect.DeepEqual(what, want) {
				t.Errorf("%v was asked for %+v", to, what)
			}
			return &message.Results{Problems: []message.Problem{{}, {Code: message.NoReassignmentInProgress, Message: "nothing"}, {Code: message.UnknownTopicOrPartition}}}
		}
		q := reassignmentsOf(kmsg.AlterPartitionAssignmentsRequestTopicPartition{Replicas: []int32{2, 3}}, kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: 1})
		q.AllowReplicationFactorChange = false
		r := call(h, q, kmsg.NewPtrAlterPartitionAssignmentsResponse(), version)
		ps := r.Topics[0].Partitions
		if r.ErrorCode != 0 || len(ps) != 2 || ps[0].ErrorCode != 0 || ps[0].ErrorMessage != nil || ps[1].ErrorCode != 85 || *ps[1].ErrorMessage != "nothing" || r.Topics[1].Partitions[0].ErrorCode != 3 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// Without an answer the whole request has failed, and every partition of it.
func TestReassignmentsThatNobodyAnswers(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 2}))
	h.plays = func(message.Address, any) any { return &stage.TimedOut{} }
	r := call(h, reassignmentsOf(kmsg.AlterPartitionAssignmentsRequestTopicPartition{}), kmsg.NewPtrAlterPartitionAssignmentsResponse(), 1)
	if r.ErrorCode != 7 || r.Topics[0].Partitions[0].ErrorCode != 7 || r.Topics[1].Partitions[0].ErrorCode != 7 {
		t.Errorf("%+v", r)
	}
}

// KIP-455: what is moving, all of it or what is asked for; "replicas" are all that there are meanwhile.
func TestMovesAreListed(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 2, "u": 1},
		&message.PartitionRecord{Partition: at("t", 1), Leader: me, LeaderEpoch: epoch, Replicas: []message.NodeID{2, 1}, ISR: []message.NodeID{1}, Adding: []message.NodeID{2}, Removing: []message.NodeID{1}}))
	for _, c := range []struct {
		topics []kmsg.ListPartitionReassignmentsRequestTopic
		shown  bool
	}{
		{nil, true},
		{[]kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "t", Partitions: []int32{0, 1}}, {Topic: "nowhere", Partitions: []int32{0}}}, true},
		{[]kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "t", Partitions: []int32{0}}, {Topic: "u", Partitions: []int32{0}}}, false},
	} {
		q := kmsg.NewPtrListPartitionReassignmentsRequest()
		q.Topics = c.topics
		r := call(h, q, kmsg.NewPtrListPartitionReassignmentsResponse(), 0)
		if len(r.Topics) == 0 && !c.shown {
			continue
		}
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || !c.shown {
			t.Fatalf("%+v: %+v", c.topics, r.Topics)
		}
		if p := r.Topics[0].Partitions[0]; p.Partition != 1 || !slices.Equal(p.Replicas, []int32{2, 1}) || !slices.Equal(p.AddingReplicas, []int32{2}) || !slices.Equal(p.RemovingReplicas, []int32{1}) {
			t.Errorf("%+v", p)
		}
	}
}

// KIP-631: a node is unregistered by the controller, which may refuse.
func TestUnregisterBroker(t *testing.T) {
	for _, want := range []message.Problem{{}, {Code: message.BrokerIDNotRegistered, Message: "Broker 7 is not registered."}} {
		h := newHouse(t, cluster(nil))
		h.plays = func(to message.Address, what any) any {
			if q, ok := what.(*message.UnregisterBroker); !ok || q.Node != 7 || to != message.ControllerAt(me) {
				t.Errorf("%v was asked for %+v", to, what)
			}
			return &message.Results{Problems: []message.Problem{want}}
		}
		r := call(h, &kmsg.UnregisterBrokerRequest{BrokerID: 7}, kmsg.NewPtrUnregisterBrokerResponse(), 0)
		if r.ErrorCode != int16(want.Code) || want.Message != "" && *r.ErrorMessage != want.Message {
			t.Errorf("%+v", r)
		}
	}
}
