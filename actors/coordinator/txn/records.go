package txn

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// What the log of __transaction_state has are Kafka's records (section 4.4 of its internals), so that its tools can read them:
//
//	key    2 version (0)    2 . transactional id
//	value  2 version        8 producer id   2 epoch   4 timeout, ms   1 state   topics with partitions, null if empty
//	       (0; 1 flexible)  8 written, ms   8 begun, ms; -1: never
//	                        tags of version 1: 0 the id before, 1 the id from the end on, 2 version of who ended it
//
// The epoch whose owner may still ask for the newest one is not in them: behind a failover it is told that it is fenced, as in Kafka.

func key(id string) []byte {
	k := kmsg.TxnMetadataKey{TransactionalID: id}
	return k.AppendTo(nil)
}

// record is what is kept of a transactional id, where transactions are of a version.
func (x *transaction) record(version int16) brain.Record {
	v := kmsg.TxnMetadataValue{ProducerID: x.producer, ProducerEpoch: x.epoch, TimeoutMillis: int32(x.timeout.Milliseconds()), State: kmsg.TransactionState(x.state),
		LastUpdateTimestamp: x.updated, StartTimestamp: x.started, PreviousProducerID: x.previous, NextProducerID: x.next, ClientTransactionVersion: x.version,
		NextProducerEpoch: -1}
	if version >= 1 {
		v.Version = 1
	}
	if x.state != empty {
		v.Topics = topicsOf(x.parts)
	}
	return brain.Record{Key: key(x.id), Value: v.AppendTo(nil)}
}

// topicsOf are sorted partitions by topic; never nil.
func topicsOf(parts []message.NamedPartition) []kmsg.TxnMetadataValueTopic {
	topics := []kmsg.TxnMetadataValueTopic{}
	for _, p := range parts {
		if n := len(topics); n == 0 || topics[n-1].Topic != p.Topic {
			topics = append(topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic})
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p.Index)
	}
	return topics
}

// Replay is part of brain.Brain.
func (t *Transactions) Replay(_ time.Time, r brain.Record) error {
	id, err := readKey(r.Key)
	if err != nil {
		return err
	}
	if r.Value == nil {
		if x := t.named[id]; x != nil {
			t.turn(x, dead)
			delete(t.named, id)
		}
		return nil
	}
	read, err := readValue(r.Value)
	if err != nil {
		return err
	}
	x := t.named[id]
	if x == nil {
		x = &transaction{}
		t.named[id] = x
	}
	read.id = id
	*x = *read
	t.turn(x, x.state)
	return nil
}

func readKey(from []byte) (id string, err error) {
	k := kbin.Reader{Src: from}
	if version := k.Int16(); version != 0 {
		return "", fmt.Errorf("nobody knows keys of version %d", version)
	}
	id = k.String()
	if err := k.Complete(); err != nil {
		return "", fmt.Errorf("the key of a transaction: %w", err)
	}
	return id, nil
}

var errState = errors.New("the state of a transaction is none that is written")

// readValue reads what may be anything: lengths are held against what is there.
func readValue(from []byte) (*transaction, error) {
	v := decoder{Reader: kbin.Reader{Src: from}}
	version := v.Int16()
	if version < 0 || version > 1 {
		return nil, fmt.Errorf("nobody knows values of version %d", version)
	}
	v.flexible = version == 1
	x := &transaction{last: -1, previous: noID, next: noID}
	x.producer, x.epoch = v.Int64(), v.Int16()
	x.timeout = time.Duration(v.Int32()) * time.Millisecond
	x.state = state(v.Int8())
	v.topics(x)
	x.updated, x.started = v.Int64(), v.Int64()
	v.tags(x)
	switch err := v.Complete(); {
	case err != nil:
		return nil, fmt.Errorf("the value of a transaction: %w", err)
	case x.state > completeAbort:
		return nil, errState
	}
	return x, nil
}

type decoder struct {
	kbin.Reader
	flexible bool
}

func (d *decoder) length() int32 {
	if d.flexible {
		return d.CompactArrayLen()
	}
	return d.ArrayLen()
}

func (d *decoder) topics(x *transaction) {
	for n := d.length(); n > 0 && d.Ok(); n-- {
		p := message.NamedPartition{}
		if d.flexible {
			p.Topic = d.CompactString()
		} else {
			p.Topic = d.String()
		}
		for m := d.length(); m > 0 && d.Ok(); m-- {
			p.Index = d.Int32()
			x.include([]message.NamedPartition{p})
		}
		if d.flexible {
			d.tags(nil)
		}
	}
}

// tags reads the tagged fields at the end of a struct; those that nobody knows, and all of them where x is nil, are left out.
func (d *decoder) tags(x *transaction) {
	if !d.flexible {
		return
	}
	for n := d.Uvarint(); n > 0 && d.Ok(); n-- {
		number, size := d.Uvarint(), int(d.Uvarint())
		field := kbin.Reader{Src: d.Span(size)}
		if x == nil || !d.Ok() {
			continue
		}
		switch number {
		case 0:
			x.previous = field.Int64()
		case 1:
			x.next = field.Int64()
		case 2:
			x.version = field.Int16()
		default:
			continue
		}
		if field.Complete() != nil {
			d.Span(-1) // spoils the whole
		}
	}
}

// ReplayMarker is part of brain.Brain: transactions are not kept in transactions.
func (t *Transactions) ReplayMarker(time.Time, brain.Marker) {}

// Loaded is part of brain.Brain: who ends has its partitions told, some of them again (S99).
func (t *Transactions) Loaded(now time.Time) brain.Out {
	t.checked, t.scanned = now, now
	if planted.Is(planted.MarkersForgotten) {
		return t.take()
	}
	for _, x := range t.all() {
		if x.state.ending() {
			t.tell(now, x)
		}
	}
	return t.take()
}
