package claims

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Error codes by their names in Kafka's protocol.
const (
	unknownTopicOrPartition  = 3
	requestTimedOut          = 7
	invalidTopicException    = 17
	topicAlreadyExists       = 36
	invalidPartitions        = 37
	invalidReplicationFactor = 38
	invalidReplicaAssignment = 39
	invalidConfig            = 40
	invalidRequest           = 42
	policyViolation          = 44
	topicDeletionDisabled    = 73
	electionNotNeeded        = 84
	noReassignmentInProgress = 85
	brokerIDNotRegistered    = 102
	invalidUpdateVersion     = 95
	unknownTopicID           = 100
	offsetOutOfRange         = 1
	mismatchedEndpointType   = 114
	unsupportedVersion       = 35
)

// assigned is a topic whose replicas are said by hand.
func assigned(topic string, partitions int32, replication int16, byIndex map[int32][]int32) *kmsg.CreateTopicsRequest {
	q := createOf(topic, partitions, replication)
	for _, i := range []int32{0, 1, 2} {
		if replicas, ok := byIndex[i]; ok {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = i, replicas
			q.Topics[0].ReplicaAssignment = append(q.Topics[0].ReplicaAssignment, a)
		}
	}
	return q
}

// S100: "name illegal/collision -> 17; exists -> TOPIC_ALREADY_EXISTS(36); manual assignment with partitions/RF != -1 ->
// INVALID_REQUEST; non-consecutive/empty/dup replicas -> INVALID_REPLICA_ASSIGNMENT(39); RF 0, < -1, or > live brokers ->
// INVALID_REPLICATION_FACTOR(38); partitions 0 or < -1 -> INVALID_PARTITIONS(37); -1 -> broker default (v4+);
// unknown/invalid config -> INVALID_CONFIG(40)." S44: legal names. L7: an unknown config is INVALID_CONFIG. S101: with
// validate_only the same, and nothing is created.
func TestCreateTopicsValidates(t *testing.T) {
	h := newHouse(t, "num.partitions=3")
	h.create("taken", 1)
	h.create("a_b", 1)
	longest := strings.Repeat("x", 249)
	for _, c := range []struct {
		what string
		q    *kmsg.CreateTopicsRequest
		want int16
	}{
		{"the empty name", createOf("", 1, 1), invalidTopicException},
		{"the name .", createOf(".", 1, 1), invalidTopicException},
		{"the name ..", createOf("..", 1, 1), invalidTopicException},
		{"a name of 250", createOf(longest+"x", 1, 1), invalidTopicException},
		{"a name of 249", createOf(longest, 1, 1), 0},
		{"a space", createOf("bad name!", 1, 1), invalidTopicException},
		{"a collision", createOf("a.b", 1, 1), invalidTopicException},
		{"a taken name", createOf("taken", 1, 1), topicAlreadyExists},
		{"replication 0", createOf("t", 1, 0), invalidReplicationFactor},
		{"replication -2", createOf("t", 1, -2), invalidReplicationFactor},
		{"replication 2 on one broker", createOf("t", 1, 2), invalidReplicationFactor},
		{"partitions 0", createOf("t", 0, 1), invalidPartitions},
		{"partitions -2", createOf("t", -2, 1), invalidPartitions},
		{"defaults", createOf("t", -1, -1), 0},
		{"an unknown config", createOf("t", 1, 1, "no.such", "1"), invalidConfig},
		{"a wrong value", createOf("t", 1, 1, "retention.ms", "soon"), invalidConfig},
		{"by hand with partitions", assigned("t", 1, -1, map[int32][]int32{0: {1}}), invalidRequest},
		{"by hand with replication", assigned("t", -1, 1, map[int32][]int32{0: {1}}), invalidRequest},
		{"by hand", assigned("t", -1, -1, map[int32][]int32{0: {1}, 1: {1}}), 0},
		{"a gap", assigned("t", -1, -1, map[int32][]int32{0: {1}, 2: {1}}), invalidReplicaAssignment},
		{"no replicas", assigned("t", -1, -1, map[int32][]int32{0: {}}), invalidReplicaAssignment},
		{"a replica twice", assigned("t", -1, -1, map[int32][]int32{0: {1, 1}}), invalidReplicaAssignment},
		{"an unknown broker", assigned("t", -1, -1, map[int32][]int32{0: {7}}), invalidReplicaAssignment},
	} {
		c.q.ValidateOnly = true
		for version := int16(4); version <= 7; version++ {
			h.is(c.what, ask[*kmsg.CreateTopicsResponse](h, version, c.q).Topics[0].ErrorCode, c.want)
		}
	}
	null := createOf("t", 1, 1, "retention.ms", "")
	null.Topics[0].Configs[0].Value = nil
	h.is("a null value", ask[*kmsg.CreateTopicsResponse](h, 7, null).Topics[0].ErrorCode, invalidConfig)
	if _, there := h.topic("t"); there {
		t.Error("validate_only made a topic")
	}
}

// topic is what Metadata says of one; false if it is not there.
func (h *house) topic(name string) (kmsg.MetadataResponseTopic, bool) {
	h.t.Helper()
	q := metadataOf(0, name, [16]byte{})
	q.AllowAutoTopicCreation = false
	topic := ask[*kmsg.MetadataResponse](h, 11, q).Topics[0]
	return topic, topic.ErrorCode == 0
}

// S100: "duplicate name in request -> INVALID_REQUEST (all copies)." S101: "One failing topic does not affect the others."
func TestCreateTopicsRefusesCopiesAlone(t *testing.T) {
	h := newHouse(t)
	q := createOf("twice", 1, 1)
	q.Topics = append(q.Topics, createOf("fine", 1, 1).Topics[0], createOf("twice", 1, 1).Topics[0], createOf("bad name!", 1, 1).Topics[0])
	var got []int16
	for _, topic := range ask[*kmsg.CreateTopicsResponse](h, 7, q).Topics {
		got = append(got, topic.ErrorCode)
	}
	if want := []int16{invalidRequest, 0, invalidRequest, invalidTopicException}; !slices.Equal(got, want) {
		t.Errorf("the codes are %v, not %v", got, want)
	}
	if _, there := h.topic("fine"); !there {
		t.Error("the good one is not there")
	}
	if _, there := h.topic("twice"); there {
		t.Error("a copy is there")
	}
}

// S102: "v5+ response: num_partitions, replication_factor, all effective configs (name,value,read_only,source,is_sensitive)
// sorted; v7: topic_id." S101: validate_only "returns same payload". L2: the source is 1 (topic) or 5 (default), never -1,
// with which Kafka Streams does not start.
func TestCreateTopicsTellsTheConfiguration(t *testing.T) {
	h := newHouse(t, "num.partitions=3", "log.retention.ms=5000")
	for _, only := range []bool{true, false} {
		q := createOf("t", -1, -1, "cleanup.policy", "compact")
		q.ValidateOnly = only
		topic := ask[*kmsg.CreateTopicsResponse](h, 7, q).Topics[0]
		if topic.NumPartitions != 3 || topic.ReplicationFactor != 1 || only == (topic.TopicID != [16]byte{}) {
			t.Errorf("validate_only=%v: %d partitions, %d replicas, id %x", only, topic.NumPartitions, topic.ReplicationFactor, topic.TopicID)
		}
		sources := map[string]int8{}
		names := make([]string, 0, len(topic.Configs))
		for _, c := range topic.Configs {
			sources[c.Name] = c.Source
			if names = append(names, c.Name); c.Source < 1 || c.Value == nil && !c.IsSensitive {
				t.Errorf("%s: source %d, value %s", c.Name, c.Source, deref(c.Value))
			}
		}
		if !slices.IsSorted(names) || len(names) < 30 {
			t.Errorf("the configs are %v", names)
		}
		if sources["cleanup.policy"] != 1 || sources["retention.ms"] != 4 || sources["segment.bytes"] != 5 {
			t.Errorf("the sources are %v", sources)
		}
	}
}

// S103: "a single-process broker should make the topic visible to Metadata/Produce before answering." S138: "Suites that do
// not retry pass always if the leader serves before CreateTopics answers."
func TestATopicServesWhenItsCreationIsAnswered(t *testing.T) {
	h := newHouse(t)
	other := h.another()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		id := h.create(name, 5)
		topic, there := other.topic(name)
		if !there || topic.TopicID != id || len(topic.Partitions) != 5 {
			t.Fatalf("another connection sees %+v", topic)
		}
		for _, p := range topic.Partitions {
			other.is("leader", p.ErrorCode, 0)
		}
		other.is("produce", ask[*kmsg.ProduceResponse](other, 13, produceOf(13, name, id)).Topics[0].Partitions[0].ErrorCode, 0)
	}
}

// S135: "Tool-visible texts, compared literally by scripts."
func TestTextsOfTools(t *testing.T) {
	h := newHouse(t)
	h.create("T", 3)
	create := func(q *kmsg.CreateTopicsRequest) *string {
		return ask[*kmsg.CreateTopicsResponse](h, 7, q).Topics[0].ErrorMessage
	}
	h.text(create(createOf("bad name!", 1, 1)), "Topic name is invalid: 'bad name!' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
	h.text(create(createOf("T", 1, 1)), "Topic 'T' already exists.")
	h.text(create(createOf("U", 1, 99)), "Unable to replicate the partition 99 time(s): The target replication factor of 99 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.")
	h.text(create(createOf("U", 1, 1, "cleanup.policy", "shred")), "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete")
	h.text(ask[*kmsg.CreatePartitionsResponse](h, 3, morePartitionsOf("T", 2)).Topics[0].ErrorMessage, "The topic T currently has 3 partition(s); 2 would not be an increase.")
}
