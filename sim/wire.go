package sim

import (
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/workload"
	"github.com/troupe-broker/troupe/transport/kafka"
)

// wire is a client's connection to a node: bytes that take their time and keep their order, each way.
type wire struct {
	world   *world
	node    *machine
	handler workload.Handler
	chance  *rand.Rand
	at      message.Address

	there, back time.Duration // when what was sent last arrives
	hung        bool          // the client has hung up
	over        bool          // the node has, or is gone
}

// Dial is part of workload.World.
func (w *world) Dial(client string, h workload.Handler) workload.Conn {
	c := &wire{world: w, node: w.node, handler: h, chance: w.Rand("wire/" + client)}
	c.travel(&c.there, c.arrive)
	return c
}

// travel lets something happen at the other end, behind what is under way already.
func (c *wire) travel(last *time.Duration, do func()) {
	took := time.Duration(20+c.chance.IntN(200)) * time.Microsecond
	if c.chance.IntN(50) == 0 {
		took *= 50
	}
	*last = max(*last, c.world.Now()+took)
	c.world.After(*last-c.world.Now(), do)
}

// arrive connects, if somebody listens.
func (c *wire) arrive() {
	m := c.node
	if m.stage == nil || m.stopping {
		c.end()
		return
	}
	m.dialled++
	c.at = message.ConnectionAt(m.id, m.dialled)
	m.wires = append(m.wires, c)
	l := m.config.Listeners[0]
	m.stage.Spawn(c.at, kafka.NewConnection(door{c}, kafka.Options{Node: m.id, Listener: l.Name, Static: m.config.Values, Sessions: m.sessions, Log: m.log()}))
}

// Send is part of workload.Conn.
func (c *wire) Send(frame []byte) {
	c.travel(&c.there, func() {
		if c.over || c.hung || c.at.IsZero() {
			return
		}
		c.world.frames++
		incarnation := c.node.incarnation
		c.node.stage.Send(c.at, &kafka.Frame{Bytes: frame, Done: func(bool) {
			if incarnation == c.node.incarnation {
				c.world.frames--
			}
		}})
	})
}

// Close is part of workload.Conn.
func (c *wire) Close() {
	if c.hung {
		return
	}
	c.hung = true
	c.travel(&c.there, func() { c.tell() })
}

// tell lets the connection's actor know that it is over.
func (c *wire) tell() {
	if !c.over && !c.at.IsZero() && c.node.stage != nil {
		c.over = true
		c.node.stage.Send(c.at, &kafka.Closed{})
	}
}

// cut is the end of the connection without a word to the node: it is gone, or the network is.
func (c *wire) cut() {
	c.over = true
	c.end()
}

// end lets the client know.
func (c *wire) end() {
	c.travel(&c.back, func() {
		if !c.hung {
			c.hung = true
			c.handler.Closed()
		}
	})
}

// hangUp ends the connection, and both ends hear of it.
func (c *wire) hangUp() {
	c.tell()
	c.end()
}

// Answer is part of kafka.Wire.
func (c *wire) Answer(a *kafka.Answer) {
	frame, err := flatten(a)
	a.Finish()
	if err != nil { // the file cannot be read: a socket is closed in the middle of the answer
		c.world.note("an answer to %s cannot be read: %v", c.at, err)
		c.hangUp()
		return
	}
	if c.over {
		return
	}
	c.travel(&c.back, func() {
		c.world.scheduler.Note(xxhash.Sum64(frame))
		if !c.hung {
			c.handler.Received(frame[4:])
		}
	})
}

// flatten reads an answer's slices.
func flatten(a *kafka.Answer) ([]byte, error) {
	frame := make([]byte, 0, a.Size())
	at := 0
	for i := range a.Cuts {
		cut := &a.Cuts[i]
		frame = append(frame, a.Bytes[at:cut.At]...)
		at = cut.At
		n := len(frame)
		frame = frame[:n+cut.Slice.Bytes]
		if got, err := cut.Slice.File.ReadAt(frame[n:], cut.Slice.At); got < cut.Slice.Bytes {
			return nil, err
		}
	}
	return append(frame, a.Bytes[at:]...), nil
}

// door is the side of the wire that the connection actor sees.
type door struct{ *wire }

func (d door) Close() { d.hangUp() }

// Local is part of kafka.Wire.
func (c *wire) Local() (string, int32) { return "sim", 9092 }

// Remote is part of kafka.Wire.
func (c *wire) Remote() string { return "sim:1" }
