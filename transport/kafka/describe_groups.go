package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// DescribeGroups shows classic groups with their members (S68). v3 tells what the client may do (KIP-430), v4 the names of static members
// (KIP-345), v5 is flexible, v6 has a code for a group that is not there (KIP-1043): below it such a group is Dead.
var describeGroupsAPI = api{key: 15, min: 0, max: 6, start: decoded(onDescribeGroups), shape: "[s] 1@3+"}

func onDescribeGroups(c stage.Context, r *Request, q *kmsg.DescribeGroupsRequest) {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(q.Groups))
	split[message.GroupsDescribed]{
		groups:   q.Groups,
		ask:      func(groups []string) any { return &message.DescribeGroups{Groups: groups} },
		patience: coordinatorPatience,
		count:    func(d *message.GroupsDescribed) int { return len(d.Groups) },
		tell: func(place int, d *message.GroupsDescribed, i int) {
			resp.Groups[place] = describedGroup(r, q, &d.Groups[i])
		},
		refuse: func(place int, code message.Code) { resp.Groups[place] = undescribed(q.Groups[place], code) },
		done:   func(c stage.Context) { r.Answer(c, resp) },
	}.begin(c, r)
}

func undescribed(group string, code message.Code) kmsg.DescribeGroupsResponseGroup {
	out := kmsg.NewDescribeGroupsResponseGroup()
	out.Group, out.ErrorCode = group, int16(code)
	return out
}

func describedGroup(r *Request, q *kmsg.DescribeGroupsRequest, d *message.DescribedGroup) kmsg.DescribeGroupsResponseGroup {
	out := undescribed(d.Group, d.Code)
	out.State, out.ProtocolType, out.Protocol = d.State, d.ProtocolType, d.Protocol
	if d.Code == message.GroupIDNotFound {
		if out.ErrorMessage = note("Group " + d.Group + " not found."); r.Version < 6 {
			out.ErrorCode = int16(message.OK)
		}
	}
	if q.IncludeAuthorizedOperations && out.ErrorCode == int16(message.OK) {
		out.AuthorizedOperations = everythingOnGroup
	}
	for _, m := range d.Members {
		out.Members = append(out.Members, kmsg.DescribeGroupsResponseGroupMember{MemberID: m.Member, InstanceID: note(m.Instance), ClientID: m.ClientID, ClientHost: m.Host,
			ProtocolMetadata: m.Metadata, MemberAssignment: m.Assignment})
	}
	return out
}
