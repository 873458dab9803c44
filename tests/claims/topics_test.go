package claims

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// S104: "DeleteTopics v6: name xor id (both -> INVALID_REQUEST); unknown -> 3 / UNKNOWN_TOPIC_ID(100)."
func TestDeleteTopicsByNameOrID(t *testing.T) {
	h := newHouse(t)
	id := h.create("t", 1)
	of := func(name *string, id [16]byte) int16 {
		q := kmsg.NewPtrDeleteTopicsRequest()
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic, topic.TopicID = name, id
		q.TimeoutMillis, q.Topics = 10_000, append(q.Topics, topic)
		return ask[*kmsg.DeleteTopicsResponse](h, 6, q).Topics[0].ErrorCode
	}
	h.is("both", of(ptr("t"), id), invalidRequest)
	h.is("neither", of(nil, [16]byte{}), invalidRequest)
	h.is("an unknown name", of(ptr("nowhere"), [16]byte{}), unknownTopicOrPartition)
	h.is("an unknown id", of(nil, [16]byte{9}), unknownTopicID)
	h.is("the id", of(nil, id), 0)
	h.is("the id again", of(nil, id), unknownTopicID)
	if _, there := h.topic("t"); there {
		t.Error("it is still there")
	}
}

// S104: "delete.topic.enable=false -> TOPIC_DELETION_DISABLED(73) (v3+, else INVALID_REQUEST)."
func TestDeletionMayBeDisabled(t *testing.T) {
	h := newHouse(t, "delete.topic.enable=false")
	id := h.create("t", 1)
	eachVersion(1, 6, func(v int16) {
		want := int16(topicDeletionDisabled)
		if v < 3 {
			want = invalidRequest
		}
		h.is(fmt.Sprintf("version %d", v), ask[*kmsg.DeleteTopicsResponse](h, v, deleteOf(v, "t", id)).Topics[0].ErrorCode, want)
	})
}

// S43: "Topic ids are stable, random v4 uuid != zero, new one after delete+recreate. (Old id then -> UNKNOWN_TOPIC_ID;
// consumers reset.)"
func TestARecreatedTopicIsAnother(t *testing.T) {
	h := newHouse(t)
	old := h.create("t", 1)
	if old[6]>>4 != 4 || old[8]>>6 != 2 {
		t.Errorf("%x is no random uuid", old)
	}
	h.is("produce", ask[*kmsg.ProduceResponse](h, 13, produceOf(13, "", old)).Topics[0].Partitions[0].ErrorCode, 0)
	h.is("delete", ask[*kmsg.DeleteTopicsResponse](h, 6, deleteOf(6, "t", old)).Topics[0].ErrorCode, 0)
	id := h.create("t", 1)
	if id == old {
		t.Error("the id is the same")
	}
	h.is("produce by the old id", ask[*kmsg.ProduceResponse](h, 13, produceOf(13, "", old)).Topics[0].Partitions[0].ErrorCode, unknownTopicID)
	h.is("fetch by the old id", ask[*kmsg.FetchResponse](h, 13, fetchOf(13, "", old)).Topics[0].Partitions[0].ErrorCode, unknownTopicID)
	h.is("metadata by the old id", ask[*kmsg.MetadataResponse](h, 12, metadataOf(12, "", old)).Topics[0].ErrorCode, unknownTopicID)
	fetched := ask[*kmsg.FetchResponse](h, 13, fetchOf(13, "", id)).Topics[0].Partitions[0]
	if h.is("fetch by the new id", fetched.ErrorCode, 0); fetched.HighWatermark != 0 || len(fetched.RecordBatches) > 0 {
		t.Errorf("the new topic begins with %d records of the old one", fetched.HighWatermark)
	}
}

// S105: "count <= current -> INVALID_PARTITIONS; assignments must cover exactly the new ones -> INVALID_REPLICA_ASSIGNMENT;
// validate_only honoured."
func TestCreatePartitions(t *testing.T) {
	h := newHouse(t)
	h.create("t", 2)
	of := func(q *kmsg.CreatePartitionsRequest) int16 {
		return ask[*kmsg.CreatePartitionsResponse](h, 3, q).Topics[0].ErrorCode
	}
	h.is("fewer", of(morePartitionsOf("t", 1)), invalidPartitions)
	h.is("as many", of(morePartitionsOf("t", 2)), invalidPartitions)
	h.is("too few assignments", of(morePartitionsOf("t", 4, []int32{1})), invalidReplicaAssignment)
	h.is("too many assignments", of(morePartitionsOf("t", 3, []int32{1}, []int32{1})), invalidReplicaAssignment)
	h.is("an unknown broker", of(morePartitionsOf("t", 3, []int32{7})), invalidReplicaAssignment)
	h.is("no such topic", of(morePartitionsOf("nowhere", 3)), unknownTopicOrPartition)
	try := morePartitionsOf("t", 3)
	try.ValidateOnly = true
	if h.is("validate_only", of(try), 0); h.partitions("t") != 2 {
		t.Error("validate_only made a partition")
	}
	if h.is("by hand", of(morePartitionsOf("t", 3, []int32{1})), 0); h.partitions("t") != 3 {
		t.Error("there are not 3 partitions")
	}
}

func (h *house) partitions(topic string) int {
	h.t.Helper()
	found, _ := h.topic(topic)
	return len(found.Partitions)
}

// S52: "DeleteRecords: offset -1 = HW; <0 or >HW -> OFFSET_OUT_OF_RANGE; topic with cleanup.policy=compact only ->
// POLICY_VIOLATION; internal -> INVALID_TOPIC_EXCEPTION; reply low_watermark = new logStart; idempotent when lower than
// current logStart; after that Fetch/ListOffsets(-2) see it."
func TestDeleteRecords(t *testing.T) {
	h := newHouse(t, "offsets.topic.num.partitions=1")
	id := h.create("t", 1)
	h.create("compacted", 1, "cleanup.policy", "compact")
	h.create("both", 1, "cleanup.policy", "compact,delete")
	for range 5 {
		h.is("produce", ask[*kmsg.ProduceResponse](h, 13, produceOf(13, "", id)).Topics[0].Partitions[0].ErrorCode, 0)
	}
	findCoordinator := kmsg.NewPtrFindCoordinatorRequest()
	ask[*kmsg.FindCoordinatorResponse](h, 3, findCoordinator)
	h.await("__consumer_offsets")
	for _, c := range []struct {
		topic     string
		offset    int64
		code      int16
		watermark int64
	}{
		{"t", -2, offsetOutOfRange, -1}, {"t", 6, offsetOutOfRange, -1}, {"t", 3, 0, 3}, {"t", 1, 0, 3}, {"t", -1, 0, 5},
		{"compacted", 0, policyViolation, -1}, {"both", 0, 0, 0}, {"nowhere", 0, unknownTopicOrPartition, -1},
		{"__consumer_offsets", 0, invalidTopicException, -1},
	} {
		eachVersion(0, 2, func(v int16) {
			got := ask[*kmsg.DeleteRecordsResponse](h, v, deleteRecordsTo(c.topic, c.offset)).Topics[0].Partitions[0]
			if got.ErrorCode != c.code || got.LowWatermark != c.watermark {
				t.Errorf("%s to %d in version %d: code %d, low watermark %d, not %d and %d", c.topic, c.offset, v, got.ErrorCode, got.LowWatermark, c.code, c.watermark)
			}
		})
	}
	if p := ask[*kmsg.ListOffsetsResponse](h, 7, listOffsetsOf(7, "t", id)).Topics[0].Partitions[0]; p.Offset != 5 {
		t.Errorf("the first offset is %d", p.Offset)
	}
	p := ask[*kmsg.FetchResponse](h, 13, fetchOf(13, "", id)).Topics[0].Partitions[0]
	h.is("fetch from 0", p.ErrorCode, offsetOutOfRange)
}

// await waits until a topic that nobody waits for is there.
func (h *house) await(topic string) {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, there := h.topic(topic); there {
			return
		}
	}
	h.t.Fatalf("%s does not come about", topic)
}

// S109: "cursor pagination, <= max.request.partition.size.limit 2000; topics sorted; unknown topic per-topic error 3; ELR
// arrays non-null (L1)."
func TestDescribeTopicPartitionsPages(t *testing.T) {
	h := newHouse(t, "max.request.partition.size.limit=4")
	for _, name := range []string{"c", "a", "b"} {
		h.create(name, 3)
	}
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 2000
	var seen []string
	for pages := 0; ; pages++ {
		r := ask[*kmsg.DescribeTopicPartitionsResponse](h, 0, q)
		n := 0
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				seen = append(seen, fmt.Sprintf("%s-%d", *topic.Topic, p.Partition))
				n++
			}
		}
		if n > 4 {
			t.Fatalf("a page of %d partitions", n)
		}
		if r.NextCursor == nil {
			break
		}
		if pages == 10 {
			t.Fatal("the pages do not end")
		}
		q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: r.NextCursor.Topic, Partition: r.NextCursor.Partition}
	}
	if want := []string{"a-0", "a-1", "a-2", "b-0", "b-1", "b-2", "c-0", "c-1", "c-2"}; !slices.Equal(seen, want) {
		t.Errorf("the pages hold %v", seen)
	}
	r := ask[*kmsg.DescribeTopicPartitionsResponse](h, 0, topicPartitionsOf(0, "nowhere", [16]byte{}))
	h.is("unknown", r.Topics[0].ErrorCode, unknownTopicOrPartition)
	r = ask[*kmsg.DescribeTopicPartitionsResponse](h, 0, topicPartitionsOf(0, "bad name!", [16]byte{}))
	h.is("illegal", r.Topics[0].ErrorCode, invalidTopicException)
}

// Partition.effectiveMinIsr: "There is no restriction on the min ISR … the effective min ISR of min(replication factor, min ISR)": a topic of
// one replica takes acks=all where two are to be in sync.
func TestMoreInSyncThanThereAreReplicas(t *testing.T) {
	h := newHouse(t, "min.insync.replicas=2")
	for _, configs := range [][]string{nil, {"min.insync.replicas", "3"}} {
		name := "t" + strconv.Itoa(len(configs))
		id := h.create(name, 1, configs...)
		h.is(name, ask[*kmsg.ProduceResponse](h, 13, produceOf(13, "", id)).Topics[0].Partitions[0].ErrorCode, 0)
	}
}
