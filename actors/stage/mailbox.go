package stage

import (
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/message"
)

// envelope is a message on its way, and the mailbox's link. It fits one cache line.
type envelope struct {
	next   *envelope
	msg    any
	from   *message.Address // the sender's own; nil: from outside
	number uint64           // the sender's request, or, in what comes back, the receiver's
	until  int64            // of a request: when its sender gives up, in ticks
	kind   kind
}

// kind says what a mailbox does with an envelope.
type kind uint8

const (
	kindSend     kind = iota // a message; number is set if it asks for an answer
	kindAnswer               // what comes back to the receiver's request or offload
	kindBroken               // the receiver's offload panicked with msg
	kindAlarm                // the receiver's earliest deadline has come
	kindDue                  // the receiver's wait is over: a timer or a deadline
	kindStop                 // end when everything before this is handled
	kindWatch                // tell from, or call msg, when the receiver ends
	kindForeign              // what comes back to the receiver's request from another node
	kindGone                 // from, an actor of another node that the receiver watches, has ended
	kindPeerDown             // the node with this number is not reached any more
)

// mailbox is an unbounded queue with many writers and one reader, and at the same time the word on whether its reader is
// to be woken: an idle mailbox holds the mark resting, and whoever replaces that wakes the reader.
type mailbox struct {
	inbox atomic.Pointer[envelope] // newest first; nil: nothing new, and the reader is awake
	batch *envelope                // the reader's own: taken out of inbox, oldest first
}

var resting = new(envelope)

// push adds an envelope. wake says that the reader rested and is the caller's to wake.
func (m *mailbox) push(e *envelope) (wake bool) {
	for {
		old := m.inbox.Load()
		if wake = old == resting; wake {
			e.next = nil
		} else {
			e.next = old
		}
		if m.inbox.CompareAndSwap(old, e) {
			return wake
		}
	}
}

// pop is the oldest envelope, nil if there is none.
func (m *mailbox) pop() *envelope {
	e := m.peek()
	if e != nil {
		m.batch, e.next = e.next, nil
	}
	return e
}

// peek is what pop will be.
func (m *mailbox) peek() *envelope {
	if m.batch == nil {
		m.refill()
	}
	return m.batch
}

// refill takes all that is new and turns its order round.
func (m *mailbox) refill() {
	for e := m.inbox.Swap(nil); e != nil; {
		e.next, m.batch, e = m.batch, e, e.next
	}
}

// rest puts an empty mailbox to rest; false if something has come meanwhile.
func (m *mailbox) rest() bool {
	return m.batch == nil && m.inbox.CompareAndSwap(nil, resting)
}
