package workload

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// link is a client's connection: it dials when it has something to say, numbers requests, gives up on late answers as
// clients do, by hanging up, and asks that answers come in order.
type link struct {
	world   World
	history *check.History
	name    string
	chance  *rand.Rand
	node    message.NodeID // at the other end; 0: in a world of several nodes any of them
	routes  routes

	conn        Conn
	generation  int // of connections
	correlation int32
	flying      []*call
	looking     time.Duration // when it looks next for calls whose time is over; 0: it does not
	stopped     bool
}

// call is a request that is not answered.
type call struct {
	number int32
	req    kmsg.Request
	until  time.Duration
	then   func(kmsg.Response, error)
}

var (
	errLost  = errors.New("the connection was lost")
	errLate  = errors.New("the answer did not come in time")
	errShut  = errors.New("the client has stopped")
	errBytes = errors.New("the answer cannot be read")
)

func newLink(w World, h *check.History, name string) link {
	return link{world: w, history: h, name: name, chance: w.Rand("client/" + name)}
}

func (l *link) Name() string { return l.name }

// call sends a request; then is called once, unless the client stops. A request that no answer comes to has no then.
func (l *link) call(req kmsg.Request, patience time.Duration, then func(kmsg.Response, error)) {
	if l.stopped {
		return
	}
	l.correlation++
	c := &call{l.correlation, req, l.world.Now() + patience, then}
	if l.conn == nil {
		l.generation++
		l.conn = l.world.Dial(l.name, l.target(), &ear{l, l.generation})
	}
	frame := formatter.AppendRequest(nil, req, c.number)[4:]
	binary.BigEndian.PutUint32(frame[4:], uint32(c.number))
	if then != nil {
		l.flying = append(l.flying, c)
		l.watch(c.until)
	}
	l.conn.Send(frame)
}

// connection numbers the one that the next call goes over.
func (l *link) connection() int {
	if l.conn == nil {
		return l.generation + 1
	}
	return l.generation
}

// target is the node to connect to.
func (l *link) target() message.NodeID {
	switch {
	case l.node != 0:
		return l.node
	case l.alone():
		return first
	}
	return first + message.NodeID(l.chance.IntN(l.world.Nodes()))
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("sim"))

// watch looks at that time for requests whose time is over.
func (l *link) watch(at time.Duration) {
	if l.looking != 0 && l.looking <= at {
		return
	}
	l.looking = at
	l.world.After(at-l.world.Now(), func() {
		if l.looking == at && !l.stopped {
			l.looking = 0
			l.look()
		}
	})
}

// memberID is one that a member by KIP-848 makes for itself.
func (l *link) memberID() string {
	id := make([]byte, 8)
	for i := range id {
		id[i] = byte(l.chance.Uint32())
	}
	return hex.EncodeToString(id)
}

// look gives up on a request whose time is over.
func (l *link) look() {
	next := time.Duration(0)
	for _, c := range l.flying {
		if c.until <= l.world.Now() {
			l.world.Note("%s gives up on %s", l.name, kmsg.NameForKey(c.req.Key()))
			l.hangUp(errLate)
			return
		}
		if next == 0 || c.until < next {
			next = c.until
		}
	}
	if next != 0 {
		l.watch(next)
	}
}

// hangUp ends the connections and fails what is in flight.
func (l *link) hangUp(why error) {
	if l.conn != nil {
		l.conn.Close()
	}
	l.lost(why)
	for _, branch := range l.branches() {
		branch.hangUp(why)
	}
}

func (l *link) lost(why error) {
	l.conn = nil
	l.generation++
	lost := l.flying
	l.flying = nil
	for _, c := range lost {
		if !l.stopped {
			c.then(nil, why)
		}
	}
}

// Stop is part of Client.
func (l *link) Stop() {
	l.stopped = true
	for _, branch := range l.branches() {
		branch.stopped = true
	}
	l.hangUp(errShut)
}

// ear hears for one of a link's connections.
type ear struct {
	*link
	generation int
}

func (e *ear) Closed() {
	if e.generation == e.link.generation && !e.stopped {
		e.lost(errLost)
	}
}

func (e *ear) Received(frame []byte) {
	if e.generation != e.link.generation || e.stopped {
		return
	}
	if len(frame) < 4 || len(e.flying) == 0 || int32(binary.BigEndian.Uint32(frame)) != e.flying[0].number {
		e.history.Fail(check.AnswersInOrder, "%s got %d bytes that begin with %x, while %s.", e.name, len(frame), frame[:min(4, len(frame))], e.expecting())
		e.hangUp(errBytes)
		return
	}
	c := e.flying[0]
	e.flying = e.flying[1:]
	resp := c.req.ResponseKind()
	resp.SetVersion(c.req.GetVersion())
	body := frame[4:]
	if resp.IsFlexible() && c.req.Key() != 18 && len(body) > 0 {
		body = body[1:] // no tags in the header
	}
	if err := resp.ReadFrom(body); err != nil {
		e.history.Fail(check.AnswersParse, "%s: %s version %d: %v.", e.name, kmsg.NameForKey(c.req.Key()), c.req.GetVersion(), err)
		c.then(nil, errBytes)
		return
	}
	c.then(resp, nil)
}

func (e *ear) expecting() string {
	if len(e.flying) == 0 {
		return "nothing was to come"
	}
	return "the answer to " + kmsg.NameForKey(e.flying[0].req.Key()) + " was to come"
}

// hasteMillis is the longest rest, on average, when everybody is to come to an end.
const hasteMillis = 100

// pace is a random time around the mean.
func (l *link) pace(meanMillis int) time.Duration {
	if l.world.Mended() {
		meanMillis = min(meanMillis, hasteMillis)
	}
	return time.Duration(1+l.chance.IntN(2*max(meanMillis, 1)*1000)) * time.Microsecond
}

// later calls, unless the client has stopped by then.
func (l *link) later(d time.Duration, do func()) {
	l.world.After(d, func() {
		if !l.stopped {
			do()
		}
	})
}

// one is true once in n times.
func (l *link) one(n int) bool { return l.chance.IntN(n) == 0 }
