package stage

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// quantum is how many messages an actor handles before others that are ready get their turn.
const quantum = 64

// fairness is how often a worker looks at the shared queue before its own slot.
const fairness = 61

// pool runs ready cells on a few workers.
//
// A cell that gets mail from an actor goes into that worker's slot and runs there next: no lock, no wake-up, warm cache.
// A second one goes to the shared queue, and so does the first when its worker goes on with other messages while a worker
// is idle. Who has nothing to do takes from the shared queue, then from others' slots. At most one worker is being woken at a
// time; it wakes the next if there is work left.
type pool struct {
	mu      sync.Mutex
	head    *cell // the shared queue, linked through cell.link
	tail    *cell
	idle    []*worker
	waking  bool
	closed  bool
	workers []*worker
	idling  atomic.Int32 // len(idle)
	done    sync.WaitGroup
}

type worker struct {
	pool *pool
	slot atomic.Pointer[cell]
	wake chan struct{}
	turn uint32
}

func newPool(workers int) *pool {
	p := new(pool)
	for range workers {
		p.workers = append(p.workers, &worker{pool: p, wake: make(chan struct{}, 1)})
	}
	p.done.Add(workers)
	for _, w := range p.workers {
		go w.work()
	}
	return p
}

// put queues a cell where any worker finds it.
func (p *pool) put(c *cell, wake bool) {
	p.mu.Lock()
	if p.tail == nil {
		p.head = c
	} else {
		p.tail.link = c
	}
	p.tail = c
	w := p.waker(wake)
	p.mu.Unlock()
	w.rouse()
}

// waker is an idle worker that is to be roused, if there is one and none is on its way. The lock is held.
func (p *pool) waker(wake bool) *worker {
	if !wake || p.waking || len(p.idle) == 0 {
		return nil
	}
	w := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	p.idling.Store(int32(len(p.idle)))
	p.waking = true
	return w
}

func (w *worker) rouse() {
	if w != nil {
		w.wake <- struct{}{}
	}
}

// get takes a ready cell from the shared queue or another worker's slot, or waits for one; nil when the pool closes.
// roused says that the worker comes from its sleep.
func (p *pool) get(w *worker) *cell {
	roused := false
	for try := 0; ; try++ {
		p.mu.Lock()
		if roused {
			p.waking, roused = false, false
		}
		c := p.take()
		if c != nil || p.closed {
			next := p.waker(p.head != nil)
			p.mu.Unlock()
			next.rouse()
			return c
		}
		if try == 0 {
			p.mu.Unlock()
			runtime.Gosched()
			continue
		}
		p.idle = append(p.idle, w)
		p.idling.Store(int32(len(p.idle)))
		p.mu.Unlock()
		<-w.wake
		roused, try = true, -1
	}
}

// take is the next ready cell, nil if there is none. The lock is held.
func (p *pool) take() *cell {
	if c := p.head; c != nil {
		if p.head = c.link; p.head == nil {
			p.tail = nil
		}
		c.link = nil
		return c
	}
	for _, w := range p.workers {
		if c := w.slot.Swap(nil); c != nil {
			return c
		}
	}
	return nil
}

// stay is how many cells a visitor runs at most, one after the other, before it goes back to its own work.
const stay = 16

// visit runs a ready cell, and what that makes ready in turn, on the caller's goroutine. Who would wake a worker and go to
// sleep lends itself instead: on a broker with little to do the wake-ups are most of what a request costs.
func (p *pool) visit(c *cell) {
	w := &worker{pool: p}
	for range stay {
		c.on = w
		if c.run(quantum) {
			p.put(c, true)
		}
		if c = w.slot.Swap(nil); c == nil {
			return
		}
	}
	p.put(c, true)
}

// shared is the head of the shared queue without waiting.
func (p *pool) shared() *cell {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == nil {
		return nil
	}
	return p.take()
}

// close ends the workers. No cell is ready any more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, w := range idle {
		w.rouse()
	}
	p.done.Wait()
}

func (w *worker) work() {
	defer w.pool.done.Done()
	for c := w.next(); c != nil; c = w.next() {
		c.on = w
		more := c.run(quantum)
		if more {
			w.pool.put(c, w.slot.Load() != nil)
		}
	}
}

func (w *worker) next() *cell {
	if w.turn++; w.turn%fairness == 0 {
		if c := w.pool.shared(); c != nil {
			return c
		}
	}
	if c := w.slot.Swap(nil); c != nil {
		return c
	}
	return w.pool.get(w)
}

// offer takes a cell that the running one has given mail.
func (w *worker) offer(c *cell) {
	if !w.slot.CompareAndSwap(nil, c) {
		w.pool.put(c, true)
	}
}

// share gives the slot's cell to an idle worker, if there is one: this one goes on with something else.
func (w *worker) share() {
	if w.slot.Load() == nil || w.pool.idling.Load() == 0 {
		return
	}
	if c := w.slot.Swap(nil); c != nil {
		w.pool.put(c, true)
	}
}
