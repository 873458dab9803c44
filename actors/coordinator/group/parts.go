package group

import (
	"bytes"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// parts are partitions by topic id and index, each once.
type parts []message.PartitionID

func comparePart(a, b message.PartitionID) int {
	if c := bytes.Compare(a.Topic[:], b.Topic[:]); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// partsOf sorts partitions that somebody else has named.
func partsOf(named []message.PartitionID) parts {
	p := slices.Clone(named)
	slices.SortFunc(p, comparePart)
	return slices.Compact(p)
}

func (p parts) has(one message.PartitionID) bool {
	_, found := slices.BinarySearchFunc(p, one, comparePart)
	return found
}

// both are those that are in other too.
func (p parts) both(other parts) (both parts) {
	for _, one := range p {
		if other.has(one) {
			both = append(both, one)
		}
	}
	return both
}

// without are those that are not in other.
func (p parts) without(other parts) (rest parts) {
	for _, one := range p {
		if !other.has(one) {
			rest = append(rest, one)
		}
	}
	return rest
}

// with are those of both.
func (p parts) with(other parts) parts {
	if len(other) == 0 {
		return p
	}
	return partsOf(slices.Concat(p, other))
}

// within says that all of them are in other.
func (p parts) within(other parts) bool { return len(p.without(other)) == 0 }

// byTopic yields each topic with the indexes of its partitions.
func (p parts) byTopic(yield func(topic message.TopicID, partitions parts) bool) {
	for len(p) > 0 {
		n := 1
		for n < len(p) && p[n].Topic == p[0].Topic {
			n++
		}
		if !yield(p[0].Topic, p[:n]) {
			return
		}
		p = p[n:]
	}
}
