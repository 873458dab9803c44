package txn

import (
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// end is S93 and S94. nil asks for a fresh producer id.
func (t *Transactions) end(now time.Time, m *message.EndTransaction, fresh int64) *message.TransactionEnded {
	if m.Version < 2 {
		return t.endOld(now, m)
	}
	x := t.named[m.TransactionalID]
	if x == nil {
		return ended(message.InvalidProducerIDMapping)
	}
	switch again := x.repeats(m); {
	case x.state.ending():
		return ended(message.ConcurrentTransactions)
	case again:
		return x.repeated(m)
	case m.Producer != x.producer:
		return ended(message.InvalidProducerIDMapping)
	case m.Epoch != x.epoch:
		return ended(message.ProducerFenced)
	case x.state != ongoing && m.Commit:
		return ended(message.InvalidTxnState)
	case x.exhausted() && fresh == noID:
		return nil
	}
	if x.state != ongoing {
		x.started = now.UnixMilli() // an abort of nothing ends an epoch all the same
	}
	next := noID
	if x.exhausted() {
		next = fresh
	}
	x.last = x.epoch
	t.finish(now, x, m.Commit, 2, x.epoch+1, next)
	if next != noID {
		return &message.TransactionEnded{Producer: next, Epoch: 0}
	}
	return &message.TransactionEnded{Producer: x.producer, Epoch: x.epoch}
}

// repeats says that a producer ends in version 2 what it has ended before, and did not hear of: its epoch is the one before.
func (x *transaction) repeats(m *message.EndTransaction) bool {
	switch {
	case x.state == empty, x.state == ongoing:
		return false
	case m.Producer == x.producer:
		return m.Epoch == x.epoch-1
	}
	return m.Producer == x.previous && m.Epoch == math.MaxInt16-1 && x.epoch == 0
}

// repeated answers it: with the same end only. An epoch that only fences is given to nobody.
func (x *transaction) repeated(m *message.EndTransaction) *message.TransactionEnded {
	switch {
	case m.Commit != (x.state == completeCommit):
		return ended(message.InvalidTxnState)
	case x.epoch == math.MaxInt16:
		return ended(message.ProducerFenced)
	}
	return &message.TransactionEnded{Producer: x.producer, Epoch: x.epoch}
}

// endOld is the end of a transaction whose producer keeps its epoch.
func (t *Transactions) endOld(now time.Time, m *message.EndTransaction) *message.TransactionEnded {
	x, code := t.owned(m.TransactionalID, m.Producer, m.Epoch)
	if code != message.OK {
		return ended(code)
	}
	switch same := m.Commit == (x.state == completeCommit); {
	case x.state == empty, x.state != ongoing && !same:
		return ended(message.InvalidTxnState)
	case x.state == ongoing:
		t.finish(now, x, m.Commit, 0, x.epoch, noID)
	}
	return &message.TransactionEnded{Producer: x.producer, Epoch: x.epoch}
}

// abort ends what is open without its producer, which is fenced by it (S89, S97).
func (t *Transactions) abort(now time.Time, x *transaction) {
	x.last = -1
	epoch := x.epoch + 1
	if planted.Is(planted.TimeoutKeepsEpoch) {
		epoch = x.epoch
	}
	t.finish(now, x, false, t.ownVersion(), epoch, noID)
}

// ownVersion is the version of an end that no producer has asked for: below 2 they are all the same.
func (t *Transactions) ownVersion() int16 {
	if v := t.version(); v >= 2 {
		return v
	}
	return 0
}

// finish writes down how a transaction ends, in which epoch, and has its partitions told.
func (t *Transactions) finish(now time.Time, x *transaction, commit bool, version, epoch int16, next int64) {
	x.version, x.epoch, x.next = version, epoch, next
	if commit {
		t.turn(x, prepareCommit)
	} else {
		t.turn(x, prepareAbort)
	}
	if t.complete(now, x) {
		return
	}
	t.write(now, x)
	t.tell(now, x)
}

func ended(code message.Code) *message.TransactionEnded {
	return &message.TransactionEnded{Code: code, Producer: noID, Epoch: -1}
}
