package claims

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupSamples are samples for the APIs of groups.
func (w *world) groupSamples() map[kmsg.Key]sample {
	nameless := func(q kmsg.Request) func(int16) kmsg.Request { return func(int16) kmsg.Request { return q } }
	return map[kmsg.Key]sample{
		kmsg.OffsetCommit: {good: func(int16) kmsg.Request { return commitOf(w.name(), w.topic, w.id) }, bad: func(int16) kmsg.Request { return commitOf("group", "nowhere", [16]byte{1}) }},
		kmsg.OffsetFetch: {good: func(int16) kmsg.Request { return offsetFetchOf(w.committed(), w.topic, w.id) }, bad: func(v int16) kmsg.Request {
			if v < 10 {
				return nil // nothing is committed in a topic that does not exist, which is no error
			}
			return offsetFetchOf("group", "", [16]byte{1})
		}},
		kmsg.FindCoordinator: {good: func(int16) kmsg.Request { return findCoordinatorOf(0) }, bad: findNoCoordinatorOf},
		kmsg.JoinGroup:       {good: w.joinOf, bad: nameless(kmsg.NewPtrJoinGroupRequest())},
		kmsg.Heartbeat:       {good: w.heartbeatOf, bad: nameless(kmsg.NewPtrHeartbeatRequest())},
		kmsg.LeaveGroup:      {good: w.leaveOf, bad: nameless(kmsg.NewPtrLeaveGroupRequest())},
		kmsg.SyncGroup:       {good: func(int16) kmsg.Request { return syncOf(w.joined()) }, bad: nameless(kmsg.NewPtrSyncGroupRequest())},
		kmsg.DescribeGroups: {good: func(int16) kmsg.Request { return &kmsg.DescribeGroupsRequest{Groups: []string{w.committed()}} },
			bad: nameless(&kmsg.DescribeGroupsRequest{Groups: []string{""}})},
		kmsg.ConsumerGroupHeartbeat: {good: w.consumerBeatOf, bad: nameless(kmsg.NewPtrConsumerGroupHeartbeatRequest())},
		kmsg.ConsumerGroupDescribe: {good: func(v int16) kmsg.Request { return &kmsg.ConsumerGroupDescribeRequest{Groups: []string{w.consumed(v)}} },
			bad: func(int16) kmsg.Request { return &kmsg.ConsumerGroupDescribeRequest{Groups: []string{w.committed()}} }},
		kmsg.ListGroups: {good: nameless(kmsg.NewPtrListGroupsRequest())},
		kmsg.DeleteGroups: {good: func(int16) kmsg.Request { return &kmsg.DeleteGroupsRequest{Groups: []string{w.committed()}} },
			bad: nameless(&kmsg.DeleteGroupsRequest{Groups: []string{"nowhere"}})},
		kmsg.OffsetDelete: {good: func(int16) kmsg.Request { return offsetDeleteOf(w.committed(), w.topic) },
			bad: func(int16) kmsg.Request { return offsetDeleteOf(w.committed(), "nowhere") }},
	}
}

// consumerBeatOf joins a new group by KIP-848.
func (w *world) consumerBeatOf(int16) kmsg.Request {
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.RebalanceTimeoutMillis = w.name(), "member", 60_000
	q.SubscribedTopicNames, q.Topics = []string{w.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return q
}

// consumed is a new group by KIP-848 with a member.
func (w *world) consumed(v int16) string {
	q := w.consumerBeatOf(v).(*kmsg.ConsumerGroupHeartbeatRequest)
	r := ask[*kmsg.ConsumerGroupHeartbeatResponse](w.h, v, q)
	w.h.is("a heartbeat", r.ErrorCode, 0)
	return q.Group
}

// committed is a new group that has committed an offset and has no members.
func (w *world) committed() string {
	group := w.name()
	r := ask[*kmsg.OffsetCommitResponse](w.h, 9, commitOf(group, w.topic, w.id))
	w.h.is("a commit", r.Topics[0].Partitions[0].ErrorCode, 0)
	return group
}

// joined is the only member of a new group, that has not been assigned anything yet.
func (w *world) joined() (group string, r *kmsg.JoinGroupResponse) {
	q := joinOf(w.name())
	r = ask[*kmsg.JoinGroupResponse](w.h, 3, q)
	w.h.is("a join", r.ErrorCode, 0)
	return q.Group, r
}

// joinOf asks to join a new group. A dynamic member comes with the id that it was given.
func (w *world) joinOf(v int16) kmsg.Request {
	q := joinOf(w.name())
	if v >= 4 {
		r := ask[*kmsg.JoinGroupResponse](w.h, v, q)
		w.h.is("a newcomer's join", r.ErrorCode, 79)
		q.MemberID = r.MemberID
	}
	return q
}

func joinOf(group string) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = group, "consumer", 60_000, 60_000
	q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{}}}
	return q
}

func syncOf(group string, joined *kmsg.JoinGroupResponse) *kmsg.SyncGroupRequest {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Group, q.Generation, q.MemberID, q.ProtocolType, q.Protocol = group, joined.Generation, joined.MemberID, ptr("consumer"), ptr("range")
	q.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: []byte("all")}}
	return q
}

func (w *world) heartbeatOf(int16) kmsg.Request {
	group, joined := w.joined()
	w.h.is("a sync", ask[*kmsg.SyncGroupResponse](w.h, 5, syncOf(group, joined)).ErrorCode, 0)
	return &kmsg.HeartbeatRequest{Group: group, Generation: joined.Generation, MemberID: joined.MemberID}
}

func (w *world) leaveOf(int16) kmsg.Request {
	group, joined := w.joined()
	return &kmsg.LeaveGroupRequest{Group: group, MemberID: joined.MemberID, Members: []kmsg.LeaveGroupRequestMember{{MemberID: joined.MemberID}}}
}

func findCoordinatorOf(kind int8) kmsg.Request {
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorKey, q.CoordinatorKeys, q.CoordinatorType = "group", []string{"group"}, kind
	return q
}

// findNoCoordinatorOf asks for the coordinator of something that has none; version 0 cannot.
func findNoCoordinatorOf(v int16) kmsg.Request {
	if v == 0 {
		return nil
	}
	return findCoordinatorOf(9)
}

func commitOf(group, topic string, id [16]byte) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, t.TopicID, t.Partitions = topic, id, append(t.Partitions, p)
	q.Group, q.Topics = group, append(q.Topics, t)
	return q
}

func offsetFetchOf(group, topic string, id [16]byte) *kmsg.OffsetFetchRequest {
	q := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, TopicID: id, Partitions: []int32{0}}}
	q.Group, q.Topics, q.Groups = group, []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}, append(q.Groups, g)
	return q
}

func offsetDeleteOf(group, topic string) *kmsg.OffsetDeleteRequest {
	return &kmsg.OffsetDeleteRequest{Group: group, Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}}
}
