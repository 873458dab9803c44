package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// OffsetForLeaderEpoch says where a leader epoch ended, by which consumers find out that the log was cut behind their back
// (KIP-320).
var offsetForLeaderEpochAPI = api{key: 23, min: 2, max: 4, start: decoded(onOffsetForLeaderEpoch),
	shape: "4@3+ ( s ( 4 4 4 ) )"}

func onOffsetForLeaderEpoch(c stage.Context, r *Request, q *kmsg.OffsetForLeaderEpochRequest) {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	resp.Topics = make([]kmsg.OffsetForLeaderEpochResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t, rt := &q.Topics[i], &resp.Topics[i]
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			qp, rp := &t.Partitions[j], &rt.Partitions[j]
			*rp = kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			rp.Partition = qp.Partition
			g.left++
			r.leaderView(c, t.Topic, qp.Partition, qp.CurrentLeaderEpoch, func(c stage.Context, view message.View, code message.Code) {
				if rp.ErrorCode = int16(code); code == message.OK {
					rp.LeaderEpoch, rp.EndOffset = view.EpochEnd(qp.LeaderEpoch)
				}
				g.arrived(c)
			})
		}
	}
	g.begin(c)
}
