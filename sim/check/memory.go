package check

import (
	"maps"
	"slices"
)

// Memory is what a history knew at one moment: of a disk that is put back to how it was then, no more can be asked.
type Memory struct {
	topics []*Topic
	then   []Topic
	parts  [][]Partition
}

// Remember keeps what is known now.
func (h *History) Remember() *Memory {
	m := &Memory{topics: slices.Clone(h.Topics)}
	for _, t := range h.Topics {
		kept := *t
		kept.Configs, kept.Partitions = maps.Clone(t.Configs), slices.Clone(t.Partitions)
		parts := make([]Partition, len(t.Partitions))
		for i, p := range t.Partitions {
			parts[i] = *p
			parts[i].places = remembered(p.places)
			parts[i].damage = slices.Clone(p.damage)
			parts[i].verdicts, parts[i].fates = maps.Clone(p.verdicts), maps.Clone(p.fates)
		}
		m.then, m.parts = append(m.then, kept), append(m.parts, parts)
	}
	return m
}

// remembered copies places, of which several offsets share one.
func remembered(places []*place) []*place {
	kept := make([]*place, len(places))
	for i, at := range places {
		switch {
		case at == nil:
		case i > 0 && at == places[i-1]:
			kept[i] = kept[i-1]
		default:
			one := *at
			kept[i] = &one
		}
	}
	return kept
}

// Recall goes back to what was known. What only the page cache had then is lost.
func (h *History) Recall(m *Memory) {
	h.Topics = m.topics
	for i, t := range h.Topics {
		*t = m.then[i]
		for k, p := range t.Partitions {
			*p = m.parts[i][k]
		}
	}
	h.PowerLoss()
}
