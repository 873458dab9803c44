// Package producers is the brain that remembers who has written what to a partition: the last five batches of every
// idempotent producer, so that a retry is answered and not written again (KIP-98, S21-S24), and which transactions are open
// (transactions.go).
//
// It decides from batch headers and markers alone and knows no clock: the time comes with each call. Its picture of one offset is a
// snapshot:
//
//	 0  4 magic "TPS3"        8  8 offset: everything below it is in the picture
//	 4  4 CRC-32C of 8 on    16  4 count of producers, then each, in ascending order of id, then the transactions:
//
//	 0  8 producer id         30  8 timestamp of its last batch or marker, millis
//	 8  2 producer epoch      38  8 offset of its last marker, -1
//	10  8 last seen, millis   46  1 count of batches, 0 to 5, then each, oldest first:
//	18  8 first offset of its  0  4 first sequence        8  8 base offset
//	      open transaction, -1 4  4 last sequence        16  8 timestamp, millis
//	26  4 coordinator epoch, -1
//
//	 0  4 count of transactions that have ended and whose markers may not be committed yet, then each, in ascending order:
//	 0  8 first offset         8  8 offset of its marker
//
// Older pictures are read too: in those with the magic "TPS2" a producer is 39 bytes, without its last marker, which may be anywhere;
// in "TPS1", from before there were transactions, 19, with the count behind last seen, has one batch at least, and nothing follows the
// producers.
package producers

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// remembered is how many batches of a producer are known.
const remembered = message.RememberedBatches

// Producers is what one partition knows of its idempotent producers. The zero value knows nobody and holds no memory.
type Producers struct {
	byID      map[int64]*producer
	undecided undecided
}

// producer is one of them.
type producer struct {
	seenMillis  int64 // by the broker's clock
	timestamp   int64 // of its last batch or marker
	txnStart    int64 // where its open transaction begins; none: there is none
	coordinator int32 // epoch of the coordinator that sent the last marker; -1: there was none
	marker      int64 // its offset; none: there was none; open: it is not known
	batches     [remembered]batch
	count       uint8
	epoch       int16
}

// batch is one that was appended.
type batch struct {
	first, last int32 // sequences
	base        int64 // offset
	timestamp   int64 // its largest, or when the broker appended it
}

// Verdict says what is to become of a batch. The zero Verdict means: append it.
type Verdict struct {
	Code      message.Code
	Message   string // why it is refused
	Duplicate bool   // it is in the log already, from Base up to End, with Timestamp
	Base, End int64
	Timestamp int64
}

// Check judges a batch before it is appended. Verified is transaction version 2's stricter rule for producers that are
// not known: their first sequence must be 0 (KIP-890).
func (p *Producers) Check(b record.Batch, verified bool) Verdict {
	id := b.ProducerID()
	if id < 0 {
		return Verdict{}
	}
	known := p.byID[id]
	if unnumbered(b) {
		return known.admit(b)
	}
	if b.BaseSequence() < 0 || b.ProducerEpoch() < 0 {
		return Verdict{Code: message.InvalidRecord, Message: fmt.Sprintf(
			"producer %d sends sequence %d in epoch %d: neither may be negative", id, b.BaseSequence(), b.ProducerEpoch())}
	}
	if known == nil {
		return checkUnknown(b, verified)
	}
	if v, ok := known.duplicate(b); ok {
		return v
	}
	if v := known.follow(b); v.Code != message.OK {
		return v
	}
	return known.mixes(b)
}

// Knows says that a producer has written here and is not forgotten.
func (p *Producers) Knows(id int64) bool { return p.byID[id] != nil }

// checkUnknown lets a producer begin anywhere: its state may have expired (S23).
func checkUnknown(b record.Batch, verified bool) Verdict {
	if verified && b.BaseSequence() != 0 {
		return outOfOrder("producer %d is not known here and must begin with sequence 0, not %d", b.ProducerID(), b.BaseSequence())
	}
	return Verdict{}
}

// duplicate finds the batch among the last five (S21).
func (p *producer) duplicate(b record.Batch) (Verdict, bool) {
	if b.ProducerEpoch() != p.epoch || planted.Is(planted.DuplicateAppended) {
		return Verdict{}, planted.Is(planted.DuplicateAppended)
	}
	first, last := b.BaseSequence(), lastSequence(b)
	for _, old := range p.batches[:p.count] {
		if old.first == first && old.last == last {
			end := old.base + int64(b.LastOffsetDelta()) + 1
			return Verdict{Duplicate: true, Base: old.base, End: end, Timestamp: old.timestamp}, true
		}
	}
	return Verdict{}, false
}

// follow asks for the next sequence in the same epoch, or 0 in a newer one, be it that a marker has begun it (S22).
func (p *producer) follow(b record.Batch) Verdict {
	if b.ProducerEpoch() < p.epoch {
		return p.older(b)
	}
	first, next := b.BaseSequence(), int32(0)
	if p.count > 0 {
		next = after(p.batches[p.count-1].last)
	}
	switch {
	case b.ProducerEpoch() > p.epoch && first != 0:
		return outOfOrder("producer %d must begin epoch %d with sequence 0, not %d", b.ProducerID(), b.ProducerEpoch(), first)
	case b.ProducerEpoch() == p.epoch && first != next:
		return outOfOrder("producer %d must go on with sequence %d, not %d", b.ProducerID(), next, first)
	}
	return Verdict{}
}

func (p *producer) older(b record.Batch) Verdict {
	return Verdict{Code: message.InvalidProducerEpoch, Message: fmt.Sprintf(
		"producer %d's epoch %d is older than %d: a newer instance has taken its place", b.ProducerID(), b.ProducerEpoch(), p.epoch)}
}

func outOfOrder(format string, args ...any) Verdict {
	return Verdict{Code: message.OutOfOrderSequenceNumber, Message: fmt.Sprintf(format, args...)}
}

// Append remembers a batch that is in the log, whose base offset is set, or a marker.
func (p *Producers) Append(b record.Batch, now time.Time) {
	id, control := b.ProducerID(), b.Attributes().Has(record.Control)
	if id < 0 {
		return
	}
	marker := record.Marker{}
	if control {
		var ends bool
		if marker, ends = ending(b); !ends {
			return
		}
	}
	known := p.byID[id]
	if known == nil {
		known = p.add(id, b.ProducerEpoch())
	}
	if known.epoch != b.ProducerEpoch() {
		known.epoch, known.count = b.ProducerEpoch(), 0
	}
	known.seenMillis, known.timestamp = now.UnixMilli(), b.MaxTimestamp()
	if control {
		p.end(known, marker, b.BaseOffset())
		return
	}
	if !unnumbered(b) {
		known.push(batch{first: b.BaseSequence(), last: lastSequence(b), base: b.BaseOffset(), timestamp: b.MaxTimestamp()})
	}
	if b.Attributes().Has(record.Transactional) && known.txnStart == none {
		known.txnStart = b.BaseOffset()
		p.undecided.begin(known.txnStart)
	}
}

func (p *Producers) add(id int64, epoch int16) *producer {
	if p.byID == nil {
		p.byID = make(map[int64]*producer)
	}
	known := &producer{epoch: epoch, txnStart: none, coordinator: -1, marker: none}
	p.byID[id] = known
	return known
}

// push keeps the last five, oldest first.
func (p *producer) push(b batch) {
	if p.count == remembered {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = b
	p.count++
}

// Expire forgets everybody who has not written for the given time and has no transaction open (S24). Whose last batch is at or above what
// is committed is waiting: it may try again as soon as that is over, and would write the batch twice.
func (p *Producers) Expire(now time.Time, silence time.Duration, committed int64) {
	limit := now.Add(-silence).UnixMilli()
	maps.DeleteFunc(p.byID, func(_ int64, known *producer) bool {
		if known.count > 0 && known.batches[known.count-1].base >= committed {
			known.seenMillis = now.UnixMilli()
		}
		return known.seenMillis <= limit && known.txnStart == none
	})
	if len(p.byID) == 0 {
		p.byID = nil
	}
}

// Len is how many producers are known.
func (p *Producers) Len() int { return len(p.byID) }

// Describe lists the producers in ascending order of id (S128).
func (p *Producers) Describe() []message.ProducerState {
	out := make([]message.ProducerState, 0, len(p.byID))
	for _, id := range p.ids() {
		known := p.byID[id]
		last := int32(-1)
		if known.count > 0 {
			last = known.batches[known.count-1].last
		}
		out = append(out, message.ProducerState{ID: id, Epoch: known.epoch, LastSequence: last,
			LastTimestamp: known.timestamp, CoordinatorEpoch: known.coordinator, TxnStart: known.txnStart})
	}
	return out
}

func (p *Producers) ids() []int64 { return slices.Sorted(maps.Keys(p.byID)) }

// lastSequence is the sequence of a batch's last record. Sequences wrap from the largest int32 to 0.
func lastSequence(b record.Batch) int32 {
	return int32((int64(b.BaseSequence()) + int64(b.LastOffsetDelta())) & math.MaxInt32)
}

// after is the sequence behind another.
func after(sequence int32) int32 { return (sequence + 1) & math.MaxInt32 }

// Clear forgets everybody and holds no memory any more.
func (p *Producers) Clear() { *p = Producers{} }
