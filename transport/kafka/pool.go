package kafka

import "sync"

// Answers are lent from a pool, as frames are (persistence/loan), so that a busy door does not live off the garbage collector.
var answers = sync.Pool{New: func() any { return &Answer{} }}

// newAnswer is an empty answer with some room.
func newAnswer() *Answer { return answers.Get().(*Answer) }

// recycle keeps an answer's memory, unless it has grown out of proportion.
func recycle(a *Answer) {
	if cap(a.Bytes) > 1<<20 {
		return
	}
	clear(a.Cuts)
	*a = Answer{Bytes: a.Bytes[:0], Cuts: a.Cuts[:0]}
	answers.Put(a)
}
