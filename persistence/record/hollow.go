package record

import "encoding/binary"

// Hollow is a batch without its records, in new memory: compaction leaves it where nothing of a batch stays but what its header
// says, its offsets, its producer's sequences and its leader epoch. Its largest timestamp is that of the records that are gone.
//
// Readers get such batches and go on behind them, as from Kafka.
func Hollow(b Batch) Batch {
	h := append(Batch(nil), b[:HeaderSize]...)
	put := binary.BigEndian
	put.PutUint32(h[8:], HeaderSize-12)
	put.PutUint16(h[21:], uint16(b.Attributes()&^(7|DeleteHorizon)))
	put.PutUint64(h[27:], ^uint64(0)) // no record, no base timestamp: -1
	put.PutUint32(h[57:], 0)
	h.Seal()
	return h
}

// Like begins another batch with the header of one that is there: its offsets, epoch, flags, codec and producer. Records are added
// with Keep. The base timestamp is that of the first one unless it is set.
func (b *Builder) Like(of Batch) {
	b.Reset(of.BaseOffset())
	b.LeaderEpoch, b.Flags, b.Codec = of.LeaderEpoch(), of.Attributes()&^7, of.Attributes().Codec()
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = of.ProducerID(), of.ProducerEpoch(), of.BaseSequence()
	b.LastOffsetDelta = of.LastOffsetDelta()
}

// Horizon is until when a compacted log keeps the batch's tombstones, in milliseconds since 1970; ok is false where no compaction
// has been through it. It stands in the place of the base timestamp, from which the records' timestamps count then (KIP-534).
func (b Batch) Horizon() (millis int64, ok bool) {
	return b.BaseTimestamp(), b.Attributes().Has(DeleteHorizon)
}
