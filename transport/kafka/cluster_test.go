package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
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

// S110: "DescribeLogDirs: size in bytes and offset_lag per replica": of every replica that is here, whoever leads it. KIP-113: a
// replica that is elsewhere is REPLICA_NOT_AVAILABLE to AlterReplicaLogDirs.
func TestLogDirsAreOfWhatIsKeptHere(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}, node(2, "b"),
		&message.PartitionRecord{Partition: at("t", 1), Leader: 2, LeaderEpoch: 6, Replicas: []message.NodeID{2, 1}, ISR: []message.NodeID{2}},
		&message.PartitionRecord{Partition: at("t", 2), Leader: 2, LeaderEpoch: 6, Replicas: []message.NodeID{2}, ISR: []message.NodeID{2}}),
		func(o *Options) { o.Static = setting.NewValues(map[string]string{"log.dirs": "/data"}) })
	h.views[address("t", 0)], h.views[address("t", 1)] = newLog(1), following(newLog(1, 1), 0)
	ps := call(h, kmsg.NewPtrDescribeLogDirsRequest(), kmsg.NewPtrDescribeLogDirsResponse(), 4).Dirs[0].Topics[0].Partitions
	if one := int64(len(newLog(1).bytes)); len(ps) != 2 || ps[0].Size != one || ps[1].Partition != 1 || ps[1].Size != 2*one {
		t.Errorf("%+v", ps)
	}
	q := kmsg.NewPtrAlterReplicaLogDirsRequest()
	q.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{{Dir: "/data", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: []int32{0, 1, 2, 3}}}}}
	moved := call(h, q, kmsg.NewPtrAlterReplicaLogDirsResponse(), 2).Topics[0].Partitions
	for i, want := range []message.Code{message.OK, message.OK, message.ReplicaNotAvailable, message.UnknownTopicOrPartition} {
		if moved[i].ErrorCode != int16(want) {
			t.Errorf("partition %d: code %d", i, moved[i].ErrorCode)
		}
	}
}

// KIP-460: each partition has a fate of its own, in the answer's topics as they were asked for.
func TestElectionsOfSeveralNodes(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 2, "u": 1}, node(2, "b")))
	var asked *message.ElectLeaders
	h.plays = func(_ message.Address, what any) any {
		asked = what.(*message.ElectLeaders)
		answer := &message.LeadersElected{}
		for i, p := range asked.Partitions {
			answer.Results = append(answer.Results, message.LeaderElected{NamedPartition: p,
				Problem: []message.Problem{{}, {Code: message.PreferredLeaderNotAvailable, Message: "it is down"}, {Code: message.EligibleLeadersNotAvailable}}[i]})
		}
		return answer
	}
	q := kmsg.NewPtrElectLeadersRequest()
	q.ElectionType = 1
	q.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{1, 0}}, {Topic: "u", Partitions: []int32{0}}}
	r := call(h, q, kmsg.NewPtrElectLeadersResponse(), 2)
	if !asked.Unclean || asked.All || r.ErrorCode != 0 || len(r.Topics) != 2 || len(r.Topics[0].Partitions) != 2 {
		t.Fatalf("asked %+v, answered %+v", asked, r)
	}
	first, second, third := r.Topics[0].Partitions[0], r.Topics[0].Partitions[1], r.Topics[1].Partitions[0]
	if first.Partition != 1 || first.ErrorCode != 0 || second.ErrorCode != 80 || *second.ErrorMessage != "it is down" || third.ErrorCode != 83 {
		t.Errorf("%+v", r.Topics)
	}
}
