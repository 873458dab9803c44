package link

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"pgregory.net/rapid"
)

// TestNothingIsLostInSilence does at random what can happen between two ends, and holds after each step: what was delivered
// in a session is what was sent in it from the first letter on, without a gap; no end takes more than it granted; and when all
// faults are over, both ends are up and letters come through.
func TestNothingIsLostInSilence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
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
		for range rapid.IntRange(1, 80).Draw(r, "steps") {
			i, on := rapid.IntRange(0, 1).Draw(r, "end"), rapid.IntRange(0, 1).Draw(r, "lane")
			e := s.ends[i]
			switch step := rapid.IntRange(0, 11).Draw(r, "step"); step {
			case 0:
				s.restart(i)
			case 1:
				e.link.Reset("its route was lost")
			case 2:
				e.held[on] = !e.held[on]
			case 3:
				if len(e.wires[on]) > 0 {
					e.wires[on] = e.wires[on][1:]
				}
			case 4:
				s.send(i)
			case 5:
				s.read(i, on)
			case 6:
				s.tick(small.Beat / 2)
			case 7:
				e.link.Mend(s.now)
			default:
				push(i, on, rapid.IntRange(8, 64).Draw(r, "bytes"))
			}
			check()
			s.contiguous(r, sent)
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
				r.Fatalf("healed, and yet:\n%s", s.show())
			}
		}
		s.contiguous(r, sent)
	})
}

// contiguous holds an end's deliveries against what the other sent, as far as both are in one session.
func (s *scene) contiguous(r *rapid.T, sent [2][Lanes][]uint64) {
	for i, e := range s.ends {
		for on := range Lanes {
			lane := &e.link.lanes[on]
			if lane.received > lane.granted {
				r.Fatalf("%s took %d bytes and granted %d", e.name, lane.received, lane.granted)
			}
			if lane.peer != s.ends[1-i].link.self {
				continue
			}
			for k, got := range e.got[on] {
				if from := sent[1-i][on]; k >= len(from) || from[k] != got {
					r.Fatalf("%s got %v on lane %d, and sent was %v", e.name, e.got[on], on, from)
				}
			}
		}
	}
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
