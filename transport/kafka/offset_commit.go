package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// OffsetCommit keeps how far a group has read (S70-S72). v5 has no retention of its own any more (KIP-211), v6 has leader epochs (KIP-320),
// v7 static members (KIP-345), v8 is flexible, v9 is for groups whose members have epochs too (KIP-848), v10 names topics by id.
// A retention that v2 to v4 ask for holds instead of offsets.retention.minutes, as in Kafka, while nobody reads the topic.
//
// A group without a name is one, as Kafka still has it. A partition that does not exist is told so, and the others are committed.
var offsetCommitAPI = api{key: 8, min: 2, max: 10, start: decoded(onOffsetCommit), shape: "s 4 s s@7+ 8@2-4 (s@-9 16@10+ (4 8 4@6+ s))"}

func onOffsetCommit(c stage.Context, r *Request, q *kmsg.OffsetCommitRequest) {
	resp := kmsg.NewPtrOffsetCommitResponse()
	ask := &message.CommitOffsets{Group: q.Group, Member: q.MemberID, Instance: value(q.InstanceID), Generation: q.Generation, Since9: r.Version >= 9}
	if r.Version <= 4 && q.RetentionTimeMillis >= 0 {
		ask.Retention = setting.Duration(max(q.RetentionTimeMillis, 1))
	}
	fates := commitOf(r, q, resp, ask)
	finish := func(c stage.Context, done *message.OffsetsCommitted, code message.Code) {
		fates.settle(done.Codes, code, done.Code)
		r.Answer(c, resp)
	}
	at, code := r.coordinator(q.Group)
	if len(fates) == 0 || code != message.OK {
		finish(c, &message.OffsetsCommitted{}, code)
		return
	}
	askCoordinator(c, r, at, ask, commitPatience(r), message.CoordinatorNotAvailable, finish)
}

// commitOf puts the offsets of partitions that exist into the question, and answers for those that do not.
func commitOf(r *Request, q *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, ask *message.CommitOffsets) (f fates) {
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(q.Topics))
	for i := range q.Topics {
		qt, rt := &q.Topics[i], &resp.Topics[i]
		rt.Topic, rt.TopicID = qt.Topic, qt.TopicID
		t, code := r.committable(qt.Topic, qt.TopicID, r.Version >= 10)
		rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(qt.Partitions))
		for j := range qt.Partitions {
			qp, rp := &qt.Partitions[j], &rt.Partitions[j]
			rp.Partition, rp.ErrorCode = qp.Partition, int16(code)
			if code != message.OK {
				continue
			}
			if t.Partition(qp.Partition) == nil {
				rp.ErrorCode = int16(message.UnknownTopicOrPartition)
				continue
			}
			ask.Offsets = append(ask.Offsets, message.CommittedOffset{Topic: t.Name, TopicID: t.ID, Partition: qp.Partition, Offset: qp.Offset,
				LeaderEpoch: qp.LeaderEpoch, Metadata: value(qp.Metadata)})
			f = append(f, &rp.ErrorCode)
		}
	}
	return f
}
