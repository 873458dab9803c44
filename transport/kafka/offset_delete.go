package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// OffsetDelete forgets what a group has committed of partitions that it does not read (KIP-496, S76).
var offsetDeleteAPI = api{key: 47, min: 0, max: 0, start: decoded(onOffsetDelete), shape: "s (s (4))"}

func onOffsetDelete(c stage.Context, r *Request, q *kmsg.OffsetDeleteRequest) {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	ask := &message.DeleteOffsets{Group: q.Group}
	fates := deletionOf(r, q, resp, ask)
	askGroup(c, r, q.Group, ask, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, done *message.OffsetsDeleted, code message.Code) {
		if code == message.OK {
			code = done.Code
		}
		if resp.ErrorCode = int16(code); code != message.OK {
			resp.Topics = nil
		} else {
			fates.settle(done.Codes, code, code)
		}
		r.Answer(c, resp)
	})
}

// deletionOf puts partitions that exist into the question, and answers for those that do not.
func deletionOf(r *Request, q *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse, ask *message.DeleteOffsets) (f fates) {
	resp.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(q.Topics))
	for i := range q.Topics {
		qt, rt := &q.Topics[i], &resp.Topics[i]
		rt.Topic, rt.Partitions = qt.Topic, make([]kmsg.OffsetDeleteResponseTopicPartition, len(qt.Partitions))
		known := message.OffsetTopic{Topic: qt.Topic}
		t, code := r.committable(qt.Topic, message.TopicID{}, false)
		for j := range qt.Partitions {
			rp := &rt.Partitions[j]
			if rp.Partition = qt.Partitions[j].Partition; code != message.OK || t.Partition(rp.Partition) == nil {
				rp.ErrorCode = int16(message.UnknownTopicOrPartition)
				continue
			}
			known.Partitions, f = append(known.Partitions, rp.Partition), append(f, &rp.ErrorCode)
		}
		if len(known.Partitions) > 0 {
			ask.Topics = append(ask.Topics, known)
		}
	}
	return f
}
