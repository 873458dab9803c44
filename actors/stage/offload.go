package stage

import (
	"runtime/debug"
	"sync"
)

// broken is a panic in offloaded work; its actor fails with it.
type broken struct {
	reason any
	stack  []byte
}

// attempt does offloaded work and addresses the result.
func attempt(id uint64, work func() any) (e *envelope) {
	defer func() {
		if r := recover(); r != nil {
			e = &envelope{kind: kindBroken, number: id, msg: &broken{reason: r, stack: debug.Stack()}}
		}
	}()
	return &envelope{kind: kindAnswer, number: id, msg: work()}
}

// job is offloaded work that waits for its turn.
type job struct {
	cell *cell
	id   uint64
	work func() any
}

// jobs runs offloaded work on goroutines that come and go: in order, at most max at once.
type jobs struct {
	max   int
	visit func(*cell) // runs a cell that has got a result on the goroutine that made it

	mu      sync.Mutex
	waiting []job
	running int
	idle    sync.Cond // nothing runs
}

func newJobs(max int) *jobs {
	j := &jobs{max: max}
	j.idle.L = &j.mu
	return j
}

func (j *jobs) put(w job) {
	j.mu.Lock()
	j.waiting = append(j.waiting, w)
	start := j.running < j.max
	if start {
		j.running++
	}
	j.mu.Unlock()
	if start {
		go j.run()
	}
}

func (j *jobs) run() {
	for {
		w, ok := j.take()
		if !ok {
			return
		}
		if w.cell.mailbox.push(attempt(w.id, w.work)) {
			j.visit(w.cell)
		}
	}
}

func (j *jobs) take() (job, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		j.waiting = nil
		if j.running--; j.running == 0 {
			j.idle.Broadcast()
		}
		return job{}, false
	}
	w := j.waiting[0]
	j.waiting[0] = job{}
	j.waiting = j.waiting[1:]
	return w, true
}

// wait returns when nothing runs any more.
func (j *jobs) wait() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.running > 0 {
		j.idle.Wait()
	}
}
