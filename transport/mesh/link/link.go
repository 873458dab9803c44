// Package link is one end of the link between two nodes: sequence, credits, the cutting of letters into frames and their
// reassembly, and above all the reset. It decides only: frames and the time go in, frames and letters come out.
//
// A lane of a link is a stream of letters, each behind its size. A frame carries any piece of that stream:
//
//	0        4       5    6    7     8      12       36      60       68       76    84        85    88    92    96
//	├────────┼───────┼────┼────┼─────┼──────┼────────┼───────┼────────┼────────┼─────┼─────────┼─────┼─────┼─────┼─────────┬─────────┐
//	│ "TRP1" │version│kind│lane│flags│ node │ from   │ to    │sequence│granted │same,│ size of │  0  │size │crc32│ cluster │ payload │
//	│        │   2   │    │    │     │sender│ mark   │ mark  │        │control │bulk │ cluster │     │     │  c  │         │         │
//	└────────┴───────┴────┴────┴─────┴──────┴────────┴───────┴────────┴────────┴─────┴─────────┴─────┴─────┴─────┴─────────┴─────────┘
//	mark = incarnation (16), session (8); numbers are big endian
//	checksum: over everything but itself; of a bulk frame's payload, over its first 4 KiB
//	payload of data = a piece of: size (4), letter, size (4), letter, …; of a hello = what this end greets with
//
// A link lives in sessions. In one session nothing is lost, doubled or turned round within a lane; when that can not be held
// any more, the session ends on both ends and everything that was under way or waiting is dropped:
//
//	Down ─hello─▶ Opening ─heard on both lanes─▶ Up ─gap, silence, lost route, other session, overflow─▶ Broken ─Mend─▶ Down
//
// Each end counts its own sessions. A frame names both ends' marks, and counts only if it names the right ones; so no frame
// of an older session is ever taken for one of this. An end is up when it has been heard on both lanes, since an answer on a
// lane also says that what was sent there before has been read: a blocked lane keeps the link from coming up, and no credit
// is given twice for the same room.
//
// Broken lasts until the owner has told those who wait for the other node (Mend). Only then may the next session begin, so that nobody
// takes its letters for the old one's. The same holds for a letter that came while the link was down: it is dropped, and its sender told.
package link

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Limits bound a link. Both ends may have others.
type Limits struct {
	FrameBytes  [Lanes]int    // payload of one frame at most, per lane
	LetterBytes int           // a letter at most
	Window      [Lanes]int    // bytes that the other end may have under way to us, per lane
	Queue       [Lanes]int    // bytes that may wait here to be sent, per lane; above it the link is reset
	Beat        time.Duration // an idle lane sends an empty frame this often; a link that is not up says hello twice as often
	Silence     time.Duration // a lane without a frame for so long resets the link

	// Lend is a buffer of no length with at least that much room, for a letter that comes in pieces; nil: make. GiveBack takes what was
	// lent, here or to who pushed a letter, when the link needs it no more; nil: nobody wants it. What is dropped is not given back.
	Lend     func(size int) []byte
	GiveBack func([]byte)
}

func (l *Limits) lend(size int) []byte {
	if l.Lend == nil {
		return make([]byte, 0, size)
	}
	return l.Lend(size)
}

func (l *Limits) giveBack(b []byte) {
	if l.GiveBack != nil && b != nil {
		l.GiveBack(b)
	}
}

// State is where a link stands.
type State uint8

// The states of a link.
const (
	Down    State = iota // the other end has not been heard
	Opening              // it has been heard, and hears us or not; letters wait
	Up
	Broken // Mend is awaited
)

var stateNames = [...]string{"down", "opening", "up", "broken"}

// String is the state's name.
func (s State) String() string { return stateNames[s] }

// Self is who has an end of a link.
type Self struct {
	Cluster     string
	Node        message.NodeID
	Incarnation message.TopicID
	Greeting    []byte // goes to the other end with every hello; it means nothing to the link
}

// Link is this node's end of the link to one other.
type Link struct {
	limits Limits
	owner  Self

	state   State
	why     string // it broke
	self    Mark   // goes into every frame
	peer    Mark   // of the other end's session, once it was heard
	lanes   [Lanes]lane
	since   time.Time // Opening began
	said    time.Time // hello was sent last
	hello   [Lanes]bool
	dropped bool // a letter came while the link was down
	greeted bool // the other end said hello while the link was broken
}

// New is an end of a link. It is down.
func New(self Self, limits Limits) *Link {
	l := &Link{limits: limits, owner: self, self: Mark{Incarnation: self.Incarnation}}
	l.begin(Down)
	return l
}

// begin starts a session, with nothing from the one before.
func (l *Link) begin(s State) {
	l.state, l.why, l.peer, l.dropped, l.greeted = s, "", Mark{}, false, false
	l.self.Session++
	for i := range l.lanes {
		l.lanes[i].clear(uint64(l.limits.Window[i]))
	}
	l.said, l.hello = time.Time{}, [Lanes]bool{}
}

// State is where the link stands.
func (l *Link) State() State { return l.state }

// Session numbers this end's sessions.
func (l *Link) Session() uint64 { return l.self.Session }

// Addressed says that a frame is of the session that both ends are in.
func (l *Link) Addressed(f *Frame) bool { return f.To == l.self && f.From == l.peer }

// Knows says that a frame comes from the other end's present session, as far as this end has heard.
func (l *Link) Knows(f *Frame) bool { return f.From == l.peer && f.From.Session != 0 }

// Why is the sentence about what broke the link; empty unless it is Broken.
func (l *Link) Why() string { return l.why }

// Push lets a letter wait for its turn. It is false if the letter was dropped: then the link is broken, now or with the next Tick.
func (l *Link) Push(on message.Lane, letter Letter) bool {
	switch l.state {
	case Down:
		l.dropped = true
		return false
	case Broken:
		return false
	}
	queued := l.lanes[on].queued + letter.size()
	if size := letter.size() - Prefix; size > l.limits.LetterBytes {
		return l.reset("a letter of %d bytes is above the limit of %d", size, l.limits.LetterBytes)
	}
	if queued > l.limits.Queue[on] {
		return l.reset("%d bytes wait in lane %d: the other end does not keep up", queued, on)
	}
	l.lanes[on].push(letter)
	return true
}

// Reset ends the session, for a reason that only the owner can see.
func (l *Link) Reset(why string) {
	if l.state == Up || l.state == Opening {
		l.reset("%s", why)
	}
}

// reset breaks the link and is false.
func (l *Link) reset(format string, args ...any) bool {
	l.state, l.why = Broken, fmt.Sprintf(format, args...)
	for i := range l.lanes {
		l.lanes[i].clear(0)
	}
	return false
}

// Mend begins the next session of a broken link, when those who waited for the other node have been told.
func (l *Link) Mend(now time.Time) {
	if l.state != Broken {
		return
	}
	if !l.greeted {
		l.begin(Down)
		return
	}
	l.begin(Opening)
	l.since = now
	l.greet(now)
}

// greet says hello on both lanes and wants an answer.
func (l *Link) greet(now time.Time) {
	l.said, l.hello = now, [Lanes]bool{true, true}
}

// Tick looks at what is overdue. It is to be called a few times per Beat.
func (l *Link) Tick(now time.Time) {
	switch l.state {
	case Down:
		if l.dropped {
			l.reset("letters were dropped while the other end was not heard")
			return
		}
		l.greetAgain(now)
	case Opening:
		if now.Sub(l.since) > l.limits.Silence {
			l.reset("the other end has said hello and nothing else for %v", l.limits.Silence)
			return
		}
		l.greetAgain(now)
	case Up:
		l.tickUp(now)
	}
}

func (l *Link) greetAgain(now time.Time) {
	if now.Sub(l.said) >= l.limits.Beat/2 {
		l.greet(now)
	}
}

func (l *Link) tickUp(now time.Time) {
	for i := range l.lanes {
		if silent := now.Sub(l.lanes[i].heard); silent > l.limits.Silence {
			l.reset("lane %d has been silent for %v", i, silent.Round(time.Millisecond))
			return
		}
		if now.Sub(l.lanes[i].spoke) >= l.limits.Beat {
			l.lanes[i].beat = true
		}
	}
}

// Waiting says that Pack has a frame for the lane.
func (l *Link) Waiting(on message.Lane) bool {
	if l.state == Broken {
		return false
	}
	return l.hello[on] || l.state == Up && l.lanes[on].ready()
}

// Pack makes a parcel of the lane's next frame; false if there is none. What the parcel held before is forgotten.
func (l *Link) Pack(on message.Lane, now time.Time, p *Parcel) bool {
	if !l.Waiting(on) {
		return false
	}
	lane := &l.lanes[on]
	f := Frame{Kind: Hello, Lane: on, Cluster: l.owner.Cluster, Node: l.owner.Node, From: l.self, To: lane.peer, Wanted: !lane.confirmed}
	for i := range l.lanes {
		f.Granted[i] = l.lanes[i].granted
	}
	p.begin(&l.limits)
	if l.hello[on] {
		l.hello[on] = false
		p.add(l.owner.Greeting)
	} else {
		lane.sequence++
		lane.spoke, lane.beat = now, false
		f.Kind, f.Sequence = Data, lane.sequence
		lane.cut(p, l.limits.FrameBytes[on])
	}
	p.seal(&f)
	return true
}

// Take takes a frame of the other end and returns the letters that it completes, all Body. One without Lent is a part of the payload.
// The frame is of the right cluster. Its bytes count against the other end's credit until Consumed.
func (l *Link) Take(f *Frame, now time.Time) []Letter {
	if f.From.Session == 0 {
		return nil
	}
	if f.Kind == Hello {
		l.takeHello(f, now)
		return nil
	}
	lane := &l.lanes[f.Lane]
	if l.state != Up && l.state != Opening || f.To != l.self || f.From != lane.peer {
		return nil
	}
	l.up(now)
	lane.heard = now
	l.credit(f)
	return l.takeData(lane, f)
}

func (l *Link) takeData(lane *lane, f *Frame) []Letter {
	switch {
	case f.Sequence <= lane.last:
		return nil // twice
	case f.Sequence != lane.last+1 && !planted.Is(planted.GapUnnoticed):
		l.reset("frame %d of lane %d follows on %d", f.Sequence, f.Lane, lane.last)
		return nil
	}
	lane.last = f.Sequence
	if lane.received += uint64(len(f.Payload)); lane.received > lane.granted {
		l.reset("%d bytes came on lane %d and %d were granted", lane.received, f.Lane, lane.granted)
		return nil
	}
	letters, err := lane.in.add(f.Payload, &l.limits)
	if err != nil {
		l.reset("lane %d: %v", f.Lane, err)
	}
	return letters
}

// takeHello learns of the other end's session, or that it has begun another.
func (l *Link) takeHello(f *Frame, now time.Time) {
	switch {
	case l.state == Broken:
		l.greeted = true
		return
	case l.state == Down && l.dropped:
		l.reset("letters were dropped before the other end was heard")
		l.greeted = true
		return
	case l.state == Down:
		l.state, l.since = Opening, now
		l.greet(now)
	}
	lane := &l.lanes[f.Lane]
	if f.From != l.peer && !l.meet(f) {
		return
	}
	lane.peer = f.From
	l.credit(f)
	if f.To == l.self {
		lane.heard, lane.confirmed = now, true
		l.upIfConfirmed(now)
	}
	if f.Wanted {
		l.hello[f.Lane] = true
	}
}

// meet looks at a mark that is not the one we know; it is true if that is to be believed now.
func (l *Link) meet(f *Frame) bool {
	same := f.From.Incarnation == l.peer.Incarnation
	switch {
	case same && f.From.Session < l.peer.Session:
		return false // of old
	case l.state == Up && same:
		l.reset("the other end has begun another session")
		l.greeted = true
		return false
	case l.state == Up:
		return false // who is there keeps the node's number until it is lost or silent
	}
	l.peer = f.From
	for i := range l.lanes {
		l.lanes[i].peer, l.lanes[i].confirmed = Mark{}, false
	}
	return true
}

func (l *Link) upIfConfirmed(now time.Time) {
	for i := range l.lanes {
		if !l.lanes[i].confirmed {
			return
		}
	}
	l.up(now)
}

// up is called when the other end is known to hear us on both lanes.
func (l *Link) up(now time.Time) {
	if l.state != Opening {
		return
	}
	l.state = Up
	for i := range l.lanes {
		l.lanes[i].heard, l.lanes[i].confirmed, l.lanes[i].beat = now, true, true
	}
}

// credit learns how much the other end takes. What a frame says stays true, so the largest counts.
func (l *Link) credit(f *Frame) {
	for i, granted := range f.Granted {
		l.lanes[i].allowed = max(l.lanes[i].allowed, granted)
	}
}

// Consumed gives back the credit for a frame's payload, when its letters have been delivered. The frame is named by its marks: what
// belonged to an older session counts no more.
func (l *Link) Consumed(f *Frame) {
	if f.Kind != Data || l.state != Up || f.To != l.self {
		return
	}
	l.lanes[f.Lane].consume(len(f.Payload), l.limits.Window[f.Lane])
}
