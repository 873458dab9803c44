package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// What the APIs of transactions have in common.

// askTransaction asks who coordinates a transactional id, if it is here.
func askTransaction[A any](c stage.Context, r *Request, id string, ask any, then func(c stage.Context, answer *A, code message.Code)) {
	at, code := r.txnCoordinator(id)
	if code != message.OK {
		then(c, new(A), code)
		return
	}
	askCoordinator(c, r, at, ask, coordinatorPatience, message.CoordinatorNotAvailable, then)
}

// txnCoordinator finds who coordinates a transactional id, if it is here.
func (r *Request) txnCoordinator(id string) (message.Address, message.Code) {
	if id == "" || len(id) > textMax {
		return message.Address{}, message.InvalidRequest
	}
	return r.coordinatorHere(txnTopic, id)
}

// fenced is a code as a request's version tells it: before the version since which there is a code for a producer that is fenced, its
// epoch was said to be invalid (KIP-588).
func (r *Request) fenced(code message.Code, since int16) message.Code {
	if code == message.ProducerFenced && r.Version < since {
		return message.InvalidProducerEpoch
	}
	return code
}

// enlisting is a question about partitions of a transaction, and where the answer wants their codes.
type enlisting struct {
	ask   message.Enlist
	fates fates
	bad   bool // one of them is not there
}

// part takes in a partition, whose code is at a place of the answer.
func (e *enlisting) part(r *Request, topic string, index int32, fate *int16) {
	e.ask.Partitions, e.fates = append(e.ask.Partitions, message.NamedPartition{Topic: topic, Index: index}), append(e.fates, fate)
	if t := r.Image.Topic(topic); t == nil || t.Partition(index) == nil {
		*fate, e.bad = int16(message.UnknownTopicOrPartition), true
	}
}

// begin asks, unless some of the partitions are not there: then none comes in (S91). done follows when all codes are written.
func (e *enlisting) begin(c stage.Context, r *Request, done func(c stage.Context)) {
	if e.bad {
		for _, fate := range e.fates {
			if *fate == 0 {
				*fate = int16(message.OperationNotAttempted)
			}
		}
		done(c)
		return
	}
	askTransaction(c, r, e.ask.TransactionalID, &e.ask, func(c stage.Context, is *message.Enlisted, code message.Code) {
		e.fates.settle(is.Codes, code, r.fenced(is.Code, 2))
		done(c)
	})
}

// namedByTopic are sorted partitions as a description has them.
func namedByTopic(parts []message.NamedPartition) (topics []kmsg.DescribeTransactionsResponseTransactionStateTopic) {
	for _, p := range parts {
		if n := len(topics); n == 0 || topics[n-1].Topic != p.Topic {
			topics = append(topics, kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: p.Topic})
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p.Index)
	}
	return topics
}
