package check

import (
	"math"

	"github.com/troupe-broker/troupe/persistence/record"
)

// Found is a batch where it was read.
type Found struct {
	Batch *Batch
	Base  int64
	Next  int64
	Epoch int32 // the leader's
	// Sifted is what was read of it where the topic is compacted; Batch is nil then.
	Sifted *Sifted
}

// of is the batch that was found, nil where compaction has left no record of it, or the marker of a transaction.
func (f *Found) of() (b *Batch, ends *Marker) {
	if f.Sifted != nil {
		return f.Sifted.of, f.Sifted.ends
	}
	return f.Batch, f.Batch.Ends
}

// Read checks what a fetch has brought: whole batches of one partition, the first of which holds offset. What a broker
// sends of a batch that did not fit is not there.
func (h *History) Read(p *Partition, floor Floor, offset, high int64, bytes []byte) []Found {
	if h.outdated(p, floor.asOf) {
		return nil
	}
	if p.Topic.Compacted {
		return h.readSifted(p, offset, high, bytes)
	}
	var found []Found
	next := int64(-1)
	for len(bytes) > record.HeaderSize {
		b := record.Batch(bytes)
		if h.spoiled(p, b, max(offset, next)) {
			break
		}
		if size := b.Size(); size > len(bytes) || size < record.HeaderSize {
			break // cut off, as protocol versions below 3 allow; nothing was lost
		}
		b = b[:b.Size()]
		bytes = bytes[len(b):]
		f, ok := h.readBatch(p, b)
		switch {
		case !ok:
			return found
		case next < 0 && (offset < f.Base || offset >= f.Next):
			h.Fail(OffsetsWithout, "%s: offset %d was asked for and a batch from %d to %d came.", p, offset, f.Base, f.Next-1)
		case next >= 0 && f.Base != next:
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

func (h *History) readBatch(p *Partition, b record.Batch) (Found, bool) {
	f := Found{Base: b.BaseOffset(), Next: b.NextOffset(), Epoch: b.LeaderEpoch()}
	if b.Checksum() != b.CRC() {
		h.Fail(BytesAreKept, "%s: the checksum of the batch at %d is wrong.", p, f.Base)
		return f, false
	}
	f.Batch = h.known(p, b)
	if f.Batch == nil || f.Batch.Partition != p {
		h.Fail(BytesAreKept, "%s: nobody has produced the batch at %d to it: it belongs to %v.", p, f.Base, f.Batch)
		return f, false
	}
	if f.Base < 0 || f.Base > math.MaxInt32 {
		h.Fail(OffsetsWithout, "%s: it has a batch at offset %d.", p, f.Base)
		return f, false
	}
	return f, h.settle(f.Batch, f.Base) != nil
}

// Whole checks a partition that was read from its start to its high watermark. unread are offsets that were answered as
// damaged.
func (h *History) Whole(p *Partition, start, high int64, found []Found, unread map[int64]bool, nowMillis int64) {
	if p.Topic.Compacted {
		h.wholeSifted(p, start, high, found, nowMillis)
		return
	}
	h.present(p, start, high, found, unread)
	h.sequences(p, found, len(unread) > 0)
	if len(unread) == 0 {
		h.transactions(p, found)
	}
	h.retained(p, start, high, found, nowMillis)
	epoch := int32(-1)
	for _, f := range found {
		if p.IsDamaged(f.Base) {
			continue // no checksum covers it
		}
		if f.Epoch < epoch {
			h.Fail(EpochsRise, "%s: the batch at %d has leader epoch %d, one before it has %d.", p, f.Base, f.Epoch, epoch)
		}
		epoch = f.Epoch
	}
}

// present asks for everything that was acknowledged or read.
func (h *History) present(p *Partition, start, high int64, found []Found, unread map[int64]bool) {
	here := make(map[int64]*Batch, len(found))
	next := start
	for i, f := range found {
		here[f.Base] = f.Batch
		if f.Base != next && !(i == 0 && f.Base < start) && !unread[next] {
			h.Fail(OffsetsWithout, "%s: offset %d was expected and %d came.", p, next, f.Base)
		}
		next = f.Next
	}
	if next < high && !unread[next] {
		h.Fail(OffsetsWithout, "%s: it could be read up to %d and its high watermark is %d.", p, next, high)
	}
	for o := start; o < int64(len(p.places)); o++ {
		at := p.places[o]
		if at == nil || at.loose || unread[o] {
			continue
		}
		if here[at.base] != at.batch {
			i := ReadIsKept
			if at.acked {
				i = AckedIsKept
			}
			h.Fail(i, "%s: %v was at offset %d and is not there; the log goes from %d to %d.", p, at.batch, at.base, start, high)
			return
		}
	}
}

// sequences asks that every producer's batches are there once and in order.
func (h *History) sequences(p *Partition, found []Found, damaged bool) {
	type key struct {
		id    int64
		epoch int16
	}
	last := map[key]*Batch{}
	for _, f := range found {
		b := f.Batch
		if b.Producer < 0 {
			continue
		}
		k := key{b.Producer, b.Epoch}
		if before := last[k]; before != nil {
			want := before.Sequence + before.Count
			switch {
			case b.Sequence < want:
				h.Fail(OncePerSequence, "%s: %v at offset %d comes behind %v.", p, b, f.Base, before)
			case b.Sequence > want && p.Topic.Fsync && !damaged:
				h.Fail(SequenceOrder, "%s: %v at offset %d comes behind %v.", p, b, f.Base, before)
			}
		}
		last[k] = b
	}
}

// retained asks that what is gone was old enough, or too much, or asked to go.
func (h *History) retained(p *Partition, start, high int64, found []Found, nowMillis int64) {
	t := p.Topic
	if start <= max(p.asked, 0) || t.Endless() || h.losses > 0 || h.failed || t.Lost || len(p.damage) > 0 { // an end that was lost may have counted
		return
	}
	if t.RetentionBytes >= 0 {
		kept := int64(0)
		for _, f := range found {
			kept += int64(f.Batch.Bytes)
		}
		if kept >= t.RetentionBytes {
			return
		}
		if t.RetentionMillis < 0 {
			h.Fail(OnlyOnPurpose, "%s: %d bytes are left from %d to %d, retention.bytes is %d.", p, kept, start, high, t.RetentionBytes)
			return
		}
	}
	if t.Stamped || t.RetentionMillis < 0 {
		return
	}
	for o := max(p.asked, 0); o < start; o++ {
		if at := p.at(o); at != nil && !at.loose && at.batch.Time > nowMillis+h.Ahead.Milliseconds()-t.RetentionMillis {
			h.Fail(OnlyOnPurpose, "%s: offset %d is gone after %d ms, retention.ms is %d.", p, o, nowMillis-at.batch.Time, t.RetentionMillis)
			return
		}
	}
}

// AtTime checks the answer to a question for the first record that is not older than a time; offset is -1 for none.
func (h *History) AtTime(p *Partition, floor Floor, millis, offset, stamp int64) {
	if p.Topic.Stamped || h.Damage || !p.Topic.Fsync || h.lenientOf(p.Topic) {
		return
	}
	if at := p.at(offset); offset >= 0 && (stamp < millis || at != nil && !at.loose && at.batch.Time != stamp) {
		h.Fail(TimesAgree, "%s: at time %d there is offset %d of %d.", p, millis, offset, stamp)
		return
	}
	if p.Topic.Compacted { // what is not there need not be found
		return
	}
	end := offset
	if offset < 0 {
		end = floor.High
	}
	for o := p.startNow(); o < min(end, floor.High); o++ {
		if at := p.at(o); at != nil && !at.loose && at.batch.Time >= millis {
			h.Fail(TimesAgree, "%s: at time %d there is offset %d, and offset %d is of %d already.", p, millis, offset, o, at.batch.Time)
			return
		}
	}
}

// startNow is a log start that nothing but retention can have moved yet.
func (p *Partition) startNow() int64 {
	if !p.Topic.Endless() {
		return math.MaxInt64
	}
	return max(p.start, p.asked, 0)
}

// Ends checks where the newest leader epoch ends: at the log's end, which is not below what is committed.
func (h *History) Ends(p *Partition, floor Floor, end int64) {
	if end < floor.High && !h.lenientOf(p.Topic) && h.certain(p) && !h.outdated(p, floor.asOf) {
		h.Fail(EpochsAgree, "%s: its newest epoch ends at %d and its high watermark was %d.", p, end, floor.High)
	}
}
