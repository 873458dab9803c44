package group

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
)

// table makes a plan: topics with so many partitions, and who reads which of them.
func table(topics []int32, seats []seat, reads func(seat, topic int) bool) *plan {
	p := &plan{seats: seats, near: func(message.PartitionID, string) bool { return false }}
	for t, n := range topics {
		s := shelf{Topic: Topic{Name: fmt.Sprintf("topic-%02d", t), ID: message.TopicID{byte(t + 1)}, Partitions: n}}
		for i := range seats {
			if reads(i, t) {
				s.readers = append(s.readers, i)
			}
		}
		if len(s.readers) > 0 {
			p.shelves = append(p.shelves, s)
		}
	}
	return p
}

func everybody(int, int) bool { return true }

func seated(n int) []seat {
	all := make([]seat, n)
	for i := range all {
		all[i].name = fmt.Sprintf("member-%02d", i)
	}
	return all
}

// carried gives seats what they got, as what they had.
func carried(p *plan) []seat {
	all := seated(len(p.seats))
	for i := range all {
		all[i].had = partsOf(p.seats[i].gets)
	}
	return all
}

// moved is how many partitions somebody else gets than had them.
func moved(p *plan) (n int) {
	for i := range p.seats {
		n += len(partsOf(p.seats[i].had).without(partsOf(p.seats[i].gets)))
	}
	return n
}

// Whoever assigns gives every partition to one of its readers, and nothing to nobody.
func TestEveryPartitionHasOneReader(t *testing.T) {
	for name, assign := range assignors {
		rapid.Check(t, func(r *rapid.T) {
			topics := rapid.SliceOfN(rapid.Int32Range(0, 12), 1, 5).Draw(r, "topics")
			seats := seated(rapid.IntRange(1, 7).Draw(r, "members"))
			mask := rapid.SliceOfN(rapid.Uint8(), len(seats), len(seats)).Draw(r, "subscriptions")
			reads := func(i, t int) bool { return mask[i]>>t&1 == 1 }
			p := table(topics, seats, reads)
			assign(p)
			check(r, name, p)
			copy(mask, rapid.SliceOfN(rapid.Uint8(), len(seats), len(seats)).Draw(r, "other subscriptions"))
			again := table(topics, carried(p), reads)
			assign(again)
			check(r, name, again)
			if name == "uniform" {
				balanced(r, again, reads)
			}
		})
	}
}

func check(t *rapid.T, name string, p *plan) {
	given := map[message.PartitionID]int{}
	for i := range p.seats {
		for _, one := range p.seats[i].gets {
			at := slices.IndexFunc(p.shelves, func(s shelf) bool { return s.ID == one.Topic })
			if at < 0 || one.Index >= p.shelves[at].Partitions || !slices.Contains(p.shelves[at].readers, i) {
				t.Fatalf("%s: member %d gets %v", name, i, one)
			}
			if given[one]++; given[one] > 1 {
				t.Fatalf("%s: %v is given twice", name, one)
			}
		}
	}
	all := 0
	for _, s := range p.shelves {
		all += int(s.Partitions)
	}
	if len(given) != all {
		t.Fatalf("%s: %d of %d partitions are given", name, len(given), all)
	}
}

// balanced says that nobody has two more than somebody who could have one of them.
func balanced(t *rapid.T, p *plan, reads func(i, t int) bool) {
	for i := range p.seats {
		for _, one := range p.seats[i].gets {
			for j := range p.seats {
				if reads(j, int(one.Topic[0])-1) && len(p.seats[j].gets)+1 < len(p.seats[i].gets) {
					t.Fatalf("member %d has %d, and member %d, which could have %v, has %d", i, len(p.seats[i].gets), j, one, len(p.seats[j].gets))
				}
			}
		}
	}
}

// Who comes gets its share, who goes leaves its own, and nothing else moves.
func TestUniformMovesWhatItMust(t *testing.T) {
	for _, topics := range [][]int32{{90}, {7, 7, 7}, {1, 1, 1, 1, 1, 60}} {
		all := 0
		for _, n := range topics {
			all += int(n)
		}
		p := table(topics, seated(9), everybody)
		uniform(p)
		ten := table(topics, append(carried(p), seat{name: "member-99"}), everybody)
		uniform(ten)
		if n := moved(ten); n > all/10 {
			t.Errorf("%v: one comes, and %d of %d move", topics, n, all)
		}
		nine := table(topics, carried(ten)[1:], everybody)
		uniform(nine)
		if n := moved(nine); n > 0 {
			t.Errorf("%v: one goes, and %d of the others' move", topics, n)
		}
		for i := range nine.seats {
			if n := len(nine.seats[i].gets); n < all/9 || n > all/9+1 {
				t.Errorf("%v: somebody has %d of %d", topics, n, all)
			}
		}
	}
}

// What has a replica in a member's rack goes there, as far as that is fair.
func TestUniformPrefersTheRack(t *testing.T) {
	seats := seated(3)
	for i := range seats {
		seats[i].rack = string(rune('a' + i))
	}
	p := table([]int32{9}, seats, everybody)
	p.near = func(one message.PartitionID, rack string) bool { return rack == string(rune('c'-one.Index%3)) }
	uniform(p)
	for i := range p.seats {
		if len(p.seats[i].gets) != 3 {
			t.Errorf("member %d has %v", i, p.seats[i].gets)
		}
		for _, one := range p.seats[i].gets {
			if !p.near(one, p.seats[i].rack) {
				t.Errorf("%v is not near member %d", one, i)
			}
		}
	}
}

// Ranges are runs, the same of topics with as many partitions, and members keep their order.
func TestRangesAreRuns(t *testing.T) {
	p := table([]int32{7, 7}, seated(3), everybody)
	ranges(p)
	for i, want := range [][]int32{{0, 1, 2}, {3, 4}, {5, 6}} {
		for _, topic := range []byte{1, 2} {
			var got []int32
			for _, one := range p.seats[i].gets {
				if one.Topic[0] == topic {
					got = append(got, one.Index)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("member %d has %v of topic %d", i, got, topic)
			}
		}
	}
	seats := append([]seat{{name: "a comes first by its name"}}, carried(p)...)
	four := table([]int32{7, 7}, seats, everybody)
	ranges(four)
	if got := four.seats[0].gets; got[0].Index != 6 {
		t.Errorf("who comes has %v", got)
	}
	if n := moved(four); n > 6 {
		t.Errorf("%d move", n)
	}
}

func BenchmarkUniform(b *testing.B) {
	base := table([]int32{9000}, seated(100), everybody)
	uniform(base)
	for b.Loop() {
		uniform(table([]int32{9000}, append(carried(base), seat{name: "x"}), everybody))
	}
}
