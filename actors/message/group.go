package message

import (
	"time"
	"unicode/utf16"
)

// The words between doors and the coordinators of groups. A coordinator lives where its partition of __consumer_offsets is led, so that none
// of them crosses to another node but Uncoordinated: clients find it by FindCoordinator. Every ask may also be answered by *Uncoordinated.

// GroupsTopic is the internal topic in which groups are kept.
const GroupsTopic = "__consumer_offsets"

// Uncoordinated answers whatever a coordinator was asked while it does not coordinate: CoordinatorLoadInProgress, NotCoordinator,
// or CoordinatorNotAvailable where its log cannot be written.
type Uncoordinated struct{ Code Code }

// CoordinatorIndex is the partition of an internal topic with so many partitions whose leader coordinates a group or a transactional id:
// Java's String.hashCode, as every client tool computes it. partitions is at least 1.
func CoordinatorIndex(key string, partitions int) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(key)) {
		h = 31*h + int32(unit)
	}
	return (h & 0x7fffffff) % int32(partitions)
}

// JoinGroup asks to become or to stay a member (KIP-62, KIP-345, KIP-394). It is answered by GroupJoined when the group's members have
// gathered.
type JoinGroup struct {
	Group, Member    string // Member is empty for who is new
	Instance         string // of a static member; empty: dynamic (KIP-345)
	ProtocolType     string
	Protocols        []GroupProtocol // in order of preference
	Session          time.Duration
	Rebalance        time.Duration // how long a rebalance waits for this member
	ClientID, Host   string
	MemberIDRequired bool // v4: who is new is given an id and asked to come again with it (KIP-394)
	SkipsAssignment  bool // v9: a leader can be told not to assign anew (KIP-814)
}

// GroupProtocol is one way to assign that a member knows, and what it says to who assigns.
type GroupProtocol struct {
	Name     string
	Metadata []byte
}

// GroupJoined answers JoinGroup. Members are told to the leader only.
type GroupJoined struct {
	Code                   Code
	Generation             int32 // -1 on error
	ProtocolType, Protocol string
	Leader, Member         string
	SkipAssignment         bool
	Members                []JoinedMember
}

// JoinedMember is one member as its leader sees it.
type JoinedMember struct {
	ID, Instance string
	Metadata     []byte
}

// SyncGroup asks for a member's assignment; the leader brings everybody's.
type SyncGroup struct {
	Group, Member, Instance string
	Generation              int32
	ProtocolType, Protocol  *string // v5; nil: not said
	Assignments             []GroupAssignment
}

// GroupAssignment is what the leader assigns to a member.
type GroupAssignment struct {
	Member     string
	Assignment []byte
}

// GroupSynced answers SyncGroup.
type GroupSynced struct {
	Code                   Code
	ProtocolType, Protocol string
	Assignment             []byte
}

// GroupHeartbeat says that a member lives. It is answered by GroupBeat: at once, or, where it may be held, when there is news.
type GroupHeartbeat struct {
	Group, Member, Instance string
	Generation              int32
	Holding                 Holding
}

// Holding says whether a heartbeat may wait for news of its group, and what is known of its client.
type Holding uint8

// How heartbeats may be held.
const (
	Unheld      Holding = iota // it is answered at once
	Held                       // its client counts the time to the next one from when it has sent this one
	HeldResting                // its client counts it from the answer, and so rests between two
)

// AnswerHeartbeat has a member's heartbeat answered if it is held: the client has something else to ask on its connection, where answers
// are in order, or the connection is Lost. It is not answered itself.
type AnswerHeartbeat struct {
	Group, Member string
	Lost          bool
}

// GroupBeat answers GroupHeartbeat.
type GroupBeat struct{ Code Code }

// LeaveGroup takes members out.
type LeaveGroup struct {
	Group   string
	Members []Leaver
}

// Leaver is a member that leaves, by its id, by its instance, or by both.
type Leaver struct{ Member, Instance string }

// GroupLeft answers LeaveGroup. Codes are the leavers', in their order; nil if Code is not OK.
type GroupLeft struct {
	Code  Code
	Codes []Code
}

// CommitOffsets commits offsets of partitions that the door knows to exist. Generation -1 without a member is a commit by who is no member (S70).
type CommitOffsets struct {
	Group, Member, Instance string
	Generation              int32
	Since9                  bool          // v9: a group that is not there is GroupIDNotFound (S71), and Generation may be a member's epoch (S82)
	Retention               time.Duration // v2-4: how long these offsets are kept, whatever else holds; 0: as all others
	Offsets                 []CommittedOffset
}

// CommittedOffset is one partition's committed offset.
type CommittedOffset struct {
	Topic       string
	TopicID     TopicID
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1: not known
	Metadata    string
}

// OffsetsCommitted answers CommitOffsets. Codes are the offsets', in their order; nil if Code is not OK, which then is everybody's.
type OffsetsCommitted struct {
	Code  Code
	Codes []Code
}

// FetchOffsets asks for what a group has committed. It never fails for a group that is not there (S73).
type FetchOffsets struct {
	Group         string
	Member        string // v9: of a group whose members have epochs (KIP-848); empty: not said
	Epoch         int32  // -1: not said
	Topics        []OffsetTopic
	All           bool // whatever is committed; Topics is empty
	RequireStable bool // UnstableOffsetCommit where a transaction has not ended yet (KIP-447)
}

// OffsetTopic are partitions of a topic.
type OffsetTopic struct {
	Topic      string
	Partitions []int32
}

// OffsetsFetched answers FetchOffsets: in the order of the question, or by topic and partition.
type OffsetsFetched struct {
	Code   Code
	Topics []FetchedTopic
}

// FetchedTopic is a topic's committed offsets.
type FetchedTopic struct {
	Topic   string
	Offsets []FetchedOffset
}

// FetchedOffset is one partition's committed offset; Offset -1 and LeaderEpoch -1 if there is none.
type FetchedOffset struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	Code        Code
}

// DeleteOffsets deletes a group's committed offsets (KIP-496).
type DeleteOffsets struct {
	Group  string
	Topics []OffsetTopic
}

// OffsetsDeleted answers DeleteOffsets. Codes are the partitions', in the order of the question; nil if Code is not OK.
type OffsetsDeleted struct {
	Code  Code
	Codes []Code
}

// DeleteGroups deletes groups that have no members.
type DeleteGroups struct{ Groups []string }

// GroupsDeleted answers DeleteGroups with a code for each.
type GroupsDeleted struct{ Codes []Code }

// ListGroups asks for the groups of one coordinator. Empty lists mean all; names of states and types are compared without case (KIP-518, KIP-848).
type ListGroups struct{ States, Types []string }

// GroupsListed answers ListGroups, by name.
type GroupsListed struct {
	Code   Code
	Groups []ListedGroup
}

// ListedGroup is one group in a list.
type ListedGroup struct {
	Group, ProtocolType, State, Type string
}

// DescribeGroups asks for classic groups in full.
type DescribeGroups struct{ Groups []string }

// GroupsDescribed answers DescribeGroups in the order of the question.
type GroupsDescribed struct{ Groups []DescribedGroup }

// DescribedGroup is a classic group. Code is GroupIDNotFound, with the state Dead, where there is none.
type DescribedGroup struct {
	Code                   Code
	Group, State           string
	ProtocolType, Protocol string
	Members                []DescribedMember
}

// DescribedMember is a member of a classic group.
type DescribedMember struct {
	Member, Instance, ClientID, Host string
	Metadata, Assignment             []byte
}

// TopicsChanged tells a coordinator which topics are gone, and what is kept of them with them, and which are new or have got more
// partitions. One that was made anew under its name is in both.
type TopicsChanged struct{ Gone, Grown []string }

// CommitTxnOffsets commits offsets as a part of a producer's transaction: nobody sees them before it is committed (KIP-98, KIP-447). It is
// answered by OffsetsCommitted. A commit that names no member is one by who is none.
type CommitTxnOffsets struct {
	CommitOffsets
	TransactionalID string
	Producer        int64
	Epoch           int16 // of the producer
	Version         int16 // transaction.version that the producer speaks: in 2 the offsets take themselves into the transaction (KIP-890)
	Abortable       bool  // v4: there is a code for a transaction that can only be aborted
}
