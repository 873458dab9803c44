package producers

// Last is the base offset of the last batch of everybody who is known, by producer id: what compaction must leave a header of, since
// without it nobody could tell after a crash what comes next.
func (p *Producers) Last() map[int64]int64 {
	last := make(map[int64]int64, len(p.byID))
	for id, known := range p.byID {
		if known.count > 0 {
			last[id] = known.batches[known.count-1].base
		}
	}
	return last
}
