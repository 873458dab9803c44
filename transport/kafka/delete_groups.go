package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// DeleteGroups deletes groups without members, and what they have committed (KIP-229, S76). v2 is flexible.
var deleteGroupsAPI = api{key: 42, min: 0, max: 2, start: decoded(onDeleteGroups), shape: "[s]"}

func onDeleteGroups(c stage.Context, r *Request, q *kmsg.DeleteGroupsRequest) {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(q.Groups))
	for i, group := range q.Groups {
		resp.Groups[i].Group = group
	}
	split[message.GroupsDeleted]{
		groups:   q.Groups,
		ask:      func(groups []string) any { return &message.DeleteGroups{Groups: groups} },
		patience: commitPatience(r),
		count:    func(d *message.GroupsDeleted) int { return len(d.Codes) },
		tell:     func(place int, d *message.GroupsDeleted, i int) { resp.Groups[place].ErrorCode = int16(d.Codes[i]) },
		refuse:   func(place int, code message.Code) { resp.Groups[place].ErrorCode = int16(code) },
		done:     func(c stage.Context) { r.Answer(c, resp) },
	}.begin(c, r)
}
