package coordinator

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// callers are who waits for an answer, by the numbers that the brain knows them by.
type callers struct {
	waiting map[brain.Caller]stage.Caller
	last    brain.Caller
}

func (w *callers) add(who stage.Caller) brain.Caller {
	if who.Request == 0 { // nobody waits
		return 0
	}
	if w.waiting == nil {
		w.waiting = map[brain.Caller]stage.Caller{}
	}
	w.last++
	w.waiting[w.last] = who
	return w.last
}

func (w *callers) take(n brain.Caller) stage.Caller {
	who := w.waiting[n]
	delete(w.waiting, n)
	return who
}

// dismiss tells everybody, in the order in which they came, that nobody will answer.
func (w *callers) dismiss(c stage.Context, code message.Code) {
	all := make([]brain.Caller, 0, len(w.waiting))
	for n := range w.waiting {
		all = append(all, n)
	}
	slices.Sort(all)
	for _, n := range all {
		c.Answer(w.waiting[n], &message.Uncoordinated{Code: code})
	}
	clear(w.waiting)
}
