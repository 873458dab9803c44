package stage

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// outside is the actor that asks for those who are none.
type outside struct {
	waiting table[*outsideAsk]
}

// outsideAsk is a request from outside.
type outsideAsk struct {
	to       message.Address
	msg      any
	patience time.Duration
	then     func(any)
}

func (h *house) outsideAddress() message.Address {
	return message.Address{Node: h.Options.Node, Kind: message.KindOutside}
}

// Ask is part of Stage.
func (h *house) Ask(to message.Address, msg any, patience time.Duration, then func(answer any)) {
	if h.abroad(to) {
		crossing(msg, to) // else the panic would be everybody's who asks from outside
	}
	ask := &outsideAsk{to: to, msg: msg, patience: patience, then: then}
	at := h.outsideAddress()
	c := h.find(at)
	if c == nil && h.Spawn(at, func() Actor { return new(outside) }) {
		c = h.find(at)
	}
	if c == nil {
		then(&Down{To: to})
		return
	}
	c.post(&envelope{kind: kindSend, msg: ask}, nil)
}

// Receive is the table of contents.
func (o *outside) Receive(c Context) {
	switch m := c.Message().(type) {
	case *Started:
	case *outsideAsk:
		o.waiting.add(uint64(c.Ask(m.to, m.msg, m.patience)), m)
	case *Stopping:
		o.waiting.each(func(_ uint64, a **outsideAsk) { (*a).then(&Down{To: (*a).to}) })
	default:
		if a, ok := o.waiting.remove(uint64(c.Answers())); ok {
			a.then(m)
		}
	}
}
