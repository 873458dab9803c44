// Package claims holds what Kafka's clients may count on of the admin APIs: a test for each sentence, the sentence above it
// with its number (S42, L1, …). Each drives a whole node in this process over a socket, with the bytes of the version that it
// is about. Every answer of every test is also held against the schema: it must be read to its last byte, and have no null
// list where clients do not look for one (L1).
package claims

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/node"
)

// house is a node and a connection to it.
type house struct {
	t    *testing.T
	node *node.Node
	conn net.Conn
	sent int32
}

func newHouse(t *testing.T, settings ...string) *house {
	t.Helper()
	c, err := node.Load(node.Sources{Set: append([]string{"log.dirs=" + t.TempDir(), "listeners=PLAINTEXT://127.0.0.1:0", "http.listener="}, settings...)})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	h := &house{t: t, node: n}
	h.conn = h.dial()
	return h
}

// another is a second connection to the same node.
func (h *house) another() *house {
	return &house{t: h.t, node: h.node, conn: h.dial()}
}

func (h *house) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.node.Kafka())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a request in one version and returns its answer.
func ask[R kmsg.Response](h *house, version int16, q kmsg.Request) R {
	h.t.Helper()
	h.send(version, q)
	resp := q.ResponseKind()
	resp.SetVersion(version)
	h.receive(resp)
	return resp.(R)
}

func (h *house) send(version int16, q kmsg.Request) {
	h.t.Helper()
	h.sent++
	q.SetVersion(version)
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("claims")).AppendRequest(nil, q, h.sent)
	h.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := h.conn.Write(frame); err != nil {
		h.t.Fatal(err)
	}
}

// receive reads the next answer and holds it against the schema.
func (h *house) receive(resp kmsg.Response) {
	h.t.Helper()
	head := make([]byte, 8)
	if _, err := io.ReadFull(h.conn, head); err != nil {
		h.t.Fatalf("%T in version %d: %v", resp, resp.GetVersion(), err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(h.conn, body); err != nil {
		h.t.Fatalf("%T in version %d: %v", resp, resp.GetVersion(), err)
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != h.sent {
		h.t.Fatalf("%T answers request %d, not %d", resp, got, h.sent)
	}
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		if body[0] != 0 {
			h.t.Fatalf("%T in version %d: its header has %d tagged fields", resp, resp.GetVersion(), body[0])
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		h.t.Fatalf("%T in version %d: %v", resp, resp.GetVersion(), err)
	}
	fitsSchema(h.t, resp, body)
}

// eachVersion calls with every version from min to max.
func eachVersion(min, max int16, do func(version int16)) {
	for v := min; v <= max; v++ {
		do(v)
	}
}

func ptr[T any](v T) *T { return &v }

// is fails the test if an error code is not the one that is due.
func (h *house) is(what string, got, want int16) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s: error code %d, not %d", what, got, want)
	}
}

// text fails the test if a message for people is not Kafka's.
func (h *house) text(got *string, want string) {
	h.t.Helper()
	if got == nil || *got != want {
		h.t.Errorf("the text is %q, not %q", deref(got), want)
	}
}

func deref(s *string) string {
	if s == nil {
		return "(null)"
	}
	return *s
}
