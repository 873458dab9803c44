package claims

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// KIP-402: "max.connections … can be dynamically configured", as can max.connections.per.ip: a listener that runs heeds what
// is set, and lets in who waits when more are allowed.
func TestConnectionLimitsChangeWhileListenersRun(t *testing.T) {
	h := newHouse(t)
	limit := func(name string, changes ...change) {
		t.Helper()
		h.is(name, h.alter(ofBroker, "1", changes...), 0)
	}
	limit("one from an address", change{set, "max.connections.per.ip", "1"})
	if _, err := h.another().conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a second connection from one address ends with %v", err)
	}
	limit("one at all", change{remove, "max.connections.per.ip", ""}, change{set, "max.connections", "1"})
	second := h.another()
	second.send(0, kmsg.NewPtrApiVersionsRequest())
	second.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the second connection does not wait: %v", err)
	}
	limit("as many as like", change{remove, "max.connections", ""})
	second.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := kmsg.NewPtrApiVersionsResponse()
	answer.SetVersion(0)
	second.receive(answer)
}
