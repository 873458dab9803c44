package group

import (
	"cmp"
	"math"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// ranges gives each member a run of neighbouring partitions of every topic, the same of topics with as many partitions and the same
// readers, so that what belongs together by its key is read together. Members keep their order: who comes is last, and the others'
// runs change as little as runs can.
func ranges(p *plan) {
	p.sortShelves()
	order := make([]int, len(p.seats))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.seats[a].first(), p.seats[b].first()), cmp.Compare(p.seats[a].name, p.seats[b].name))
	})
	place := make([]int, len(order))
	for at, i := range order {
		place[i] = at
	}
	for _, s := range p.shelves {
		slices.SortFunc(s.readers, func(a, b int) int { return place[a] - place[b] })
		p.cut(s)
	}
}

// first is the lowest partition that a member had.
func (s *seat) first() int32 {
	first := int32(math.MaxInt32)
	for _, p := range s.had {
		first = min(first, p.Index)
	}
	return first
}

// cut divides one topic; the first get one more where it does not come out even.
func (p *plan) cut(s shelf) {
	next, n := int32(0), int32(len(s.readers))
	for i, reader := range s.readers {
		share := s.Partitions / n
		if int32(i) < s.Partitions%n {
			share++
		}
		for range share {
			p.seats[reader].gets = append(p.seats[reader].gets, message.PartitionID{Topic: s.ID, Index: next})
			next++
		}
	}
}
