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
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	tell := func(place int, code message.Code) { resp.Groups[place].ErrorCode = int16(code) }
	for _, s := range r.shares(q.Groups, tell) {
		g.left++
		askCoordinator(c, r, s.at, &message.DeleteGroups{Groups: s.groups}, commitPatience(r), message.CoordinatorNotAvailable, func(c stage.Context, d *message.GroupsDeleted, code message.Code) {
			if code == message.OK && len(d.Codes) != len(s.places) {
				code = message.UnknownServerError
			}
			for i, place := range s.places {
				if code == message.OK {
					tell(place, d.Codes[i])
				} else {
					tell(place, code)
				}
			}
			g.arrived(c)
		})
	}
	g.begin(c)
}
