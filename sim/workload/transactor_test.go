package workload

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/persistence/record"
)

// A broker names aborted transactions in the order of their markers, and so of two that overlap the later one first. A consumer leaves both out.
func TestOverlappingAbortedTransactionsAreLeftOut(t *testing.T) {
	var log []byte
	add := func(offset, producer int64, flags record.Attributes, value []byte) {
		b := record.NewBuilder(0)
		b.Flags, b.ProducerID = record.Transactional|flags, producer
		b.Add(0, nil, value)
		batch, err := b.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.SetBaseOffset(offset)
		log = append(log, batch...)
	}
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	add(0, 1, 0, number(10))
	add(1, 2, 0, number(11))
	add(2, 2, record.Control, nil)
	add(3, 1, record.Control, nil)
	add(4, 1, 0, number(12))
	add(5, 1, record.Control, nil)
	f := committed(&kmsg.FetchResponseTopicPartition{HighWatermark: 6, RecordBatches: log, AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{
		{ProducerID: 2, FirstOffset: 1}, {ProducerID: 1, FirstOffset: 0}}}, 0)
	if !slices.Equal(f.numbers, []int64{12}) || f.next != 6 || !f.end {
		t.Errorf("%+v", f)
	}
}
