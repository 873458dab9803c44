package group

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// uniform gives all members as many partitions as it can, whatever they subscribe to, and moves as few as it must. A partition that has to
// go somewhere goes to a member in a rack where it has a replica, if there is one that has not enough yet.
//
//	keep   what a member had, and may still have
//	deal   what nobody has, to who has least
//	level  while somebody has two more than another who could have one of them
func uniform(p *plan) {
	u := &leveller{plan: p, shelf: map[message.TopicID]int{}}
	p.sortShelves()
	for i, s := range p.shelves {
		u.shelf[s.ID] = i
	}
	u.classify()
	u.deal(u.keep())
	u.level()
}

// leveller is the plan, with topics of the same readers taken together.
type leveller struct {
	*plan
	shelf    map[message.TopicID]int
	class    []int   // of each shelf
	readers  [][]int // of each class
	lightest []int   // of each class: the reader with fewest partitions
}

func (u *leveller) classify() {
	seen := map[string]int{}
	for _, s := range u.shelves {
		key := make([]byte, 0, 4*len(s.readers))
		for _, r := range s.readers {
			key = binary.BigEndian.AppendUint32(key, uint32(r))
		}
		n, known := seen[string(key)]
		if !known {
			n = len(u.readers)
			seen[string(key)] = n
			u.readers = append(u.readers, s.readers)
		}
		u.class = append(u.class, n)
	}
	u.lightest = make([]int, len(u.readers))
}

// keep leaves everybody what it may keep, and returns what nobody has then. Topics that few read come first.
func (u *leveller) keep() (rest parts) {
	taken := map[message.PartitionID]bool{}
	for i := range u.seats {
		s := &u.seats[i]
		for _, p := range s.had {
			n, there := u.shelf[p.Topic]
			if !there || p.Index >= u.shelves[n].Partitions || taken[p] {
				continue
			}
			if _, reads := slices.BinarySearch(u.shelves[n].readers, i); reads {
				taken[p] = true
				s.gets = append(s.gets, p)
			}
		}
	}
	order := slices.Clone(u.shelves)
	slices.SortStableFunc(order, func(a, b shelf) int { return len(a.readers) - len(b.readers) })
	for _, s := range order {
		for i := range s.Partitions {
			if p := (message.PartitionID{Topic: s.ID, Index: i}); !taken[p] {
				rest = append(rest, p)
			}
		}
	}
	return rest
}

// deal hands out what nobody has: first to who is near and has not its share, then to who has least.
func (u *leveller) deal(rest parts) {
	share := u.share()
	far := rest[:0]
	for _, p := range rest {
		if to := u.least(u.readersOf(p), func(i int) bool { return len(u.seats[i].gets) < share && u.isNear(p, i) }); to >= 0 {
			u.give(p, to)
		} else {
			far = append(far, p)
		}
	}
	for _, p := range far {
		u.give(p, u.least(u.readersOf(p), nil))
	}
}

// share is how many each would get if everybody read everything.
func (u *leveller) share() int {
	all := 0
	for _, s := range u.shelves {
		all += int(s.Partitions)
	}
	return (all + len(u.seats) - 1) / max(len(u.seats), 1)
}

func (u *leveller) readersOf(p message.PartitionID) []int { return u.shelves[u.shelf[p.Topic]].readers }

func (u *leveller) isNear(p message.PartitionID, i int) bool {
	return u.seats[i].rack != "" && u.near(p, u.seats[i].rack)
}

func (u *leveller) give(p message.PartitionID, to int) {
	u.seats[to].gets = append(u.seats[to].gets, p)
}

// least is the first of those with fewest partitions; -1 if may admits nobody. A nil may admits all.
func (u *leveller) least(among []int, may func(int) bool) int {
	best := -1
	for _, i := range among {
		if (best < 0 || len(u.seats[i].gets) < len(u.seats[best].gets)) && (may == nil || may(i)) {
			best = i
		}
	}
	return best
}

// level moves one partition after the other from who has most. Every move makes the sum of squares smaller, so that it ends.
func (u *leveller) level() {
	order := make([]int, len(u.seats))
	for i := range order {
		order[i] = i
	}
	for moved := true; moved; {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(u.seats[b].gets), len(u.seats[a].gets)) })
		for class, readers := range u.readers {
			u.lightest[class] = u.least(readers, nil)
		}
		moved = slices.ContainsFunc(order, u.lighten)
	}
}

// lighten moves one partition away from a member to whom of its readers has least, if that has at least two fewer.
func (u *leveller) lighten(from int) bool {
	s := &u.seats[from]
	best, to, near := -1, -1, false
	for at, p := range s.gets {
		candidate := u.lightest[u.class[u.shelf[p.Topic]]]
		if len(u.seats[candidate].gets)+1 >= len(s.gets) {
			continue
		}
		closer := u.isNear(p, candidate) && !u.isNear(p, from)
		if to < 0 || len(u.seats[candidate].gets) < len(u.seats[to].gets) || candidate == to && (closer || !near) {
			best, to, near = at, candidate, closer
		}
	}
	if best < 0 {
		return false
	}
	u.give(s.gets[best], to)
	s.gets = slices.Delete(s.gets, best, best+1)
	return true
}
