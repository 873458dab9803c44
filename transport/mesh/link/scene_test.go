package link

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

var small = Limits{FrameBytes: [Lanes]int{16, 16}, LetterBytes: 64, Window: [Lanes]int{40, 24}, Queue: [Lanes]int{120, 120}, Beat: time.Second, Silence: 3 * time.Second,
	Lend: lend, GiveBack: giveBack}

// end is one end of a link in a test, and what was delivered there in this session.
type end struct {
	name  string
	link  *Link
	got   [Lanes][]uint64
	held  [Lanes]bool // it reads nothing
	wires [Lanes][][]byte
	lives byte
}

// scene is two ends, and the wires to each of them.
type scene struct {
	t    testing.TB
	now  time.Time
	ends [2]*end
}

func newScene(t testing.TB) *scene {
	s := &scene{t: t, now: time.Unix(1000, 0), ends: [2]*end{{name: "a"}, {name: "b"}}}
	s.restart(0)
	s.restart(1)
	return s
}

func (s *scene) restart(i int) {
	e := s.ends[i]
	e.lives++
	e.link = New(Self{"c", message.NodeID(i), message.TopicID{0: byte(i + 1), 1: e.lives}, []byte(e.name)}, small)
	e.got, e.wires = [Lanes][]uint64{}, [Lanes][][]byte{}
}

// letter is a letter of n bytes, at least 8, that holds a number; its body begins anywhere.
func letter(number uint64, n int) Letter {
	b := make([]byte, Prefix+n)
	binary.BigEndian.PutUint64(b[Prefix:], number)
	for i := Prefix + 8; i < len(b); i++ {
		b[i] = byte(number) + byte(i)
	}
	cut := Prefix + int(number)%(n+1)
	return Letter{Head: b[:cut], Body: b[cut:], Lent: b}
}

// lend and giveBack see to it that nobody looks at what was given back.
func lend(size int) []byte { return make([]byte, 0, size) }

func giveBack(b []byte) {
	for i := range b[:cap(b)] {
		b[:cap(b)][i] = 0xdb
	}
}

// send moves every frame that is ready at an end onto the wire.
func (s *scene) send(i int) (frames int) {
	var p Parcel
	for on := range Lanes {
		for s.ends[i].link.Pack(message.Lane(on), s.now, &p) {
			s.ends[1-i].wires[on] = append(s.ends[1-i].wires[on], p.Append(nil))
			p.Sent()
			frames++
		}
	}
	return frames
}

// read lets an end read the next frame of a lane's wire.
func (s *scene) read(i, on int) bool {
	e := s.ends[i]
	if e.held[on] || len(e.wires[on]) == 0 {
		return false
	}
	b := e.wires[on][0]
	e.wires[on] = e.wires[on][1:]
	f, err := DecodeFrame(b)
	if err != nil {
		s.t.Fatalf("%v: %x", err, b)
	}
	for _, l := range e.link.Take(&f, s.now) {
		number := binary.BigEndian.Uint64(l.Body)
		if want := letter(number, len(l.Body)); !slices.Equal(want.Lent[Prefix:], l.Body) {
			s.t.Fatalf("letter %d is not what was sent: %x", number, l.Body)
		}
		e.got[on] = append(e.got[on], number)
	}
	e.link.Consumed(&f)
	return true
}

// run sends and reads until nothing moves.
func (s *scene) run() {
	rounds := 0
	for moved := true; moved; rounds++ {
		if moved = false; rounds > 1000 {
			s.t.Fatalf("the ends do not come to rest:\n%s", s.show())
		}
		for i := range s.ends {
			moved = s.send(i) > 0 || moved
			for on := range Lanes {
				for s.read(i, on) {
					moved = true
				}
			}
		}
	}
}

// tick lets time pass, a quarter of a beat at a time.
func (s *scene) tick(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(small.Beat / 4)
		for _, e := range s.ends {
			e.link.Tick(s.now)
		}
		s.run()
	}
}

func (s *scene) show() string {
	text := ""
	for _, e := range s.ends {
		text += fmt.Sprintf("%s: %v session %d", e.name, e.link.State(), e.link.self.Session)
		for on, name := range []string{"control", "bulk"} {
			if len(e.got[on]) > 0 {
				text += fmt.Sprintf(" %s %v", name, e.got[on])
			}
		}
		if e.link.Why() != "" {
			text += ": " + e.link.Why()
		}
		text += "\n"
	}
	return text
}
