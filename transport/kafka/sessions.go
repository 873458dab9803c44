package kafka

import (
	"sync"

	"github.com/troupe-broker/troupe/actors/stage"
)

// Sessions are the slots for fetch sessions (KIP-227) of all of a node's connections. The sessions themselves belong to
// their connections; what is shared is only who has a slot.
type Sessions struct {
	mu sync.Mutex
}

// Evicted tells a connection that its fetch session lost its slot.
type Evicted struct{ ID int32 }

// waited is a fetch's word to itself: max_wait is over.
type waited struct{ r *Request }

// reading is what a connection keeps from one fetch to the next.
type reading struct{}

func (*reading) waited(c stage.Context, m *waited) {}
func (*reading) evicted(m *Evicted)                {}
func (*reading) end(c stage.Context)               {}
