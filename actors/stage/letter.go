package stage

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Letter is a word on its way to an actor of another node, or what comes back. The word belongs to who receives the letter.
//
//	Ask ─▶ Letter{LetterWord} ─▶ Post ─▶ Receive there ─▶ the actor ─▶ Answer
//	actor ◀─ Receive ◀─ Post ◀─ Letter{LetterAnswer | LetterDown} ◀──────┘
type Letter struct {
	From, To message.Address
	Kind     LetterKind
	Request  uint64       // the asker's number; 0: no answer is awaited
	Word     message.Word // of LetterWord and LetterAnswer, else nil
}

// LetterKind says what a letter is. The numbers go over the wire.
type LetterKind uint8

// The kinds of letters.
const (
	LetterWord   LetterKind = iota + 1 // a message; Request is set if it asks for an answer
	LetterAnswer                       // the answer to Request
	LetterDown                         // nobody will answer Request
	LetterWatch                        // From asks for a LetterGone when To ends
	LetterGone                         // From has ended, which To watched
)

// Post takes letters to other nodes. It is called from many goroutines at once and never blocks, nor may it call back into
// the stage. Letters to one peer and lane (message.LaneOf) arrive in order. What cannot be sent is dropped, and PeerDown
// follows for the peer: else who asked would wait for its time-out, and a watcher for ever.
type Post interface{ Send(l Letter) }

// errPeerDown is why an actor is gone that may still live where nobody can see it.
var errPeerDown = errors.New("the connection to its node was lost")

// patienceAbroad is how long a request from another node is held to be awaited: the asker's deadline does not travel.
// Behind it a failure of the asked actor is no longer told, and the asker's own time-out has to do.
const patienceAbroad = 10 * time.Minute

// abroad says that an address is another node's and that there is a way to it.
func (h *house) abroad(a message.Address) bool {
	return a.Node != h.Options.Node && a.Node >= 0 && h.Options.Post != nil && !a.IsZero()
}

// sendAbroad is what an address means whose actor is not found here: a letter if it is another node's, else nothing.
func (h *house) sendAbroad(from, to message.Address, msg any) {
	if h.abroad(to) {
		h.Options.Post.Send(Letter{From: from, To: to, Kind: LetterWord, Word: crossing(msg, to)})
	}
}

// crossing is a message as a word that may cross between nodes.
func crossing(msg any, to message.Address) message.Word {
	w, ok := msg.(message.Word)
	if !ok {
		panic(fmt.Sprintf("stage: %T was sent to %v and is no word that crosses between nodes", msg, to))
	}
	return w
}

// Receive takes a letter from another node. On the real stage it may be called from any goroutine, on a simulated one from
// the goroutine that steps. Letters that are not from another node to this one are dropped, and kinds that it does not know.
func (h *house) Receive(l Letter) {
	if h.dead || l.To.Node != h.Options.Node || l.From.Node == h.Options.Node {
		return
	}
	c := h.find(l.To)
	if c == nil {
		h.returned(l)
		return
	}
	if !c.abroad.Load() {
		c.abroad.Store(true)
	}
	if e := c.unfold(l); e != nil {
		c.post(e, nil)
	}
}

// returned answers a letter to nobody.
func (h *house) returned(l Letter) {
	back := Letter{From: l.To, To: l.From, Request: l.Request}
	switch {
	case l.Kind == LetterWord && l.Request != 0:
		back.Kind = LetterDown
	case l.Kind == LetterWatch:
		back.Kind = LetterGone
	default:
		return
	}
	if h.abroad(back.To) {
		h.Options.Post.Send(back)
	}
}

// unfold makes an envelope of a letter, nil if it is of an unknown kind.
func (c *cell) unfold(l Letter) *envelope {
	e := &envelope{from: &l.From, number: l.Request}
	switch l.Kind {
	case LetterWord:
		e.kind, e.msg = kindSend, l.Word
		e.until = c.house.driver.ticks() + int64(patienceAbroad)
	case LetterAnswer:
		e.kind, e.msg = kindForeign, l.Word
	case LetterDown:
		e.kind, e.msg = kindForeign, &Down{To: l.From}
	case LetterWatch:
		e.kind = kindWatch
	case LetterGone:
		e.kind, e.msg = kindGone, &Gone{Address: l.From}
	default:
		return nil
	}
	return e
}

// PeerDown tells that the connection to a node was lost, or that it was started anew. Requests that wait for its actors are
// answered with Down, who watches one of them gets Gone, and what is owed to its actors is forgotten. A request that is made
// at the same moment may be answered so, too. Letters of the node's next incarnation are to be received after it, and none
// may wait to be sent to the one before. It is called like Receive.
func (h *house) PeerDown(n message.NodeID) {
	if h.dead {
		return
	}
	for _, c := range byAge(h.cells.all()) {
		if c.abroad.Load() && !planted.Is(planted.PeerDownUntold) {
			c.post(&envelope{kind: kindPeerDown, number: uint64(n)}, nil)
		}
	}
}

// write sends a letter of the cell's own, which from now on hears of PeerDown.
func (c *cell) write(l Letter) {
	if !c.abroad.Load() {
		c.abroad.Store(true)
	}
	l.From = c.self
	c.house.Options.Post.Send(l)
}

// answered delivers what came back from another node to a request. What comes late, twice or from a node that was not asked
// is dropped.
func (c *cell) answered(e *envelope) {
	w := c.waits.find(e.number)
	if w == nil || w.to.IsZero() || w.to.Node != e.from.Node {
		return
	}
	c.waits.remove(e.number)
	c.deliver(e, RequestID(e.number))
}

// watchAbroad asks for the end of another node's actor, once.
func (c *cell) watchAbroad(at message.Address) {
	if !slices.Contains(c.watches, at) {
		c.watches = append(c.watches, at)
		c.write(Letter{To: at, Kind: LetterWatch})
	}
}

// gone tells of the end of another node's actor, unless nobody wants to know any more.
func (c *cell) gone(e *envelope) {
	if i := slices.Index(c.watches, *e.from); i >= 0 {
		c.watches = slices.Delete(c.watches, i, i+1)
		c.deliver(e, 0)
	}
}

// peerDown ends what the cell has to do with a node's actors. Each end is a message of its own.
func (c *cell) peerDown(n message.NodeID) {
	c.waits.each(func(id uint64, w *wait) {
		if w.to.Node == n && !w.to.IsZero() {
			c.post(&envelope{kind: kindAnswer, msg: &Down{To: w.to}, number: id}, c)
		}
	})
	for _, at := range c.watches {
		if at.Node == n {
			c.post(&envelope{kind: kindGone, msg: &Gone{Address: at, Failed: errPeerDown}, from: &at}, c)
		}
	}
	c.acquit(func(d *debt) bool { return d.from.Node == n })
	c.watchers = slices.DeleteFunc(c.watchers, func(w watcher) bool { return w.from != nil && w.from.Node == n })
}
