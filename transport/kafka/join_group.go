package kafka

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// JoinGroup makes a client a member of a classic group, and answers when the members have gathered. v1 has a rebalance timeout of its own
// (KIP-62), v4 makes newcomers come twice (KIP-394), v5 has static members (KIP-345), v6 is flexible, v7 tells the protocol type
// (KIP-559), v8 a reason (KIP-800), v9 lets a leader keep the assignment (KIP-814).
var joinGroupAPI = api{key: 11, min: 0, max: 9, start: decoded(onJoinGroup), shape: "s 4 4@1+ s s@5+ s (s b) s@8+"}

// protocolsMax is how many ways to assign a member may know. Clients name up to three.
const protocolsMax = 128

func onJoinGroup(c stage.Context, r *Request, q *kmsg.JoinGroupRequest) {
	if code := unjoinable(r, q); code != message.OK {
		r.Answer(c, groupJoined(q.MemberID, &message.GroupJoined{}, code))
		return
	}
	ask := joinOf(r, q)
	r.letGo()
	patience := min(max(ask.Session, ask.Rebalance)+coordinatorPatience, gatherPatience)
	askGroup(c, r, ask.Group, ask, patience, message.RebalanceInProgress, func(c stage.Context, joined *message.GroupJoined, code message.Code) {
		r.Answer(c, groupJoined(ask.Member, joined, code))
	})
}

// unjoinable says what of a member no group could keep: its record has to fit the group's partition, and its ids every answer.
func unjoinable(r *Request, q *kmsg.JoinGroupRequest) message.Code {
	size := 0
	for i := range q.Protocols {
		if size += len(q.Protocols[i].Metadata); len(q.Protocols[i].Name) > textMax {
			return message.InvalidRequest
		}
	}
	switch {
	case len(q.Protocols) > protocolsMax, len(q.MemberID) > textMax, len(value(q.InstanceID)) > textMax, len(q.ProtocolType) > textMax:
		return message.InvalidRequest
	case size > stateMax(r):
		return message.MessageTooLarge
	}
	return message.OK
}

// stateMax is how large a record may be that a group keeps, in bytes.
func stateMax(r *Request) int {
	if t := r.Image.Topic(groupTopic); t != nil {
		return int(r.Topic(t).MaxMessageBytes)
	}
	return 1 << 20
}

// joinOf makes the coordinator's question. What is kept of the frame is copied: the answer may take minutes, the group keeps it for
// longer.
func joinOf(r *Request, q *kmsg.JoinGroupRequest) *message.JoinGroup {
	ask := &message.JoinGroup{Group: q.Group, Member: q.MemberID, Instance: value(q.InstanceID), ProtocolType: q.ProtocolType,
		Session: millis(q.SessionTimeoutMillis), Rebalance: millis(q.RebalanceTimeoutMillis), ClientID: r.ClientID(), Host: r.clientHost(),
		MemberIDRequired: r.Version >= 4 && value(q.InstanceID) == "", SkipsAssignment: r.Version >= 9}
	if r.Version == 0 || q.RebalanceTimeoutMillis == -1 {
		ask.Rebalance = ask.Session
	}
	ask.Protocols = make([]message.GroupProtocol, len(q.Protocols))
	for i, p := range q.Protocols {
		ask.Protocols[i] = message.GroupProtocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)}
	}
	return ask
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

func groupJoined(member string, joined *message.GroupJoined, code message.Code) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	if code != message.OK {
		resp.ErrorCode, resp.Generation, resp.MemberID = int16(code), -1, member
		return resp
	}
	resp.ErrorCode, resp.Generation, resp.ProtocolType, resp.Protocol = int16(joined.Code), joined.Generation, note(joined.ProtocolType), note(joined.Protocol)
	resp.LeaderID, resp.MemberID, resp.SkipAssignment = joined.Leader, joined.Member, joined.SkipAssignment
	for _, m := range joined.Members {
		resp.Members = append(resp.Members, kmsg.JoinGroupResponseMember{MemberID: m.ID, InstanceID: note(m.Instance), ProtocolMetadata: m.Metadata})
	}
	return resp
}
