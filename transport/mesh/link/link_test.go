package link

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// TestNothingIsLostInSilence does at random what can happen between two ends, and holds after each step: what was delivered
// in a session is what was sent in it from the first letter on, without a gap; no end takes more than it granted; and when all
// faults are over, both ends are up and letters come through.
func TestNothingIsLostInSilence(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newScene(t)
		sent := [2][Lanes][]uint64{} // by end, of its present session
		session := [2]Mark{}
		number := uint64(0)
		check := func() {
			for i, e := range s.ends {
				if e.link.self != session[i] {
					session[i], sent[i], e.got = e.link.self, [Lanes][]uint64{}, [Lanes][]uint64{}
				}
			}
		}
		push := func(i, on, bytes int) {
			check()
			number++
			if s.ends[i].link.Push(message.Lane(on), letter(number, bytes)) {
				sent[i][on] = append(sent[i][on], number)
			}
		}
		s.tick(small.Beat)
		for range 200 {
			i, on := r.IntN(2), r.IntN(2)
			e := s.ends[i]
			switch step := r.IntN(60); {
			case step == 0:
				s.restart(i)
			case step == 1:
				e.link.Reset("its route was lost")
			case step < 4:
				e.held[on] = !e.held[on]
			case step < 6:
				if len(e.wires[on]) > 0 {
					e.wires[on] = e.wires[on][1:]
				}
			case step < 14:
				s.send(i)
			case step < 22:
				s.read(i, on)
			case step < 24:
				s.tick(small.Beat / 2)
			case step < 27:
				e.link.Mend(s.now)
			default:
				push(i, on, []int{12, 12, 12, 28, 8, 33, 64}[r.IntN(7)]) // 12 and its size fill a frame
			}
			check()
			s.contiguous(seed, sent)
		}
		for _, e := range s.ends {
			e.held = [Lanes]bool{}
		}
		for range 12 {
			for _, e := range s.ends {
				e.link.Mend(s.now)
				check()
			}
			s.tick(small.Beat)
			check()
		}
		for i := range s.ends {
			push(i, 0, 8)
			push(i, 1, 64)
		}
		s.tick(small.Beat)
		for i, e := range s.ends {
			if e.link.State() != Up || len(s.ends[1-i].got[0]) == 0 || len(s.ends[1-i].got[1]) == 0 {
				t.Fatalf("seed %d: healed, and yet:\n%s", seed, s.show())
			}
		}
		s.contiguous(seed, sent)
	}
}

// contiguous holds an end's deliveries against what the other sent, as far as both are in one session.
func (s *scene) contiguous(seed uint64, sent [2][Lanes][]uint64) {
	for i, e := range s.ends {
		if strings.Contains(e.link.Why(), "were granted") {
			s.t.Fatalf("seed %d: %s", seed, s.show())
		}
		for on := range Lanes {
			lane := &e.link.lanes[on]
			if bytes := s.underWay(i, on); bytes > small.Window[on] {
				s.t.Fatalf("seed %d: %d bytes are under way to %s", seed, bytes, e.name)
			}
			if lane.peer != s.ends[1-i].link.self {
				continue
			}
			for k, got := range e.got[on] {
				if from := sent[1-i][on]; k >= len(from) || from[k] != got {
					s.t.Fatalf("seed %d: %s got %v on lane %d, and sent was %v", seed, e.name, e.got[on], on, from)
				}
			}
		}
	}
}

// underWay is how much of the present sessions is on the wire to an end, which gives back the credit for what it reads at once.
func (s *scene) underWay(i, on int) (bytes int) {
	for _, wire := range s.ends[i].wires[on] {
		f, err := DecodeFrame(wire)
		if err != nil {
			s.t.Fatal(err)
		}
		if f.From == s.ends[1-i].link.self && f.To == s.ends[i].link.self {
			bytes += len(f.Payload)
		}
	}
	return bytes
}

func TestWhoTakesMoreThanWasGrantedIsReset(t *testing.T) {
	s := newScene(t)
	s.tick(time.Second)
	s.ends[0].link.lanes[message.Bulk].allowed = 1000
	s.ends[1].held[message.Bulk] = true
	for n := range uint64(4) {
		s.ends[0].link.Push(message.Bulk, letter(n, 16))
	}
	s.send(0)
	b := s.ends[1]
	for _, wire := range b.wires[message.Bulk] {
		f, err := DecodeFrame(wire)
		if err != nil {
			t.Fatal(err)
		}
		b.link.Take(&f, s.now) // and never Consumed
	}
	if b.link.State() != Broken {
		t.Fatalf("%s", s.show())
	}
}

// A letter larger than what is made room for at first is put together in ever larger memory, and what it grew out of goes back.
func TestALargeLetterGrowsInLentMemory(t *testing.T) {
	lent, back := 0, 0
	limits := Limits{LetterBytes: 8 << 20,
		Lend:     func(size int) []byte { lent++; return make([]byte, 0, size) },
		GiveBack: func(b []byte) { back++; clear(b[:cap(b)]) }}
	want := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{}).Read(want)
	var out lane
	out.allowed = 1 << 30
	out.push(Letter{Head: make([]byte, Prefix+10), Body: slices.Clone(want), Lent: []byte{1}})
	var in stream
	var got []Letter
	var p Parcel
	for out.queued > 0 {
		p.begin(&limits)
		out.cut(&p, 100_001)
		letters, err := in.add(p.Append(nil), &limits)
		p.Sent()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, letters...)
	}
	if len(got) != 1 || !bytes.Equal(got[0].Body[10:], want) || &got[0].Lent[0] != &got[0].Body[0] {
		t.Fatalf("%d letters came, and not what was sent", len(got))
	}
	if lent != 4 || back != 3+1 { // 1, 2, 4 and 5 MiB; and what the sender had lent
		t.Errorf("memory was lent %d times and came back %d times", lent, back)
	}
}

// A large letter has frames to itself, so that it may stay where such a frame is read to, and its memory is the sender's until it was sent.
func TestALargeLetterRidesAlone(t *testing.T) {
	back := 0
	limits := Limits{GiveBack: func([]byte) { back++ }}
	var out lane
	out.allowed = 1 << 30
	for i, size := range []int{8, alone, 8, 100, alone, alone} {
		l := letter(uint64(i), size)
		l.Head, l.Body = l.Lent[:Prefix+8], l.Lent[Prefix+8:]
		out.push(l)
	}
	var frames []int
	var p Parcel
	for out.queued > 0 {
		p.begin(&limits)
		was := back
		out.cut(&p, 1<<20)
		if back != was {
			t.Fatal("memory was given back before it was sent")
		}
		frames = append(frames, p.Size())
		p.Sent()
	}
	if want := []int{12, alone + 4, 12 + 104, alone + 4, alone + 4}; !slices.Equal(frames, want) || back != 6 {
		t.Errorf("frames of %v, want %v; %d letters came back", frames, want, back)
	}
}
