package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// writeTxnMarkers ends transactions in partitions that this node leads, whatever their coordinator knows of them: what
// kafka-transactions.sh abort sends for one that hangs (KIP-664, S128). v2 says which transaction version the marker is of (KIP-890). The
// brokers themselves say it in words of their own.
var writeTxnMarkers = api{key: 27, min: 1, max: 2, shape: "(8 2 1 (s [4]) 4 1@2+)", start: decoded(onWriteTxnMarkers)}

func onWriteTxnMarkers(c stage.Context, r *Request, q *kmsg.WriteTxnMarkersRequest) {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	resp.Markers = make([]kmsg.WriteTxnMarkersResponseMarker, len(q.Markers))
	for i := range q.Markers {
		m, rm := &q.Markers[i], &resp.Markers[i]
		rm.ProducerID = m.ProducerID
		rm.Topics = make([]kmsg.WriteTxnMarkersResponseMarkerTopic, len(m.Topics))
		for j, t := range m.Topics {
			rt := &rm.Topics[j]
			rt.Topic = t.Topic
			rt.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
			for k, index := range t.Partitions {
				rp := &rt.Partitions[k]
				rp.Partition = index
				g.mark(c, r, m, t.Topic, index, func(code message.Code) { rp.ErrorCode = int16(code) })
			}
		}
	}
	g.begin(c)
}

// mark asks a partition's leader if it is here. In a partition of the topic of groups it is their coordinator that ends a transaction: it
// has offsets that wait for that.
func (g *gather) mark(c stage.Context, r *Request, m *kmsg.WriteTxnMarkersRequestMarker, topic string, index int32, then func(code message.Code)) {
	ask := &message.Mark{Producer: m.ProducerID, Epoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed, Version: int16(m.TransactionVersion)}
	took := func(_ stage.Context, answer any, code message.Code) {
		switch a := answer.(type) {
		case *message.Marked:
			code = a.Code
		case *message.Uncoordinated:
			code = message.NotLeaderOrFollower
		}
		then(code)
	}
	if topic == groupTopic {
		g.askLeaderAt(c, r, message.CoordinatorAt, topic, index, ask, adminPatience, took)
		return
	}
	g.askLeader(c, r, topic, index, ask, adminPatience, took)
}
