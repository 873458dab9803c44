package claims

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/persistence/record"
)

// batch is one record of a producer, of its transaction or of none.
func (x transactor) batch(sequence int32, flags record.Attributes) []byte {
	b := record.NewBuilder(0)
	b.Add(time.Now().UnixMilli(), []byte("key"), []byte("value"))
	b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.Flags = x.producer, x.epoch, sequence, flags
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

// writes produces a batch in a version of Produce, and returns the error code.
func (w *world) writes(x transactor, version int16, topic string, batch []byte) int16 {
	w.h.t.Helper()
	q := produceOf(version, topic, w.id)
	if x.id != "" {
		q.TransactionID = &x.id
	}
	q.Topics[0].Partitions[0].Records = batch
	return ask[*kmsg.ProduceResponse](w.h, version, q).Topics[0].Partitions[0].ErrorCode
}

// seen fetches, from the start, what somebody gets who reads what is committed.
func (w *world) seen(topic string) kmsg.FetchResponseTopicPartition {
	w.h.t.Helper()
	q := fetchOf(12, topic, w.id)
	q.IsolationLevel, q.SessionEpoch = 1, -1
	return ask[*kmsg.FetchResponse](w.h, 12, q).Topics[0].Partitions[0]
}

// latest is the offset that ListOffsets calls the latest.
func (w *world) latest(topic string, isolation int8) int64 {
	w.h.t.Helper()
	q := listOffsetsOf(6, topic, w.id)
	q.IsolationLevel, q.Topics[0].Partitions[0].Timestamp = isolation, -1
	return ask[*kmsg.ListOffsetsResponse](w.h, 6, q).Topics[0].Partitions[0].Offset
}

// eventually waits for what comes a moment after an answer.
func (h *house) eventually(what string, is func() bool) {
	h.t.Helper()
	for range 200 {
		if is() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	h.t.Errorf("never: %s", what)
}

// S92: "Produce with transactional batch for a partition not in the txn → INVALID_TXN_STATE(48) (old clients); TV2 (Produce v12+): broker itself
// adds the partition. Non-transactional idempotent write by that pid during an open txn → INVALID_TXN_STATE."
func TestAPartitionThatIsNotInTheTransaction(t *testing.T) {
	w := newWorld(newHouse(t, "transaction.state.log.num.partitions=3"))
	x := w.producer()
	for version := int16(3); version <= 11; version++ {
		want := int16(48)
		if version == 11 {
			want = 120 // TRANSACTION_ABORTABLE (KIP-890)
		}
		w.h.is("a batch of no transaction", w.writes(x, version, w.topic, x.batch(0, record.Transactional)), want)
	}
	w.h.is("nobody's", w.writes(transactor{}, 9, w.topic, x.batch(0, record.Transactional)), 53)
	w.h.is("one that the broker takes in", w.writes(x, 12, w.topic, x.batch(0, record.Transactional)), 0)
	w.h.is("the next, of whichever version", w.writes(x, 9, w.topic, x.batch(1, record.Transactional)), 0)
	w.h.is("one outside of it", w.writes(x, 9, w.topic, x.batch(2, 0)), 48)
}

// S95: "LSO moves after the marker; consumers in read_committed see nothing of an open txn nor anything after it." S34: "aborted_transactions
// overlapping the returned range"; S48: "−1 latest = HW (LSO if isolation=1)".
func TestNothingBehindAnOpenTransactionIsSeen(t *testing.T) {
	w := newWorld(newHouse(t, "transaction.state.log.num.partitions=3"))
	for _, commit := range []bool{true, false} {
		topic := w.name()
		w.id = w.h.create(topic, 1)
		x := w.producer()
		w.h.is("in front of it", w.writes(transactor{}, 9, topic, batchOf("first")), 0)
		w.h.is("its own", w.writes(x, 12, topic, x.batch(0, record.Transactional)), 0)
		w.h.is("behind it", w.writes(transactor{}, 9, topic, batchOf("last")), 0)
		p := w.seen(topic)
		if p.LastStableOffset != 1 || p.HighWatermark != 3 || countOf(p.RecordBatches) != 1 || p.AbortedTransactions == nil || len(p.AbortedTransactions) != 0 {
			t.Errorf("while it is open: %+v", p)
		}
		if all, stable := w.latest(topic, 0), w.latest(topic, 1); all != 3 || stable != 1 {
			t.Errorf("the latest offset is %d, and %d for who reads what is committed", all, stable)
		}
		end := endOf(x)
		end.Commit = commit
		w.h.is("its end", ask[*kmsg.EndTxnResponse](w.h, 5, end).ErrorCode, 0)
		w.h.eventually("the last stable offset moves behind the marker", func() bool { return w.seen(topic).LastStableOffset == 4 })
		p = w.seen(topic)
		if told := len(p.AbortedTransactions); countOf(p.RecordBatches) != 4 || commit && told != 0 || !commit && (told != 1 || p.AbortedTransactions[0].ProducerID != x.producer || p.AbortedTransactions[0].FirstOffset != 1) {
			t.Errorf("committed %v: %+v", commit, p)
		}
		if stable := w.latest(topic, 1); stable != 4 {
			t.Errorf("the latest offset for who reads what is committed is %d", stable)
		}
	}
}

// countOf is how many batches there are.
func countOf(bytes []byte) (n int) {
	for len(bytes) >= record.HeaderSize {
		bytes = bytes[record.Batch(bytes).Size():]
		n++
	}
	return n
}

// S128: "DescribeProducers: coordinator_epoch is -1 until the first marker of that producer was written to the partition; WriteTxnMarkers from
// Admin.abortTransaction with coordinator epoch 0 is then accepted and moves the LSO."
func TestATransactionThatHangsIsAborted(t *testing.T) {
	w := newWorld(newHouse(t, "transaction.state.log.num.partitions=3"))
	x := w.producer()
	w.h.is("a batch", w.writes(x, 12, w.topic, x.batch(0, record.Transactional)), 0)
	described := func() kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
		return ask[*kmsg.DescribeProducersResponse](w.h, 0, producersOf(0, w.topic, w.id)).Topics[0].Partitions[0].ActiveProducers[0]
	}
	if p := described(); p.CoordinatorEpoch != -1 || p.CurrentTxnStartOffset != 0 || p.ProducerID != x.producer || p.LastSequence != 0 {
		t.Errorf("%+v", p)
	}
	q := markersOf(1, w.topic, w.id)
	q.Markers[0].ProducerID, q.Markers[0].ProducerEpoch = x.producer, x.epoch
	w.h.is("the marker", ask[*kmsg.WriteTxnMarkersResponse](w.h, 1, q).Markers[0].Topics[0].Partitions[0].ErrorCode, 0)
	if p := described(); p.CoordinatorEpoch != 0 || p.CurrentTxnStartOffset != -1 {
		t.Errorf("%+v", p)
	}
	if p := w.seen(w.topic); p.LastStableOffset != 2 || len(p.AbortedTransactions) != 1 {
		t.Errorf("%+v", p)
	}
	q.Markers[0].ProducerEpoch--
	w.h.is("of an older epoch", ask[*kmsg.WriteTxnMarkersResponse](w.h, 1, q).Markers[0].Topics[0].Partitions[0].ErrorCode, 47)
}
