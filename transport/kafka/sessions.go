package kafka

import (
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka/session"
)

// Sessions are the slots for fetch sessions (KIP-227) of all of a node's connections. The sessions themselves belong to
// their connections; what is shared is only who has a slot. The zero value has none.
type Sessions struct {
	mu    sync.Mutex
	slots session.Slots
}

// NewSessions makes as many slots (max.incremental.fetch.session.cache.slots); 0 turns sessions off.
func NewSessions(slots int) *Sessions { return &Sessions{slots: session.Slots{Max: slots}} }

// Evicted tells a connection that its fetch session lost its slot.
type Evicted struct{ ID int32 }

// take finds a slot for a session of the connection; 0 if there is none. Whoever loses theirs is told.
func (s *Sessions) take(c stage.Context, size int) int32 {
	if s == nil {
		return 0
	}
	proposal := int32(c.Rand().Uint32() >> 1)
	s.mu.Lock()
	slot, evicted, ok := s.slots.Take(c.Now(), proposal, c.Self().Number, size)
	s.mu.Unlock()
	if evicted != nil {
		c.Send(message.ConnectionAt(c.Self().Node, evicted.Owner), &Evicted{ID: evicted.ID})
	}
	if !ok {
		return 0
	}
	return slot.ID
}

func (s *Sessions) use(now time.Time, id int32, size int) {
	s.mu.Lock()
	s.slots.Use(now, id, size)
	s.mu.Unlock()
}

func (s *Sessions) give(id int32) {
	s.mu.Lock()
	s.slots.Give(id)
	s.mu.Unlock()
}
