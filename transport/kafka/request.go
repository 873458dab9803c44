package kafka

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Request is one request of a client from its arrival to its answer: its place in the order of answers, and what its
// handler needs. It is answered exactly once.
type Request struct {
	Key, Version int16
	Body         []byte       // the frame's, valid until the answer, or until letGo
	Image        *image.Image // the metadata as it was when the request was started; never nil

	conn        *connection
	api         *api
	frame       *Frame
	correlation int32
	client      string
	arrived     time.Time

	answered bool
	leaked   bool // somebody may still hold the frame's bytes
	answer   *Answer
	refusal  error // close the connection instead of an answer
}

// Node is this broker's number.
func (r *Request) Node() message.NodeID { return r.conn.opts.Node }

// ClientID is what the client calls itself, empty for null.
func (r *Request) ClientID() string { return r.client }

// Layers are the broker's settings in force, dynamic ones included.
func (r *Request) Layers() setting.Layers { return r.conn.resolve(r.Image).layers }

// Topic are a topic's effective settings.
func (r *Request) Topic(t *image.Topic) setting.Topic {
	return r.Image.TopicConfig(t, r.Layers())
}

// Endpoint is the address under which a broker is advertised to this client: that of the listener which the client
// used (S11). ok is false for a broker that lacks it.
func (r *Request) Endpoint(b *image.Broker) (host string, port int32, ok bool) {
	for _, e := range b.Endpoints {
		if e.Listener != r.conn.opts.Listener {
			continue
		}
		host, port = r.conn.wire.Local()
		if e.Host != "" {
			host = e.Host
		}
		if e.Port != 0 {
			port = e.Port
		}
		return host, port, true
	}
	return "", 0, false
}

// Ask sends a request to an actor; then is called with its answer, *stage.TimedOut or *stage.Down, unless the
// connection has ended by then.
func (r *Request) Ask(c stage.Context, to message.Address, msg any, patience time.Duration, then func(c stage.Context, answer any)) {
	r.conn.expect(c.Ask(to, msg, patience), continuation(then), 0)
}

// Offload runs work that blocks or computes for long; then is called with its result, unless the connection has ended.
func (r *Request) Offload(c stage.Context, cost time.Duration, work func() any, then func(c stage.Context, result any)) {
	r.conn.expect(c.Offload(cost, work), continuation(then), 0)
}

// Answer answers with a response of this request's version.
func (r *Request) Answer(c stage.Context, resp kmsg.Response) {
	resp.SetVersion(r.Version)
	a := r.open()
	a.Bytes = resp.AppendTo(a.Bytes)
	r.close(c, a)
}

// letGo gives the frame back before the answer, for a request that may wait for long: it must have copied what it needs.
func (r *Request) letGo() {
	r.frame.done(true)
	r.Body = nil
}

// AnswerNothing finishes a request to which no bytes are owed (S13).
func (r *Request) AnswerNothing(c stage.Context) {
	r.conn.answered(c, r, nil)
}

// Refuse closes the connection when it is this request's turn: the answer to what cannot be answered (S4).
func (r *Request) Refuse(c stage.Context, why error) {
	if !r.answered {
		r.refusal = why
		r.conn.answered(c, r, nil)
	}
}

// open begins an answer: room for its length, and the response header.
func (r *Request) open() *Answer {
	a := newAnswer()
	a.Bytes = append(a.Bytes, 0, 0, 0, 0)
	a.Bytes = binary.BigEndian.AppendUint32(a.Bytes, uint32(r.correlation))
	if r.flexible() && r.Key != apiVersionsKey {
		a.Bytes = append(a.Bytes, 0)
	}
	return a
}

// flexible says that the request's version has compact lengths and tagged fields.
func (r *Request) flexible() bool { return r.Version >= r.api.flexible }

// close completes an answer that was opened.
func (r *Request) close(c stage.Context, a *Answer) {
	binary.BigEndian.PutUint32(a.Bytes, uint32(a.Size()-4))
	r.conn.answered(c, r, a)
}
