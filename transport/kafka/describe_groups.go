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
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	refuse := func(place int, code message.Code) { resp.Groups[place] = undescribed(q.Groups[place], code) }
	for _, s := range r.shares(q.Groups, refuse) {
		g.left++
		askCoordinator(c, r, s.at, &message.DescribeGroups{Groups: s.groups}, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, d *message.GroupsDescribed, code message.Code) {
			if code == message.OK && len(d.Groups) != len(s.places) {
				code = message.UnknownServerError
			}
			for i, place := range s.places {
				if code != message.OK {
					refuse(place, code)
				} else {
					resp.Groups[place] = describedGroup(r, q, &d.Groups[i])
				}
			}
			g.arrived(c)
		})
	}
	g.begin(c)
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
