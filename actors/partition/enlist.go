package partition

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

const (
	// enlistPatience is how long a transaction's coordinator may take to answer.
	enlistPatience = 10 * time.Second
	// Until the last transaction of a producer has ended everywhere its coordinator says so, and is asked again, each time after twice as
	// long: it mostly takes a sync, and a pause as long as Kafka's would be what a producer of small transactions waits for
	// (add.partitions.to.txn.retry.backoff.max.ms and .backoff.ms of Kafka).
	enlistRetries  = 100 * time.Millisecond
	enlistPauseMin = time.Millisecond
	enlistPauseMax = 20 * time.Millisecond
)

// enlisting is a producer whose transaction begins here. The coordinator is asked whether there is such a transaction and this
// partition is part of it, or, in transaction version 2, to take it in (KIP-890): else a batch that comes late would begin one that
// nobody ends. What the producer sends meanwhile waits in its order; nobody else does.
//
//	Append ─▶ Enlist ─▶ coordinator ─▶ Enlisted ─▶ producers ─▶ log
type enlisting struct {
	producer int64
	asked    stage.RequestID // 0: it is asked again soon
	until    time.Time       // the last transaction may have been ended
	pause    time.Duration   // before it was asked last
	stale    bool            // a marker of the producer came meanwhile: the answer may be of before
	held     []held
}

// held is an append that waits for the coordinator's word.
type held struct {
	from stage.Caller
	ask  *message.Append
}

// enlistAgain is a message to self.
type enlistAgain struct{ producer int64 }

// mustWait holds an append back that waits for the coordinator's word, or for an earlier one of its producer that does; or has refused it.
func (p *Partition) mustWait(c stage.Context, from stage.Caller, m *message.Append, b record.Batch) bool {
	if e := p.enlistingOf(b.ProducerID()); e != nil {
		e.held = append(e.held, held{from, m})
		return true
	}
	asks := (m.Verified || p.replica.Office().Config.VerifyTransactions) && !planted.Is(planted.Unasked)
	if !asks || !m.FromClient || !b.Attributes().Has(record.Transactional) ||
		p.producers.InTransaction(b.ProducerID(), b.ProducerEpoch()) || p.producers.Repeats(b) {
		return false
	}
	if no := p.refusal(m, b, c.Now()); no != nil { // no coordinator has to be asked for that
		p.turnAway(c, from, b, no)
		return true
	}
	e := &enlisting{producer: b.ProducerID(), until: c.Now().Add(enlistRetries), held: []held{{from, m}}}
	p.enlistings = append(p.enlistings, e)
	p.enlist(c, e)
	return true
}

func (p *Partition) enlistingOf(producer int64) *enlisting {
	if producer < 0 {
		return nil
	}
	i := slices.IndexFunc(p.enlistings, func(e *enlisting) bool { return e.producer == producer })
	if i < 0 {
		return nil
	}
	return p.enlistings[i]
}

// enlist asks the coordinator, wherever it is now.
func (p *Partition) enlist(c stage.Context, e *enlisting) {
	first := e.held[0].ask
	at, code := coordinatorOf(c, first.TransactionalID)
	if code != message.OK {
		p.unlisted(c, e, code, "")
		return
	}
	e.stale = false
	e.asked = c.Ask(at, &message.Enlist{TransactionalID: first.TransactionalID, Producer: e.producer, Epoch: record.Batch(first.Batch).ProducerEpoch(),
		Partitions: []message.NamedPartition{{Topic: p.replica.Office().Name, Index: p.post.ID.Index}}, VerifyOnly: !first.Verified}, enlistPatience)
}

// coordinatorOf is who coordinates a transactional id, as far as this node knows.
func coordinatorOf(c stage.Context, id string) (message.Address, message.Code) {
	img, _ := c.Published(message.BrokerAt(c.Self().Node)).(*image.Image)
	if img == nil {
		return message.Address{}, message.CoordinatorNotAvailable
	}
	t := img.Topic(message.TransactionsTopic)
	if t == nil || len(t.Partitions) == 0 {
		return message.Address{}, message.CoordinatorNotAvailable
	}
	index := message.CoordinatorIndex(id, len(t.Partitions))
	leader := t.Partitions[index].Leader
	if leader == message.Nobody {
		return message.Address{}, message.CoordinatorNotAvailable
	}
	return message.CoordinatorAt(leader, t.At(index)), message.OK
}

// enlisted takes the coordinator's word.
func (p *Partition) enlisted(c stage.Context, code message.Code, why string) {
	i := slices.IndexFunc(p.enlistings, func(e *enlisting) bool { return e.asked != 0 && e.asked == c.Answers() })
	if i < 0 {
		return
	}
	e := p.enlistings[i]
	e.asked = 0
	switch {
	case code == message.ConcurrentTransactions && c.Now().Before(e.until):
		e.pause = min(max(2*e.pause, enlistPauseMin), enlistPauseMax)
		c.After(e.pause, &enlistAgain{e.producer})
	case code != message.OK:
		p.unlisted(c, e, code, why)
	case e.stale:
		p.enlist(c, e)
	default:
		p.takeIn(c, e)
	}
}

// enlistedCode is the answer that is this partition's.
func enlistedCode(m *message.Enlisted) message.Code {
	if m.Code == message.OK && len(m.Codes) > 0 {
		return m.Codes[0]
	}
	return m.Code
}

func (p *Partition) enlistAgain(c stage.Context, m *enlistAgain) {
	if e := p.enlistingOf(m.producer); e != nil && e.asked == 0 {
		p.enlist(c, e)
	}
}

// takeIn appends what has waited. If the first one begins no transaction after all, those behind it wait anew.
func (p *Partition) takeIn(c stage.Context, e *enlisting) {
	p.strikeEnlisting(e)
	for i, h := range e.held {
		if p.phase != open {
			p.refuse(c, request{h.from, h.ask}, message.KafkaStorageError)
			continue
		}
		if i == 0 {
			p.admit(c, h.from, h.ask)
		} else {
			p.append(c, h.from, h.ask)
		}
	}
}

// unlisted refuses what has waited.
func (p *Partition) unlisted(c stage.Context, e *enlisting, code message.Code, why string) {
	p.strikeEnlisting(e)
	for _, h := range e.held {
		no := p.notEnlisted(code, why, h.ask.Verified)
		p.post.refused.Note(h.ask.Batch, no.Code, no.Message, c.Now())
		c.Answer(h.from, no)
	}
}

func (p *Partition) strikeEnlisting(e *enlisting) {
	if p.enlistings = slices.DeleteFunc(p.enlistings, func(x *enlisting) bool { return x == e }); len(p.enlistings) == 0 {
		p.enlistings = nil
	}
}

// notEnlisted says in a producer's words what its coordinator has said. Old clients do not try again for every reason for which they
// should: they do where there are too few replicas.
func (p *Partition) notEnlisted(code message.Code, why string, v2 bool) *message.Appended {
	switch code {
	case message.ProducerFenced:
		code = message.InvalidProducerEpoch
	case message.InvalidTxnState:
		why = "the partition was not added to the transaction"
	case message.ConcurrentTransactions:
		if !v2 {
			code, why = message.NotEnoughReplicas, cannotVerify(code)
		}
	case message.CoordinatorLoadInProgress, message.CoordinatorNotAvailable, message.NotCoordinator, message.RequestTimedOut:
		code, why = message.NotEnoughReplicas, cannotVerify(code)
	}
	return p.no(code, why)
}

func cannotVerify(code message.Code) string {
	return fmt.Sprintf("it cannot be verified that the partition was added to the transaction: the coordinator answers with code %d", code)
}

// doubt notes that a producer's transaction has ended here: what its coordinator has said before may be of that one.
func (p *Partition) doubt(producer int64) {
	if e := p.enlistingOf(producer); e != nil {
		e.stale = true
	}
}

// dismissHeld refuses everything that waits for a coordinator's word.
func (p *Partition) dismissHeld(c stage.Context, code message.Code) {
	waiting := p.enlistings
	p.enlistings = nil
	for _, e := range waiting {
		for _, h := range e.held {
			p.refuse(c, request{h.from, h.ask}, code)
		}
	}
}

// heldBack is how many appends wait for a coordinator's word.
func (p *Partition) heldBack() (n int) {
	for _, e := range p.enlistings {
		n += len(e.held)
	}
	return n
}
