package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Builder builds batches, one after the other. Its exported fields may be set at any time before Build; NewBuilder sets
// them for a batch of no producer.
type Builder struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Flags         Attributes // without the codec
	Codec         Codec
	Level         int // of the codec
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	// BaseTimestamp, in milliseconds, is the first record's if it is not set before that is added.
	BaseTimestamp int64
	// LastOffsetDelta is at least this: compaction takes records and leaves the offsets.
	LastOffsetDelta int32

	records []byte
	scratch []byte
	count   int32
	next    int32 // offset delta
	newest  int64
}

// NewBuilder makes a Builder of plain batches.
func NewBuilder(baseOffset int64) *Builder {
	b := &Builder{}
	b.Reset(baseOffset)
	return b
}

// Reset begins another batch and keeps nothing but memory, codec and level.
func (b *Builder) Reset(baseOffset int64) {
	*b = Builder{BaseOffset: baseOffset, Codec: b.Codec, Level: b.Level, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1,
		BaseTimestamp: -1, newest: -1, LeaderEpoch: -1, records: b.records[:0], scratch: b.scratch[:0]}
}

// Add adds a record at the next offset. A nil key or value is null.
func (b *Builder) Add(timestampMillis int64, key, value []byte, headers ...Header) {
	b.begin(b.next, timestampMillis, key, value, len(headers))
	for _, h := range headers {
		b.scratch = appendField(b.scratch, h.Key)
		b.scratch = appendField(b.scratch, h.Value)
	}
	b.end(b.next, timestampMillis)
}

// Keep adds a record as it is, at its own offset delta, which must be above those before it.
func (b *Builder) Keep(r Record) {
	b.begin(r.OffsetDelta, r.Timestamp, r.Key, r.Value, r.Headers.Len())
	b.scratch = append(b.scratch, r.Headers.Raw()...)
	b.end(r.OffsetDelta, r.Timestamp)
}

// Count is how many records were added.
func (b *Builder) Count() int { return int(b.count) }

// Bytes is the size so far, header included, before compression.
func (b *Builder) Bytes() int { return HeaderSize + len(b.records) }

// begin encodes a record up to its headers into scratch: its length comes first and is not known yet.
func (b *Builder) begin(delta int32, timestamp int64, key, value []byte, headers int) {
	if delta < b.next {
		panic(fmt.Sprintf("record: offset delta %d was added after %d", delta, b.next-1))
	}
	if b.count == 0 && b.BaseTimestamp == -1 {
		b.BaseTimestamp = timestamp
	}
	s := append(b.scratch[:0], 0) // attributes
	s = binary.AppendVarint(s, timestamp-b.BaseTimestamp)
	s = binary.AppendVarint(s, int64(delta))
	s = appendField(s, key)
	s = appendField(s, value)
	b.scratch = binary.AppendVarint(s, int64(headers))
}

func (b *Builder) end(delta int32, timestamp int64) {
	b.records = binary.AppendVarint(b.records, int64(len(b.scratch)))
	b.records = append(b.records, b.scratch...)
	b.count++
	b.next = delta + 1
	b.newest = max(b.newest, timestamp)
}

func appendField(s, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(s, -1)
	}
	return append(binary.AppendVarint(s, int64(len(field))), field...)
}

// Build appends the batch, sealed, to dst and returns it alone: the last bytes of dst's memory or of new memory. It fails
// when the codec does, and when the batch is larger than its length field can say.
func (b *Builder) Build(dst []byte) (Batch, error) {
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst, err := Compress(b.Codec, b.Level, dst, b.records)
	if err != nil {
		return nil, err
	}
	batch := Batch(dst[start:])
	if err := batch.setLength(); err != nil {
		return nil, err
	}
	batch.SetBaseOffset(b.BaseOffset)
	batch.SetLeaderEpoch(b.LeaderEpoch)
	batch[16] = 2
	put := binary.BigEndian
	put.PutUint16(batch[21:], uint16(b.Flags&^7)|uint16(b.Codec))
	put.PutUint32(batch[23:], uint32(max(b.LastOffsetDelta, b.next-1)))
	put.PutUint64(batch[27:], uint64(b.BaseTimestamp))
	put.PutUint64(batch[35:], uint64(b.newest))
	put.PutUint64(batch[43:], uint64(b.ProducerID))
	put.PutUint16(batch[51:], uint16(b.ProducerEpoch))
	put.PutUint32(batch[53:], uint32(b.BaseSequence))
	put.PutUint32(batch[57:], uint32(b.count))
	batch.Seal()
	return batch, nil
}

var errHuge = errors.New("a record batch cannot be larger than 2 GiB")

func (b Batch) setLength() error {
	if len(b) > math.MaxInt32 {
		return errHuge
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	return nil
}

// Recompress is b with its records under another codec and everything else as it was, in new memory; b itself if the codec
// is the same. max bounds the decompressed records, in bytes.
func Recompress(b Batch, c Codec, level, max int) (Batch, error) {
	if b.Attributes().Codec() == c {
		return b, nil
	}
	plain, err := b.Plain(nil, max)
	if err != nil {
		return nil, err
	}
	out, err := Compress(c, level, append(make([]byte, 0, HeaderSize+len(plain)/2+64), b[:HeaderSize]...), plain)
	if err != nil {
		return nil, err
	}
	again := Batch(out)
	binary.BigEndian.PutUint16(again[21:], uint16(b.Attributes()&^7)|uint16(c))
	if err := again.setLength(); err != nil {
		return nil, err
	}
	again.Seal()
	return again, nil
}
