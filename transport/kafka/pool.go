package kafka

import (
	"math/bits"
	"sync"
)

// Frames and answers are lent from pools, so that a busy door does not live off the garbage collector.

const (
	smallestClass = 12 // 4 KiB
	largestClass  = 24 // 16 MiB: what is larger is the garbage collector's
)

// frames hold buffers by size class, four classes for every doubling: at most a fifth of a buffer is wasted.
var frames [(largestClass-smallestClass)*4 + 1]sync.Pool

// classOf is the smallest class that holds size bytes, and its size.
func classOf(size int) (class, bytes int) {
	if size <= 1<<smallestClass {
		return 0, 1 << smallestClass
	}
	power := bits.Len(uint(size-1)) - 1
	quarter := 1 << (power - 2)
	steps := (size - 1<<power + quarter - 1) / quarter
	return (power-smallestClass)*4 + steps, 1<<power + steps*quarter
}

// lend is a buffer of at least size bytes of room, with length 0.
func lend(size int) []byte {
	class, bytes := classOf(size)
	if class >= len(frames) {
		return make([]byte, 0, size)
	}
	if b, ok := frames[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, bytes)
}

// giveBack returns a lent buffer. Nobody may look at it any more.
func giveBack(b []byte) {
	class, bytes := classOf(cap(b))
	if class < len(frames) && bytes == cap(b) {
		b = b[:0]
		frames[class].Put(&b)
	}
}

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
