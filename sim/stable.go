package sim

import (
	"io"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/workload"
)

// stableWatch reads on in every replica's log, between two steps, and holds its last stable offset against the transactions in it.
type stableWatch struct {
	trial *trial
	check *check.Stable
	lives map[message.NodeID]uint64 // incarnations that were seen last
	seen  map[message.Address]message.Bounds
}

// watchStable makes one where somebody writes transactions.
func watchStable(t *trial) *stableWatch {
	if !slices.ContainsFunc(t.scenario.Clients, func(c workload.Spec) bool { return c.Kind == workload.Marking }) {
		return nil
	}
	return &stableWatch{t, check.NewStable(t.history), map[message.NodeID]uint64{}, map[message.Address]message.Bounds{}}
}

func (w *stableWatch) look() {
	if w == nil {
		return
	}
	for _, h := range w.trial.hosts {
		if life := uint64(h.Incarnation); w.lives[h.ID] != life {
			w.lives[h.ID] = life
			w.check.Forget(h.ID)
		}
		for _, t := range w.trial.topics {
			for _, p := range t.Partitions {
				w.at(h, p)
			}
		}
	}
}

// at replays what is new in one replica.
func (w *stableWatch) at(h *host, p *check.Partition) {
	at, view := message.PartitionAt(h.ID, p.ID()), h.View(p.ID())
	if view == nil || view.Bounds() == w.seen[at] {
		return
	}
	b := view.Bounds()
	for next := w.check.Next(h.ID, p, b); next < b.HighWatermark; {
		s, err := view.Read(next, b.HighWatermark, 1<<20, true)
		if err != nil || s.Bytes == 0 {
			return
		}
		bytes := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(bytes, s.At); err != nil && err != io.EOF {
			return
		}
		w.check.Take(h.ID, p, record.Batch(bytes), s.Next)
		next = s.Next
	}
	w.seen[at] = b
	w.check.Shows(h.ID, p, b)
}
