package journal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

const (
	page       = 4096 // every round starts at a multiple of it and is padded to one: whole pages are never read before they are written
	headerSize = 48
	roundSize  = 32
	entrySize  = 40
	version    = 1
)

var magic = [8]byte{'t', 'r', 'o', 'u', 'p', 'e', 'j', 'l'}

// Kind says what an entry records.
type Kind uint8

// The kinds of entries.
const (
	Batch    Kind = 1 // the batch at Offset
	Truncate Kind = 2 // the log was cut to Offset
	StartAt  Kind = 3 // the log start was moved to Offset
	Marker   Kind = 4 // the log's own files are synced up to Offset: the partition's earlier entries are void
)

// Entry is one thing to make durable.
type Entry struct {
	Kind      Kind
	Partition message.PartitionID
	Epoch     int32 // leader epoch
	Offset    int64
	Batch     []byte // of kind Batch only
}

// header is what a file says about itself.
type header struct {
	number uint64 // rises by one with every file that is begun
	seed   uint64 // of chance: rounds of an earlier use of the same file have another
	first  uint64 // sequence of the file's first round; rounds of earlier files from here on are void
	proven uint64 // rounds before it had been synced when the file was begun; those up to first were only found
}

func (h header) encode() []byte {
	b := make([]byte, page)
	copy(b, magic[:])
	binary.BigEndian.PutUint32(b[8:], version)
	binary.BigEndian.PutUint64(b[16:], h.number)
	binary.BigEndian.PutUint64(b[24:], h.seed)
	binary.BigEndian.PutUint64(b[32:], h.first)
	binary.BigEndian.PutUint64(b[40:], h.proven)
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(b[:headerSize], record.Castagnoli))
	return b
}

func decodeHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || [8]byte(b[:8]) != magic || binary.BigEndian.Uint32(b[8:]) != version {
		return h, false
	}
	var sum [headerSize]byte
	copy(sum[:], b)
	copy(sum[12:16], []byte{0, 0, 0, 0})
	if crc32.Checksum(sum[:], record.Castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return h, false
	}
	h.number = binary.BigEndian.Uint64(b[16:])
	h.seed = binary.BigEndian.Uint64(b[24:])
	h.first = binary.BigEndian.Uint64(b[32:])
	h.proven = min(binary.BigEndian.Uint64(b[40:]), h.first)
	return h, true
}

// round is the header of one write.
type round struct {
	seed     uint64
	sequence uint64
	length   uint32 // of the entries behind the header
	count    uint32
	previous uint32 // checksum of the round before it in the file, 0 for the first
	crc      uint32 // of everything above and the entries
}

func (r *round) encode(b []byte) {
	binary.BigEndian.PutUint64(b, r.seed)
	binary.BigEndian.PutUint64(b[8:], r.sequence)
	binary.BigEndian.PutUint32(b[16:], r.length)
	binary.BigEndian.PutUint32(b[20:], r.count)
	binary.BigEndian.PutUint32(b[24:], r.previous)
}

func decodeRound(b []byte) round {
	return round{
		seed:     binary.BigEndian.Uint64(b),
		sequence: binary.BigEndian.Uint64(b[8:]),
		length:   binary.BigEndian.Uint32(b[16:]),
		count:    binary.BigEndian.Uint32(b[20:]),
		previous: binary.BigEndian.Uint32(b[24:]),
		crc:      binary.BigEndian.Uint32(b[28:]),
	}
}

// size is what the round takes in the file.
func (r *round) size() int64 { return padded(roundSize + int64(r.length)) }

// seal computes the checksum over the encoded header and the entries, and sets it in both.
func (r *round) seal(head []byte, entries [][]byte) {
	r.crc = crc32.Update(0, record.Castagnoli, head[:roundSize-4])
	for _, piece := range entries {
		r.crc = crc32.Update(r.crc, record.Castagnoli, piece)
	}
	binary.BigEndian.PutUint32(head[roundSize-4:], r.crc)
}

// holds says whether body, the length bytes behind the header's own bytes head, is what was written.
func (r *round) holds(head, body []byte) bool {
	if planted.Is(planted.JournalUnchecked) {
		return true
	}
	crc := crc32.Update(0, record.Castagnoli, head[:roundSize-4])
	return crc32.Update(crc, record.Castagnoli, body) == r.crc
}

func padded(n int64) int64 { return (n + page - 1) / page * page }

// encode writes the entry's fixed part; the batch follows it in the file.
func (e *Entry) encode(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(len(e.Batch)))
	b[4], b[5], b[6], b[7] = byte(e.Kind), 0, 0, 0
	binary.BigEndian.PutUint32(b[8:], uint32(e.Epoch))
	binary.BigEndian.PutUint32(b[12:], uint32(e.Partition.Index))
	copy(b[16:], e.Partition.Topic[:])
	binary.BigEndian.PutUint64(b[32:], uint64(e.Offset))
}

// decodeEntry takes one entry off b; ok is false where b does not hold a whole one of a known kind.
func decodeEntry(b []byte) (e Entry, rest []byte, ok bool) {
	if len(b) < entrySize {
		return e, b, false
	}
	length := int64(binary.BigEndian.Uint32(b))
	e.Kind = Kind(b[4])
	if e.Kind < Batch || e.Kind > Marker || length > int64(len(b)-entrySize) || (e.Kind == Batch) == (length == 0) {
		return e, b, false
	}
	e.Epoch = int32(binary.BigEndian.Uint32(b[8:]))
	e.Partition = message.PartitionID{Topic: message.TopicID(b[16:32]), Index: int32(binary.BigEndian.Uint32(b[12:]))}
	e.Offset = int64(binary.BigEndian.Uint64(b[32:]))
	if length > 0 {
		e.Batch = b[entrySize : entrySize+length : entrySize+length]
	}
	return e, b[entrySize+length:], true
}
