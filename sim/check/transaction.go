package check

import (
	"cmp"
	"iter"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Marker is the end of a producer's transaction in a partition.
type Marker struct {
	Producer int64
	Epoch    int16
	Commit   bool
}

// markerAt is a control batch at its place. Nobody has produced it, so that its place is a part of what it is.
type markerAt struct {
	of    *Partition
	base  int64
	print uint64
}

// known is the batch that bytes are, nil if nobody has sent it: a broker writes only markers by itself.
func (h *History) known(p *Partition, b record.Batch) *Batch {
	if !b.Attributes().Has(record.Control) {
		return h.batches[fingerprint(b)]
	}
	m, err := record.ParseControl(b)
	if _, producer := h.producers[b.ProducerID()]; err != nil || !producer || m.Type != record.Abort && m.Type != record.Commit {
		return nil
	}
	at := markerAt{p, b.BaseOffset(), fingerprint(b)}
	if h.markers[at] == nil {
		if h.markers == nil {
			h.markers = map[markerAt]*Batch{}
		}
		h.markers[at] = &Batch{Client: "a coordinator", Partition: p, Count: 1, Bytes: len(b), Time: b.MaxTimestamp(), Producer: -1, Epoch: -1, Sequence: -1,
			Ends: &Marker{b.ProducerID(), b.ProducerEpoch(), m.Type == record.Commit}}
	}
	return h.markers[at]
}

// Decided notes that a client was told how the transaction ended that a batch is part of.
func (h *History) Decided(b *Batch, commit bool) {
	p := b.Partition
	if p.fates == nil {
		p.fates = map[*Batch]bool{}
	}
	p.fates[b] = commit
}

// Aborted is a transaction that a fetch calls aborted.
type Aborted struct{ Producer, First int64 }

// verdict is what a consumer made of a batch of a transaction that it read.
type verdict struct {
	batch *Batch
	kept  bool // it was handed to the application: the transaction is committed
}

// ReadCommitted is Read for who reads only what is committed: it decides of every batch what a client would, by what the fetch says is aborted.
func (h *History) ReadCommitted(p *Partition, floor Floor, offset, high, stable int64, bytes []byte, aborted []Aborted) []Found {
	found := h.Read(p, floor, offset, high, bytes)
	if stable > high {
		h.Fail(StableInMark, "%s: its last stable offset is %d and its high watermark is %d.", p, stable, high)
	}
	slices.SortFunc(aborted, func(a, b Aborted) int { return cmp.Compare(a.First, b.First) })
	gone := map[int64]bool{}
	for _, f := range found {
		if f.Next > stable {
			h.Fail(ReadBelowStable, "%s: offsets %d to %d were read and the last stable offset is %d.", p, f.Base, f.Next-1, stable)
		}
		for len(aborted) > 0 && aborted[0].First < f.Next {
			gone[aborted[0].Producer] = true
			aborted = aborted[1:]
		}
		switch b, end := f.of(); {
		case end != nil && !end.Commit:
			delete(gone, end.Producer)
		case end == nil && b != nil && b.Transactional:
			h.judge(p, f.Base, b, !gone[b.Producer])
		}
	}
	return found
}

// judge notes what a consumer made of a batch. Another must make the same of it.
func (h *History) judge(p *Partition, base int64, b *Batch, kept bool) {
	if !h.lasting(p) {
		return
	}
	if before, judged := p.verdicts[base]; judged && before.batch == b && before.kept != kept {
		h.Fail(AbortedUnseen, "%s: %v at offset %d was read as committed: %v, and now as committed: %v.", p, b, base, before.kept, kept)
	}
	if p.verdicts == nil {
		p.verdicts = map[int64]verdict{}
	}
	p.verdicts[base] = verdict{b, kept}
}

// lasting says that what was committed stays so, and that all of it can be read.
func (h *History) lasting(p *Partition) bool { return p.Topic.Fsync && !p.Topic.Lost && !p.HasDamage() }

// transactions holds what consumers have read and what clients were told against the markers in the log.
func (h *History) transactions(p *Partition, found []Found) {
	if !h.lasting(p) {
		return
	}
	ends := map[int64]*Marker{} // the next one behind, by producer
	for _, f := range slices.Backward(found) {
		b, marker := f.of()
		if marker != nil {
			ends[marker.Producer] = marker
		}
		if b == nil || !b.Transactional {
			continue
		}
		end := ends[b.Producer]
		if v, read := p.verdicts[f.Base]; read && v.batch == b {
			switch {
			case end == nil:
				h.Fail(ReadBelowStable, "%s: %v at offset %d was read, and its transaction has not ended.", p, b, f.Base)
			case end.Commit != v.kept:
				h.Fail(AbortedUnseen, "%s: %v at offset %d was read as committed: %v; its transaction is committed: %v.", p, b, f.Base, v.kept, end.Commit)
			}
		}
		if commit, told := p.fates[b]; told && (end == nil || end.Commit != commit) {
			h.Fail(EndIsKept, "%s: that the transaction of %v at offset %d ended was acknowledged, committed: %v; its marker is %+v.", p, b, f.Base, commit, end)
		}
	}
}

// Stable replays the logs of all replicas, as far as they are committed there, and holds their last stable offsets against what has not ended.
type Stable struct {
	history *History
	logs    map[replica]*replayed
	marks   map[replica]int64              // the largest high watermark that a node has shown
	ends    map[*Partition]map[int64]int64 // where the markers are, by the base offsets of what is in their transactions
}

// replayed is how far a replica's log was replayed.
type replayed struct {
	next   int64
	open   map[int64][]span // the batches of transactions, by their producers
	epoch  int32            // in which it led when it was looked at last; -1: it did not
	stable int64            // then
}

// NewStable has seen nothing yet.
func NewStable(h *History) *Stable {
	return &Stable{h, map[replica]*replayed{}, map[replica]int64{}, map[*Partition]map[int64]int64{}}
}

// Forget forgets a node, which starts anew.
func (s *Stable) Forget(node message.NodeID) {
	for at := range s.logs {
		if at.node == node {
			delete(s.logs, at)
		}
	}
}

// Gone forgets a replica that a node has no more: one that comes back there is another's copy, in which compaction may have left less.
func (s *Stable) Gone(node message.NodeID, of *Partition) { delete(s.logs, replica{node, of.ID()}) }

// Next is where a replica's log has to be read on, for which its bounds are known.
func (s *Stable) Next(node message.NodeID, of *Partition, b message.Bounds) int64 {
	at := replica{node, of.ID()}
	r := s.logs[at]
	if r == nil || b.HighWatermark < r.next {
		r = &replayed{next: b.LogStart, open: map[int64][]span{}, epoch: -1}
		s.logs[at] = r
	}
	if r.next < b.LogStart { // what was open may have ended where nobody can read any more
		r.next = b.LogStart
		clear(r.open)
	}
	return r.next
}

// Take replays what was read: whole batches up to an offset.
func (s *Stable) Take(node message.NodeID, p *Partition, bytes record.Batch, next int64) {
	r := s.logs[replica{node, p.ID()}]
	r.next = next
	for b := range batches(bytes) {
		switch a, id := b.Attributes(), b.ProducerID(); {
		case a.Has(record.Control):
			s.end(p, r.open[id], b.BaseOffset())
			delete(r.open, id)
		case a.Has(record.Transactional):
			r.open[id] = append(r.open[id], span{b.BaseOffset(), b.NextOffset()})
		}
	}
}

// batches are the whole ones in front.
func batches(bytes record.Batch) iter.Seq[record.Batch] {
	return func(yield func(record.Batch) bool) {
		for len(bytes) >= record.HeaderSize && bytes.Size() >= record.HeaderSize && bytes.Size() <= len(bytes) {
			b := bytes[:bytes.Size()]
			if bytes = bytes[len(b):]; !yield(b) {
				return
			}
		}
	}
}

// end notes where the marker of a transaction is, whose batches these are, unless it is known.
func (s *Stable) end(of *Partition, parts []span, marker int64) {
	known := s.ends[of]
	if known == nil {
		known = map[int64]int64{}
		s.ends[of] = known
	}
	for _, part := range parts {
		if _, some := known[part.first]; !some {
			known[part.first] = marker
		}
	}
}

// Whole holds a replica's log, as it is now, against what was in it before.
func (s *Stable) Whole(node message.NodeID, of *Partition, bytes record.Batch) {
	here, end := map[int64]bool{}, int64(0)
	for b := range batches(bytes) {
		here[b.BaseOffset()], end = true, b.NextOffset()
	}
	if !s.history.lasting(of) {
		return
	}
	for b := range batches(bytes) {
		marker, known := s.ends[of][b.BaseOffset()]
		if a := b.Attributes(); known && marker < end && !here[marker] && a.Has(record.Transactional) && !a.Has(record.Control) {
			s.history.Fail(MarkersStay, "%s on node %d: at offset %d there is something of a transaction of producer %d, and its marker at %d is gone.", of, node, b.BaseOffset(), b.ProducerID(), marker)
		}
	}
}

// Shows holds a replica's bounds against its log, which was replayed up to its high watermark.
func (s *Stable) Shows(node message.NodeID, of *Partition, b message.Bounds) {
	at := replica{node, of.ID()}
	r, known := s.logs[at], s.marks[at]
	s.marks[at] = max(known, b.HighWatermark)
	if r.next != b.HighWatermark || b.HighWatermark < known || !s.history.lasting(of) { // a node that has started anew may know that a marker above its mark is committed
		return
	}
	most := b.HighWatermark
	for _, parts := range r.open { // who learns anew from the log knows nothing of those below its start
		if i := slices.IndexFunc(parts, func(s span) bool { return s.next > b.LogStart }); i >= 0 {
			most = min(most, max(parts[i].first, b.LogStart))
		}
	}
	if b.LastStable > most {
		s.history.Fail(StableBelowOpen, "%s on node %d: its last stable offset is %d, and up to its high watermark, which is %d, a transaction that begins at %d has not ended.",
			of, node, b.LastStable, b.HighWatermark, most)
	}
	if b.IsLeader && r.epoch == b.LeaderEpoch && b.LastStable < r.stable {
		s.history.Fail(StableStays, "%s on node %d: in epoch %d its last stable offset was %d and is %d.", of, node, b.LeaderEpoch, r.stable, b.LastStable)
	}
	if r.epoch, r.stable = -1, b.LastStable; b.IsLeader {
		r.epoch = b.LeaderEpoch
	}
}
