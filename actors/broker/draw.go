package broker

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// rates are the settings that say how much each side may move.
var rates = [message.Sides]string{message.LeaderSide: "leader.replication.throttled.rate", message.FollowerSide: "follower.replication.throttled.rate"}

// draw gives a throttled replica its share of what this node may move. The budget is here because it is the node's, not a
// partition's, and because the rates come with the image; it costs a word for each pull that is throttled, and none for others.
func (b *Broker) draw(c stage.Context, m *message.Draw) {
	bytes, wait := b.budgets[m.Side].Draw(int64(m.Most), b.layers.Number(rates[m.Side]), c.Now())
	c.Answer(c.Caller(), &message.Drawn{Side: m.Side, Bytes: int32(bytes), Wait: wait})
}
