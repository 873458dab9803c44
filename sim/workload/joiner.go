package workload

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// joiner is a link that shares the partitions with others, as members of a classic group (KIP-447): each has a transactional id of its own,
// and it is the group that fences who has lost a partition. One that pauses is silent too.
type joiner struct {
	*copier
	mine []int
	turn int
}

func newJoiner(w World, h *check.History, s Spec) *joiner {
	c := &joiner{copier: newCopier(w, h, s)}
	c.begin = func() {
		c.mine, c.paused = nil, false
		clear(c.offsets)
		c.locate(map[string]int8{c.id: 1, c.spec.Group: 0}, func() { c.init(c.join) })
	}
	c.onward = c.next
	return c
}

// Start is part of Client.
func (c *joiner) Start() { c.later(c.pace(c.spec.PaceMillis), c.begin) }

func (c *joiner) group() *link { return c.at(c.coordinators[c.spec.Group]) }

func (c *joiner) join() {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = 5, c.spec.Group, c.member
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = memberSession, memberRebalance, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: (&kmsg.ConsumerMemberMetadata{Topics: []string{c.in(0).topic}}).AppendTo(nil)}}
	askFor(&c.piped, c.group(), req, joining, func(r *kmsg.JoinGroupResponse) {
		switch message.Code(r.ErrorCode) {
		case message.OK:
			c.member, c.generation = r.MemberID, r.Generation
			c.sync(r)
		case message.MemberIDRequired:
			c.member = r.MemberID
			c.join()
		default:
			c.gone(message.Code(r.ErrorCode))
		}
	})
}

// gone begins anew, as somebody else where it is no member any more.
func (c *joiner) gone(code message.Code) {
	if code == message.UnknownMemberID {
		c.member = ""
	}
	c.again()
}

func (c *joiner) sync(j *kmsg.JoinGroupResponse) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, c.spec.Group, c.member, c.generation
	if j.LeaderID == c.member {
		for i, one := range j.Members {
			a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: c.in(0).topic}}}
			for p := i; p < c.chain.Partitions; p += len(j.Members) {
				a.Topics[0].Partitions = append(a.Topics[0].Partitions, int32(p))
			}
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: one.MemberID, MemberAssignment: a.AppendTo(nil)})
		}
	}
	askFor(&c.piped, c.group(), req, joining, func(r *kmsg.SyncGroupResponse) {
		var told kmsg.ConsumerMemberAssignment
		if r.ErrorCode != 0 || told.ReadFrom(r.MemberAssignment) != nil {
			c.gone(message.Code(r.ErrorCode))
			return
		}
		for _, t := range told.Topics {
			for _, p := range t.Partitions {
				c.mine = append(c.mine, int(p))
			}
		}
		c.rest(memberSession/6, c.beat)
		c.next()
	})
}

// next works on another of its partitions.
func (c *joiner) next() {
	if len(c.mine) == 0 {
		return
	}
	c.turn++
	c.lane = c.mine[c.turn%len(c.mine)]
	if _, known := c.offsets[c.lane]; known {
		c.work()
		return
	}
	c.resume()
}

func (c *joiner) beat() {
	if c.paused {
		c.rest(memberSession/6, c.beat)
		return
	}
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, c.spec.Group, c.member, c.generation
	ask(&c.piped, c.group(), req, func(r *kmsg.HeartbeatResponse) {
		if r.ErrorCode != 0 { // what is open is aborted when it begins anew
			c.gone(message.Code(r.ErrorCode))
			return
		}
		c.rest(memberSession/6, c.beat)
	})
}
