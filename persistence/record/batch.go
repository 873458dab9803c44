// Package record reads, checks and builds Kafka's record batch v2, whose bytes are the same on the wire, in memory and on
// disk. A batch is read and changed in place.
//
//	 0  8 base offset        (the broker sets it)     21  2 attributes        43  8 producer id   (-1 none)
//	 8  4 length behind here                          23  4 last offset delta 51  2 producer epoch
//	12  4 partition leader epoch (the broker sets it) 27  8 base timestamp    53  4 base sequence
//	16  1 magic = 2                                   35  8 max timestamp     57  4 record count
//	17  4 CRC-32C of everything from 21 on                                    61  . records, compressed as one block
//
// attributes: bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon in base timestamp.
//
// It refuses message formats 0 and 1, and it never decompresses unless it is asked to.
package record

import (
	"encoding/binary"
	"hash/crc32"
)

// HeaderSize is how many bytes come before the records.
const HeaderSize = 61

// Castagnoli is the CRC-32C table, computed by hardware where there is any.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one whole record batch. The accessors expect at least HeaderSize bytes.
type Batch []byte

// BaseOffset is the offset of the first record.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b)) }

// Size is the batch's size in bytes as its header has it, header included.
func (b Batch) Size() int { return int(int32(binary.BigEndian.Uint32(b[8:]))) + 12 }

// LeaderEpoch is the epoch of the leader that appended it.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b[12:])) }

// Magic is the format's version.
func (b Batch) Magic() int8 { return int8(b[16]) }

// CRC is the checksum that the header has.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[17:]) }

// Attributes are codec and flags.
func (b Batch) Attributes() Attributes { return Attributes(binary.BigEndian.Uint16(b[21:])) }

// LastOffsetDelta is the last record's offset less the base offset.
func (b Batch) LastOffsetDelta() int32 { return int32(binary.BigEndian.Uint32(b[23:])) }

// LastOffset is the offset of the last record.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset behind the last record.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// BaseTimestamp is the timestamp that the records' deltas count from, in milliseconds.
func (b Batch) BaseTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[27:])) }

// MaxTimestamp is the largest timestamp in the batch, in milliseconds.
func (b Batch) MaxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[35:])) }

// ProducerID is -1 for a producer that is not idempotent.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b[43:])) }

// ProducerEpoch fences producers with the same id.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[51:])) }

// BaseSequence is the first record's sequence number, -1 without an idempotent producer.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[53:])) }

// Count is the number of records.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[57:])) }

// Records are the bytes behind the header, still compressed.
func (b Batch) Records() []byte { return b[HeaderSize:] }

// SetBaseOffset sets what the checksum leaves out.
func (b Batch) SetBaseOffset(offset int64) { binary.BigEndian.PutUint64(b, uint64(offset)) }

// SetLeaderEpoch sets what the checksum leaves out.
func (b Batch) SetLeaderEpoch(epoch int32) { binary.BigEndian.PutUint32(b[12:], uint32(epoch)) }

// SetLogAppendTime marks the batch as stamped by the broker and computes its checksum anew.
func (b Batch) SetLogAppendTime(millis int64) {
	binary.BigEndian.PutUint16(b[21:], uint16(b.Attributes()|LogAppendTime))
	binary.BigEndian.PutUint64(b[35:], uint64(millis))
	b.Seal()
}

// Seal computes and sets the checksum.
func (b Batch) Seal() { binary.BigEndian.PutUint32(b[17:], b.Checksum()) }

// Checksum computes the CRC-32C that the header should have.
func (b Batch) Checksum() uint32 { return crc32.Checksum(b[21:], Castagnoli) }

// Attributes are a batch's codec and flags.
type Attributes uint16

// Flags.
const (
	LogAppendTime Attributes = 1 << 3
	Transactional Attributes = 1 << 4
	Control       Attributes = 1 << 5
	DeleteHorizon Attributes = 1 << 6
)

// Codec is how the records are compressed.
func (a Attributes) Codec() Codec { return Codec(a & 7) }

// Has says that the flag is set.
func (a Attributes) Has(flag Attributes) bool { return a&flag != 0 }

// Codec is a compression.
type Codec uint8

// The codecs of the protocol.
const (
	None Codec = iota
	Gzip
	Snappy
	Lz4
	Zstd
)
