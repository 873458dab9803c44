package network

// fifo is a queue that keeps its memory.
type fifo[T any] struct {
	items []T
	head  int // of those that are left
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(item T) { q.items = append(q.items, item) }

// first is the oldest item, which is there.
func (q *fifo[T]) first() *T { return &q.items[q.head] }

// last is the youngest item, which is there.
func (q *fifo[T]) last() *T { return &q.items[len(q.items)-1] }

func (q *fifo[T]) pop() T {
	var none T
	item := q.items[q.head]
	q.items[q.head] = none
	q.head++
	if 2*q.head >= len(q.items) { // each item moves once, as a rule
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item
}
