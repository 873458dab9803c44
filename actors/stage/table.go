package stage

import (
	"slices"
	"sort"
)

// table keeps rows under numbers that only rise. Adding is an append, finding a binary search, removing a mark; marked
// rows are swept when they are more than the rest, so memory follows what is there and nothing is hashed.
type table[T any] struct {
	rows []row[T]
	live int
}

type row[T any] struct {
	id    uint64
	gone  bool
	value T
}

// spare is the room that an empty table may keep.
const spare = 64

func (t *table[T]) add(id uint64, value T) {
	t.rows = append(t.rows, row[T]{id: id, value: value})
	t.live++
}

// find is the row's value, nil if it is not there.
func (t *table[T]) find(id uint64) *T {
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].id >= id })
	if i == len(t.rows) || t.rows[i].id != id || t.rows[i].gone {
		return nil
	}
	return &t.rows[i].value
}

func (t *table[T]) remove(id uint64) (value T, ok bool) {
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].id >= id })
	if i == len(t.rows) || t.rows[i].id != id || t.rows[i].gone {
		return value, false
	}
	value = t.rows[i].value
	t.rows[i] = row[T]{id: id, gone: true}
	t.live--
	t.sweep()
	return value, true
}

func (t *table[T]) sweep() {
	switch {
	case t.live == 0 && cap(t.rows) > spare:
		t.rows = nil
	case t.live == 0:
		t.rows = t.rows[:0]
	case len(t.rows) > 2*t.live+spare:
		t.rows = slices.DeleteFunc(t.rows, func(r row[T]) bool { return r.gone })
	}
}

// each calls with every row in the order of their numbers.
func (t *table[T]) each(visit func(id uint64, value *T)) {
	for i := range t.rows {
		if r := &t.rows[i]; !r.gone {
			visit(r.id, &r.value)
		}
	}
}

func (t *table[T]) clear() { *t = table[T]{} }
