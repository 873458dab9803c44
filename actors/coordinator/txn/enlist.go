package txn

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// enlist is S91 and S92: partitions take part in the producer's transaction, all of them or none.
func (t *Transactions) enlist(now time.Time, m *message.Enlist) *message.Enlisted {
	x, code := t.owned(m.TransactionalID, m.Producer, m.Epoch)
	switch {
	case code != message.OK:
		return &message.Enlisted{Code: code}
	case m.VerifyOnly:
		return x.verified(m)
	}
	if codes := t.unknown(m.Partitions); codes != nil {
		return &message.Enlisted{Codes: codes}
	}
	begins := x.state != ongoing
	if begins {
		t.turn(x, ongoing)
		x.started = now.UnixMilli()
	}
	if x.include(m.Partitions) || begins {
		t.write(now, x)
	}
	return &message.Enlisted{Codes: make([]message.Code, len(m.Partitions))}
}

// owned finds the transaction of a producer that is not fenced. While one ends nobody is told whether he is: who ends it may have been given
// an id that he has from its end on.
func (t *Transactions) owned(id string, producer int64, epoch int16) (*transaction, message.Code) {
	switch x := t.named[id]; {
	case id == "":
		return nil, message.InvalidRequest
	case x == nil:
		return nil, message.InvalidProducerIDMapping
	case x.state.ending():
		return nil, message.ConcurrentTransactions
	case x.producer != producer:
		return nil, message.InvalidProducerIDMapping
	case x.epoch != epoch && !planted.Is(planted.ZombieTransacts):
		return nil, message.ProducerFenced
	default:
		return x, message.OK
	}
}

func (x *transaction) verified(m *message.Enlist) *message.Enlisted {
	answer := &message.Enlisted{Codes: make([]message.Code, len(m.Partitions))}
	for i, p := range m.Partitions {
		if x.state != ongoing || !x.has(p) {
			answer.Codes[i] = message.TransactionAbortable
		}
	}
	return answer
}

// unknown are the codes of partitions of which some are not there; nil if all are. Partitions that this node has not heard of yet may not
// come in: what it does not know when the transaction ends is taken for removed.
func (t *Transactions) unknown(parts []message.NamedPartition) (codes []message.Code) {
	for i, p := range parts {
		if t.exists(p) {
			continue
		}
		if codes == nil {
			codes = make([]message.Code, len(parts))
			for j := range codes {
				codes[j] = message.OperationNotAttempted
			}
		}
		codes[i] = message.UnknownTopicOrPartition
	}
	return codes
}

func (t *Transactions) exists(p message.NamedPartition) bool {
	topic := t.image.Topic(p.Topic)
	return topic != nil && topic.Partition(p.Index) != nil
}
