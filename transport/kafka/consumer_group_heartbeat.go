package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ConsumerGroupHeartbeat makes a client a member of a group whose partitions the broker assigns, says what it has, and hears what it is to have
// (KIP-848, S77-S81). From v1 on a client makes its member's id itself, and may subscribe by a pattern (KIP-1082).
var consumerGroupHeartbeatAPI = api{key: 68, min: 0, max: 1, start: decoded(onConsumerGroupHeartbeat), shape: "s s 4 s s 4 [s] s@1+ s (16 [4])"}

func onConsumerGroupHeartbeat(c stage.Context, r *Request, q *kmsg.ConsumerGroupHeartbeatRequest) {
	if p := unbeatable(r, q); p.Code != message.OK {
		r.Answer(c, consumerBeat(q, &message.ConsumerBeat{Code: p.Code, Message: p.Message}))
		return
	}
	ask := &message.ConsumerHeartbeat{Group: q.Group, Member: q.MemberID, Epoch: q.MemberEpoch, Instance: value(q.InstanceID), Rack: value(q.RackID),
		Rebalance: millis(q.RebalanceTimeoutMillis), Topics: q.SubscribedTopicNames, Pattern: q.SubscribedTopicRegex, Assignor: value(q.ServerAssignor),
		Owned: ownedOf(q), ClientID: r.ClientID(), Host: r.clientHost(), Holding: r.conn.holding()}
	askHolding(c, r, q.Group, q.MemberID, ask, ask.Holding, func(c stage.Context, beat *message.ConsumerBeat, code message.Code) {
		if code != message.OK {
			beat = &message.ConsumerBeat{Code: code}
		}
		r.Answer(c, consumerBeat(q, beat))
	})
}

// ownedOf are the partitions that a member says that it has; nil if it has not said.
func ownedOf(q *kmsg.ConsumerGroupHeartbeatRequest) []message.PartitionID {
	if q.Topics == nil {
		return nil
	}
	owned := []message.PartitionID{}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			owned = append(owned, message.PartitionID{Topic: t.TopicID, Index: p})
		}
	}
	return owned
}

// unbeatable says what of a heartbeat is not as the protocol has it, as Kafka says it.
func unbeatable(r *Request, q *kmsg.ConsumerGroupHeartbeatRequest) message.Problem {
	invalid := func(text string) message.Problem { return message.Problem{Code: message.InvalidRequest, Message: text} }
	blank := func(s *string) bool { return s != nil && *s == "" }
	long := func(s *string) bool { return s != nil && len(*s) > textMax }
	size := 0
	for _, name := range q.SubscribedTopicNames {
		size += len(name) + 2
	}
	switch joins := q.MemberEpoch == message.EpochJoins; {
	case !speaksConsumer(r):
		return message.Problem{Code: message.UnsupportedVersion, Message: "The consumer group protocol is not enabled: see group.coordinator.rebalance.protocols and the feature group.version."}
	case q.MemberID == "" && (r.Version >= 1 || !joins):
		return invalid("MemberId can't be empty.")
	case q.Group == "":
		return invalid("GroupId can't be empty.")
	case blank(q.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(q.RackID):
		return invalid("RackId can't be empty.")
	case long(&q.MemberID), long(q.InstanceID), long(q.RackID), long(q.SubscribedTopicRegex), long(q.ServerAssignor):
		return invalid("A text is longer than 32767 bytes.")
	case size > stateMax(r)/2:
		return invalid("SubscribedTopicNames are more than a group can keep: see max.message.bytes of " + groupTopic + ".")
	case joins && q.RebalanceTimeoutMillis < 0:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case joins && (q.Topics == nil || len(q.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case joins && q.SubscribedTopicNames == nil && q.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case q.MemberEpoch == message.EpochRests && q.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case q.MemberEpoch < message.EpochRests:
		return invalid("MemberEpoch is invalid.")
	}
	return message.Problem{}
}

// speaksConsumer says that groups by KIP-848 are enabled.
func speaksConsumer(r *Request) bool {
	return r.Image.Feature("group.version") >= 1 && slices.Contains(r.Layers().Strings("group.coordinator.rebalance.protocols"), "consumer")
}

func consumerBeat(q *kmsg.ConsumerGroupHeartbeatRequest, beat *message.ConsumerBeat) *kmsg.ConsumerGroupHeartbeatResponse {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	resp.ErrorCode, resp.ErrorMessage, resp.MemberEpoch = int16(beat.Code), note(beat.Message), beat.Epoch
	if beat.Code != message.OK {
		return resp
	}
	resp.MemberID, resp.HeartbeatIntervalMillis = &beat.Member, int32(beat.Interval.Milliseconds())
	if beat.Assigned {
		resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
		for topic, partitions := range byTopic(beat.Assignment) {
			resp.Assignment.Topics = append(resp.Assignment.Topics, kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: topic, Partitions: partitions})
		}
	}
	return resp
}

// byTopic yields topics with the indexes of their partitions, of a list in which a topic's stand together.
func byTopic(all []message.PartitionID) func(yield func(message.TopicID, []int32) bool) {
	return func(yield func(message.TopicID, []int32) bool) {
		for len(all) > 0 {
			topic, partitions := all[0].Topic, []int32(nil)
			for len(all) > 0 && all[0].Topic == topic {
				partitions, all = append(partitions, all[0].Index), all[1:]
			}
			if !yield(topic, partitions) {
				return
			}
		}
	}
}
