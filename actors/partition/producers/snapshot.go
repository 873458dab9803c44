package producers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/troupe-broker/troupe/persistence/record"
)

// The sizes of the layout that the package's doc draws.
const (
	magic        = "TPS1"
	headSize     = 20
	producerSize = 19
	batchSize    = 24
)

// Snapshot is the picture of everything below offset.
func (p *Producers) Snapshot(offset int64) []byte {
	b := make([]byte, 0, headSize+len(p.byID)*(producerSize+remembered*batchSize))
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.byID)))
	for _, id := range p.ids() {
		b = p.byID[id].encode(b, id)
	}
	binary.BigEndian.PutUint32(b[4:], checksum(b))
	return b
}

// checksum is what bytes 4 to 8 of a snapshot have to be.
func checksum(b []byte) uint32 { return crc32.Checksum(b[8:], record.Castagnoli) }

func (p *producer) encode(b []byte, id int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(p.seenMillis))
	b = append(b, p.count)
	for _, batch := range p.batches[:p.count] {
		b = binary.BigEndian.AppendUint32(b, uint32(batch.first))
		b = binary.BigEndian.AppendUint32(b, uint32(batch.last))
		b = binary.BigEndian.AppendUint64(b, uint64(batch.base))
		b = binary.BigEndian.AppendUint64(b, uint64(batch.timestamp))
	}
	return b
}

// Decode reads a snapshot and says which offset it pictures. A damaged one is an error, and the log has to be read
// instead.
func Decode(b []byte) (Producers, int64, error) {
	if len(b) < headSize || string(b[:4]) != magic {
		return Producers{}, 0, errors.New("not a snapshot of producers")
	}
	if want, is := binary.BigEndian.Uint32(b[4:]), checksum(b); want != is {
		return Producers{}, 0, fmt.Errorf("snapshot of producers: checksum is %08x, must be %08x", is, want)
	}
	offset, count := int64(binary.BigEndian.Uint64(b[8:])), int(binary.BigEndian.Uint32(b[16:]))
	p := Producers{}
	rest, last := b[headSize:], int64(-1)
	for n := range count {
		var err error
		if rest, last, err = p.decode(rest, last, offset); err != nil {
			return Producers{}, 0, fmt.Errorf("snapshot of producers: entry %d: %w", n, err)
		}
	}
	if offset < 0 || len(rest) != 0 {
		return Producers{}, 0, fmt.Errorf("snapshot of producers: offset %d, %d bytes too many", offset, len(rest))
	}
	return p, offset, nil
}

// decode reads one producer, whose id must be above the last one's and whose batches lie below offset.
func (p *Producers) decode(b []byte, last, offset int64) (rest []byte, id int64, err error) {
	if len(b) < producerSize {
		return nil, 0, errors.New("cut short")
	}
	id, count := int64(binary.BigEndian.Uint64(b)), int(b[18])
	if id <= last || count < 1 || count > remembered || len(b) < producerSize+count*batchSize {
		return nil, 0, fmt.Errorf("producer %d behind %d with %d batches in %d bytes", id, last, count, len(b))
	}
	known := p.add(id, int16(binary.BigEndian.Uint16(b[8:])))
	known.seenMillis = int64(binary.BigEndian.Uint64(b[10:]))
	for b = b[producerSize:]; int(known.count) < count; b = b[batchSize:] {
		batch := batch{first: int32(binary.BigEndian.Uint32(b)), last: int32(binary.BigEndian.Uint32(b[4:])),
			base: int64(binary.BigEndian.Uint64(b[8:])), timestamp: int64(binary.BigEndian.Uint64(b[16:]))}
		if batch.first < 0 || batch.last < 0 || batch.base < 0 || batch.base >= offset {
			return nil, 0, fmt.Errorf("producer %d has a batch at %d with sequences %d to %d", id, batch.base, batch.first, batch.last)
		}
		known.push(batch)
	}
	return b, id, nil
}
