package check

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/persistence/record"
)

// What clients may expect of a compacted topic is said of its records, since batches lose some: each has, besides its key, a header that
// no other has.

// Kept is what a batch of a compacted topic has of each record.
type Kept struct {
	Key   string
	Grave bool // a tombstone
}

// ref is a record as it was sent.
type ref struct {
	batch *Batch
	index int32
}

// Sifted is what was read of a batch of a compacted topic.
type Sifted struct {
	Producer int64
	Epoch    int16
	Sequence int32
	records  []sifted
	of       *Batch  // whose records they are
	ends     *Marker // it is that
}

type sifted struct {
	offset int64
	Kept
}

// sent notes every record of a batch, if its topic is compacted.
func (h *History) sentRecords(b *Batch, bytes record.Batch) {
	if !b.Partition.Topic.Compacted {
		return
	}
	index := int32(0)
	for rec := range record.All(bytes, math.MaxInt32) {
		if h.records == nil {
			h.records = map[uint64]ref{}
		}
		h.records[recordPrint(&rec)] = ref{b, index}
		b.Kept = append(b.Kept, Kept{string(rec.Key), rec.Value == nil})
		index++
	}
	b.Partition.sent = append(b.Partition.sent, b)
}

// recordPrint is of everything of a record but its time and its place.
func recordPrint(r *record.Record) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.Write(r.Headers.Raw())
	d.Write(r.Key)
	d.Write([]byte{0})
	if r.Value != nil {
		d.Write([]byte{1})
		d.Write(r.Value)
	}
	return d.Sum64()
}

// readSifted checks what a fetch has brought of a compacted partition: offsets may be missing, and every record is one that was
// produced, where it was before.
func (h *History) readSifted(p *Partition, offset, high int64, bytes []byte) (found []Found) {
	next := int64(-1)
	for len(bytes) >= record.HeaderSize {
		b := record.Batch(bytes)
		if size := b.Size(); size > len(bytes) || size < record.HeaderSize {
			break
		}
		b = b[:b.Size()]
		bytes = bytes[len(b):]
		f, ok := h.siftBatch(p, b)
		switch {
		case !ok:
			return found
		case next < 0 && offset >= f.Next:
			h.Fail(OffsetsWithout, "%s: offset %d was asked for and a batch from %d to %d came.", p, offset, f.Base, f.Next-1)
		case next >= 0 && f.Base < next:
			h.Fail(OffsetsWithout, "%s: behind offset %d comes %d.", p, next-1, f.Base)
		case f.Next > high:
			h.Fail(ReadBelowMark, "%s: offsets %d to %d were read and the high watermark is %d.", p, f.Base, f.Next-1, high)
		}
		next = f.Next
		found = append(found, f)
		h.read++
	}
	return found
}

func (h *History) siftBatch(p *Partition, b record.Batch) (Found, bool) {
	f := Found{Base: b.BaseOffset(), Next: b.NextOffset(), Epoch: b.LeaderEpoch(),
		Sifted: &Sifted{Producer: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence()}}
	if b.Checksum() != b.CRC() || f.Base < 0 || f.Base > math.MaxInt32 {
		h.Fail(BytesAreKept, "%s: the batch at %d is not what it was.", p, f.Base)
		return f, false
	}
	if b.Attributes().Has(record.Control) {
		return f, h.siftMarker(p, b, f.Sifted)
	}
	for rec, err := range record.All(b, math.MaxInt32) {
		at := f.Base + int64(rec.OffsetDelta)
		r, known := h.records[recordPrint(&rec)]
		if err != nil || !known || r.batch.Partition != p || r.batch.Producer != f.Sifted.Producer || r.batch.Epoch != f.Sifted.Epoch || r.batch.Sequence != f.Sifted.Sequence {
			h.Fail(BytesAreKept, "%s: nobody has produced the record at %d to it as it is there: %v, %v.", p, at, r.batch, err)
			return f, false
		}
		if !p.Topic.Stamped && rec.Timestamp != r.batch.Time {
			h.Fail(BytesAreKept, "%s: the record at %d has the time %d, and had %d.", p, at, rec.Timestamp, r.batch.Time)
		}
		if h.settle(r.batch, at-int64(r.index)) == nil {
			return f, false
		}
		f.Sifted.of = r.batch
		f.Sifted.records = append(f.Sifted.records, sifted{at, r.batch.Kept[r.index]})
	}
	return f, true
}

// siftMarker notes a marker, which is what it was wherever one was read.
func (h *History) siftMarker(p *Partition, b record.Batch, s *Sifted) bool {
	m, err := record.ParseControl(b)
	if _, producer := h.producers[b.ProducerID()]; err != nil || !producer || m.Type != record.Abort && m.Type != record.Commit {
		h.Fail(BytesAreKept, "%s: nobody has written the control batch at %d: %v.", p, b.BaseOffset(), err)
		return false
	}
	is := Marker{b.ProducerID(), b.ProducerEpoch(), m.Type == record.Commit}
	if was, read := p.ends[b.BaseOffset()]; read && was != is && h.lasting(p) {
		h.Fail(BytesAreKept, "%s: the marker at %d was %+v and is %+v.", p, b.BaseOffset(), was, is)
		return false
	}
	if p.ends == nil {
		p.ends = map[int64]Marker{}
	}
	p.ends[b.BaseOffset()] = is
	s.ends, s.Producer = &is, -1
	return true
}

// wholeSifted checks a compacted partition that was read from its start to its high watermark.
func (h *History) wholeSifted(p *Partition, start, high int64, found []Found, nowMillis int64) {
	next, epoch := start, int32(-1)
	here, last := map[int64]bool{}, map[string]sifted{}
	for i, f := range found {
		if f.Base < next && !(i == 0 && f.Base < start) {
			h.Fail(OffsetsWithout, "%s: offset %d was expected and %d came.", p, next, f.Base)
		}
		if next = f.Next; f.Epoch < epoch {
			h.Fail(EpochsRise, "%s: the batch at %d has leader epoch %d, one before it has %d.", p, f.Base, f.Epoch, epoch)
		}
		epoch = f.Epoch
		for _, r := range f.Sifted.records {
			here[r.offset], last[r.Key] = true, r
		}
	}
	if next < high {
		h.Fail(OffsetsWithout, "%s: it could be read up to %d and its high watermark is %d.", p, next, high)
	}
	h.siftedSequences(p, found)
	h.transactions(p, found)
	h.lastOfKeys(p, start, high, here, last, nowMillis)
}

// siftedSequences asks that no sequence is there twice.
func (h *History) siftedSequences(p *Partition, found []Found) {
	type key struct {
		id    int64
		epoch int16
	}
	due := map[key]int32{}
	for _, f := range found {
		s := f.Sifted
		if s.Producer < 0 {
			continue
		}
		k := key{s.Producer, s.Epoch}
		if want := due[k]; s.Sequence < want {
			h.Fail(OncePerSequence, "%s: sequence %d of producer %d, epoch %d, at offset %d comes behind %d.", p, s.Sequence, s.Producer, s.Epoch, f.Base, want-1)
		}
		due[k] = s.Sequence + int32(f.Next-f.Base)
	}
}

// lastOfKeys asks for the last of every key that was acknowledged or read: it is there, or a later one is, or one that deletes it was
// there for long enough. What was deleted stays so; in a cluster a replica may have been away for longer than a tombstone stays.
func (h *History) lastOfKeys(p *Partition, start, high int64, here map[int64]bool, last map[string]sifted, nowMillis int64) {
	for o := min(int64(len(p.places)), high) - 1; o >= start; o-- {
		at := p.places[o]
		if at == nil || at.loose || len(at.batch.Kept) == 0 || here[o] || at.batch.Transactional && !p.fates[at.batch] {
			continue // what is not known to be committed may be aborted
		}
		k := at.batch.Kept[o-at.base]
		there, some := last[k.Key]
		switch {
		case some && there.offset > o, h.hasLost(p) && p.sentAgain(k.Key, at.batch):
		case k.Grave && !p.buried(h, at.batch, nowMillis):
			h.Fail(GravesStay, "%s: the tombstone of %s by %v was at offset %d and is gone.", p, k.Key, at.batch, o)
		case k.Grave && some && p.Topic.Alone():
			h.Fail(GravesStay, "%s: %s was deleted at offset %d, and has come back at %d.", p, k.Key, o, there.offset)
		case !k.Grave && !p.mayBeDeleted(h, k.Key, o, nowMillis):
			h.Fail(LastIsKept, "%s: the record of %s by %v was at offset %d and is gone; the last that is there is at %d (%v).", p, k.Key, at.batch, o, there.offset, some)
		}
	}
}

// hasLost says that the end of a partition may have been lost.
func (h *History) hasLost(p *Partition) bool { return p.Topic.Lost || !p.Topic.Fsync && h.losses > 0 }

// sentAgain says that a key was sent in another batch, too. In a copy of a compacted log that has lost its end again the last of a key may be nowhere:
// the one before it was not copied any more.
func (p *Partition) sentAgain(key string, but *Batch) bool {
	return slices.ContainsFunc(p.sent, func(b *Batch) bool {
		return b != but && slices.ContainsFunc(b.Kept, func(k Kept) bool { return k.Key == key })
	})
}

// buried says that a tombstone may be gone by now.
func (p *Partition) buried(h *History, b *Batch, nowMillis int64) bool {
	return b.Time+p.Topic.GraveMillis <= nowMillis+h.Ahead.Milliseconds()
}

// mayBeDeleted says that a tombstone of the key may have been behind an offset, and be gone by now.
func (p *Partition) mayBeDeleted(h *History, key string, behind, nowMillis int64) bool {
	return slices.ContainsFunc(p.sent, func(b *Batch) bool {
		return p.buried(h, b, nowMillis) && slices.Contains(b.Kept, Kept{key, true})
	})
}

// sameSifted compares what replicas of a compacted partition have: each has been compacted by itself, and the last of every key that
// nobody has ever deleted is the same. Where the end was lost, it may have been copied from a compacted log, and what it had overtaken there is still here.
func (h *History) sameSifted(p *Partition, copies []Copy) {
	deleted := map[string]bool{}
	for _, b := range p.sent {
		for _, k := range b.Kept {
			deleted[k.Key] = deleted[k.Key] || k.Grave || b.Transactional || // one that is aborted stays here longer than there
				h.hasLost(p) && p.sentAgain(k.Key, b)
		}
	}
	lasts := make([]map[string]int64, len(copies))
	for i, c := range copies {
		lasts[i] = map[string]int64{}
		for rest := record.Batch(c.Bytes); len(rest) >= record.HeaderSize && rest.Size() <= len(rest); rest = rest[rest.Size():] {
			for rec, err := range record.All(rest[:rest.Size()], math.MaxInt32) {
				if err == nil && !deleted[string(rec.Key)] {
					lasts[i][string(rec.Key)] = rest.BaseOffset() + int64(rec.OffsetDelta)
				}
			}
		}
		if c.High != copies[0].High || len(lasts[i]) != len(lasts[0]) {
			h.Fail(ReplicasAgree, "%s: node %d has %d keys up to %d, and node %d has %d up to %d.", p, copies[0].Node, len(lasts[0]), copies[0].High, c.Node, len(lasts[i]), c.High)
			return
		}
		for _, b := range p.sent {
			for _, k := range b.Kept {
				if lasts[i][k.Key] != lasts[0][k.Key] {
					h.Fail(ReplicasAgree, "%s: node %d has %s last at %d, and node %d at %d.", p, copies[0].Node, k.Key, lasts[0][k.Key], c.Node, lasts[i][k.Key])
					return
				}
			}
		}
	}
}

// Remembers checks what a leader says of its producers against what was acknowledged: known are their epochs and last sequences by id.
func (h *History) Remembers(p *Partition, known map[int64]State) {
	if h.Damage || !h.certain(p) || p.Topic.Lost || !p.Topic.Fsync {
		return
	}
	for _, at := range p.places {
		if at == nil || at.loose || !at.acked || at.batch.Producer < 0 {
			continue
		}
		b := at.batch
		s, some := known[b.Producer]
		if last := b.Sequence + b.Count - 1; !some || s.Epoch < b.Epoch || s.Epoch == b.Epoch && s.Sequence < last {
			h.Fail(ProducersKnown, "%s: %v was acknowledged at offset %d, and of its producer is known: %v %+v.", p, b, at.base, some, s)
			return
		}
	}
}

// State is what a leader knows of a producer.
type State struct {
	Epoch    int16
	Sequence int32
}
