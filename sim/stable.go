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
	if view == nil {
		w.check.Gone(h.ID, p)
		delete(w.seen, at)
		return
	}
	if view.Bounds() == w.seen[at] {
		return
	}
	b := view.Bounds()
	read := w.read(view, w.check.Next(h.ID, p, b), func(bytes record.Batch, next int64) { w.check.Take(h.ID, p, bytes, next) })
	if !read {
		return
	}
	w.seen[at] = b
	w.check.Shows(h.ID, p, b)
}

// read reads a log from an offset up to its high watermark.
func (w *stableWatch) read(view message.View, next int64, each func(bytes record.Batch, next int64)) bool {
	for high := view.Bounds().HighWatermark; next < high; {
		s, err := view.Read(next, high, 1<<20, true)
		if err != nil || s.Bytes == 0 {
			return false
		}
		bytes := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(bytes, s.At); err != nil && err != io.EOF {
			return false
		}
		each(record.Batch(bytes), s.Next)
		next = s.Next
	}
	return true
}

// whole looks at all logs that are compacted from their start on.
func (w *stableWatch) whole() {
	if w == nil {
		return
	}
	for _, h := range w.trial.hosts {
		for _, t := range w.trial.topics {
			for _, p := range t.Partitions {
				view := h.View(p.ID())
				if view == nil || !t.Compacted {
					continue
				}
				var all record.Batch
				if w.read(view, view.Bounds().LogStart, func(bytes record.Batch, _ int64) { all = append(all, bytes...) }) {
					w.check.Whole(h.ID, p, all)
				}
			}
		}
	}
}
