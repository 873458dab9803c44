package workload

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// sharer is a joiner of a group by KIP-848: it commits in the member epoch that it was told last, and gives up a partition between two
// transactions.
type sharer struct {
	*joiner
	topic   [16]byte
	is      []int // what it is to have: what it has beyond that, it gives up
	told    []int // what it has said that it has
	full    bool  // it says everything again
	working bool
}

func newSharer(w World, h *check.History, s Spec) *sharer {
	c := &sharer{joiner: newJoiner(w, h, s)}
	c.begin = func() {
		c.mine, c.is, c.paused, c.full, c.working, c.generation = nil, nil, false, true, false, 0
		clear(c.offsets)
		c.locate(map[string]int8{c.id: 1, c.spec.Group: 0}, func() { c.init(c.subscribe) })
	}
	c.onward = c.next
	return c
}

// Start is part of Client.
func (c *sharer) Start() { c.later(c.pace(c.spec.PaceMillis), c.begin) }

func (c *sharer) subscribe() {
	if c.member == "" {
		c.member = c.memberID()
	}
	c.beat()
}

// beat tells what it has. One that pauses is silent.
func (c *sharer) beat() {
	if c.paused {
		c.rest(sharerLook, c.beat)
		return
	}
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, c.spec.Group, c.member, c.generation
	if c.full {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = memberRebalance, []string{c.in(0).topic}
	}
	if c.full || !slices.Equal(c.told, c.mine) {
		c.told = slices.Clone(c.mine)
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if len(c.mine) > 0 {
			one := kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: c.topic}
			for _, p := range c.mine {
				one.Partitions = append(one.Partitions, int32(p))
			}
			req.Topics = append(req.Topics, one)
		}
	}
	askFor(&c.piped, c.group(), req, joining, c.heard)
}

// sharerLook is after how many milliseconds one that pauses looks whether it still does.
const sharerLook = 100

func (c *sharer) heard(r *kmsg.ConsumerGroupHeartbeatResponse) {
	if code := message.Code(r.ErrorCode); code != message.OK {
		c.gone(code)
		return
	}
	c.generation, c.full = r.MemberEpoch, false
	if r.Assignment != nil {
		c.is = nil
		for _, t := range r.Assignment.Topics {
			c.topic = t.TopicID
			for _, p := range t.Partitions {
				c.is = append(c.is, int(p))
			}
		}
	}
	c.rest(int(r.HeartbeatIntervalMillis), c.beat)
	if !c.working {
		c.working = true
		c.next()
	}
}

// next takes and gives up what it is to, and works on another of its partitions.
func (c *sharer) next() {
	c.mine = slices.Clone(c.is)
	for lane := range c.offsets {
		if !slices.Contains(c.mine, lane) {
			delete(c.offsets, lane)
		}
	}
	if len(c.mine) == 0 {
		c.rest(c.spec.PaceMillis, c.next)
		return
	}
	c.joiner.next()
}
