package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeTopicPartitions pages through topics and their partitions (KIP-966, S109).
var describeTopicPartitions = api{key: 75, min: 0, max: 0, shape: "(s) 4 ?(s 4)", start: decoded(onDescribeTopicPartitions)}

func onDescribeTopicPartitions(c stage.Context, r *Request, q *kmsg.DescribeTopicPartitionsRequest) {
	left := int(r.Layers().Number("max.request.partition.size.limit"))
	if limit := int(q.ResponsePartitionLimit); limit > 0 && limit < left {
		left = limit
	}
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	resp.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	page := &page{r: r, resp: resp, left: left}
	if q.Cursor != nil {
		page.from, page.first = q.Cursor.Topic, q.Cursor.Partition
	}
	if len(q.Topics) == 0 {
		for t := range r.Image.TopicsFrom(page.from) {
			if !page.add(t.Name, t) {
				break
			}
		}
		r.Answer(c, resp)
		return
	}
	names := make([]string, 0, len(q.Topics))
	for _, t := range q.Topics {
		names = append(names, t.Topic)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name >= page.from && !page.add(name, r.Image.Topic(name)) {
			break
		}
	}
	r.Answer(c, resp)
}

// page fills a response up to so many partitions, beginning where the cursor says.
type page struct {
	r     *Request
	resp  *kmsg.DescribeTopicPartitionsResponse
	left  int
	from  string
	first int32
}

// add appends a topic; false if the page is full, and then the cursor says where to go on.
func (p *page) add(name string, t *image.Topic) bool {
	first := int32(0)
	if name == p.from {
		first = max(p.first, 0)
	}
	if p.left <= 0 {
		p.cursor(name, first)
		return false
	}
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.AuthorizedOperations, out.Partitions = &name, everythingOnTopic, []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	if t == nil {
		out.ErrorCode, out.AuthorizedOperations = int16(message.UnknownTopicOrPartition), notAsked
		if illegal(name) {
			out.ErrorCode = int16(message.InvalidTopicException)
		}
		p.resp.Topics = append(p.resp.Topics, out)
		return true
	}
	out.TopicID, out.IsInternal = t.ID, t.Internal
	index := first
	for ; int(index) < len(t.Partitions) && p.left > 0; index++ {
		out.Partitions = append(out.Partitions, p.partition(index, &t.Partitions[index]))
		p.left--
	}
	p.resp.Topics = append(p.resp.Topics, out)
	if int(index) < len(t.Partitions) {
		p.cursor(name, index)
		return false
	}
	return true
}

func (p *page) cursor(topic string, partition int32) {
	p.resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: topic, Partition: partition}
}

// partition has no null list: clients follow them blindly (L1). A leader whom the client cannot reach is none, which is no
// error here.
func (p *page) partition(index int32, at *image.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	out := kmsg.DescribeTopicPartitionsResponseTopicPartition{Partition: index, LeaderID: int32(at.Leader), LeaderEpoch: at.LeaderEpoch,
		Replicas: numbers(at.Replicas), ISR: numbers(at.ISR), EligibleLeaderReplicas: numbers(at.ELR), LastKnownELR: numbers(at.LastKnownELR),
		OfflineReplicas: numbers(p.r.offline(at.Replicas))}
	if p.r.leaderTrouble(at.Leader) != message.OK {
		out.LeaderID = int32(message.Nobody)
	}
	return out
}
