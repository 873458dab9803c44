package link

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Prefix is the room in front of a letter that its size takes.
const Prefix = 4

// reassembleMax is how much room is made for a letter on the word of its size alone.
const reassembleMax = 1 << 20

// Letter is what a link carries: bytes whose meaning is not its business.
//
//	size (4), head, body
type Letter struct {
	Head []byte // its first Prefix bytes are left free for the size
	Body []byte // what follows, as it is; may be empty
	// Lent is the memory that Body lies in, if that is lent: given back when the letter was sent. Of a letter that came it is whose
	// takes the letter.
	Lent []byte
}

func (l *Letter) size() int { return len(l.Head) + len(l.Body) }

// from is what is left of head or body behind the first at bytes.
func (l *Letter) from(at int) []byte {
	if at < len(l.Head) {
		return l.Head[at:]
	}
	return l.Body[at-len(l.Head):]
}

// lane is one direction each of sending and receiving.
type lane struct {
	peer      Mark // the other end's as heard on this lane
	confirmed bool // the other end hears us here

	queue    []Letter // with their sizes
	begun    int      // bytes of the first that are sent
	queued   int      // bytes that are not
	sequence uint64   // of the last frame
	sent     uint64   // bytes of payload in this session
	allowed  uint64   // and as many may be
	spoke    time.Time
	beat     bool // a frame is due, even if it is empty

	in       stream
	last     uint64 // sequence of the last frame that came
	received uint64 // bytes of payload in this session
	granted  uint64 // and as many may come, as the other end has been or will be told
	consumed uint64
	heard    time.Time
}

// clear leaves nothing of the session, for one in which the other end may send so many bytes at first.
func (l *lane) clear(granted uint64) {
	sent := l.sent
	if *l = (lane{granted: granted}); planted.Is(planted.CreditsLeaked) {
		l.sent = sent
	}
}

func (l *lane) push(letter Letter) {
	binary.BigEndian.PutUint32(letter.Head, uint32(letter.size()-Prefix))
	l.queue = append(l.queue, letter)
	l.queued += letter.size()
}

// ready says that there is something to send and credit for it, or that a beat is due.
func (l *lane) ready() bool { return l.beat || l.queued > 0 && l.sent < l.allowed }

// alone is from what size on a letter has frames to itself: where such a frame was read to, the letter may stay.
const alone = 16 << 10

// cut puts the next piece of the stream into a parcel: what waits, as far as a frame's size and the credit reach.
func (l *lane) cut(p *Parcel, frameBytes int) {
	room := int(min(uint64(frameBytes), l.allowed-min(l.allowed, l.sent)))
	for first := true; room > 0 && len(l.queue) > 0; first = false {
		letter := &l.queue[0]
		large := letter.size() >= alone
		if large && !first {
			return
		}
		for room > 0 && l.begun < letter.size() {
			piece := letter.from(l.begun)
			n := min(room, len(piece))
			p.add(piece[:n])
			room, l.queued, l.begun, l.sent = room-n, l.queued-n, l.begun+n, l.sent+uint64(n)
		}
		if l.begun == letter.size() {
			p.carry(letter.Lent)
			*letter = Letter{}
			l.queue, l.begun = l.queue[1:], 0
		}
		if large {
			return
		}
	}
}

// consume makes room for n bytes more. It is told in a frame of its own once a quarter of the window is free.
func (l *lane) consume(n, window int) {
	l.consumed += uint64(n)
	if free := l.consumed + uint64(window); free-l.granted >= uint64(max(1, window/4)) {
		l.granted, l.beat = free, true
	}
}

// stream puts letters together from pieces.
type stream struct {
	size  [Prefix]byte // of the letter that is under way, as far as it came
	sized int
	part  []byte // of it; its capacity says nothing
	want  int    // its whole size, once it is known
}

// add takes the next piece and returns the letters that are whole. Letters that lie in the piece are not copied.
func (s *stream) add(b []byte, limits *Limits) (letters []Letter, err error) {
	for len(b) > 0 {
		if s.sized < Prefix {
			n := copy(s.size[s.sized:], b)
			s.sized, b = s.sized+n, b[n:]
			if s.sized < Prefix {
				return letters, nil
			}
			if s.want = int(binary.BigEndian.Uint32(s.size[:])); s.want > limits.LetterBytes {
				return letters, fmt.Errorf("a letter of %d bytes is above the limit of %d", s.want, limits.LetterBytes)
			}
		}
		if len(s.part) == 0 && len(b) >= s.want {
			letters = append(letters, Letter{Body: b[:s.want:s.want]})
			b = b[s.want:]
			*s = stream{}
			continue
		}
		b = s.gather(b, limits)
		if len(s.part) == s.want {
			letters = append(letters, Letter{Body: s.part, Lent: s.part})
			*s = stream{}
		}
	}
	return letters, nil
}

// gather takes what belongs to the letter that is under way and returns the rest.
func (s *stream) gather(b []byte, limits *Limits) []byte {
	n := min(len(b), s.want-len(s.part))
	if s.part == nil {
		s.part = limits.lend(min(s.want, reassembleMax))
	} else if len(s.part)+n > cap(s.part) {
		more := append(limits.lend(min(s.want, 2*cap(s.part))), s.part...)
		limits.giveBack(s.part)
		s.part = more
	}
	s.part = append(s.part, b[:n]...)
	return b[n:]
}
