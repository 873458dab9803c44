package broker

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// pulse is how this node shows that it lives. It rests where there is no other node.
type pulse struct {
	asked   stage.RequestID // 0: no answer is awaited
	timer   stage.Timer
	pending bool           // the timer runs
	leaving []stage.Caller // who want to be told when this node may stop
	heard   time.Time      // when the controller last knew this node
	goal    int64          // the index of an image that the controller had, and this node has not; it may have reached it since
	goalAt  time.Time      // when it said so
	stale   bool           // one or the other is long ago
}

// beat, to self: the next sign of life is due.
type beat struct{}

// beatSoon is the pause before a sign of life that somebody waits for.
const beatSoon = 50 * time.Millisecond

// beat shows that this node lives, if it is time to: the first time at once, then as often as is configured.
func (b *Broker) beat(c stage.Context) {
	p := &b.pulse
	if p.asked != 0 || p.pending || b.epoch == 0 || b.image == nil || b.image.BrokerCount() < 2 {
		return
	}
	p.asked = c.Ask(message.ControllerAt(c.Self().Node), &message.BrokerHeartbeat{
		Node: c.Self().Node, Epoch: b.epoch, Applied: b.image.Index, WantShutdown: len(p.leaving) > 0,
	}, b.interval())
}

func (b *Broker) beatDue(c stage.Context) {
	b.pulse.pending = false
	b.beat(c)
}

func (b *Broker) interval() time.Duration {
	return max(time.Millisecond, b.layers.Millis("broker.heartbeat.interval.ms"))
}

// alive hears what the controller makes of this node.
func (b *Broker) alive(c stage.Context, m *message.BrokerAlive) {
	p := &b.pulse
	p.asked = 0
	if b.image != nil && m.Code == message.OK && m.Index > b.image.Index && p.goal <= b.image.Index {
		p.goal, p.goalAt = m.Index, c.Now()
	}
	b.age(c, m.Code == message.OK)
	pause := b.interval()
	switch {
	case m.Code == message.StaleBrokerEpoch || m.Code == message.BrokerIDNotRegistered:
		if b.registering == 0 {
			b.register(c)
		}
	case m.Code != message.OK || m.Fenced || len(p.leaving) > 0:
		pause = min(pause, beatSoon)
	}
	if m.MayShutdown {
		b.relieved(c)
	}
	p.timer, p.pending = c.After(pause, &beat{}), true
}

// age notes for how long the controller has not known this node, and for how long this node has not known what the controller knows: its
// disk may be full, and the metadata log be on it. Behind half a session others may lead what it led, and clients
// that still reach it have to be told to ask elsewhere; what it has is as good to read as before.
func (b *Broker) age(c stage.Context, known bool) {
	p, bound := &b.pulse, b.layers.Millis("broker.session.timeout.ms")/2
	if known || p.heard.IsZero() {
		p.heard = c.Now()
	}
	silent := c.Now().Sub(p.heard) > bound
	behind := b.image != nil && b.image.Index < p.goal && c.Now().Sub(p.goalAt) > bound
	if stale := silent || behind; stale == p.stale {
		return
	}
	switch p.stale = silent || behind; {
	case silent:
		c.Log().Warn("the controller is silent: nothing is written here until it is heard again", "since", p.heard)
	case behind:
		c.Log().Warn("this node's metadata is old: nothing is written here until it has what the controller has", "since", p.goalAt, "index", b.image.Index)
	}
	b.publish(c)
}

// withdraw asks the controller to relieve this node of what it leads. Where nobody else could lead there is nothing to be
// waited for.
func (b *Broker) withdraw(c stage.Context) {
	p := &b.pulse
	p.leaving = append(p.leaving, c.Caller())
	if b.epoch == 0 || b.image == nil || b.image.BrokerCount() < 2 {
		b.relieved(c)
		return
	}
	p.timer.Stop()
	p.pending = false
	b.beat(c)
}

// relieved tells those who wait that this node may stop.
func (b *Broker) relieved(c stage.Context) {
	for _, w := range b.pulse.leaving {
		c.Answer(w, &message.Withdrawn{})
	}
	b.pulse.leaving = b.pulse.leaving[:0]
}

// wish hands a partition's wish for another in-sync set on, in the name of this node's registration.
func (b *Broker) wish(c stage.Context, m *message.AlterPartition) {
	wish := *m
	wish.Node, wish.Epoch = c.Self().Node, b.epoch
	b.wishes[c.Ask(message.ControllerAt(c.Self().Node), &wish, wishPatience)] = c.Caller()
}

// wishPatience bounds how long a wish is under way. Its partition wishes again.
const wishPatience = 10 * time.Second

func (b *Broker) wished(c stage.Context, m *message.PartitionsAltered) {
	w, ours := b.wishes[c.Answers()]
	if !ours {
		return
	}
	delete(b.wishes, c.Answers())
	if slices.Contains(m.Codes, message.StaleBrokerEpoch) && b.registering == 0 {
		b.register(c)
	}
	c.Answer(w, m)
}
