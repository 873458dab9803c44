package group

import (
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

const (
	// verifyPatience is how long a transaction's coordinator may take to answer.
	verifyPatience = 10 * time.Second
	// Until the last transaction of a producer has ended everywhere its coordinator says so, and is asked again
	// (add.partitions.to.txn.retry.backoff.max.ms and .backoff.ms of Kafka).
	verifyRetries = 100 * time.Millisecond
	verifyPause   = 20 * time.Millisecond
)

// verification is a question for the coordinator of a transaction that begins here.
type verification uint64

// verifications are commits that wait for the word of their transaction's coordinator: that there is such a transaction and this partition
// is part of it, or, in transaction version 2, that it has taken it in (KIP-890). Else one that comes late would begin a
// transaction that nobody ends.
type verifications struct {
	waiting map[verification]*verifying
	last    verification
	again   []verification // that are asked again, in this order
	due     time.Time      // when; zero: none
}

type verifying struct {
	from  Caller
	ask   *message.CommitTxnOffsets
	until time.Time // the last transaction may have been ended
	stale bool      // a marker of the producer came meanwhile: the answer may be of before
}

// verify has a commit wait until its transaction's coordinator has answered.
func (g *Groups) verify(now time.Time, from Caller, m *message.CommitTxnOffsets) {
	v := &g.txns.verifications
	if v.waiting == nil {
		v.waiting = map[verification]*verifying{}
	}
	v.last++
	v.waiting[v.last] = &verifying{from: from, ask: m, until: now.Add(verifyRetries)}
	g.askTxn(now, v.last)
}

// askTxn asks the coordinator, wherever it is now.
func (g *Groups) askTxn(now time.Time, ref verification) {
	w := g.txns.waiting[ref]
	w.stale = false
	at, found := g.catalogue.Transactions(w.ask.TransactionalID)
	if !found {
		g.verified(now, ref, nil)
		return
	}
	g.out.Asks = append(g.out.Asks, brain.Ask{Ref: ref, To: at, Patience: verifyPatience, Word: &message.Enlist{TransactionalID: w.ask.TransactionalID,
		Producer: w.ask.Producer, Epoch: w.ask.Epoch, VerifyOnly: w.ask.Version < 2,
		Partitions: []message.NamedPartition{{Topic: message.GroupsTopic, Index: g.place.Partition.Index}}}})
}

// doubt notes that a producer's transaction ends here.
func (g *Groups) doubt(producer int64) {
	for _, w := range g.txns.waiting {
		w.stale = w.stale || w.ask.Producer == producer
	}
}

// verified takes the coordinator's word.
func (g *Groups) verified(now time.Time, ref verification, answer any) {
	v := &g.txns.verifications
	w := v.waiting[ref]
	if w == nil {
		return
	}
	code := enlistedCode(answer)
	if code == message.ConcurrentTransactions && now.Before(w.until) {
		if v.again = append(v.again, ref); v.due.IsZero() {
			v.due = now.Add(verifyPause)
		}
		return
	}
	if code == message.OK && w.stale {
		g.askTxn(now, ref)
		return
	}
	delete(v.waiting, ref)
	if code != message.OK {
		g.reply(w.from, &message.OffsetsCommitted{Code: w.said(code)})
		return
	}
	if answer := g.commitTxn(now, w.from, w.ask, true); answer != nil {
		g.reply(w.from, answer)
	}
}

// enlistedCode is what a coordinator's answer says of the only partition that it was asked about.
func enlistedCode(answer any) message.Code {
	switch m := answer.(type) {
	case *message.Enlisted:
		if m.Code == message.OK && len(m.Codes) == 1 {
			return m.Codes[0]
		}
		return m.Code
	case *message.Uncoordinated:
		return m.Code
	}
	return message.CoordinatorNotAvailable
}

// said is a code of a transaction's coordinator in the words of who commits offsets: it is this coordinator that is to be asked again.
func (w *verifying) said(code message.Code) message.Code {
	switch code {
	case message.ProducerFenced:
		return message.InvalidProducerEpoch
	case message.TransactionAbortable:
		if !w.ask.Abortable {
			return message.InvalidTxnState
		}
	case message.ConcurrentTransactions:
		if w.ask.Version < 2 {
			return message.CoordinatorLoadInProgress
		}
	case message.CoordinatorNotAvailable, message.NotCoordinator, message.UnknownTopicOrPartition:
		return message.CoordinatorLoadInProgress
	}
	return code
}

// verifyAgain asks those coordinators again that were ending a producer's last transaction.
func (g *Groups) verifyAgain(now time.Time) {
	v := &g.txns.verifications
	if v.due.IsZero() || v.due.After(now) {
		return
	}
	again := v.again
	v.again, v.due = nil, time.Time{}
	for _, ref := range again {
		g.askTxn(now, ref)
	}
}
