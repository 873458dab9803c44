package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ListGroups lists the groups that this broker coordinates (S68). v3 is flexible, v4 tells and chooses states (KIP-518), v5 types (KIP-848).
var listGroupsAPI = api{key: 16, min: 0, max: 5, start: decoded(onListGroups), shape: "[s]@4+ [s]@5+"}

// onListGroups asks every coordinator on this node and gathers what they have, in the order of their partitions. One that cannot
// tell spoils the whole answer: what looks like a complete list has to be one.
func onListGroups(c stage.Context, r *Request, q *kmsg.ListGroupsRequest) {
	at := r.coordinators(groupTopic)
	lists := make([][]message.ListedGroup, len(at))
	trouble := message.OK
	g := gathering(func(c stage.Context) { r.Answer(c, groupsListed(lists, trouble)) })
	for i := range at {
		g.left++
		ask := &message.ListGroups{States: q.StatesFilter, Types: q.TypesFilter}
		askCoordinator(c, r, at[i], ask, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, listed *message.GroupsListed, code message.Code) {
			if code = either(code, listed.Code); code == message.OK {
				lists[i] = listed.Groups
			} else {
				trouble = either(trouble, unlisted(r, c, at[i], code))
			}
			g.arrived(c)
		})
	}
	g.begin(c)
}

// coordinators are those of all partitions of an internal topic that this node leads.
func (r *Request) coordinators(topic string) (at []message.Address) {
	t := r.Image.Topic(topic)
	if t == nil {
		return nil
	}
	for i := range t.Partitions {
		if t.Partitions[i].IsLeader(r.Node()) {
			at = append(at, message.CoordinatorAt(r.Node(), t.At(int32(i))))
		}
	}
	return at
}

// unlisted says what it means to a list that a coordinator has none: nothing, if its partition is led elsewhere by now.
func unlisted(r *Request, c stage.Context, at message.Address, code message.Code) message.Code {
	if code != message.NotCoordinator {
		return code
	}
	if _, p := r.conn.latest(c, r.Image).Partition(at.Partition); p == nil || !p.IsLeader(r.Node()) {
		return message.OK
	}
	return message.CoordinatorNotAvailable
}

func groupsListed(lists [][]message.ListedGroup, trouble message.Code) *kmsg.ListGroupsResponse {
	resp := kmsg.NewPtrListGroupsResponse()
	if resp.ErrorCode = int16(trouble); trouble != message.OK {
		return resp
	}
	for _, list := range lists {
		for _, l := range list {
			resp.Groups = append(resp.Groups, kmsg.ListGroupsResponseGroup{Group: l.Group, ProtocolType: l.ProtocolType, GroupState: l.State, GroupType: l.Type})
		}
	}
	return resp
}
