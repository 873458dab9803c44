package kafka

import (
	"sync"
	"sync/atomic"
)

// budget bounds how many bytes of requests a listener holds at once. Who would overdraw it waits.
type budget struct {
	max     int64
	used    atomic.Int64
	waiting atomic.Int32

	mu   sync.Mutex
	room sync.Cond
}

func newBudget(max int64) *budget {
	b := &budget{max: max}
	b.room.L = &b.mu
	return b
}

// take takes n bytes, when there is room for them or nobody has any. It gives up, and says so, when stop says so; after a
// change of that wake must be called.
func (b *budget) take(n int64, stop func() bool) bool {
	if b.try(n) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	for !b.try(n) {
		if stop() {
			return false
		}
		b.room.Wait()
	}
	return true
}

func (b *budget) try(n int64) bool {
	if now := b.used.Add(n); now <= b.max || now == n {
		return true
	}
	b.used.Add(-n)
	return false
}

// give returns n bytes.
func (b *budget) give(n int64) {
	b.used.Add(-n)
	if b.waiting.Load() > 0 {
		b.wake()
	}
}

func (b *budget) wake() {
	b.mu.Lock()
	b.room.Broadcast()
	b.mu.Unlock()
}
