package stage

import (
	"sync"
	"testing"
	"time"
)

// TestDeliverIsSend: what is delivered arrives in order and sets others to work, on both stages; a chain longer than a
// visitor's stay goes on without it.
func TestDeliverIsSend(t *testing.T) {
	onBoth(t, func(p *play) {
		const chain = 3 * stay
		var h heard
		for n := uint64(1); n <= chain; n++ {
			p.Spawn(at(n), func() Actor {
				return Receiver(func(c Context) {
					word, ok := c.Message().(string)
					switch {
					case !ok:
					case n < chain:
						c.Send(at(n+1), word)
					default:
						h.say("%s", word)
					}
				})
			})
		}
		p.Deliver(at(1), "first")
		p.Deliver(at(1), "second")
		p.Deliver(at(chain+1), "to nobody")
		h.expect(p, "first", "second")
	})
}

// TestVisitorsAndWorkersShareActors: many goroutines deliver to the same few actors, and no message is lost or handled
// beside another.
func TestVisitorsAndWorkersShareActors(t *testing.T) {
	s := NewReal(Options{Node: 1})
	defer s.Close()
	const goroutines, each = 8, 5000
	counts := [2]int{} // each only its actor's
	done := make(chan int, 2)
	for n := range uint64(2) {
		s.Spawn(at(n+1), func() Actor {
			return Receiver(func(c Context) {
				if _, ok := c.Message().(int); !ok {
					return
				}
				if counts[n]++; counts[n] == goroutines*each {
					done <- counts[n]
				}
				if n == 0 {
					c.Send(at(2), c.Message())
				}
			})
		})
	}
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				s.Deliver(at(1), i)
			}
		})
	}
	wg.Wait()
	for range 2 {
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("messages were lost: %v", &counts)
		}
	}
}
