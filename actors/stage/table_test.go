package stage

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
)

func TestATableIsAMapWithRisingNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table table[int]
		model, last := map[uint64]int{}, uint64(0)
		for range rapid.IntRange(1, 500).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "deed") == 0 {
				last += rapid.Uint64Range(1, 3).Draw(t, "gap")
				table.add(last, int(last))
				model[last] = int(last)
				continue
			}
			id := rapid.Uint64Range(0, last+1).Draw(t, "id")
			want, there := model[id]
			if found := table.find(id); (found != nil) != there {
				t.Fatalf("find(%d) = %v, want %v", id, found, there)
			}
			got, ok := table.remove(id)
			if delete(model, id); ok != there || got != want {
				t.Fatalf("remove(%d) = %d, %v, want %d, %v", id, got, ok, want, there)
			}
		}
		if table.live != len(model) || len(table.rows) > 2*len(model)+spare {
			t.Fatalf("%d rows for %d (%d live)", len(table.rows), len(model), table.live)
		}
		before := uint64(0)
		table.each(func(id uint64, value *int) {
			if id <= before || model[id] != *value {
				t.Fatalf("row %d = %d behind %d", id, *value, before)
			}
			before = id
		})
	})
}

func TestARegistryIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, model := newRegistry(), map[message.Address]*cell{}
		for range rapid.IntRange(1, 1000).Draw(t, "steps") {
			a := at(rapid.Uint64Range(0, 150).Draw(t, "address"))
			c := model[a]
			if r.find(a) != c {
				t.Fatalf("find(%v) is wrong", a)
			}
			switch rapid.IntRange(0, 1).Draw(t, "deed") {
			case 0:
				fresh := &cell{self: a, mark: mark(a)}
				if r.add(fresh) != (c == nil) {
					t.Fatalf("add(%v) with %v there", a, c)
				}
				if c == nil {
					model[a] = fresh
				}
			case 1:
				if c != nil {
					r.remove(c)
					delete(model, a)
				}
			}
		}
		if len(r.all()) != len(model) {
			t.Fatalf("%d cells, want %d", len(r.all()), len(model))
		}
	})
}

// Who stays is found at every moment, while others come and go and the table is rebuilt.
func TestARegistryIsReadWithoutALock(t *testing.T) {
	r := newRegistry()
	stay := &cell{self: at(0), mark: mark(at(0))}
	r.add(stay)
	var done sync.WaitGroup
	done.Go(func() {
		for i := range uint64(5000) {
			c := &cell{self: at(i + 1), mark: mark(at(i + 1))}
			r.add(c)
			if i%3 > 0 {
				r.remove(c)
			}
		}
	})
	for range 200000 {
		if r.find(at(0)) != stay {
			t.Fatal("it is not found")
		}
	}
	done.Wait()
}
