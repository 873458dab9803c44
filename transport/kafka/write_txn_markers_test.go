package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// S34: "READ_COMMITTED response carries aborted_transactions (pid, firstOffset) overlapping the returned range, from the txn index;
// READ_UNCOMMITTED returns null there."
func TestAbortedTransactionsAreToldToWhoReadsWhatIsCommitted(t *testing.T) {
	for version := int16(4); version <= 18; version++ {
		for _, committed := range []int8{0, 1} {
			l := newLog(1, 1)
			l.aborted = []message.Aborted{{Producer: 7, First: 0, Last: 1, Stable: 2}}
			h := library(t, 1, func(int) *log { return l })
			q := fetchOf(0, 1, "t", 0)
			q.IsolationLevel = committed
			p := call(h, q, kmsg.NewPtrFetchResponse(), version).Topics[0].Partitions[0]
			switch {
			case len(p.RecordBatches) != len(l.bytes):
				t.Errorf("version %d: %+v", version, p)
			case committed == 0 && p.AbortedTransactions != nil:
				t.Errorf("version %d: %+v", version, p.AbortedTransactions)
			case committed == 1 && (len(p.AbortedTransactions) != 1 || p.AbortedTransactions[0].ProducerID != 7 || p.AbortedTransactions[0].FirstOffset != 0):
				t.Errorf("version %d: %+v", version, p.AbortedTransactions)
			}
		}
	}
}

// S92: the transactional id of the request goes with its batches, and from version 12 on the partition adds itself to the transaction.
// Who does not know TransactionAbortable is told InvalidTxnState.
func TestATransactionalProduce(t *testing.T) {
	id := "mine"
	for version := int16(3); version <= 13; version++ {
		h := newHouse(t, cluster(map[string]int{"t": 1}))
		q := produceOf(-1, "t", flagged(record.Transactional))
		q.TransactionID = &id
		h.ask(q, version, 1)
		a := h.asks[0].what.(*message.Append)
		if a.TransactionalID != id || a.Verified != (version >= 12) {
			t.Errorf("version %d: %+v", version, a)
		}
		h.answer(h.asks[0], &message.Appended{Code: message.TransactionAbortable, BaseOffset: -1})
		want := message.TransactionAbortable
		if version < 11 {
			want = message.InvalidTxnState
		}
		if p := read(h, kmsg.NewPtrProduceResponse(), version, 1).Topics[0].Partitions[0]; message.Code(p.ErrorCode) != want {
			t.Errorf("version %d: code %d", version, p.ErrorCode)
		}
	}
}

// S128: "WriteTxnMarkers from Admin.abortTransaction with coordinator epoch 0". In a partition of groups their coordinator is asked.
func TestMarkersOfAdmins(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1, groupTopic: 1}))
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	q.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: 7, ProducerEpoch: 3, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{
		{Topic: "t", Partitions: []int32{0, 9}}, {Topic: groupTopic, Partitions: []int32{0}}}}}
	h.ask(q, 1, 1)
	if len(h.asks) != 2 || *h.asks[0].what.(*message.Mark) != (message.Mark{Producer: 7, Epoch: 3}) || h.asks[0].to != address("t", 0) ||
		h.asks[1].to != message.CoordinatorAt(me, at(groupTopic, 0)) {
		t.Fatalf("%+v", h.asks)
	}
	h.answer(h.asks[0], &message.Marked{Offset: 4})
	h.answer(h.asks[0], &message.Uncoordinated{Code: message.NotCoordinator})
	r := read(h, kmsg.NewPtrWriteTxnMarkersResponse(), 1, 1)
	got := []int16{r.Markers[0].Topics[0].Partitions[0].ErrorCode, r.Markers[0].Topics[0].Partitions[1].ErrorCode, r.Markers[0].Topics[1].Partitions[0].ErrorCode}
	if got[0] != 0 || message.Code(got[1]) != message.UnknownTopicOrPartition || message.Code(got[2]) != message.NotLeaderOrFollower {
		t.Errorf("%v", got)
	}
}
