package producers

// Remembered is the base offset of the first batch that is remembered of everybody who is known, by producer id: from there on compaction must
// leave a header of each batch, since without it nobody could tell after a crash what comes next, and what is a repetition.
func (p *Producers) Remembered() map[int64]int64 {
	first := make(map[int64]int64, len(p.byID))
	for id, known := range p.byID {
		if known.count > 0 {
			first[id] = known.batches[0].base
		}
	}
	return first
}
