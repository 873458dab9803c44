package broker

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// block are producer ids that only this broker has. What it has not given out when it stops is never used.
type block struct {
	next, end int64
	after     *message.ProducerIDs // the next block, fetched before this one runs out
	asked     stage.RequestID      // 0: no block is on its way
	waiting   []stage.Caller
}

// idsLow is how few ids may be left before the next block is asked for.
const idsLow = 100

// newProducerID gives one id.
func (b *Broker) newProducerID(c stage.Context) {
	b.ids.waiting = append(b.ids.waiting, c.Caller())
	b.handOut(c)
}

func (b *Broker) handOut(c stage.Context) {
	ids := &b.ids
	for len(ids.waiting) > 0 && ids.refill() {
		c.Answer(ids.waiting[0], &message.ProducerID{ID: ids.next})
		ids.next++
		ids.waiting = ids.waiting[1:]
	}
	b.allocate(c)
}

// refill says whether there is an id.
func (i *block) refill() bool {
	if i.next == i.end && i.after != nil {
		i.next, i.end = i.after.First, i.after.First+int64(i.after.Count)
		i.after = nil
	}
	return i.next < i.end
}

// allocate asks for the next block where that is due.
func (b *Broker) allocate(c stage.Context) {
	ids := &b.ids
	if b.epoch != 0 && ids.asked == 0 && ids.after == nil && ids.end-ids.next < idsLow {
		ids.asked = c.Ask(message.ControllerAt(c.Self().Node), &message.AllocateProducerIDs{Broker: c.Self().Node, Epoch: b.epoch}, allocatePatience)
	}
}

// allocated takes a block; without one those who wait are told to try again.
func (b *Broker) allocated(c stage.Context, m *message.ProducerIDs) {
	b.ids.asked = 0
	if m.Code == message.OK {
		b.ids.after = m
		b.handOut(c)
		return
	}
	c.Log().Warn("the controller gives no producer ids", "code", m.Code)
	for _, w := range b.ids.waiting {
		c.Answer(w, &message.ProducerID{Code: message.CoordinatorNotAvailable})
	}
	b.ids.waiting = nil
}
