package network

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/kafka"
)

// Conn is one connection: the client's handle, and the Wire of the connection actor at the other end.
//
//	Send ─▶ delay ─▶ admit ─▶ *kafka.Frame ─▶ actor ─▶ Answer ─▶ write ─▶ delay ─▶ Received
type Conn struct {
	net     *Network
	client  string
	handler Handler
	chance  *rand.Rand
	slow    time.Duration // times slower than others
	door    *door
	at      message.Address

	there, back time.Duration // when the last frame of a direction arrives: they do not overtake
	written     time.Duration // when the last answer is written, likewise
	early       [][]byte      // sent before the connection was there
	waiting     [][]byte      // arrived, and not admitted: too many are unanswered
	flying      int           // requests that are not answered
	pending     int           // answers that are not received
	hungUp      bool          // the client has heard or said that it is over
	doomed      bool          // a reset of it is under way
	over        bool          // the node's side is
}

// errReset is what a connection actor hears of a reset.
var errReset = errors.New("connection reset by peer")

// Send sends a request, without its length in front. The bytes are the connection's from then on.
func (c *Conn) Send(frame []byte) {
	if c.hungUp || c.doomed {
		return
	}
	if c.one(c.net.opts.Reset) {
		c.doomed = true
		c.net.time.After(c.delay(), c.reset)
		return
	}
	if c.door == nil {
		c.early = append(c.early, frame)
		return
	}
	c.carry(&c.there, c.delay(), func() { c.deliver(frame) })
}

// Close hangs up on the node. The handler hears nothing any more.
func (c *Conn) Close() {
	if c.hungUp {
		return
	}
	c.hungUp = true
	c.carry(&c.there, c.delay(), func() { c.end(nil) })
}

// carry lets something happen at the other end of a direction, behind what was sent before.
func (c *Conn) carry(last *time.Duration, delay time.Duration, arrive func()) {
	now := c.net.time.Elapsed()
	*last = max(*last, now+delay)
	c.net.time.After(*last-now, arrive)
}

func (c *Conn) delay() time.Duration {
	o := c.net.opts
	return o.DelayMin + time.Duration(c.chance.Int64N(int64(o.DelayMax-o.DelayMin)+1))
}

func (c *Conn) one(rate float64) bool { return rate > 0 && c.chance.Float64() < rate }

// arrive is the connection at the node's door, if there is one.
func (c *Conn) arrive(node message.NodeID) {
	d := c.net.doors[node]
	if c.hungUp {
		return
	}
	if d == nil {
		c.over = true
		c.hangUp()
		return
	}
	d.last++
	c.door, c.at = d, message.ConnectionAt(node, d.last)
	d.conns = append(d.conns, c)
	d.stage.Spawn(c.at, kafka.NewConnection(wire{c}, d.opts))
	for _, frame := range c.early {
		c.carry(&c.there, 0, func() { c.deliver(frame) })
	}
	c.early = nil
}

// deliver is what the goroutine of a socket does with a frame.
func (c *Conn) deliver(frame []byte) {
	switch {
	case c.over:
	case len(frame) > c.door.limits.RequestBytes:
		c.end(errors.New("a request that is too large"))
		c.hangUp()
	default:
		c.waiting = append(c.waiting, frame)
		c.admit()
	}
}

// admit hands over what has arrived, as long as not too much is unanswered or unread.
func (c *Conn) admit() {
	for len(c.waiting) > 0 && !c.over && c.flying+c.pending < c.door.limits.ConnectionRequests {
		frame := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.flying++
		c.door.stage.Send(c.at, &kafka.Frame{Bytes: frame, Done: func(reusable bool) { c.done(frame, reusable) }})
	}
}

// done spoils memory that is said to be free: whoever still looks at it will show.
func (c *Conn) done(frame []byte, reusable bool) {
	if reusable {
		for i := range frame {
			frame[i] = 0xdb
		}
	}
	if c.flying--; len(c.waiting) > 0 {
		c.net.time.After(0, c.admit)
	}
}

// end is the end of the connection at the node.
func (c *Conn) end(err error) {
	if c.over || c.door == nil {
		c.over = true
		return
	}
	c.over = true
	c.door.conns = slices.DeleteFunc(c.door.conns, func(o *Conn) bool { return o == c })
	c.door.stage.Send(c.at, &kafka.Closed{Err: err})
}

// hangUp tells the client that it is over, behind what it was sent.
func (c *Conn) hangUp() {
	c.carry(&c.back, c.delay(), c.closed)
}

func (c *Conn) closed() {
	if !c.hungUp {
		c.hungUp = true
		c.handler.Closed()
	}
}

// reset loses everything that is under way in both directions.
func (c *Conn) reset() {
	c.end(errReset)
	c.closed()
}

// wire is the node's end of a connection.
type wire struct{ *Conn }

// Answer is part of kafka.Wire. The bytes are read when they are written, which is a little later, as by a socket's
// goroutine.
func (w wire) Answer(a *kafka.Answer) {
	c := w.Conn
	c.pending++
	c.carry(&c.written, time.Duration(c.chance.Int64N(int64(50*time.Microsecond))), func() { c.write(a) })
}

func (c *Conn) write(a *kafka.Answer) {
	defer a.Finish()
	if c.over {
		return
	}
	frame, err := flatten(a)
	if err != nil || c.one(c.net.opts.Reset) {
		c.reset()
		return
	}
	c.carry(&c.back, c.delay()*c.slow, func() {
		if c.pending--; !c.hungUp {
			c.net.time.Note(xxhash.Sum64(frame))
			c.handler.Received(frame)
			c.admit()
		}
	})
}

// flatten puts an answer's bytes and slices together, without the length in front.
func flatten(a *kafka.Answer) ([]byte, error) {
	whole, from := make([]byte, 0, a.Size()), 0
	for i := range a.Cuts {
		cut := &a.Cuts[i]
		whole = append(whole, a.Bytes[from:cut.At]...)
		from = cut.At
		end := len(whole) + cut.Slice.Bytes
		if n, err := cut.Slice.File.ReadAt(whole[len(whole):end], cut.Slice.At); n < cut.Slice.Bytes {
			return nil, errors.Join(err, io.ErrUnexpectedEOF)
		}
		whole = whole[:end]
	}
	whole = append(whole, a.Bytes[from:]...)
	if size := int(binary.BigEndian.Uint32(whole)); size != len(whole)-4 {
		panic("network: an answer's length is wrong")
	}
	return whole[4:], nil
}

// Close is part of kafka.Wire: the end, once everything that was answered is written.
func (w wire) Close() {
	c := w.Conn
	c.carry(&c.written, 60*time.Microsecond, func() {
		if !c.over {
			c.end(nil)
			c.hangUp()
		}
	})
}

// Local is part of kafka.Wire.
func (w wire) Local() (host string, port int32) { return "broker", 9092 }

// Remote is part of kafka.Wire.
func (w wire) Remote() string { return w.client }
