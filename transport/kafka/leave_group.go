package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// LeaveGroup takes members out of a classic group (S65). v3 takes out several, also by the names of static members (KIP-345), v4 is
// flexible, v5 has a reason (KIP-800). Below v3 the one member's fate is the answer's.
var leaveGroupAPI = api{key: 13, min: 0, max: 5, start: decoded(onLeaveGroup), shape: "s s@-2 (s s s@5+)@3+"}

func onLeaveGroup(c stage.Context, r *Request, q *kmsg.LeaveGroupRequest) {
	ask := &message.LeaveGroup{Group: q.Group, Members: []message.Leaver{{Member: q.MemberID}}}
	if r.Version >= 3 {
		ask.Members = make([]message.Leaver, len(q.Members))
		for i, m := range q.Members {
			ask.Members[i] = message.Leaver{Member: m.MemberID, Instance: value(m.InstanceID)}
		}
	}
	askGroup(c, r, q.Group, ask, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, left *message.GroupLeft, code message.Code) {
		if code == message.OK {
			code = left.Code
		}
		if code == message.OK && len(left.Codes) != len(ask.Members) {
			code = message.UnknownServerError
		}
		r.Answer(c, groupLeft(r, q, left.Codes, code))
	})
}

func groupLeft(r *Request, q *kmsg.LeaveGroupRequest, codes []message.Code, code message.Code) *kmsg.LeaveGroupResponse {
	resp := kmsg.NewPtrLeaveGroupResponse()
	if resp.ErrorCode = int16(code); code != message.OK {
		return resp
	}
	if r.Version < 3 {
		resp.ErrorCode = int16(codes[0])
		return resp
	}
	for i, m := range q.Members {
		resp.Members = append(resp.Members, kmsg.LeaveGroupResponseMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ErrorCode: int16(codes[i])})
	}
	return resp
}
