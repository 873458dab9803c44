package kafka

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

func consumerRequest(group string) *kmsg.ConsumerGroupHeartbeatRequest {
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.RebalanceTimeoutMillis = group, "m", 60_000
	q.SubscribedTopicNames, q.Topics = []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return q
}

// S77, S78: "null = unchanged" on the way in, "assignment only on join, full request, or change; null otherwise" on the way out.
func TestConsumerGroupHeartbeat(t *testing.T) {
	instance, rack, pattern, assignor := "i", "r", "t.*", "range"
	topic := message.TopicID{1}
	for version := int16(0); version <= 1; version++ {
		full := &message.ConsumerHeartbeat{Group: groupIn(here, 0), Member: "m", Epoch: 4, Instance: "i", Rack: "r", Rebalance: time.Minute, Topics: []string{"t"}, Assignor: "range",
			Owned: []message.PartitionID{{Topic: topic, Index: 2}, {Topic: topic, Index: 3}}, ClientID: "test", Host: "/198.51.100.7"}
		if version >= 1 {
			full.Pattern = &pattern
		}
		bare := &message.ConsumerHeartbeat{Group: groupIn(here, 0), Member: "m", Epoch: 4, Rebalance: -time.Millisecond, ClientID: "test", Host: "/198.51.100.7"}
		want, answer := full, &message.ConsumerBeat{Member: "m", Epoch: 5, Interval: 5 * time.Second, Assigned: true,
			Assignment: []message.PartitionID{{Topic: topic, Index: 2}, {Topic: topic, Index: 7}, {Topic: message.TopicID{2}}}}
		h := coordinated(t, func(_ message.Address, ask any) any {
			if got := ask.(*message.ConsumerHeartbeat); !reflect.DeepEqual(got, want) {
				t.Errorf("version %d: asked %+v, not %+v", version, got, want)
			}
			return answer
		})
		q := consumerRequest(full.Group)
		q.MemberEpoch, q.InstanceID, q.RackID, q.SubscribedTopicRegex, q.ServerAssignor = 4, &instance, &rack, &pattern, &assignor
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: topic, Partitions: []int32{2, 3}}}
		r := call(h, q, kmsg.NewPtrConsumerGroupHeartbeatResponse(), version)
		if r.ErrorCode != 0 || *r.MemberID != "m" || r.MemberEpoch != 5 || r.HeartbeatIntervalMillis != 5000 || len(r.Assignment.Topics) != 2 ||
			!reflect.DeepEqual(r.Assignment.Topics[0].Partitions, []int32{2, 7}) || r.Assignment.Topics[1].TopicID != [16]byte{2} {
			t.Errorf("version %d: %+v", version, r)
		}
		want, answer = bare, &message.ConsumerBeat{Member: "m", Epoch: 5, Interval: 5 * time.Second}
		q = kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.MemberEpoch = full.Group, "m", 4
		if r := call(h, q, kmsg.NewPtrConsumerGroupHeartbeatResponse(), version); r.Assignment != nil {
			t.Errorf("version %d: %+v", version, r)
		}
		want, answer = bare, &message.ConsumerBeat{Code: message.FencedMemberEpoch, Message: "why"}
		if r := call(h, q, kmsg.NewPtrConsumerGroupHeartbeatResponse(), version); r.ErrorCode != 110 || *r.ErrorMessage != "why" || r.Assignment != nil {
			t.Errorf("version %d: %+v", version, r)
		}
		want, answer = bare, &message.ConsumerBeat{Member: "m", Epoch: 5, Assigned: true}
		if r := call(h, q, kmsg.NewPtrConsumerGroupHeartbeatResponse(), version); r.Assignment == nil || len(r.Assignment.Topics) > 0 {
			t.Errorf("version %d: nothing assigned is not null: %+v", version, r)
		}
	}
}

// S77: what no heartbeat may say is refused by name, and nobody is asked.
func TestHeartbeatsThatSayTooLittle(t *testing.T) {
	none, long := "", string(make([]byte, textMax+1))
	for text, spoil := range map[string]func(q *kmsg.ConsumerGroupHeartbeatRequest){
		"MemberId can't be empty.":                              func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberID = "" },
		"GroupId can't be empty.":                               func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.Group = "" },
		"InstanceId can't be empty.":                            func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.InstanceID = &none },
		"RackId can't be empty.":                                func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.RackID = &none },
		"A text is longer than 32767 bytes.":                    func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.ServerAssignor = &long },
		"RebalanceTimeoutMs must be provided in first request.": func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.RebalanceTimeoutMillis = -1 },
		"TopicPartitions must be empty when (re-)joining.":      func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.Topics = nil },
		"Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.": func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.SubscribedTopicNames = nil },
		"InstanceId can't be null.": func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberEpoch = -2 },
		"MemberEpoch is invalid.":   func(q *kmsg.ConsumerGroupHeartbeatRequest) { q.MemberEpoch = -3 },
		"SubscribedTopicNames are more than a group can keep: see max.message.bytes of __consumer_offsets.": func(q *kmsg.ConsumerGroupHeartbeatRequest) {
			for range 32 {
				q.SubscribedTopicNames = append(q.SubscribedTopicNames, long)
			}
		},
	} {
		h := coordinated(t, func(at message.Address, ask any) any { t.Errorf("%s: %v was asked", text, at); return nil })
		q := consumerRequest(groupIn(here, 0))
		spoil(q)
		if r := call(h, q, kmsg.NewPtrConsumerGroupHeartbeatResponse(), 1); r.ErrorCode != 42 || r.ErrorMessage == nil || *r.ErrorMessage != text {
			t.Errorf("%s: %+v", text, r)
		}
	}
	h := coordinated(t, func(at message.Address, ask any) any { t.Errorf("%v was asked", at); return nil })
	h.views[message.BrokerAt(me)] = with(cluster(map[string]int{groupTopic: internals}), &message.FeatureRecord{Name: "group.version", Level: 0})
	if r := call(h, consumerRequest(groupIn(here, 0)), kmsg.NewPtrConsumerGroupHeartbeatResponse(), 1); r.ErrorCode != 35 {
		t.Errorf("where the feature is off: %+v", r)
	}
}

// Members are shown with what they have and are to have; topics that are gone have no name to be shown by.
func TestConsumerGroupsAreDescribed(t *testing.T) {
	names := []string{groupIn(1, 0), groupIn(here, 0), groupIn(there, 0), ""}
	for version := int16(0); version <= 1; version++ {
		h := coordinated(t, func(at message.Address, ask any) any {
			if at == coordinatorAt(1) {
				return &message.ConsumersDescribed{Groups: []message.DescribedConsumers{{Group: names[0], State: "Dead", Code: message.GroupIDNotFound, Message: "why"}}}
			}
			mine := []message.PartitionID{{Topic: idOf("t"), Index: 1}, {Topic: message.TopicID{9, 9}}}
			return &message.ConsumersDescribed{Groups: []message.DescribedConsumers{{Group: names[1], State: "Stable", Assignor: "uniform", Epoch: 3, AssignmentEpoch: 2,
				Members: []message.DescribedConsumer{{Member: "m", Instance: "i", Rack: "r", ClientID: "c", Host: "/h", Epoch: 2, Topics: []string{"t"}, Pattern: "u", Assignment: mine}, {Member: "n", Classic: true}}}}}
		})
		r := call(h, &kmsg.ConsumerGroupDescribeRequest{Groups: names, IncludeAuthorizedOperations: true}, kmsg.NewPtrConsumerGroupDescribeResponse(), version)
		for i, want := range []int16{69, 0, 16, 24} {
			if g := r.Groups[i]; g.Group != names[i] || g.ErrorCode != want {
				t.Errorf("version %d: %+v", version, g)
			}
		}
		g := r.Groups[1]
		if g.State != "Stable" || g.AssignorName != "uniform" || g.Epoch != 3 || g.AssignmentEpoch != 2 || g.AuthorizedOperations != everythingOnGroup || len(g.Members) != 2 {
			t.Fatalf("version %d: %+v", version, g)
		}
		m := g.Members[0]
		if *m.InstanceID != "i" || *m.RackID != "r" || m.MemberEpoch != 2 || *m.SubscribedTopicRegex != "u" || len(m.Assignment.TopicPartitions) != 1 ||
			m.Assignment.TopicPartitions[0].Topic != "t" || version >= 1 && (m.MemberType != 1 || g.Members[1].MemberType != 0) || g.Members[1].InstanceID != nil {
			t.Errorf("version %d: %+v", version, m)
		}
	}
}
