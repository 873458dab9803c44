package kafka

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// SyncGroup brings a leader's assignment and gets each member its own, when the leader has come. v3 has static members (KIP-345), v4 is
// flexible, v5 says which protocol the member believes in (KIP-559).
var syncGroupAPI = api{key: 14, min: 0, max: 5, start: decoded(onSyncGroup), shape: "s 4 s s@3+ s@5+ s@5+ (s b)"}

func onSyncGroup(c stage.Context, r *Request, q *kmsg.SyncGroupRequest) {
	if code := unsyncable(r, q); code != message.OK {
		r.Answer(c, groupSynced(&message.GroupSynced{}, code))
		return
	}
	ask := syncOf(q)
	r.letGo()
	askGroup(c, r, ask.Group, ask, gatherPatience, message.RebalanceInProgress, func(c stage.Context, synced *message.GroupSynced, code message.Code) {
		r.Answer(c, groupSynced(synced, code))
	})
}

// unsyncable says what of an assignment no group could keep: all of it has to fit one record.
func unsyncable(r *Request, q *kmsg.SyncGroupRequest) message.Code {
	size := 0
	for i := range q.GroupAssignment {
		size += len(q.GroupAssignment[i].MemberID) + len(q.GroupAssignment[i].MemberAssignment)
	}
	switch {
	case r.Version >= 5 && (q.ProtocolType == nil || q.Protocol == nil):
		return message.InconsistentGroupProtocol
	case size > stateMax(r):
		return message.MessageTooLarge
	}
	return message.OK
}

func syncOf(q *kmsg.SyncGroupRequest) *message.SyncGroup {
	ask := &message.SyncGroup{Group: q.Group, Member: q.MemberID, Instance: value(q.InstanceID), Generation: q.Generation, ProtocolType: q.ProtocolType, Protocol: q.Protocol}
	for _, a := range q.GroupAssignment {
		ask.Assignments = append(ask.Assignments, message.GroupAssignment{Member: a.MemberID, Assignment: bytes.Clone(a.MemberAssignment)})
	}
	return ask
}

func groupSynced(synced *message.GroupSynced, code message.Code) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	if resp.ErrorCode = int16(code); code != message.OK {
		return resp
	}
	resp.ErrorCode, resp.ProtocolType, resp.Protocol, resp.MemberAssignment = int16(synced.Code), note(synced.ProtocolType), note(synced.Protocol), synced.Assignment
	return resp
}
