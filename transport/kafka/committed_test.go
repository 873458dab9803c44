package kafka

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

func commitRequest(group string, more ...kmsg.OffsetCommitRequestTopic) *kmsg.OffsetCommitRequest {
	note, instance := "note", "i"
	q := &kmsg.OffsetCommitRequest{Group: group, Generation: 3, MemberID: "m", InstanceID: &instance, RetentionTimeMillis: -1}
	q.Topics = append([]kmsg.OffsetCommitRequestTopic{{Topic: "t", TopicID: idOf("t"), Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1, Offset: 41, LeaderEpoch: 2, Metadata: &note}}}}, more...)
	return q
}

func fetchRequest(group string, version int16) kmsg.Request {
	member := "m"
	q := &kmsg.OffsetFetchRequest{Group: group, RequireStable: true, Topics: []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1, 0}}}}
	q.Groups = []kmsg.OffsetFetchRequestGroup{{Group: group, MemberID: &member, MemberEpoch: 4, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", TopicID: idOf("t"), Partitions: []int32{1, 0}}}}}
	return q
}

// S72: "Unknown topic/partition -> UNKNOWN_TOPIC_OR_PARTITION per partition, others commit." S74: v10 "uses topic ids (unknown id ->
// UNKNOWN_TOPIC_ID)". Null metadata is stored as "".
func TestOffsetsAreCommitted(t *testing.T) {
	for version := int16(2); version <= 10; version++ {
		want := &message.CommitOffsets{Group: groupIn(here, 0), Member: "m", Generation: 3, Since9: version >= 9, Offsets: []message.CommittedOffset{
			{Topic: "t", TopicID: idOf("t"), Partition: 1, Offset: 41, LeaderEpoch: 2, Metadata: "note"}, {Topic: "u", TopicID: idOf("u"), Offset: 7, LeaderEpoch: -1}}}
		if version >= 7 {
			want.Instance = "i"
		}
		if version < 6 {
			want.Offsets[0].LeaderEpoch = -1
		}
		q := commitRequest(want.Group,
			kmsg.OffsetCommitRequestTopic{Topic: "nowhere", TopicID: [16]byte{7}, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0}}},
			kmsg.OffsetCommitRequestTopic{Topic: "u", TopicID: idOf("u"), Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1}, {Partition: 0, Offset: 7, LeaderEpoch: -1}, {Partition: -1}}})
		h := coordinated(t, func(at message.Address, ask any) any {
			if at != coordinatorAt(here) || !reflect.DeepEqual(ask, want) {
				t.Errorf("version %d: %v was asked\n%+v, not\n%+v", version, at, ask, want)
			}
			return &message.OffsetsCommitted{Codes: []message.Code{message.OffsetMetadataTooLarge, message.OK}}
		})
		r := call(h, q, kmsg.NewPtrOffsetCommitResponse(), version)
		unknown := int16(3)
		if version >= 10 {
			unknown = 100
		}
		if len(r.Topics) != 3 || r.Topics[0].Partitions[0].Partition != 1 || r.Topics[0].Partitions[0].ErrorCode != 12 || r.Topics[1].Partitions[0].ErrorCode != unknown {
			t.Fatalf("version %d: %+v", version, r)
		}
		if ps := r.Topics[2].Partitions; len(ps) != 3 || ps[0].ErrorCode != 3 || ps[1].ErrorCode != 0 || ps[2].ErrorCode != 3 || ps[2].Partition != -1 {
			t.Errorf("version %d: %+v", version, ps)
		}
		if version < 10 && r.Topics[1].Topic != "nowhere" || version >= 10 && r.Topics[2].TopicID != idOf("u") {
			t.Errorf("version %d: %+v", version, r.Topics)
		}
	}
}

// Nothing to commit is nobody's business; a refusal of the group is every partition's, but of those that do not exist.
func TestCommitsAreRefused(t *testing.T) {
	nowhere := kmsg.OffsetCommitRequestTopic{Topic: "no where", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0}}}
	for version := int16(2); version <= 9; version++ {
		h := coordinated(t, answering(&message.OffsetsCommitted{Code: message.IllegalGeneration}))
		r := call(h, commitRequest(groupIn(here, 0), nowhere), kmsg.NewPtrOffsetCommitResponse(), version)
		if r.Topics[0].Partitions[0].ErrorCode != 22 || r.Topics[1].Partitions[0].ErrorCode != 3 {
			t.Errorf("version %d: %+v", version, r)
		}
		h = coordinated(t, func(message.Address, any) any { t.Error("the coordinator was asked"); return nil })
		q := commitRequest(groupIn(here, 0), nowhere)
		q.Topics = q.Topics[1:]
		if r := call(h, q, kmsg.NewPtrOffsetCommitResponse(), version); r.Topics[0].Partitions[0].ErrorCode != 3 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
	h := coordinated(t, answering(nil))
	h.ask(commitRequest(groupIn(here, 0)), 9, 1)
	if h.asks[0].patience != 6*time.Second {
		t.Errorf("a commit may take %v", h.asks[0].patience)
	}
}

// offsetsIn are the only group's offsets of an answer, wherever its version has them.
func offsetsIn(t *testing.T, r *kmsg.OffsetFetchResponse, version int16) []kmsg.OffsetFetchResponseGroupTopic {
	t.Helper()
	if version >= 8 {
		if len(r.Groups) != 1 || r.Groups[0].ErrorCode != 0 {
			t.Fatalf("version %d: %+v", version, r)
		}
		return r.Groups[0].Topics
	}
	var all []kmsg.OffsetFetchResponseGroupTopic
	for _, topic := range r.Topics {
		one := kmsg.OffsetFetchResponseGroupTopic{Topic: topic.Topic}
		for _, p := range topic.Partitions {
			one.Partitions = append(one.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition(p))
		}
		all = append(all, one)
	}
	return all
}

// S73, L3: "per partition offset -1, epoch -1, metadata ”, error NONE". S74: "v9+ carries member_id/epoch; v10 uses topic ids". In the
// order of the question.
func TestOffsetsAreFetched(t *testing.T) {
	for version := int16(1); version <= 10; version++ {
		want := &message.FetchOffsets{Group: groupIn(here, 0), Epoch: -1, RequireStable: version >= 7, Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1, 0}}}}
		if version >= 9 {
			want.Member, want.Epoch = "m", 4
		}
		h := coordinated(t, func(at message.Address, ask any) any {
			if at != coordinatorAt(here) || !reflect.DeepEqual(ask, want) {
				t.Errorf("version %d: %v was asked\n%+v, not\n%+v", version, at, ask, want)
			}
			return &message.OffsetsFetched{Topics: []message.FetchedTopic{{Topic: "t", Offsets: []message.FetchedOffset{{Partition: 1, Offset: 41, LeaderEpoch: 2, Metadata: "note"},
				{Partition: 0, Offset: -1, LeaderEpoch: -1, Code: message.UnstableOffsetCommit}}}}}
		})
		got := offsetsIn(t, call(h, fetchRequest(want.Group, version), kmsg.NewPtrOffsetFetchResponse(), version), version)
		if len(got) != 1 || len(got[0].Partitions) != 2 || version < 10 && got[0].Topic != "t" || version >= 10 && got[0].TopicID != idOf("t") {
			t.Fatalf("version %d: %+v", version, got)
		}
		one, two := got[0].Partitions[0], got[0].Partitions[1]
		if one.Partition != 1 || one.Offset != 41 || *one.Metadata != "note" || one.ErrorCode != 0 || version >= 5 && one.LeaderEpoch != 2 || two.Offset != -1 || two.ErrorCode != 88 || *two.Metadata != "" {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

// S73: "topics=null (v2+) = all committed". What is there no more has no id that v10 could name it by.
func TestAllOffsetsAreFetched(t *testing.T) {
	for version := int16(2); version <= 10; version++ {
		h := coordinated(t, func(_ message.Address, ask any) any {
			if got := ask.(*message.FetchOffsets); !got.All || got.Topics != nil {
				t.Errorf("version %d: asked %+v", version, got)
			}
			return &message.OffsetsFetched{Topics: []message.FetchedTopic{{Topic: "gone", Offsets: []message.FetchedOffset{{Offset: 1}}}, {Topic: "t", Offsets: []message.FetchedOffset{{Offset: 2}}}}}
		})
		q := fetchRequest(groupIn(here, 0), version).(*kmsg.OffsetFetchRequest)
		q.Topics, q.Groups[0].Topics = nil, nil
		got := offsetsIn(t, call(h, q, kmsg.NewPtrOffsetFetchResponse(), version), version)
		if version < 10 && (len(got) != 2 || got[0].Topic != "gone" || got[1].Partitions[0].Offset != 2) || version >= 10 && (len(got) != 1 || got[0].TopicID != idOf("t")) {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

// An empty list asks for nothing, and is not the null that asks for all.
func TestNoOffsetsAreFetched(t *testing.T) {
	for version := int16(1); version <= 10; version++ {
		h := coordinated(t, func(_ message.Address, ask any) any {
			if got := ask.(*message.FetchOffsets); got.All {
				t.Errorf("version %d: asked %+v", version, got)
			}
			return &message.OffsetsFetched{}
		})
		q := fetchRequest(groupIn(here, 0), version).(*kmsg.OffsetFetchRequest)
		q.Topics, q.Groups[0].Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
		if got := offsetsIn(t, call(h, q, kmsg.NewPtrOffsetFetchResponse(), version), version); len(got) > 0 {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

// S74: "v10: unknown id -> UNKNOWN_TOPIC_ID", and the others are fetched, in the order of the question.
func TestUnknownTopicsAreNotFetched(t *testing.T) {
	h := coordinated(t, func(_ message.Address, ask any) any {
		if got := ask.(*message.FetchOffsets); len(got.Topics) != 2 || got.Topics[0].Topic != "t" || got.Topics[1].Topic != "u" {
			t.Errorf("asked %+v", got)
		}
		return &message.OffsetsFetched{Topics: []message.FetchedTopic{{Topic: "t", Offsets: []message.FetchedOffset{{Offset: 1}}}, {Topic: "u", Offsets: []message.FetchedOffset{{Offset: 2}}}}}
	})
	q := fetchRequest(groupIn(here, 0), 10).(*kmsg.OffsetFetchRequest)
	q.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{{TopicID: idOf("t"), Partitions: []int32{0}}, {TopicID: [16]byte{7}, Partitions: []int32{5}}, {TopicID: idOf("u"), Partitions: []int32{0}}}
	got := offsetsIn(t, call(h, q, kmsg.NewPtrOffsetFetchResponse(), 10), 10)
	if len(got) != 3 || got[0].Partitions[0].Offset != 1 || got[2].Partitions[0].Offset != 2 {
		t.Fatalf("%+v", got)
	}
	if p := got[1].Partitions[0]; p.Partition != 5 || p.Offset != -1 || p.LeaderEpoch != -1 || p.ErrorCode != 100 || *p.Metadata != "" {
		t.Errorf("%+v", p)
	}
}

// S73: "v8 groups[] batch with per-group error": each group is its coordinator's, or somebody else's.
func TestOffsetsOfSeveralGroups(t *testing.T) {
	for version := int16(8); version <= 10; version++ {
		h := coordinated(t, func(at message.Address, ask any) any {
			if got := ask.(*message.FetchOffsets); at == coordinatorAt(1) {
				return &message.OffsetsFetched{Code: message.UnknownMemberID}
			} else if at != coordinatorAt(here) || got.Group != groupIn(here, 0) {
				t.Errorf("%v was asked %+v", at, got)
			}
			return &message.OffsetsFetched{Topics: []message.FetchedTopic{{Topic: "t", Offsets: []message.FetchedOffset{{Offset: 3}}}}}
		})
		q := fetchRequest(groupIn(there, 0), version).(*kmsg.OffsetFetchRequest)
		for _, group := range []string{groupIn(here, 0), groupIn(1, 0)} {
			next := q.Groups[0]
			next.Group = group
			q.Groups = append(q.Groups, next)
		}
		r := call(h, q, kmsg.NewPtrOffsetFetchResponse(), version)
		for i, want := range []int16{16, 0, 25} {
			if got := r.Groups[i]; got.Group != q.Groups[i].Group || got.ErrorCode != want || (len(got.Topics) > 0) != (want == 0) {
				t.Errorf("version %d: group %d: %+v", version, i, got)
			}
		}
	}
}

// S73: "v0-1 errors appear at partition level (KAFKA-19246)"; v2 to v7 have one for the answer.
func TestWhereFetchesSayThatTheyFailed(t *testing.T) {
	for version := int16(1); version <= 7; version++ {
		r := call(coordinated(t, answering(nil)), fetchRequest(groupIn(there, 0), version), kmsg.NewPtrOffsetFetchResponse(), version)
		if version > 1 {
			if r.ErrorCode != 16 || len(r.Topics) > 0 {
				t.Errorf("version %d: %+v", version, r)
			}
			continue
		}
		if ps := r.Topics[0].Partitions; len(ps) != 2 || ps[0].ErrorCode != 16 || ps[0].Partition != 1 || ps[0].Offset != -1 || ps[1].ErrorCode != 16 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// S76: "OffsetDelete: GROUP_SUBSCRIBED_TO_TOPIC(86) per partition; non-consumer protocol & non-empty -> NON_EMPTY_GROUP", for the whole.
func TestOffsetsAreDeleted(t *testing.T) {
	q := &kmsg.OffsetDeleteRequest{Group: groupIn(1, 0), Topics: []kmsg.OffsetDeleteRequestTopic{
		{Topic: "nowhere", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}},
		{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}, {Partition: 2}, {Partition: 0}}}}}
	h := coordinated(t, func(at message.Address, ask any) any {
		if want := (&message.DeleteOffsets{Group: q.Group, Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1, 0}}}}); at != coordinatorAt(1) || !reflect.DeepEqual(ask, want) {
			t.Errorf("%v was asked %+v", at, ask)
		}
		return &message.OffsetsDeleted{Codes: []message.Code{message.GroupSubscribedToTopic, message.OK}}
	})
	r := call(h, q, kmsg.NewPtrOffsetDeleteResponse(), 0)
	if ps := r.Topics[1].Partitions; r.ErrorCode != 0 || r.Topics[0].Partitions[0].ErrorCode != 3 || ps[0].ErrorCode != 86 || ps[1].ErrorCode != 3 || ps[2].ErrorCode != 0 {
		t.Errorf("%+v", r)
	}
	h = coordinated(t, answering(&message.OffsetsDeleted{Code: message.NonEmptyGroup}))
	if r := call(h, q, kmsg.NewPtrOffsetDeleteResponse(), 0); r.ErrorCode != 68 || len(r.Topics) > 0 {
		t.Errorf("%+v", r)
	}
}

// S75: v2 to v4 may ask for a retention of their own; -1 does not.
func TestARetentionIsHandedOn(t *testing.T) {
	for version := int16(2); version <= 5; version++ {
		var got *message.CommitOffsets
		h := coordinated(t, func(_ message.Address, ask any) any {
			got = ask.(*message.CommitOffsets)
			return &message.OffsetsCommitted{Codes: make([]message.Code, len(got.Offsets))}
		})
		for asked, want := range map[int64]time.Duration{-1: 0, 0: time.Millisecond, 60_000: time.Minute} {
			if version > 4 {
				want = 0
			}
			q := commitRequest(groupIn(here, 0))
			q.RetentionTimeMillis = asked
			call(h, q, kmsg.NewPtrOffsetCommitResponse(), version)
			if got.Retention != want {
				t.Errorf("version %d: %d ms became %v, not %v", version, asked, got.Retention, want)
			}
		}
	}
}
