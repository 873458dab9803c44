package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// TxnOffsetCommit keeps how far a group has read as a part of a producer's transaction (S96). v2 has leader epochs (KIP-320), v3 says who
// the member is (KIP-447) and is flexible, v4 has a code for a transaction that can only be aborted, v5 is transaction version 2
// (KIP-890). Version 6 is not in the release that the table follows.
var txnOffsetCommitAPI = api{key: 28, min: 0, max: 5, start: decoded(onTxnOffsetCommit), shape: "s s 8 2 4@3+ s@3+ s@3+ (s (4 8 4@2+ s))"}

func onTxnOffsetCommit(c stage.Context, r *Request, q *kmsg.TxnOffsetCommitRequest) {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	ask := &message.CommitTxnOffsets{TransactionalID: q.TransactionalID, Producer: q.ProducerID, Epoch: q.ProducerEpoch, Abortable: r.Version >= 4,
		CommitOffsets: message.CommitOffsets{Group: q.Group, Member: q.MemberID, Instance: value(q.InstanceID), Generation: q.Generation}}
	if r.Version < 3 {
		ask.Generation = -1
	}
	if r.Version >= 5 {
		ask.Version = 2
	}
	fates := txnCommitOf(r, q, resp, ask)
	finish := func(c stage.Context, done *message.OffsetsCommitted, code message.Code) {
		fates.settle(done.Codes, loadingTo(r, code), loadingTo(r, done.Code))
		r.Answer(c, resp)
	}
	at, code := r.namedCoordinator(q.Group)
	if q.TransactionalID == "" || len(q.TransactionalID) > textMax {
		code = message.InvalidRequest
	}
	if len(fates) == 0 || code != message.OK {
		finish(c, &message.OffsetsCommitted{}, code)
		return
	}
	askCoordinator(c, r, at, ask, commitPatience(r)+coordinatorPatience, message.CoordinatorNotAvailable, finish)
}

// loadingTo hides from old producers a code at which they fail (KAFKA-7296).
func loadingTo(r *Request, code message.Code) message.Code {
	if code == message.CoordinatorLoadInProgress && r.Version < 2 {
		return message.CoordinatorNotAvailable
	}
	return code
}

// txnCommitOf puts the offsets of partitions that exist into the question, and answers for those that do not.
func txnCommitOf(r *Request, q *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse, ask *message.CommitTxnOffsets) (f fates) {
	resp.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(q.Topics))
	for i := range q.Topics {
		qt, rt := &q.Topics[i], &resp.Topics[i]
		rt.Topic, rt.Partitions = qt.Topic, make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(qt.Partitions))
		t, code := r.committable(qt.Topic, message.TopicID{}, false)
		for j := range qt.Partitions {
			qp, rp := &qt.Partitions[j], &rt.Partitions[j]
			rp.Partition, rp.ErrorCode = qp.Partition, int16(code)
			if code == message.OK && t.Partition(qp.Partition) == nil {
				rp.ErrorCode = int16(message.UnknownTopicOrPartition)
			}
			if rp.ErrorCode != 0 {
				continue
			}
			at := message.CommittedOffset{Topic: t.Name, TopicID: t.ID, Partition: qp.Partition, Offset: qp.Offset, LeaderEpoch: -1, Metadata: value(qp.Metadata)}
			if r.Version >= 2 {
				at.LeaderEpoch = qp.LeaderEpoch
			}
			ask.Offsets, f = append(ask.Offsets, at), append(f, &rp.ErrorCode)
		}
	}
	return f
}
