package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// troubled is a cluster in which node 2 is fenced, node 3 has no listener of the client's, and node 4 is not registered.
func troubled(t *testing.T) *house {
	return newHouse(t, cluster(map[string]int{"t": 1},
		node(2, "b"), &message.FenceRecord{Node: 2, Fenced: true},
		&message.BrokerRecord{Node: 3, Rack: "c", Endpoints: []message.Endpoint{{Listener: "OTHER", Host: "three", Port: 9}}},
		&message.PartitionRecord{Partition: at("t", 1), Leader: 2, LeaderEpoch: 6, Replicas: []message.NodeID{2, 1, 3, 4}, ISR: []message.NodeID{2}},
		&message.PartitionRecord{Partition: at("t", 2), Leader: message.Nobody, LeaderEpoch: 7, Replicas: []message.NodeID{2, 3}, ISR: []message.NodeID{},
			ELR: []message.NodeID{2}, LastKnownELR: []message.NodeID{3}}))
}

// KIP-966: DescribeTopicPartitions tells the eligible leaders, and those that were known last; S109: "ELR arrays non-null
// (L1)." A leader whom the client cannot reach is -1, without an error.
func TestPartitionsOfSeveralNodes(t *testing.T) {
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 100
	ps := call(troubled(t), q, kmsg.NewPtrDescribeTopicPartitionsResponse(), 0).Topics[0].Partitions
	for i, want := range []struct {
		leader               int32
		offline, elr, lately []int32
	}{
		{1, []int32{}, []int32{}, []int32{}},
		{-1, []int32{2, 3, 4}, []int32{}, []int32{}},
		{-1, []int32{2, 3}, []int32{2}, []int32{3}},
	} {
		p := ps[i]
		if p.ErrorCode != 0 || p.LeaderID != want.leader || !slices.Equal(p.OfflineReplicas, want.offline) ||
			!slices.Equal(p.EligibleLeaderReplicas, want.elr) || !slices.Equal(p.LastKnownELR, want.lately) {
			t.Errorf("partition %d: %+v", i, p)
		}
		if p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
			t.Errorf("L1: partition %d has a null list: %+v", i, p)
		}
	}
}

// S11: "a broker lacking that listener is omitted from brokers"; its replicas, and those of fenced nodes, are offline.
func TestMetadataNamesWhoIsOffline(t *testing.T) {
	for version := int16(5); version <= 13; version++ {
		r := call(troubled(t), metadataOf("t"), kmsg.NewPtrMetadataResponse(), version)
		if ps := r.Topics[0].Partitions; len(r.Brokers) != 1 || len(ps[0].OfflineReplicas) != 0 || !slices.Equal(ps[1].OfflineReplicas, []int32{2, 3, 4}) ||
			ps[1].ErrorCode != int16(message.LeaderNotAvailable) || ps[1].Leader != -1 || version >= 7 && ps[1].LeaderEpoch != 6 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// KIP-1073: "DescribeCluster v2: include_fenced_brokers, is_fenced."
func TestFencedBrokersAreShownToWhoAsks(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.IncludeFencedBrokers = fenced
		r := call(troubled(t), q, kmsg.NewPtrDescribeClusterResponse(), 2)
		got := map[int32]bool{}
		for _, b := range r.Brokers {
			got[b.NodeID] = b.IsFenced
		}
		if f, shown := got[2]; r.ControllerID != 1 || got[1] || shown != fenced || f != fenced || len(got) > 2 {
			t.Errorf("fenced asked for: %v: %+v", fenced, r)
		}
	}
	q := kmsg.NewPtrDescribeClusterRequest()
	if r := call(troubled(t), q, kmsg.NewPtrDescribeClusterResponse(), 1); len(r.Brokers) != 1 || r.Brokers[0].Host != "192.0.2.1" {
		t.Errorf("version 1: %+v", r)
	}
}
