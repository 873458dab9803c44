package kafka

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// viewPatience is how long a partition may take to open its log.
const viewPatience = 10 * time.Second

// view finds what a partition of this node publishes, and has it open its log if it has not yet. Either view is not nil
// or code is not OK.
func (r *Request) view(c stage.Context, id message.PartitionID, then func(c stage.Context, view message.View, code message.Code)) {
	at := message.PartitionAt(r.Node(), id)
	if view, ok := c.Published(at).(message.View); ok {
		then(c, view, message.OK)
		return
	}
	r.Ask(c, at, &message.Await{HighWatermark: -1}, viewPatience, func(c stage.Context, answer any) {
		view, ok := c.Published(at).(message.View)
		code := failure(answer)
		if code == message.OK && !ok {
			code = message.NotLeaderOrFollower
		}
		then(c, view, code)
	})
}

// leaderView finds the view of a partition that this node leads, by its topic's name, for a client that believes in a
// leader epoch (-1: it does not say).
func (r *Request) leaderView(c stage.Context, topic string, index, epoch int32, then func(c stage.Context, view message.View, code message.Code)) {
	t, code := findTopic(r.Image, topic, message.TopicID{}, false)
	if code != message.OK {
		then(c, nil, code)
		return
	}
	at := t.Partition(index)
	switch {
	case at == nil:
		then(c, nil, message.UnknownTopicOrPartition)
		return
	case !at.IsLeader(r.Node()):
		then(c, nil, fence(epoch, at.LeaderEpoch, message.NotLeaderOrFollower))
		return
	}
	r.view(c, t.At(index), func(c stage.Context, view message.View, code message.Code) {
		if code == message.OK {
			b := view.Bounds()
			if code = fence(epoch, b.LeaderEpoch, message.OK); code == message.OK && !b.IsLeader {
				code = message.NotLeaderOrFollower
			}
		}
		then(c, view, code)
	})
}
