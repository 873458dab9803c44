package sim

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// What no controller may decide the auditor finds in the entries, one by one.
func TestTheAuditorFindsWhatMustNotBeDecided(t *testing.T) {
	id := message.TopicID{1}
	partition := func(leader message.NodeID, epoch, partition int32, isr, elr []message.NodeID) *message.PartitionRecord {
		return &message.PartitionRecord{Partition: message.PartitionID{Topic: id}, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: partition,
			Replicas: []message.NodeID{1, 2, 3, 4}, ISR: isr, ELR: elr}
	}
	nodes := func(n ...message.NodeID) []message.NodeID { return n }
	for _, c := range []struct {
		name   string
		then   message.MetadataRecord
		breaks *check.Invariant
		first  []message.MetadataRecord // in the same entry
	}{
		{"a follower in sync is elected", partition(2, 1, 1, nodes(2), nil), nil, nil},
		{"an eligible one is elected", partition(3, 1, 1, nodes(3), nil), nil, nil},
		{"who was not in sync is elected", partition(1, 1, 1, nodes(1), nil), check.CleanElection, nil},
		{"a new leader in the old epoch", partition(2, 0, 1, nodes(2), nil), check.EpochsOnlyRise, nil},
		{"the partition epoch stands still", partition(2, 1, 0, nodes(2), nil), check.EpochsOnlyRise, nil},
		{"a stranger in sync", partition(2, 1, 1, nodes(2, 7), nil), check.InSyncReplicas, nil},
		{"a leader that is not in sync", partition(3, 1, 1, nodes(2), nil), check.InSyncReplicas, nil},
		{"a fenced node is elected", partition(4, 1, 1, nodes(4), nil), check.FencedIsIdle, nil},
		{"who comes with another disk is elected", partition(3, 1, 1, nodes(3), nil), check.CleanElection, []message.MetadataRecord{
			&message.BrokerRecord{Node: 3, Epoch: 5}, &message.DirectoryRecord{Node: 3, Epoch: 5, Directory: message.TopicID{9}}, &message.FenceRecord{Node: 3, Epoch: 5}}},
	} {
		tr, err := newTrial(&Scenario{Nodes: 3, Broker: map[string]string{}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		topic := tr.history.NewTopic("t", 1)
		topic.ID = id
		a := tr.onlooker.auditor
		var founding []message.MetadataRecord
		for n := message.NodeID(1); n <= 3; n++ {
			founding = append(founding, &message.BrokerRecord{Node: n, Epoch: int64(n)}, &message.FenceRecord{Node: n, Epoch: int64(n)})
		}
		founding = append(founding, &message.TopicRecord{Name: "t", ID: id}, partition(message.Nobody, 0, 0, nodes(2), nodes(3)))
		then := append(c.first, c.then)
		entries := []*raftpb.Entry{{Index: new(uint64(1)), Data: message.EncodeMetadata(founding)}, {Index: new(uint64(2)), Data: message.EncodeMetadata(then)}}
		a.sent(&raftpb.Message{Term: new(uint64(1)), Entries: entries})
		first, ok := a.apply(1, entries[0].GetData())
		if !ok {
			t.Fatal("the founding entry cannot be applied")
		}
		second, _, err := first.Apply(2, then...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		a.shown(second)
		switch v := tr.history.Violation(); {
		case c.breaks == nil && v != nil, c.breaks != nil && (v == nil || v.Invariant != c.breaks):
			t.Errorf("%s: %v", c.name, v)
		}
		tr.Close()
	}
}
