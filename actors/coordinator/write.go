package coordinator

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

// pen gathers what is to be written while the page before is being replicated.
type pen struct {
	pages []page
	asked stage.RequestID // for the first page; 0: it is not sent yet
}

// page is a batch of records, who is answered and what is asked when it is committed.
type page struct {
	records []brain.Record
	txn     *brain.Txn // that the records are a part of; nil: none
	bytes   int
	time    int64 // milliseconds
	replies []brain.Reply
	asks    []brain.Ask
}

// pageBytes is about how much goes into one batch. What one question leads to is not torn apart.
const pageBytes = 256 << 10

// recordFrame is what a record takes beside its key and value, at most.
const recordFrame = 24

// add writes down what follows from one question. What is too much for a batch of most bytes is more than one batch; what a brain
// makes of the first ones alone is in order too.
func (p *pen) add(now time.Time, out brain.Out, most int) {
	if len(p.pages) == 0 || len(out.Records) > 0 && (p.full() || !p.pages[len(p.pages)-1].of(out.Txn)) {
		p.pages = append(p.pages, page{})
	}
	last := &p.pages[len(p.pages)-1]
	if len(out.Records) > 0 {
		last.txn = out.Txn
	}
	for _, r := range out.Records {
		size := len(r.Key) + len(r.Value) + recordFrame
		if last.bytes > 0 && last.bytes+size > most {
			p.pages = append(p.pages, page{txn: out.Txn})
			last = &p.pages[len(p.pages)-1]
		}
		last.bytes += size
		last.records, last.time = append(last.records, r), now.UnixMilli()
	}
	last.replies = append(last.replies, out.Replies...)
	last.asks = append(last.asks, out.Asks...)
}

// of says that records of a transaction, or of none, may be in the page.
func (p *page) of(txn *brain.Txn) bool {
	return len(p.records) == 0 || p.txn == txn || p.txn != nil && txn != nil && *p.txn == *txn
}

// full says that the last page takes no more: it is under way, or large.
func (p *pen) full() bool {
	return len(p.pages) == 1 && p.asked != 0 || p.pages[len(p.pages)-1].bytes >= pageBytes
}

// write has the first page appended, and answers what needs no writing.
func (k *Coordinator) write(c stage.Context) {
	for k.pen.asked == 0 && len(k.pen.pages) > 0 {
		first := &k.pen.pages[0]
		if len(first.records) > 0 {
			k.append(c, first)
			return
		}
		k.finish(c)
	}
}

func (k *Coordinator) append(c stage.Context, p *page) {
	if planted.Is(planted.GroupAnswersEarly) || planted.Is(planted.EndAnsweredEarly) && p.ends() {
		k.tell(c, p)
	}
	b := record.NewBuilder(0)
	if p.txn != nil {
		b.Flags, b.ProducerID, b.ProducerEpoch = record.Transactional, p.txn.Producer, p.txn.Epoch
	}
	for _, r := range p.records {
		b.Add(p.time, r.Key, r.Value)
	}
	batch, err := b.Build(nil)
	if err != nil {
		c.Fail(err)
	}
	k.pen.asked = c.Ask(k.partition(c), &message.Append{Batch: batch, Acks: -1, MaxTimestamp: p.time}, k.opts.AppendPatience)
}

// ends says that the end of a transaction is answered with the page.
func (p *page) ends() bool {
	return slices.ContainsFunc(p.replies, func(r brain.Reply) bool { _, ends := r.Answer.(*message.TransactionEnded); return ends })
}

// finish answers for the first page, and asks what was to be asked behind it.
func (k *Coordinator) finish(c stage.Context) {
	k.tell(c, &k.pen.pages[0])
	k.put(c, k.pen.pages[0].asks)
	k.pen.pages[0] = page{}
	k.pen.pages, k.pen.asked = k.pen.pages[1:], 0
}

func (k *Coordinator) tell(c stage.Context, p *page) {
	for _, r := range p.replies {
		c.Answer(k.callers.take(r.To), r.Answer)
	}
	p.replies = nil
}

func (k *Coordinator) appended(c stage.Context, m *message.Appended) {
	if c.Answers() != k.pen.asked || k.pen.asked == 0 {
		return
	}
	if m.Code == message.OK {
		k.finish(c)
		k.write(c)
		return
	}
	code := message.CoordinatorNotAvailable
	if m.Code == message.NotLeaderOrFollower {
		code = message.NotCoordinator
	}
	k.fail(c, code, m.Message)
}

// fail gives up what is not known to be committed: what the brain knows is more than the log may hold. It is read again.
func (k *Coordinator) fail(c stage.Context, code message.Code, why string) {
	c.Log().Warn("a coordinator's records could not be written: it reads its log again", "why", why)
	k.dismiss(c, code)
	k.phase = loading
	k.openLater(c)
}
