package producers

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// A transaction begins in a partition with the first transactional batch of its producer and ends with a marker, a control batch that
// says whether it is committed or aborted (KIP-98). Who reads only what is committed reads up to the last stable offset: where the first
// transaction begins that is not decided. One whose marker could still be lost is not.

// none is where no transaction begins.
const none int64 = -1

// open is the marker's offset of a transaction that has none yet.
const open int64 = math.MaxInt64

// undecided are transactions that are open, or whose markers may not be committed yet, in ascending order of their first offsets.
// Between them may be some that are decided.
type undecided struct {
	list   []transaction
	settle int // how long the list may get before it is looked through
}

type transaction struct{ first, marker int64 }

// listedLeast is how many transactions are never worth looking through.
const listedLeast = 64

// begin notes a transaction that begins behind all others.
func (u *undecided) begin(first int64) { u.list = append(u.list, transaction{first, open}) }

// end notes where a transaction ends.
func (u *undecided) end(first, marker int64) {
	if i, found := u.at(first); found {
		u.list[i].marker = marker
	}
}

func (u *undecided) at(first int64) (int, bool) {
	return slices.BinarySearchFunc(u.list, first, func(t transaction, first int64) int { return cmp.Compare(t.first, first) })
}

// stable forgets what is decided below a high watermark, and is where the first transaction begins that is not, else the high watermark.
func (u *undecided) stable(high int64) int64 {
	n := 0
	for n < len(u.list) && u.list[n].decided(high) {
		n++
	}
	if u.list = u.list[n:]; len(u.list) == 0 {
		u.list = nil
		return high
	}
	if len(u.list) > max(u.settle, listedLeast) {
		u.list = slices.DeleteFunc(u.list, func(t transaction) bool { return t.decided(high) })
		u.settle = 2 * len(u.list)
	}
	return min(u.list[0].first, high)
}

func (t transaction) decided(high int64) bool {
	if planted.Is(planted.StableEarly) {
		return t.marker != open
	}
	return t.marker < high
}

// firstOpen is where the first open transaction begins apart from one; otherwise if there is none.
func (u *undecided) firstOpen(apart, otherwise int64) int64 {
	for _, t := range u.list {
		if t.marker == open && t.first != apart {
			return t.first
		}
	}
	return otherwise
}

// Stable is the last stable offset of a log whose high watermark is high, which never falls while what is known stays.
func (p *Producers) Stable(high int64) int64 { return p.undecided.stable(high) }

// InTransaction says that a producer has a transaction open in this epoch: its next batch need not be asked about (KIP-890).
func (p *Producers) InTransaction(id int64, epoch int16) bool {
	known := p.byID[id]
	return known != nil && known.txnStart != none && known.epoch == epoch
}

// Repeats says that a batch is among the last five of its producer: there is nothing to be asked about.
func (p *Producers) Repeats(b record.Batch) bool {
	known := p.byID[b.ProducerID()]
	if known == nil || unnumbered(b) {
		return false
	}
	_, repeats := known.duplicate(b)
	return repeats
}

// CheckMark judges a marker before it is appended (S94). Duplicate says that the log has it; where is not known.
func (p *Producers) CheckMark(m *message.Mark) Verdict {
	known := p.byID[m.Producer]
	if known == nil {
		return Verdict{}
	}
	open, rises := known.txnStart != none, m.Version >= 2
	switch {
	case planted.Is(planted.OldMarkerTaken):
	case m.Epoch < known.epoch, rises && m.Epoch == known.epoch && open:
		return Verdict{Code: message.InvalidProducerEpoch, Message: fmt.Sprintf(
			"a marker for producer %d with epoch %d comes too late: its epoch is %d", m.Producer, m.Epoch, known.epoch)}
	case m.CoordinatorEpoch < known.coordinator:
		return Verdict{Code: message.TransactionCoordinatorFenced, Message: fmt.Sprintf(
			"a marker for producer %d of coordinator epoch %d comes too late: it is %d", m.Producer, m.CoordinatorEpoch, known.coordinator)}
	case rises && m.Epoch == known.epoch:
		return Verdict{Duplicate: true} // the epoch rises with each marker (KAFKA-19999)
	}
	return Verdict{}
}

// Aborts is what the log's index of aborted transactions has to say of a batch that is about to be appended, if it is a marker that
// aborts. One that ends a transaction without a batch begins where it ends.
func (p *Producers) Aborts(b record.Batch) (a message.Aborted, aborts bool) {
	if !b.Attributes().Has(record.Control) || b.ProducerID() < 0 {
		return a, false
	}
	if m, ends := ending(b); !ends || m.Type != record.Abort {
		return a, false
	}
	a = message.Aborted{Producer: b.ProducerID(), First: b.BaseOffset(), Last: b.BaseOffset()}
	start := none
	if known := p.byID[a.Producer]; known != nil && known.txnStart != none {
		start = known.txnStart
		a.First = start
	}
	a.Stable = p.undecided.firstOpen(start, a.Last+1)
	return a, true
}

// end notes that a producer's transaction has ended with the marker at an offset.
func (p *Producers) end(known *producer, m record.Marker, at int64) {
	known.coordinator, known.marker = m.CoordinatorEpoch, at
	if known.txnStart != none {
		p.undecided.end(known.txnStart, at)
		known.txnStart = none
	}
}

// ending reads a marker; false for what ends no transaction: another kind of control batch, or one that Kafka's compaction has emptied.
func ending(b record.Batch) (record.Marker, bool) {
	m, err := record.ParseControl(b)
	return m, err == nil && (m.Type == record.Abort || m.Type == record.Commit)
}

// unnumbered says that a batch is a coordinator's in a producer's name: it is part of the transaction, and no part of its sequence.
func unnumbered(b record.Batch) bool {
	return b.BaseSequence() < 0 && b.ProducerEpoch() >= 0 && b.Attributes().Has(record.Transactional)
}

// admit judges a batch that has no sequence: only its epoch may not be older than the producer's.
func (p *producer) admit(b record.Batch) Verdict {
	if p != nil && b.ProducerEpoch() < p.epoch {
		return p.older(b)
	}
	return Verdict{}
}

// mixes refuses a batch without transaction in the midst of one (S92).
func (p *producer) mixes(b record.Batch) Verdict {
	if p.txnStart == none || b.Attributes().Has(record.Transactional) {
		return Verdict{}
	}
	return Verdict{Code: message.InvalidTxnState, Message: fmt.Sprintf(
		"producer %d has a transaction open since offset %d: what it writes must be part of it", b.ProducerID(), p.txnStart)}
}
