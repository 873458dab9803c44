package link

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/troupe-broker/troupe/actors/message"
)

// TestPlays lets two ends of a link, a and b, speak over a wire per lane and direction. A file's name is its claim; go test -rewrite
// writes the answers anew. What arrived is shown since the end last started.
//
//	tick 1s | run                        time passes; frames go to and fro
//	push a control 7 [bytes]             letter number 7 waits at a
//	send a | lose b bulk | twice b bulk  a's frames go on the wire; the next one towards b is lost; it comes twice
//	hold b bulk | let b bulk             b reads nothing of the lane, and again
//	mend a | reset a | restart a
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newScene(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			for _, line := range strings.Split(d.Input, "\n") {
				s.play(t, strings.Fields(line))
			}
			return s.show()
		})
	})
}

func (s *scene) play(t *testing.T, words []string) {
	i, on := 0, message.Control
	if len(words) > 1 && words[1] == "b" {
		i = 1
	}
	if len(words) > 2 && words[2] == "bulk" {
		on = message.Bulk
	}
	e := s.ends[i]
	switch words[0] {
	case "tick":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.tick(d)
	case "run":
		s.run()
	case "push":
		bytes := 8
		if len(words) > 4 {
			bytes, _ = strconv.Atoi(words[4])
		}
		number, _ := strconv.ParseUint(words[3], 10, 64)
		e.link.Push(on, letter(number, bytes))
	case "send":
		s.send(i)
	case "lose":
		e.wires[on] = e.wires[on][1:]
	case "twice":
		e.wires[on] = append(e.wires[on][:1:1], e.wires[on]...)
	case "hold":
		e.held[on] = true
	case "let":
		e.held[on] = false
	case "mend":
		e.link.Mend(s.now)
	case "reset":
		e.link.Reset("its route was lost")
	case "restart":
		s.restart(i)
	default:
		t.Fatalf("no such line: %v", words)
	}
}
