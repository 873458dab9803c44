package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ConsumerGroupDescribe shows groups by KIP-848 with their members, what they have and what they are to have. v1 tells which protocol a
// member speaks (KIP-1099).
var consumerGroupDescribeAPI = api{key: 69, min: 0, max: 1, start: decoded(onConsumerGroupDescribe), shape: "[s] 1"}

func onConsumerGroupDescribe(c stage.Context, r *Request, q *kmsg.ConsumerGroupDescribeRequest) {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	resp.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, len(q.Groups))
	split[message.ConsumersDescribed]{
		groups:   q.Groups,
		ask:      func(groups []string) any { return &message.DescribeConsumers{Groups: groups} },
		patience: coordinatorPatience,
		count:    func(d *message.ConsumersDescribed) int { return len(d.Groups) },
		tell: func(place int, d *message.ConsumersDescribed, i int) {
			resp.Groups[place] = describedConsumers(r, q, &d.Groups[i])
		},
		refuse: func(place int, code message.Code) {
			resp.Groups[place] = undescribedConsumers(q.Groups[place], code, "")
		},
		done: func(c stage.Context) { r.Answer(c, resp) },
	}.begin(c, r)
}

func undescribedConsumers(group string, code message.Code, text string) kmsg.ConsumerGroupDescribeResponseGroup {
	out := kmsg.NewConsumerGroupDescribeResponseGroup()
	out.Group, out.ErrorCode, out.ErrorMessage = group, int16(code), note(text)
	return out
}

func describedConsumers(r *Request, q *kmsg.ConsumerGroupDescribeRequest, d *message.DescribedConsumers) kmsg.ConsumerGroupDescribeResponseGroup {
	out := undescribedConsumers(d.Group, d.Code, d.Message)
	out.State, out.Epoch, out.AssignmentEpoch, out.AssignorName = d.State, d.Epoch, d.AssignmentEpoch, d.Assignor
	if q.IncludeAuthorizedOperations && d.Code == message.OK {
		out.AuthorizedOperations = everythingOnGroup
	}
	for i := range d.Members {
		out.Members = append(out.Members, describedConsumer(r, &d.Members[i]))
	}
	return out
}

func describedConsumer(r *Request, d *message.DescribedConsumer) kmsg.ConsumerGroupDescribeResponseGroupMember {
	out := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	out.MemberID, out.InstanceID, out.RackID, out.MemberEpoch = d.Member, note(d.Instance), note(d.Rack), d.Epoch
	out.ClientID, out.ClientHost, out.SubscribedTopics, out.SubscribedTopicRegex = d.ClientID, d.Host, d.Topics, note(d.Pattern)
	out.Assignment, out.TargetAssignment = assignmentOf(r, d.Assignment), assignmentOf(r, d.Target)
	if out.MemberType = 1; d.Classic {
		out.MemberType = 0
	}
	return out
}

// assignmentOf names topics; one that is there no more has no name, and is left out.
func assignmentOf(r *Request, all []message.PartitionID) (out kmsg.Assignment) {
	for topic, partitions := range byTopic(all) {
		if t := r.Image.TopicByID(topic); t != nil {
			out.TopicPartitions = append(out.TopicPartitions, kmsg.AssignmentTopicPartition{TopicID: topic, Topic: t.Name, Partitions: partitions})
		}
	}
	return out
}
