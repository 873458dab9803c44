package stage

import (
	"sync"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/message"
)

// registry finds cells by address. Readers take no lock: they probe an open hash table whose slots are written under one,
// and which is replaced by a bigger one when it is half full.
type registry struct {
	table atomic.Pointer[slots]

	mu   sync.Mutex
	live int // cells
	used int // slots that are not empty: cells, and what removed ones left
}

type slots []atomic.Pointer[cell]

const slotsMin = 64

// removed stands in a slot whose cell is gone, so that probes go on past it.
var removed = new(cell)

func newRegistry() *registry {
	r := new(registry)
	s := make(slots, slotsMin)
	r.table.Store(&s)
	return r
}

// find is the cell at an address, nil if nobody lives there.
func (r *registry) find(at message.Address) *cell {
	s := *r.table.Load()
	mask := uint64(len(s) - 1)
	for h, i := mark(at), uint64(0); ; i++ {
		c := s[(h+i)&mask].Load()
		if c == nil {
			return nil
		}
		if c != removed && c.self == at {
			return c
		}
	}
}

// add puts a cell in; false if its address is taken.
func (r *registry) add(c *cell) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.find(c.self) != nil {
		return false
	}
	if 2*(r.used+1) > len(*r.table.Load()) {
		r.rebuild()
	}
	(*r.table.Load()).put(c)
	r.live++
	r.used++
	return true
}

func (r *registry) remove(c *cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := *r.table.Load()
	mask := uint64(len(s) - 1)
	for i := c.mark; ; i++ {
		switch found := s[i&mask].Load(); found {
		case nil:
			return
		case c:
			s[i&mask].Store(removed)
			r.live--
			return
		}
	}
}

// all are the cells in no particular order.
func (r *registry) all() []*cell {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := *r.table.Load()
	cells := make([]*cell, 0, r.live)
	for i := range s {
		if c := s[i].Load(); c != nil && c != removed {
			cells = append(cells, c)
		}
	}
	return cells
}

// rebuild makes a table with room for as many cells again, without what removed ones left.
func (r *registry) rebuild() {
	old := *r.table.Load()
	size := slotsMin
	for size < 4*(r.live+1) {
		size *= 2
	}
	s := make(slots, size)
	for i := range old {
		if c := old[i].Load(); c != nil && c != removed {
			s.put(c)
		}
	}
	r.used = r.live
	r.table.Store(&s)
}

func (s slots) put(c *cell) {
	mask := uint64(len(s) - 1)
	for i := c.mark; ; i++ {
		if s[i&mask].Load() == nil {
			s[i&mask].Store(c)
			return
		}
	}
}
