package message

import "time"

// The words between doors and the coordinators of groups by KIP-848: the coordinator assigns, members have epochs of their own, and all
// that they say is a heartbeat.

// What a member says instead of its epoch when it joins, leaves, or goes for a while and keeps its place (a static one).
const (
	EpochJoins  int32 = 0
	EpochLeaves int32 = -1
	EpochRests  int32 = -2
)

// ConsumerHeartbeat is a member's, who joins and leaves by it too. What has not changed it need not say. It is answered by ConsumerBeat: at
// once, or, where it may be held, when there is news.
type ConsumerHeartbeat struct {
	Group, Member  string
	Epoch          int32
	Instance       string        // of a static member; empty: dynamic
	Rack           string        // empty: not said
	Rebalance      time.Duration // how long it may take to give partitions up; negative: not said
	Topics         []string      // that it subscribes to by name; nil: not said
	Pattern        *string       // of names that it subscribes to; nil: not said, empty: none any more
	Assignor       string        // that it would like best; empty: not said
	Owned          []PartitionID // that it still has; nil: not said
	ClientID, Host string
	Holding        Holding
}

// ConsumerBeat answers ConsumerHeartbeat.
type ConsumerBeat struct {
	Code       Code
	Message    string // why, where Code is not OK
	Member     string
	Epoch      int32
	Interval   time.Duration // until the next heartbeat
	Assigned   bool          // there is news in Assignment
	Assignment []PartitionID // by topic id and index
}

// DescribeConsumers asks for groups by KIP-848 in full.
type DescribeConsumers struct{ Groups []string }

// ConsumersDescribed answers DescribeConsumers in the order of the question.
type ConsumersDescribed struct{ Groups []DescribedConsumers }

// DescribedConsumers is a group by KIP-848. Code is GroupIDNotFound where there is none, or it is a classic one.
type DescribedConsumers struct {
	Code                   Code
	Message                string
	Group, State, Assignor string
	Epoch, AssignmentEpoch int32
	Members                []DescribedConsumer
}

// DescribedConsumer is a member: what it has, and what it is to have.
type DescribedConsumer struct {
	Member, Instance, Rack, ClientID, Host string
	Epoch                                  int32
	Topics                                 []string
	Pattern                                string
	Assignment, Target                     []PartitionID // by topic id and index
	Classic                                bool          // it speaks the classic protocol
}
