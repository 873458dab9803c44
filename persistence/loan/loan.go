// Package loan lends memory for bytes on their way, so that those that are busy with them do not live off the garbage
// collector. What is not given back is the collector's.
package loan

import (
	"math/bits"
	"sync"
)

const (
	smallestClass = 12 // 4 KiB
	largestClass  = 24 // 16 MiB: what is larger is the garbage collector's
)

// buffers by size class, four classes for every doubling: at most a fifth of a buffer is wasted.
var buffers [(largestClass-smallestClass)*4 + 1]sync.Pool

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

// Lend is a buffer of at least size bytes of room, with length 0. What it holds is of an earlier use.
func Lend(size int) []byte {
	class, bytes := classOf(size)
	if class >= len(buffers) {
		return make([]byte, 0, size)
	}
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, bytes)
}

// GiveBack returns a lent buffer, which begins where it began when it was lent. Nobody may look at it any more. Nil is passed over.
func GiveBack(b []byte) {
	class, bytes := classOf(cap(b))
	if class < len(buffers) && bytes == cap(b) {
		b = b[:0]
		buffers[class].Put(&b)
	}
}
