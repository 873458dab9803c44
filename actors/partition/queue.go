package partition

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/stage"
)

// parked is an append whose answer waits until the log is durable up to its end.
type parked struct {
	end   int64
	base  int64
	stamp int64 // the answer's LogAppendTime
	marks bool  // it is a marker: the answer is Marked
	from  stage.Caller
}

// queue holds parked appends in the order of their ends. It keeps its memory for the next burst, but not for ever.
type queue struct {
	items []parked
	head  int // items before it are gone
}

// keep is how many places an empty queue holds on to.
const keep = 1024

// push adds an append. Nearly always it ends last; a duplicate waits where the batch that it repeats does.
func (q *queue) push(p parked) {
	q.compact()
	if n := len(q.items); n == q.head || q.items[n-1].end <= p.end {
		q.items = append(q.items, p)
		return
	}
	at, _ := slices.BinarySearchFunc(q.items[q.head:], p.end+1, func(a parked, end int64) int { return cmp.Compare(a.end, end) })
	q.items = slices.Insert(q.items, q.head+at, p)
}

// compact uses the places in front again before the queue grows: under load it may never be empty.
func (q *queue) compact() {
	if len(q.items) < cap(q.items) || q.head < (len(q.items)+1)/2 || q.head == 0 {
		return
	}
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}

// len is how many wait.
func (q *queue) len() int { return len(q.items) - q.head }

// empty says that nobody waits.
func (q *queue) empty() bool { return q.head == len(q.items) }

// pop takes the first append that ends at or below end.
func (q *queue) pop(end int64) (parked, bool) {
	if q.head == len(q.items) || q.items[q.head].end > end {
		return parked{}, false
	}
	p := q.items[q.head]
	q.items[q.head] = parked{}
	q.head++
	switch {
	case q.head < len(q.items):
	case cap(q.items) > keep:
		*q = queue{}
	default:
		q.items, q.head = q.items[:0], 0
	}
	return p, true
}
