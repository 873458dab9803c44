package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeProducers lists whom partitions remember (KIP-664, S98, S128).
var describeProducers = api{key: 61, min: 0, max: 0, shape: "(s [4])", start: decoded(onDescribeProducers)}

func onDescribeProducers(c stage.Context, r *Request, q *kmsg.DescribeProducersRequest) {
	resp := kmsg.NewPtrDescribeProducersResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	resp.Topics = make([]kmsg.DescribeProducersResponseTopic, len(q.Topics))
	for i, t := range q.Topics {
		resp.Topics[i].Topic = t.Topic
		resp.Topics[i].Partitions = make([]kmsg.DescribeProducersResponseTopicPartition, len(t.Partitions))
		for j, index := range t.Partitions {
			a := &resp.Topics[i].Partitions[j]
			a.Partition, a.ActiveProducers = index, []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
			g.askLeader(c, r, t.Topic, index, &message.DescribeProducers{}, adminPatience, func(_ stage.Context, answer any, code message.Code) {
				a.ErrorCode = int16(code)
				if d, ok := answer.(*message.ProducersDescribed); ok {
					a.ErrorCode, a.ActiveProducers = int16(d.Code), activeProducers(d.Producers)
				}
			})
		}
	}
	g.begin(c)
}

func activeProducers(states []message.ProducerState) []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	out := []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
	for _, p := range states {
		out = append(out, kmsg.DescribeProducersResponseTopicPartitionActiveProducer{ProducerID: p.ID, ProducerEpoch: int32(p.Epoch), LastSequence: p.LastSequence,
			LastTimestamp: p.LastTimestamp, CoordinatorEpoch: p.CoordinatorEpoch, CurrentTxnStartOffset: p.TxnStart})
	}
	return out
}
