package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// transacted is a house on a node that coordinates the transactional ids and the groups of two partitions. plays plays coordinators only.
func transacted(t testing.TB, plays func(at message.Address, ask any) any) *house {
	led := func(topic string, index int, leader message.NodeID) message.MetadataRecord {
		return &message.PartitionRecord{Partition: at(topic, index), Leader: leader, LeaderEpoch: epoch, Replicas: []message.NodeID{me, 2, 3}, ISR: []message.NodeID{me}}
	}
	h := newHouse(t, cluster(map[string]int{"t": 2, "u": 1, groupTopic: internals, txnTopic: internals}, node(2, "b"),
		led(txnTopic, there, 2), led(txnTopic, orphaned, message.Nobody), led(groupTopic, there, 2)))
	h.plays = func(to message.Address, ask any) any {
		if to.Kind != message.KindCoordinator {
			t.Errorf("%v was asked %T", to, ask)
		}
		return plays(to, ask)
	}
	return h
}

// txnAPI makes a request about one transactional id, and the answer to be read into.
type txnAPI struct {
	row    api
	ask    func(id string) kmsg.Request
	answer func() kmsg.Response
	fenced int16 // since this version there is a code for who is fenced
	says   func(code message.Code) any
}

func txnAPIs() []txnAPI {
	enlisted := func(code message.Code) any { return &message.Enlisted{Code: code} }
	return []txnAPI{
		{row: initProducerIDAPI, fenced: 4, answer: func() kmsg.Response { return kmsg.NewPtrInitProducerIDResponse() },
			says: func(code message.Code) any { return &message.ProducerInitiated{Code: code, Producer: -1, Epoch: -1} },
			ask: func(id string) kmsg.Request {
				return &kmsg.InitProducerIDRequest{TransactionalID: &id, TransactionTimeoutMillis: 1000, ProducerID: 7, ProducerEpoch: 3}
			}},
		{row: addPartitionsToTxnAPI, fenced: 2, says: enlisted, answer: func() kmsg.Response { return kmsg.NewPtrAddPartitionsToTxnResponse() },
			ask: func(id string) kmsg.Request {
				return &kmsg.AddPartitionsToTxnRequest{TransactionalID: id, ProducerID: 7, ProducerEpoch: 3, Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: []int32{1, 0}}, {Topic: "u", Partitions: []int32{0}}},
					Transactions: []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: id, ProducerID: 7, ProducerEpoch: 3, Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: "t", Partitions: []int32{1, 0}}, {Topic: "u", Partitions: []int32{0}}}}}}
			}},
		{row: addOffsetsToTxnAPI, fenced: 2, says: enlisted, answer: func() kmsg.Response { return kmsg.NewPtrAddOffsetsToTxnResponse() },
			ask: func(id string) kmsg.Request {
				return &kmsg.AddOffsetsToTxnRequest{TransactionalID: id, ProducerID: 7, ProducerEpoch: 3, Group: groupIn(there, 0)}
			}},
		{row: endTxnAPI, fenced: 2, says: func(code message.Code) any { return &message.TransactionEnded{Code: code, Producer: -1, Epoch: -1} },
			answer: func() kmsg.Response { return kmsg.NewPtrEndTxnResponse() },
			ask: func(id string) kmsg.Request {
				return &kmsg.EndTxnRequest{TransactionalID: id, ProducerID: 7, ProducerEpoch: 3, Commit: true}
			}},
		{row: describeTransactionsAPI, answer: func() kmsg.Response { return kmsg.NewPtrDescribeTransactionsResponse() },
			ask: func(id string) kmsg.Request { return &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{id}} }},
	}
}

func eachTxnAPI(do func(a txnAPI, version int16, name string)) {
	for _, a := range txnAPIs() {
		for v := a.row.min; v <= a.row.max; v++ {
			do(a, v, fmt.Sprintf("%s version %d", kmsg.NameForKey(a.row.key), v))
		}
	}
}

// Who is asked about a transactional id that is not its own says so, and asks nobody; a coordinator that does not answer is told in codes
// upon which clients try again.
func TestTransactionsThatAreNotHere(t *testing.T) {
	eachTxnAPI(func(a txnAPI, version int16, name string) {
		nobody := func(at message.Address, ask any) any { t.Errorf("%s: %v was asked %+v", name, at, ask); return nil }
		for _, partition := range []int{there, orphaned} {
			tells(t, name, call(transacted(t, nobody), a.ask(groupIn(partition, 0)), a.answer(), version), message.NotCoordinator)
		}
		tells(t, name+" without an id", call(transacted(t, nobody), a.ask(""), a.answer(), version), message.InvalidRequest)
		for _, c := range []struct {
			answer any
			want   message.Code
		}{
			{&message.Uncoordinated{Code: message.CoordinatorLoadInProgress}, message.CoordinatorLoadInProgress},
			{&stage.Down{}, message.NotCoordinator}, {&stage.TimedOut{}, message.CoordinatorNotAvailable}, {&message.Progressed{}, message.UnknownServerError},
		} {
			tells(t, fmt.Sprintf("%s, %T", name, c.answer), call(transacted(t, answering(c.answer)), a.ask(groupIn(here, 0)), a.answer(), version), c.want)
		}
	})
}

// S90: PRODUCER_FENCED is INVALID_PRODUCER_EPOCH to versions that do not know it.
func TestWhoIsFencedHearsOfIt(t *testing.T) {
	eachTxnAPI(func(a txnAPI, version int16, name string) {
		if a.says == nil {
			return
		}
		want := message.ProducerFenced
		if version < a.fenced {
			want = message.InvalidProducerEpoch
		}
		tells(t, name, call(transacted(t, answering(a.says(message.ProducerFenced))), a.ask(groupIn(here, 0)), a.answer(), version), want)
	})
}

// S88: "null txn id -> fresh pid; "" -> INVALID_REQUEST." What a producer has had is asked for from version 3 on.
func TestTransactionalProducersAreInitiated(t *testing.T) {
	id := groupIn(1, 0)
	for version := int16(0); version <= 5; version++ {
		h := transacted(t, func(at message.Address, ask any) any {
			want := message.InitProducer{TransactionalID: id, Timeout: time.Minute, Producer: -1, Epoch: -1}
			if version >= 3 {
				want.Producer, want.Epoch = 7, 3
			}
			if got := ask.(*message.InitProducer); *got != want || at != message.CoordinatorAt(me, atTxn(1)) {
				t.Errorf("version %d: %v was asked %+v", version, at, got)
			}
			return &message.ProducerInitiated{Producer: 9, Epoch: 4}
		})
		r := call(h, &kmsg.InitProducerIDRequest{TransactionalID: &id, TransactionTimeoutMillis: 60_000, ProducerID: 7, ProducerEpoch: 3}, kmsg.NewPtrInitProducerIDResponse(), version)
		if r.ErrorCode != 0 || r.ProducerID != 9 || r.ProducerEpoch != 4 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

func atTxn(index int) message.PartitionID { return at(txnTopic, index) }

// S91: all partitions come in or none: where one is not there the others are not attempted, and nobody is asked.
func TestPartitionsAreAddedTogether(t *testing.T) {
	id := groupIn(here, 0)
	for version := int16(0); version <= 5; version++ {
		a := txnAPIs()[1]
		h := transacted(t, func(_ message.Address, ask any) any {
			m := ask.(*message.Enlist)
			if m.TransactionalID != id || m.Producer != 7 || m.Epoch != 3 || m.VerifyOnly || fmt.Sprint(m.Partitions) != "[{t 1} {t 0} {u 0}]" {
				t.Errorf("version %d: asked %+v", version, m)
			}
			return &message.Enlisted{Codes: []message.Code{0, message.TransactionAbortable, 0}}
		})
		r := call(h, a.ask(id), kmsg.NewPtrAddPartitionsToTxnResponse(), version)
		if codes := addedCodes(r); fmt.Sprint(codes) != "[0 120 0]" {
			t.Errorf("version %d: %v", version, codes)
		}
		q := a.ask(id).(*kmsg.AddPartitionsToTxnRequest)
		q.Topics[1].Topic, q.Transactions[0].Topics[1].Topic = "nothing", "nothing"
		nobody := func(at message.Address, ask any) any {
			t.Errorf("version %d: %v was asked %+v", version, at, ask)
			return nil
		}
		r = call(transacted(t, nobody), q, kmsg.NewPtrAddPartitionsToTxnResponse(), version)
		if codes := addedCodes(r); fmt.Sprint(codes) != "[55 55 3]" {
			t.Errorf("version %d: %v", version, codes)
		}
	}
}

func addedCodes(r *kmsg.AddPartitionsToTxnResponse) (codes []int16) {
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	for _, x := range r.Transactions {
		for _, t := range x.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
	}
	return codes
}

// The partition in which a group's offsets are comes into the transaction, wherever it is led; a topic of groups that is not there is
// brought about.
func TestOffsetsAreAdded(t *testing.T) {
	id := groupIn(here, 0)
	for version := int16(0); version <= 4; version++ {
		a := txnAPIs()[2]
		h := transacted(t, func(_ message.Address, ask any) any {
			if m := ask.(*message.Enlist); fmt.Sprint(m.Partitions) != fmt.Sprintf("[{%s %d}]", groupTopic, there) {
				t.Errorf("version %d: asked %+v", version, m)
			}
			return &message.Enlisted{Codes: []message.Code{0}}
		})
		tells(t, "added", call(h, a.ask(id), a.answer(), version), message.OK)
		bare := newHouse(t, cluster(map[string]int{txnTopic: internals}))
		tells(t, "without the topic", call(bare, a.ask(id), a.answer(), version), message.CoordinatorNotAvailable)
		if len(bare.sent) != 1 {
			t.Errorf("%+v", bare.sent)
		}
	}
}

// S94: "EndTxn v5 returns producer_id/epoch"; older versions are of the old kind of transactions.
func TestTransactionsAreEnded(t *testing.T) {
	for version := int16(0); version <= 5; version++ {
		h := transacted(t, func(_ message.Address, ask any) any {
			want := message.EndTransaction{TransactionalID: groupIn(here, 0), Producer: 7, Epoch: 3, Commit: true}
			if version == 5 {
				want.Version = 2
			}
			if got := ask.(*message.EndTransaction); *got != want {
				t.Errorf("version %d: asked %+v", version, got)
			}
			return &message.TransactionEnded{Producer: 7, Epoch: 4}
		})
		r := call(h, txnAPIs()[3].ask(groupIn(here, 0)), kmsg.NewPtrEndTxnResponse(), version)
		if r.ErrorCode != 0 || version == 5 && (r.ProducerID != 7 || r.ProducerEpoch != 4) {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// S98: each coordinator is asked about its ids; what is not there is TRANSACTIONAL_ID_NOT_FOUND(105).
func TestTransactionsAreDescribed(t *testing.T) {
	h := transacted(t, func(_ message.Address, ask any) any {
		d := message.DescribedTransaction{Code: message.TransactionalIDNotFound}
		if ask.(*message.DescribeTransactions).TransactionalIDs[0] == groupIn(here, 0) {
			d = message.DescribedTransaction{State: "Ongoing", Timeout: time.Minute, Started: 5, Producer: 7, Epoch: 3,
				Partitions: []message.NamedPartition{{Topic: "t"}, {Topic: "t", Index: 1}, {Topic: "u"}}}
		}
		return &message.TransactionsDescribed{Transactions: []message.DescribedTransaction{d}}
	})
	r := call(h, &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{groupIn(here, 0), groupIn(there, 0), groupIn(1, 0)}}, kmsg.NewPtrDescribeTransactionsResponse(), 0)
	s := r.TransactionStates[0]
	if s.State != "Ongoing" || s.TimeoutMillis != 60_000 || s.StartTimestamp != 5 || s.ProducerID != 7 || s.ProducerEpoch != 3 || len(s.Topics) != 2 || len(s.Topics[0].Partitions) != 2 {
		t.Errorf("%+v", s)
	}
	if r.TransactionStates[1].ErrorCode != 16 || r.TransactionStates[2].ErrorCode != 105 {
		t.Errorf("%+v", r.TransactionStates)
	}
}

// S98: lists are filtered, by a pattern too that matches the whole id; states that nobody knows are named.
func TestTransactionsAreListed(t *testing.T) {
	for version := int16(0); version <= 2; version++ {
		h := transacted(t, func(at message.Address, ask any) any {
			m := ask.(*message.ListTransactions)
			if want := min(time.Duration(version), 1)*2*time.Second - time.Duration(1-min(version, 1)); m.Longer != want || len(m.States) != 2 || len(m.Producers) != 1 {
				t.Errorf("version %d: asked %+v", version, m)
			}
			if at != message.CoordinatorAt(me, atTxn(here)) {
				return &message.TransactionsListed{}
			}
			return &message.TransactionsListed{Transactions: []message.ListedTransaction{{TransactionalID: "ab", State: "Ongoing", Producer: 1}, {TransactionalID: "abc"}}}
		})
		pattern := "a."
		r := call(h, &kmsg.ListTransactionsRequest{StateFilters: []string{"Ongoing", "Strange"}, ProducerIDFilters: []int64{1}, DurationFilterMillis: 2000, TransactionalIDPattern: &pattern},
			kmsg.NewPtrListTransactionsResponse(), version)
		if r.ErrorCode != 0 || len(r.UnknownStateFilters) != 1 || len(r.TransactionStates) != 2-int(version)/2 || r.TransactionStates[0].TransactionState != "Ongoing" {
			t.Errorf("version %d: %+v", version, r)
		}
	}
	pattern := "("
	if r := call(transacted(t, nil), &kmsg.ListTransactionsRequest{TransactionalIDPattern: &pattern}, kmsg.NewPtrListTransactionsResponse(), 2); r.ErrorCode != 128 {
		t.Errorf("%+v", r)
	}
	broken := transacted(t, answering(&message.Uncoordinated{Code: message.CoordinatorLoadInProgress}))
	if r := call(broken, &kmsg.ListTransactionsRequest{}, kmsg.NewPtrListTransactionsResponse(), 1); r.ErrorCode != 14 {
		t.Errorf("%+v", r)
	}
}

// S47: who coordinates a transactional id is found as who coordinates a group is.
func TestCoordinatorsOfTransactionsAreFound(t *testing.T) {
	for version := int16(1); version <= 6; version++ {
		h := transacted(t, answering(nil))
		if got := foundCoordinator(h, groupIn(here, 0), coordinatorOfTxn, version); got.ErrorCode != 0 || got.NodeID != int32(me) {
			t.Errorf("version %d: %+v", version, got)
		}
		if got := foundCoordinator(h, groupIn(orphaned, 0), coordinatorOfTxn, version); got.ErrorCode != 15 {
			t.Errorf("version %d: %+v", version, got)
		}
	}
}

func txnCommitRequest(group string) *kmsg.TxnOffsetCommitRequest {
	note := "n"
	return &kmsg.TxnOffsetCommitRequest{TransactionalID: "x", Group: group, ProducerID: 7, ProducerEpoch: 3, Generation: 4, MemberID: "m", InstanceID: &note,
		Topics: []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 1, Offset: 5, LeaderEpoch: 2, Metadata: &note}, {Partition: 9}}},
			{Topic: "nothing", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{}}}}}
}

// S96: offsets of a transaction are the group's coordinator's; v3+ says who commits.
func TestTxnOffsetsAreCommitted(t *testing.T) {
	for version := int16(0); version <= 5; version++ {
		h := coordinated(t, func(at message.Address, ask any) any {
			m := ask.(*message.CommitTxnOffsets)
			o := m.Offsets[0]
			if at != coordinatorAt(here) || m.TransactionalID != "x" || m.Producer != 7 || m.Epoch != 3 || len(m.Offsets) != 1 || o.Topic != "t" || o.Partition != 1 || o.Offset != 5 || o.Metadata != "n" {
				t.Errorf("version %d: %v was asked %+v", version, at, m)
			}
			if (m.Version == 2) != (version == 5) || m.Abortable != (version >= 4) || (o.LeaderEpoch == 2) != (version >= 2) ||
				(m.Generation == 4) != (version >= 3) || (m.Member == "m" && m.Instance == "n") != (version >= 3) {
				t.Errorf("version %d: asked %+v", version, m)
			}
			return &message.OffsetsCommitted{Codes: []message.Code{0}}
		})
		r := call(h, txnCommitRequest(groupIn(here, 0)), kmsg.NewPtrTxnOffsetCommitResponse(), version)
		if p := r.Topics[0].Partitions; p[0].ErrorCode != 0 || p[1].ErrorCode != 3 || r.Topics[1].Partitions[0].ErrorCode != 3 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// A coordinator that is not here, or not ready, is told so; to old producers in a word at which they do not fail (KAFKA-7296).
func TestTxnOffsetsThatAreNotHere(t *testing.T) {
	for version := int16(0); version <= 5; version++ {
		loading := message.CoordinatorLoadInProgress
		if version < 2 {
			loading = message.CoordinatorNotAvailable
		}
		for _, c := range []struct {
			group  string
			answer any
			want   message.Code
		}{
			{groupIn(there, 0), nil, message.NotCoordinator}, {"", nil, message.InvalidGroupID},
			{groupIn(here, 0), &message.Uncoordinated{Code: message.CoordinatorLoadInProgress}, loading}, {groupIn(here, 0), &message.OffsetsCommitted{Code: message.CoordinatorLoadInProgress}, loading},
			{groupIn(here, 0), &stage.TimedOut{}, message.CoordinatorNotAvailable}, {groupIn(here, 0), &message.OffsetsCommitted{Code: message.IllegalGeneration}, message.IllegalGeneration},
		} {
			q := txnCommitRequest(c.group)
			q.Topics = q.Topics[:1]
			q.Topics[0].Partitions = q.Topics[0].Partitions[:1]
			tells(t, fmt.Sprintf("version %d, %+v", version, c), call(coordinated(t, answering(c.answer)), q, kmsg.NewPtrTxnOffsetCommitResponse(), version), c.want)
		}
	}
}
