package kafka

import (
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// street is a stage for sockets: every connection actor lives in a house with a goroutine of its own.
type street struct {
	t    testing.TB
	move func(h *house) // in, before the first word

	mu     sync.Mutex
	houses map[message.Address]*resident
	all    []*resident
}

type resident struct {
	*house
	home  sync.Mutex // somebody is in
	mu    sync.Mutex
	inbox []any
	ring  chan struct{}
	gone  bool
}

func newStreet(t testing.TB, move func(h *house)) *street {
	return &street{t: t, move: move, houses: map[message.Address]*resident{}}
}

func (s *street) Node() message.NodeID                               { return me }
func (s *street) Now() time.Time                                     { return time.Now() }
func (s *street) Stop(message.Address)                               {}
func (s *street) Close()                                             {}
func (s *street) Published(message.Address) any                      { return nil }
func (s *street) Ask(message.Address, any, time.Duration, func(any)) {}

func (s *street) Spawn(at message.Address, new func() stage.Actor) bool {
	h := &house{t: s.t, now: noon, wire: &wire{}, views: map[message.Address]any{}, actor: new()}
	s.move(h)
	r := &resident{house: h, ring: make(chan struct{}, 1)}
	s.mu.Lock()
	s.houses[at] = r
	s.all = append(s.all, r)
	s.mu.Unlock()
	go r.live()
	return true
}

// Deliver is part of stage.Stage.
func (s *street) Deliver(to message.Address, msg any) { s.Send(to, msg) }

func (s *street) Send(to message.Address, what any) {
	s.mu.Lock()
	r := s.houses[to]
	s.mu.Unlock()
	r.mu.Lock()
	if !r.gone {
		r.inbox = append(r.inbox, what)
	}
	r.mu.Unlock()
	select {
	case r.ring <- struct{}{}:
	default:
	}
}

func (r *resident) live() {
	for range r.ring {
		r.mu.Lock()
		words := r.inbox
		r.inbox = nil
		r.mu.Unlock()
		for _, w := range words {
			r.home.Lock()
			if !r.stopped {
				r.tell(w)
			}
			r.home.Unlock()
		}
		if r.stopped {
			r.mu.Lock()
			r.gone = true
			r.mu.Unlock()
			return
		}
	}
}
