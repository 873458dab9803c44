package txn

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// initiate is S88-S90: who has a transactional id from now on. nil asks for a fresh producer id.
func (t *Transactions) initiate(now time.Time, m *message.InitProducer, fresh int64) *message.ProducerInitiated {
	if m.Timeout <= 0 || m.Timeout > t.settings.TimeoutMax {
		return initiated(message.InvalidTransactionTimeout)
	}
	x := t.named[m.TransactionalID]
	if x == nil {
		if fresh == noID {
			return nil
		}
		x = &transaction{id: m.TransactionalID, producer: fresh, epoch: 0, last: -1, previous: noID, next: noID}
		t.named[x.id] = x
		return t.settle(now, x, m)
	}
	switch expects := m.Producer >= 0; {
	case x.state.ending():
		return initiated(message.ConcurrentTransactions)
	case expects && !x.mayExpect(m):
		return initiated(message.ProducerFenced)
	case x.state == ongoing:
		return t.fence(now, x, m)
	case x.exhausted() && !(expects && m.Epoch != x.epoch):
		if fresh == noID {
			return nil
		}
		x.rotate(fresh, expects)
	case !expects:
		x.epoch, x.last = x.epoch+1, -1
	case m.Epoch == x.epoch && m.Producer == x.producer:
		x.epoch, x.last = x.epoch+1, x.epoch
	}
	return t.settle(now, x, m) // else it asks again for what it was given before
}

// mayExpect says that a producer names what it was given: the newest epoch, or the one before, which it may have lost the answer to
// (KIP-360). Behind the last epoch of an id there is another id.
func (x *transaction) mayExpect(m *message.InitProducer) bool {
	if m.Producer == x.producer {
		return m.Epoch == x.epoch || m.Epoch == x.last && x.state != ongoing
	}
	return m.Producer == x.previous && m.Epoch == x.last && x.epoch == 0
}

// rotate gives a producer an id that has all its epochs before it.
func (x *transaction) rotate(fresh int64, expects bool) {
	x.last = -1
	if expects {
		x.last = x.epoch
	}
	x.previous, x.producer, x.epoch = x.producer, fresh, 0
}

// settle begins a producer's time with nothing open.
func (t *Transactions) settle(now time.Time, x *transaction, m *message.InitProducer) *message.ProducerInitiated {
	t.turn(x, empty)
	x.timeout, x.started, x.version, x.next = m.Timeout, -1, 0, noID
	t.write(now, x)
	return &message.ProducerInitiated{Producer: x.producer, Epoch: x.epoch}
}

// fence aborts what is open in an epoch that its producer does not have. Who named its own epoch may have that one: it has not gone.
func (t *Transactions) fence(now time.Time, x *transaction, m *message.InitProducer) *message.ProducerInitiated {
	last := int16(-1)
	if m.Producer >= 0 {
		last = x.epoch
	}
	t.abort(now, x)
	x.last = last
	return initiated(message.ConcurrentTransactions)
}

func initiated(code message.Code) *message.ProducerInitiated {
	return &message.ProducerInitiated{Code: code, Producer: noID, Epoch: -1}
}
