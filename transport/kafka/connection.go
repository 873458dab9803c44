package kafka

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// connection is one client's connection. It owns the order of answers and what is parked for the client.
//
//	*Frame ─▶ queue ─▶ header, shape ─▶ handler ─▶ ... ─▶ answered ─▶ Wire, in the order of arrival
//
// Requests are worked on one at a time, as Kafka does (S5, S6), but for runs of Produce: the next one starts as soon as the
// one before has sent its appends, so that several are being made durable at once. Appends to one partition keep their
// order because a mailbox does.
type connection struct {
	wire     Wire
	opts     Options
	versions *versions

	queue      []*Request // not yet handed to the wire, in order of arrival
	begun      int        // how many of the queue are started
	producing  int        // started, unanswered, Produce
	unsettled  int        // of those: with appends still to be sent
	working    int        // started, unanswered, anything else
	proceeding bool
	waiting    bool // for an image
	ended      bool

	pending  map[stage.RequestID]expected
	client   string // the last client id seen: they seldom change
	software string // what the client's is called (KIP-511); empty: it has not said
	hold     hold
	settings resolved
	reading  reading // what fetches keep from one to the next
}

// expected is who goes on when an answer arrives.
type expected struct {
	who resumer
	at  int
}

// resumer goes on with an answer; at is what it noted when it asked.
type resumer interface {
	resume(c stage.Context, at int, answer any)
}

// continuation lets a function go on.
type continuation func(c stage.Context, answer any)

func (f continuation) resume(c stage.Context, _ int, answer any) { f(c, answer) }

// resolved are the broker's settings in force at one image.
type resolved struct {
	image  *image.Image
	layers setting.Layers
	door   doorSettings
	// demands are what topics ask of what is produced to them.
	demands map[*image.Topic]demand
}

// Messages to self.
type proceed struct{} // look again whether the next request can start

// imagePatience is how soon to look again for an image that is not there yet.
const imagePatience = 20 * time.Millisecond

// NewConnection makes the actor of one client's connection, to be spawned at message.ConnectionAt. It is sent a *Frame per
// request, and *Closed when its wire ends, upon which it stops. The function is for stage.Spawn.
func NewConnection(wire Wire, opts Options) func() stage.Actor {
	return newConnection(wire, opts.withDefaults(), ours())
}

// ours is the table of what is served.
var ours = sync.OnceValue(func() *versions { return newVersions(served()) })

func newConnection(wire Wire, opts Options, v *versions) func() stage.Actor {
	return func() stage.Actor {
		return &connection{wire: wire, opts: opts, versions: v, pending: map[stage.RequestID]expected{}}
	}
}

// Receive is the table of contents.
func (k *connection) Receive(c stage.Context) {
	defer k.survive(c)
	if id := c.Answers(); id != 0 {
		k.resume(c, id)
		return
	}
	switch m := c.Message().(type) {
	case stage.Started, *stage.Started:
	case *Frame:
		k.arrive(c, m)
	case *proceed:
		k.waiting = false
		k.proceed(c)
	case *waited:
		k.reading.waited(c, m)
	case *Evicted:
		k.reading.evicted(m)
	case *Closed:
		k.close(c, m)
	case stage.Stopping, *stage.Stopping:
		k.end(c)
	default:
		c.Unhandled()
	}
}

// survive turns a panic over a client's bytes into a closed connection: the node and everybody else live on.
func (k *connection) survive(c stage.Context) {
	if p := recover(); p != nil {
		c.Log().Error("a request could not be handled: its connection is closed", "remote", k.wire.Remote(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		k.hangUp(c)
	}
}

func (k *connection) resume(c stage.Context, id stage.RequestID) {
	if e, ok := k.pending[id]; ok {
		delete(k.pending, id)
		e.who.resume(c, e.at, c.Message())
	}
}

// expect notes who goes on when a request of the actor's own is answered.
func (k *connection) expect(id stage.RequestID, who resumer, at int) {
	k.pending[id] = expected{who, at}
}

func (k *connection) arrive(c stage.Context, f *Frame) {
	if k.ended {
		f.done(true)
		return
	}
	k.queue = append(k.queue, &Request{conn: k, frame: f, arrived: c.Now()})
	k.press(c)
	k.proceed(c)
}

// proceed starts what may be started.
func (k *connection) proceed(c stage.Context) {
	if k.proceeding {
		return
	}
	k.proceeding = true
	for !k.ended && k.begun < len(k.queue) && k.start(c, k.queue[k.begun]) {
		k.flush(c)
	}
	k.proceeding = false
}

// start begins a request if it is its turn.
func (k *connection) start(c stage.Context, r *Request) bool {
	h, err := readHeader(r.frame.Bytes)
	if !k.turn(h.key) {
		return false
	}
	img := k.latest(c, nil)
	if img == nil {
		k.wait(c)
		return false
	}
	k.begun++
	k.count(h.key, 1)
	r.Key, r.Version, r.Body, r.correlation, r.Image = h.key, h.version, h.body, h.correlation, img
	if r.client = k.client; string(h.client) != k.client {
		r.client = string(h.client)
		k.client = r.client
	}
	if err == nil {
		err = k.dispatch(c, r, &h)
	}
	if err != nil {
		r.Refuse(c, err)
	}
	return true
}

// wait looks for an image again in a moment.
func (k *connection) wait(c stage.Context) {
	if !k.waiting {
		k.waiting = true
		c.After(imagePatience, &proceed{})
	}
}

// latest is the metadata as it is now, or otherwise if there is none.
func (k *connection) latest(c stage.Context, otherwise *image.Image) *image.Image {
	if img, _ := c.Published(message.BrokerAt(k.opts.Node)).(*image.Image); img != nil {
		return img
	}
	return otherwise
}

// turn says whether a request may start beside those that are not answered yet.
func (k *connection) turn(key int16) bool {
	return k.working == 0 && (k.producing == 0 || key == produceKey && k.unsettled == 0)
}

func (k *connection) count(key int16, n int) {
	if key == produceKey {
		k.producing += n
	} else {
		k.working += n
	}
}

// dispatch gives a request to its handler. An error closes the connection (S4).
func (k *connection) dispatch(c stage.Context, r *Request, h *header) error {
	if r.api = k.versions.row(h.key); r.api == nil {
		return fmt.Errorf("API key %d is not served", h.key)
	}
	if r.Version < r.api.min || r.Version > r.api.max {
		if h.key == apiVersionsKey {
			answerOldest(c, r)
			return nil
		}
		return fmt.Errorf("version %d of API key %d is not served, versions %d to %d are", h.version, h.key, r.api.min, r.api.max)
	}
	if r.flexible() {
		if err := h.skipTags(); err != nil {
			return err
		}
		r.Body = h.body
	}
	if r.api.walk != nil && !r.api.walk.fits(r.Body, r.Version, r.flexible()) {
		return fmt.Errorf("the body of API key %d version %d is malformed", h.key, h.version)
	}
	r.api.start(c, r)
	return nil
}

// answered takes a request's answer, nil for none, and writes what is next in order.
func (k *connection) answered(c stage.Context, r *Request, a *Answer) {
	if r.answered || k.ended {
		if a != nil {
			a.Finish()
		}
		return
	}
	r.answered, r.answer = true, a
	k.count(r.Key, -1)
	if !k.proceeding {
		k.flush(c)
		k.proceed(c)
	}
}

// flush hands answers to the wire, in the order of the requests.
func (k *connection) flush(c stage.Context) {
	if q := k.queue; planted.Is(planted.AnswersSwapped) && len(q) > 1 && !q[0].answered && q[1].answered {
		q[0], q[1] = q[1], q[0]
	}
	n := 0
	for ; n < len(k.queue) && k.queue[n].answered && !k.ended; n++ {
		k.finish(c, k.queue[n])
	}
	if k.ended || n == 0 {
		return
	}
	left := copy(k.queue, k.queue[n:])
	clear(k.queue[left:])
	k.queue, k.begun = k.queue[:left], k.begun-n
}

// finish hands one answer to the wire.
func (k *connection) finish(c stage.Context, r *Request) {
	if r.refusal != nil {
		k.opts.Metrics.Refused(r.Key)
		c.Log().Warn("a connection is closed over a request", "remote", k.wire.Remote(), "client", r.client, "key", r.Key, "version", r.Version, "why", r.refusal)
		k.hangUp(c)
		return
	}
	out := 0
	if r.answer != nil {
		out = r.answer.Size()
	}
	k.opts.Metrics.Request(r.Key, c.Now().Sub(r.arrived), len(r.frame.Bytes), out)
	r.frame.done(!r.leaked)
	if a := r.answer; a != nil {
		r.answer = nil
		k.wire.Answer(a)
	}
}

// close ends the connection when its wire has.
func (k *connection) close(c stage.Context, m *Closed) {
	if m.Err != nil && !k.ended {
		c.Log().Info("a connection has ended", "remote", k.wire.Remote(), "client", k.client, "why", m.Err)
	}
	k.hangUp(c)
}

// hangUp ends the connection and stops the actor.
func (k *connection) hangUp(c stage.Context) {
	if !k.ended {
		k.end(c)
		c.Stop(c.Self())
	}
}

// end gives everything back: frames, answers, what partitions keep for this connection.
func (k *connection) end(c stage.Context) {
	if k.ended {
		return
	}
	k.ended = true
	k.wire.Close()
	for _, r := range k.queue {
		if r.answer != nil {
			r.answer.Finish()
		}
		r.frame.done(false)
	}
	k.forsake(c)
	k.reading.end(c, k.opts.Sessions)
	k.queue, k.pending = nil, nil
}

func (f *Frame) done(reusable bool) {
	if done := f.Done; done != nil {
		f.Done = nil
		done(reusable)
	}
}

// resolve is the broker's configuration at an image; it is kept until the image changes.
func (k *connection) resolve(img *image.Image) *resolved {
	s := &k.settings
	if s.image == img {
		return s
	}
	s.image = img
	s.layers = img.Layers(k.opts.Node, k.opts.Static)
	s.door = doorSettingsOf(s.layers)
	s.demands = map[*image.Topic]demand{}
	return s
}
