package claims

import (
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/persistence/record"
)

// world is what samples are about: a topic with an id, of one partition.
type world struct {
	h     *house
	topic string
	id    [16]byte
	fresh int // names used
}

func newWorld(h *house) *world {
	w := &world{h: h, topic: "claims"}
	w.id = h.create(w.topic, 1)
	ask[kmsg.Response](h, 3, findCoordinatorOf(0))
	h.await("__consumer_offsets")
	ask[kmsg.Response](h, 3, findCoordinatorOf(1))
	h.await("__transaction_state")
	return w
}

// create makes a topic and returns its id; configs are names and values by turns.
func (h *house) create(topic string, partitions int32, configs ...string) [16]byte {
	h.t.Helper()
	r := ask[*kmsg.CreateTopicsResponse](h, 7, createOf(topic, partitions, 1, configs...))
	if r.Topics[0].ErrorCode != 0 {
		h.t.Fatalf("%s: %d, %s", topic, r.Topics[0].ErrorCode, deref(r.Topics[0].ErrorMessage))
	}
	return r.Topics[0].TopicID
}

func createOf(topic string, partitions int32, replication int16, configs ...string) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, replication
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		t.Configs = append(t.Configs, c)
	}
	q.Topics, q.TimeoutMillis = append(q.Topics, t), 10_000
	return q
}

func (w *world) name() string {
	w.fresh++
	return fmt.Sprintf("fresh-%d", w.fresh)
}

// either makes a request of the world's topic, and one of a topic that does not exist.
func either[Q kmsg.Request](make func(version int16, topic string, id [16]byte) Q) func(w *world) sample {
	return func(w *world) sample {
		return sample{
			good: func(v int16) kmsg.Request { return make(v, w.topic, w.id) },
			bad:  func(v int16) kmsg.Request { return make(v, "nowhere", [16]byte{1}) },
		}
	}
}

// samples are a good and a bad request for every API that is served.
func (w *world) samples() map[kmsg.Key]sample {
	const securityDisabled = 54
	always := func(code int16, q func() kmsg.Request) sample {
		return sample{good: func(int16) kmsg.Request { return q() }, always: code}
	}
	all := map[kmsg.Key]sample{
		kmsg.Produce:                    either(produceOf)(w),
		kmsg.Fetch:                      either(fetchOf)(w),
		kmsg.ListOffsets:                either(listOffsetsOf)(w),
		kmsg.Metadata:                   either(metadataOf)(w),
		kmsg.ApiVersions:                {good: apiVersionsOf("claims"), bad: nil},
		kmsg.InitProducerID:             {good: initProducerIDOf(nil), bad: initProducerIDOf(ptr(""))},
		kmsg.OffsetForLeaderEpoch:       either(offsetForLeaderEpochOf)(w),
		kmsg.CreateTopics:               {good: func(int16) kmsg.Request { return createOf(w.name(), 1, 1) }, bad: func(int16) kmsg.Request { return createOf("bad name!", 1, 1) }},
		kmsg.DeleteTopics:               {good: func(v int16) kmsg.Request { w.fresh++; n := w.name(); return deleteOf(v, n, w.h.create(n, 1)) }, bad: func(v int16) kmsg.Request { return deleteOf(v, "nowhere", [16]byte{1}) }},
		kmsg.DeleteRecords:              either(deleteRecordsOf)(w),
		kmsg.DescribeACLs:               always(securityDisabled, func() kmsg.Request { return kmsg.NewPtrDescribeACLsRequest() }),
		kmsg.CreateACLs:                 always(securityDisabled, createACLsOf),
		kmsg.DeleteACLs:                 always(securityDisabled, deleteACLsOf),
		kmsg.DescribeConfigs:            either(describeConfigsOf)(w),
		kmsg.AlterConfigs:               either(alterConfigsOf)(w),
		kmsg.IncrementalAlterConfigs:    either(incrementalOf)(w),
		kmsg.AlterReplicaLogDirs:        {good: func(int16) kmsg.Request { return moveOf(w.h.dataDir(), w.topic) }, bad: func(int16) kmsg.Request { return moveOf("/nowhere", w.topic) }},
		kmsg.DescribeLogDirs:            {good: logDirsOf},
		kmsg.CreatePartitions:           {good: func(int16) kmsg.Request { n := w.name(); w.h.create(n, 1); return morePartitionsOf(n, 2) }, bad: func(int16) kmsg.Request { return morePartitionsOf(w.topic, 1) }},
		kmsg.ElectLeaders:               {good: func(int16) kmsg.Request { return electOf(1000, nil) }, bad: func(int16) kmsg.Request { return electOf(1000, &w.topic) }},
		kmsg.AlterPartitionAssignments:  {good: func(int16) kmsg.Request { return reassignOf(w.topic, []int32{1}) }, bad: func(int16) kmsg.Request { return reassignOf(w.topic, nil) }},
		kmsg.ListPartitionReassignments: {good: func(int16) kmsg.Request { return kmsg.NewPtrListPartitionReassignmentsRequest() }},
		kmsg.DescribeQuorum:             {good: func(int16) kmsg.Request { return quorumOf("__cluster_metadata") }, bad: func(int16) kmsg.Request { return quorumOf("nowhere") }},
		kmsg.UpdateFeatures:             {good: func(int16) kmsg.Request { return featureOf("group.version", 1) }, bad: func(int16) kmsg.Request { return featureOf("group.version", 9) }},
		kmsg.DescribeCluster:            {good: clusterOf(1), bad: clusterOf(2)},
		kmsg.DescribeProducers:          either(producersOf)(w),
		kmsg.WriteTxnMarkers:            either(markersOf)(w),
		kmsg.UnregisterBroker:           {good: nil, bad: unregisterOf(7)},
		kmsg.ListConfigResources:        {good: func(int16) kmsg.Request { return kmsg.NewPtrListConfigResourcesRequest() }},
		kmsg.DescribeTopicPartitions:    either(topicPartitionsOf)(w),
	}
	maps.Copy(all, w.groupSamples())
	maps.Copy(all, w.txnSamples())
	return all
}

func batchOf(values ...string) []byte {
	b := record.NewBuilder(0)
	for _, v := range values {
		b.Add(time.Now().UnixMilli(), nil, []byte(v))
	}
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

func produceOf(_ int16, topic string, id [16]byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	t, p := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	p.Records = batchOf("value")
	t.Topic, t.TopicID, t.Partitions = topic, id, append(t.Partitions, p)
	q.Acks, q.TimeoutMillis, q.Topics = -1, 10_000, append(q.Topics, t)
	return q
}

func fetchOf(_ int16, topic string, id [16]byte) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	t, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Topic, t.TopicID, t.Partitions = topic, id, append(t.Partitions, p)
	q.MaxBytes, q.Topics = 1<<20, append(q.Topics, t)
	return q
}

func listOffsetsOf(_ int16, topic string, _ [16]byte) *kmsg.ListOffsetsRequest {
	q := kmsg.NewPtrListOffsetsRequest()
	t, p := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -2
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

func metadataOf(v int16, topic string, id [16]byte) *kmsg.MetadataRequest {
	q := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	if t.Topic = &topic; v >= 12 {
		t.Topic, t.TopicID = nil, id
	} else if v < 4 && topic == "nowhere" {
		topic = "not a legal name" // a legal one is brought about
	}
	q.Topics = append(q.Topics, t)
	return q
}

func apiVersionsOf(software string) func(int16) kmsg.Request {
	return func(int16) kmsg.Request {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = software, "1"
		return q
	}
}

func initProducerIDOf(transaction *string) func(int16) kmsg.Request {
	return func(int16) kmsg.Request {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionalID = transaction
		return q
	}
}

func offsetForLeaderEpochOf(_ int16, topic string, _ [16]byte) *kmsg.OffsetForLeaderEpochRequest {
	q := kmsg.NewPtrOffsetForLeaderEpochRequest()
	t, p := kmsg.NewOffsetForLeaderEpochRequestTopic(), kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

func deleteOf(v int16, topic string, id [16]byte) *kmsg.DeleteTopicsRequest {
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.TimeoutMillis = 10_000
	if v < 6 {
		q.TopicNames = []string{topic}
		return q
	}
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.TopicID = id
	q.Topics = append(q.Topics, t)
	return q
}

func deleteRecordsOf(_ int16, topic string, _ [16]byte) *kmsg.DeleteRecordsRequest {
	return deleteRecordsTo(topic, 0)
}

func deleteRecordsTo(topic string, offset int64) *kmsg.DeleteRecordsRequest {
	q := kmsg.NewPtrDeleteRecordsRequest()
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = offset
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	q.TimeoutMillis, q.Topics = 10_000, append(q.Topics, t)
	return q
}

func createACLsOf() kmsg.Request {
	q := kmsg.NewPtrCreateACLsRequest()
	q.Creations = append(q.Creations, kmsg.NewCreateACLsRequestCreation())
	return q
}

func deleteACLsOf() kmsg.Request {
	q := kmsg.NewPtrDeleteACLsRequest()
	q.Filters = append(q.Filters, kmsg.NewDeleteACLsRequestFilter())
	return q
}

func describeConfigsOf(_ int16, topic string, _ [16]byte) *kmsg.DescribeConfigsRequest {
	return describeConfigs(kmsg.ConfigResourceTypeTopic, topic)
}

func describeConfigs(kind kmsg.ConfigResourceType, name string, keys ...string) *kmsg.DescribeConfigsRequest {
	q := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, keys
	q.Resources, q.IncludeSynonyms, q.IncludeDocumentation = append(q.Resources, r), true, true
	return q
}

func alterConfigsOf(_ int16, topic string, _ [16]byte) *kmsg.AlterConfigsRequest {
	return alterConfigs(topic, "retention.ms", "1000000")
}

func alterConfigs(topic string, pairs ...string) *kmsg.AlterConfigsRequest {
	q := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for i := 0; i < len(pairs); i += 2 {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = pairs[i], &pairs[i+1]
		r.Configs = append(r.Configs, c)
	}
	q.Resources = append(q.Resources, r)
	return q
}

func incrementalOf(_ int16, topic string, _ [16]byte) *kmsg.IncrementalAlterConfigsRequest {
	return incremental(kmsg.ConfigResourceTypeTopic, topic, change{kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1000000"})
}

// change is one operation on a config.
type change struct {
	op          kmsg.IncrementalAlterConfigOp
	name, value string
}

func incremental(kind kmsg.ConfigResourceType, name string, changes ...change) *kmsg.IncrementalAlterConfigsRequest {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, c := range changes {
		s := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		s.Name, s.Op, s.Value = c.name, c.op, &c.value
		r.Configs = append(r.Configs, s)
	}
	q.Resources = append(q.Resources, r)
	return q
}

func moveOf(dir, topic string) *kmsg.AlterReplicaLogDirsRequest {
	q := kmsg.NewPtrAlterReplicaLogDirsRequest()
	d, t := kmsg.NewAlterReplicaLogDirsRequestDir(), kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	d.Dir, d.Topics = dir, append(d.Topics, t)
	q.Dirs = append(q.Dirs, d)
	return q
}

func logDirsOf(int16) kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }

// dataDir is where the node says that its data is.
func (h *house) dataDir() string {
	h.t.Helper()
	return ask[*kmsg.DescribeLogDirsResponse](h, 1, logDirsOf(1)).Dirs[0].Dir
}

func morePartitionsOf(topic string, count int32, assignment ...[]int32) *kmsg.CreatePartitionsRequest {
	q := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	for _, replicas := range assignment {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = replicas
		t.Assignment = append(t.Assignment, a)
	}
	q.Topics, q.TimeoutMillis = append(q.Topics, t), 10_000
	return q
}

func electOf(timeoutMillis int32, topic *string) *kmsg.ElectLeadersRequest {
	q := kmsg.NewPtrElectLeadersRequest()
	if q.TimeoutMillis = timeoutMillis; topic != nil {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = *topic, []int32{0}
		q.Topics = append(q.Topics, t)
	}
	return q
}

func reassignOf(topic string, to []int32) *kmsg.AlterPartitionAssignmentsRequest {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	t, p := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Replicas = to
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	q.TimeoutMillis, q.Topics = 10_000, append(q.Topics, t)
	return q
}

func quorumOf(topic string) *kmsg.DescribeQuorumRequest {
	q := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	q.Topics = append(q.Topics, t)
	return q
}

func featureOf(name string, level int16) *kmsg.UpdateFeaturesRequest {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = name, level, 1
	q.TimeoutMillis, q.FeatureUpdates = 10_000, append(q.FeatureUpdates, u)
	return q
}

func clusterOf(endpoints int8) func(int16) kmsg.Request {
	return func(int16) kmsg.Request {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.EndpointType = endpoints
		return q
	}
}

func unregisterOf(node int32) func(int16) kmsg.Request {
	return func(int16) kmsg.Request { return &kmsg.UnregisterBrokerRequest{BrokerID: node} }
}

func producersOf(_ int16, topic string, _ [16]byte) *kmsg.DescribeProducersRequest {
	q := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	q.Topics = append(q.Topics, t)
	return q
}

func markersOf(_ int16, topic string, _ [16]byte) *kmsg.WriteTxnMarkersRequest {
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.Topics = 4711, []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{0}}}
	q.Markers = append(q.Markers, m)
	return q
}

func topicPartitionsOf(_ int16, topic string, _ [16]byte) *kmsg.DescribeTopicPartitionsRequest {
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	t := kmsg.NewDescribeTopicPartitionsRequestTopic()
	t.Topic = topic
	q.ResponsePartitionLimit, q.Topics = 2000, append(q.Topics, t)
	return q
}

// idempotent is a producer's first batch.
func idempotent(id int64, epoch int16, values ...string) []byte {
	b := record.NewBuilder(0)
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = id, epoch, 0
	for _, v := range values {
		b.Add(time.Now().UnixMilli(), nil, []byte(v))
	}
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}
