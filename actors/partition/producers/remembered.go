package producers

import "github.com/troupe-broker/troupe/actors/message"

// Remembered is where the batches that are remembered and the last marker of everybody are who is known, by producer id: of those compaction
// must leave a header, since without it nobody could tell after a crash what comes next, and what is a repetition.
func (p *Producers) Remembered() map[int64]message.Latest {
	all := make(map[int64]message.Latest, len(p.byID))
	for id, known := range p.byID {
		at := message.Latest{First: -1, Last: -1, Marker: known.marker}
		if known.count > 0 {
			at.First, at.Last = known.batches[0].base, known.batches[known.count-1].base
		}
		all[id] = at
	}
	return all
}

// Open says that a transaction is open, or was when this picture was made.
func (p *Producers) Open() bool { return p.undecided.firstOpen(none, none) != none }
