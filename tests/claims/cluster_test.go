package claims

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// S45: "cluster_authorized_operations/topic_authorized_operations = Int.MIN when not requested."
func TestOperationsThatNobodyAskedFor(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	for _, include := range []bool{false, true} {
		cluster := kmsg.NewPtrDescribeClusterRequest()
		cluster.IncludeClusterAuthorizedOperations = include
		metadata := metadataOf(8, "t", [16]byte{})
		metadata.IncludeClusterAuthorizedOperations, metadata.IncludeTopicAuthorizedOperations = include, include
		m := ask[*kmsg.MetadataResponse](h, 8, metadata)
		for _, bits := range []int32{ask[*kmsg.DescribeClusterResponse](h, 0, cluster).ClusterAuthorizedOperations, m.AuthorizedOperations, m.Topics[0].AuthorizedOperations} {
			if include == (bits == math.MinInt32) {
				t.Errorf("asked for %v: %x", include, bits)
			}
		}
	}
}

// L10: "MetadataResponse.controllerId is just a random alive broker"; KIP-919: a broker's listener does not describe
// controllers.
func TestDescribeCluster(t *testing.T) {
	h := newHouse(t)
	r := ask[*kmsg.DescribeClusterResponse](h, 2, clusterOf(1)(2))
	if len(r.Brokers) != 1 || r.ControllerID != r.Brokers[0].NodeID || r.ClusterID == "" || r.Brokers[0].Port == 0 {
		t.Errorf("the cluster is %+v", r)
	}
	h.is("controllers", ask[*kmsg.DescribeClusterResponse](h, 2, clusterOf(2)(2)).ErrorCode, mismatchedEndpointType)
}

// S110: "DescribeLogDirs: topics=null = all; size in bytes and offset_lag per replica, is_future; v4+ total_bytes/usable_bytes;
// consoles show topic size from it."
func TestDescribeLogDirs(t *testing.T) {
	h := newHouse(t)
	id := h.create("t", 2)
	h.create("empty", 1)
	h.is("produce", ask[*kmsg.ProduceResponse](h, 13, produceOf(13, "", id)).Topics[0].Partitions[0].ErrorCode, 0)
	want := map[string][]int64{"t": {int64(len(batchOf("value"))), 0}, "empty": {0}}
	eachVersion(1, 5, func(v int16) {
		dir := ask[*kmsg.DescribeLogDirsResponse](h, v, logDirsOf(v)).Dirs[0]
		got := map[string][]int64{}
		for _, topic := range dir.Topics {
			for _, p := range topic.Partitions {
				got[topic.Topic] = append(got[topic.Topic], p.Size)
				if p.OffsetLag != 0 || p.IsFuture {
					t.Errorf("%s-%d: lag %d, future %v", topic.Topic, p.Partition, p.OffsetLag, p.IsFuture)
				}
			}
		}
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("version %d: the sizes are %v, not %v", v, got, want)
		}
		if v >= 4 && (dir.UsableBytes <= 0 || dir.TotalBytes < dir.UsableBytes) {
			t.Errorf("version %d: %d of %d bytes are free", v, dir.UsableBytes, dir.TotalBytes)
		}
	})
	q := kmsg.NewPtrDescribeLogDirsRequest()
	topic := kmsg.NewDescribeLogDirsRequestTopic()
	topic.Topic, topic.Partitions = "t", []int32{1, 9}
	q.Topics = append(q.Topics, topic)
	if dir := ask[*kmsg.DescribeLogDirsResponse](h, 4, q).Dirs[0]; len(dir.Topics) != 1 || len(dir.Topics[0].Partitions) != 1 || dir.Topics[0].Partitions[0].Partition != 1 {
		t.Errorf("one partition: %+v", dir.Topics)
	}
	q.Topics = []kmsg.DescribeLogDirsRequestTopic{}
	if dir := ask[*kmsg.DescribeLogDirsResponse](h, 4, q).Dirs[0]; len(dir.Topics) != 0 {
		t.Errorf("no topics: %+v", dir.Topics)
	}
}

// S111: "per-partition NO_REASSIGNMENT_IN_PROGRESS(85) for a cancel with none; single-node: assignment equal to current ->
// no-op NONE." S136: "to the very replica set a partition has is accepted and complete at once."
func TestReassignments(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	of := func(topic string, to []int32) int16 {
		return ask[*kmsg.AlterPartitionAssignmentsResponse](h, 1, reassignOf(topic, to)).Topics[0].Partitions[0].ErrorCode
	}
	h.is("cancel", of("t", nil), noReassignmentInProgress)
	h.is("where it is", of("t", []int32{1}), 0)
	h.is("an unknown broker", of("t", []int32{7}), invalidReplicaAssignment)
	h.is("nobody", of("t", []int32{}), invalidReplicaAssignment)
	h.is("unknown", of("nowhere", []int32{1}), unknownTopicOrPartition)
	r := ask[*kmsg.ListPartitionReassignmentsResponse](h, 0, kmsg.NewPtrListPartitionReassignmentsRequest())
	if h.is("list", r.ErrorCode, 0); len(r.Topics) > 0 {
		t.Errorf("something moves: %+v", r.Topics)
	}
}

// KIP-860: with allow_replication_factor_change false a move keeps how many replicas there are.
func TestReassignmentsKeepTheReplicationFactor(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	q := reassignOf("t", []int32{1, 7})
	q.AllowReplicationFactorChange = false
	h.is("two of one", ask[*kmsg.AlterPartitionAssignmentsResponse](h, 1, q).Topics[0].Partitions[0].ErrorCode, invalidReplicationFactor)
}

// KIP-631: only a node that is registered, and does not take part any more, is unregistered.
func TestUnregisterBroker(t *testing.T) {
	h := newHouse(t)
	for node, want := range map[int32]int16{7: brokerIDNotRegistered, 1: invalidRequest} {
		r := ask[*kmsg.UnregisterBrokerResponse](h, 0, unregisterOf(node)(0))
		if h.is("unregister", r.ErrorCode, want); r.ErrorMessage == nil {
			t.Errorf("node %d: it is not said why", node)
		}
	}
}

// S125: "ElectLeaders with timeout_ms=0 answers REQUEST_TIMED_OUT(7) at top level, even if there is nothing to elect; with a
// positive timeout, per-partition ELECTION_NOT_NEEDED(84)." L12: "when already preferred -> per-partition
// ELECTION_NOT_NEEDED(84), not NONE."
func TestElectLeaders(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	for kind := range int8(2) {
		eachVersion(0, 2, func(v int16) {
			q := electOf(0, ptr("t"))
			q.ElectionType = kind
			r := ask[*kmsg.ElectLeadersResponse](h, v, q)
			if h.is("no time", r.Topics[0].Partitions[0].ErrorCode, requestTimedOut); v >= 1 {
				h.is("no time, as a whole", r.ErrorCode, requestTimedOut)
			}
			q.TimeoutMillis = 1000
			r = ask[*kmsg.ElectLeadersResponse](h, v, q)
			h.is("as a whole", r.ErrorCode, 0)
			h.is("already elected", r.Topics[0].Partitions[0].ErrorCode, electionNotNeeded)
			all := electOf(1000, nil)
			if r := ask[*kmsg.ElectLeadersResponse](h, v, all); r.ErrorCode != 0 || len(r.Topics) != 0 {
				t.Errorf("all: %+v", r)
			}
		})
	}
	h.is("unknown", ask[*kmsg.ElectLeadersResponse](h, 2, electOf(1000, ptr("nowhere"))).Topics[0].Partitions[0].ErrorCode, unknownTopicOrPartition)
}

// S128: "DescribeProducers: coordinator_epoch is -1 until the first marker of that producer was written to the partition."
func TestDescribeProducers(t *testing.T) {
	h := newHouse(t)
	id := h.create("t", 1)
	producer := ask[*kmsg.InitProducerIDResponse](h, 5, initProducerIDOf(nil)(5))
	q := produceOf(13, "", id)
	q.Topics[0].Partitions[0].Records = idempotent(producer.ProducerID, producer.ProducerEpoch, "a", "b")
	h.is("produce", ask[*kmsg.ProduceResponse](h, 13, q).Topics[0].Partitions[0].ErrorCode, 0)
	p := ask[*kmsg.DescribeProducersResponse](h, 0, producersOf(0, "t", id)).Topics[0].Partitions[0]
	if h.is("describe", p.ErrorCode, 0); len(p.ActiveProducers) != 1 {
		t.Fatalf("the producers are %+v", p.ActiveProducers)
	}
	a := p.ActiveProducers[0]
	if a.ProducerID != producer.ProducerID || a.ProducerEpoch != 0 || a.LastSequence != 1 || a.CoordinatorEpoch != -1 || a.CurrentTxnStartOffset != -1 {
		t.Errorf("the producer is %+v", a)
	}
}

// L13: "DescribeQuorum(55) is called by kafka-python admin & kafka-metadata-quorum: advertise and synthesise."
func TestDescribeQuorum(t *testing.T) {
	h := newHouse(t)
	eachVersion(0, 2, func(v int16) {
		r := ask[*kmsg.DescribeQuorumResponse](h, v, quorumOf("__cluster_metadata"))
		p := r.Topics[0].Partitions[0]
		if h.is("quorum", p.ErrorCode, 0); p.LeaderID != 1 || p.LeaderEpoch < 1 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].ReplicaID != 1 || p.HighWatermark < 1 {
			t.Errorf("version %d: %+v", v, p)
		}
		if v >= 2 && (len(r.Nodes) != 1 || len(r.Nodes[0].Listeners) == 0) {
			t.Errorf("version %d: the nodes are %+v", v, r.Nodes)
		}
	})
}

// S141: "Finalized features of a fresh 4.3.1: eligible.leader.replicas.version 1, group.version 1, kraft.version 0,
// metadata.version 4.3-IV0 (supported min 3.3-IV3), share.version 1, streams.version 1, transaction.version 2.
// finalized_features_epoch rises with every metadata record, not only with features."
func TestFeatures(t *testing.T) {
	h := newHouse(t)
	features := func() *kmsg.ApiVersionsResponse {
		return ask[*kmsg.ApiVersionsResponse](h, 4, apiVersionsOf("claims")(4))
	}
	before := features()
	got := map[string]int16{}
	for _, f := range before.FinalizedFeatures {
		got[f.Name] = f.MaxVersionLevel
	}
	want := map[string]int16{"eligible.leader.replicas.version": 1, "group.version": 1, "metadata.version": 30, "share.version": 1, "streams.version": 1, "transaction.version": 2}
	delete(got, "kraft.version") // at level 0
	if !maps.Equal(got, want) {
		t.Errorf("finalized are %v, not %v", got, want)
	}
	h.create("t", 1)
	if after := features().FinalizedFeaturesEpoch; after <= before.FinalizedFeaturesEpoch {
		t.Errorf("the epoch was %d and is %d", before.FinalizedFeaturesEpoch, after)
	}
	update := func(v int16, name string, level int16, kind int8) *kmsg.UpdateFeaturesResponse {
		q := featureOf(name, level)
		q.FeatureUpdates[0].UpgradeType = kind
		return ask[*kmsg.UpdateFeaturesResponse](h, v, q)
	}
	eachVersion(0, 2, func(v int16) { // as Kafka 4.3 answers them all
		r := update(v, "group.version", 9, 1)
		h.is("too high", r.ErrorCode, invalidUpdateVersion)
		if h.text(r.ErrorMessage, "The update failed for all features since the following feature had an error: "+
			"Invalid update version 9 for feature group.version. Local controller 1 only supports versions 0-1"); len(r.Results) > 0 {
			t.Errorf("version %d has results of the features: %v", v, r.Results)
		}
	})
	h.is("none, v1", update(1, "group.version", 1, 1).Results[0].ErrorCode, 0)
	h.is("unknown", update(2, "no.such", 1, 1).ErrorCode, invalidUpdateVersion)
	h.is("down without leave", update(2, "share.version", 0, 1).ErrorCode, invalidUpdateVersion)
	h.is("down", update(2, "share.version", 0, 2).ErrorCode, 0)
	for _, f := range features().FinalizedFeatures {
		if f.Name == "share.version" && f.MaxVersionLevel != 0 {
			t.Error("share.version is still there")
		}
	}
}

// KIP-113: AlterReplicaLogDirs of the one directory there is.
func TestAlterReplicaLogDirs(t *testing.T) {
	const logDirNotFound = 57
	h := newHouse(t)
	h.create("t", 1)
	of := func(dir, topic string) int16 {
		return ask[*kmsg.AlterReplicaLogDirsResponse](h, 2, moveOf(dir, topic)).Topics[0].Partitions[0].ErrorCode
	}
	h.is("where it is", of(h.dataDir(), "t"), 0)
	h.is("elsewhere", of("/nowhere", "t"), logDirNotFound)
	h.is("unknown", of(h.dataDir(), "nowhere"), unknownTopicOrPartition)
}
