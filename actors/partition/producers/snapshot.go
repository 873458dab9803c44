package producers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// The sizes of the layout that the package's doc draws.
const (
	magic        = "TPS3"
	headSize     = 20
	producerSize = 47
	batchSize    = 24
	endedSize    = 16
)

// producerSizes are those of all pictures that are read, by their magics.
var producerSizes = map[string]int{"TPS1": 19, "TPS2": 39, magic: producerSize}

// The first version has no transactions.
const plainSize = 19

// Snapshot is the picture of everything below offset.
func (p *Producers) Snapshot(offset int64) []byte {
	b := make([]byte, 0, headSize+len(p.byID)*(producerSize+remembered*batchSize)+4)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.byID)))
	for _, id := range p.ids() {
		b = p.byID[id].encode(b, id)
	}
	b = p.undecided.encode(b)
	binary.BigEndian.PutUint32(b[4:], checksum(b))
	return b
}

// checksum is what bytes 4 to 8 of a snapshot have to be.
func checksum(b []byte) uint32 { return crc32.Checksum(b[8:], record.Castagnoli) }

func (p *producer) encode(b []byte, id int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(p.seenMillis))
	start := p.txnStart
	if planted.Is(planted.OpenForgotten) {
		start = none
	}
	b = binary.BigEndian.AppendUint64(b, uint64(start))
	b = binary.BigEndian.AppendUint32(b, uint32(p.coordinator))
	b = binary.BigEndian.AppendUint64(b, uint64(p.timestamp))
	b = binary.BigEndian.AppendUint64(b, uint64(p.marker))
	b = append(b, p.count)
	for _, batch := range p.batches[:p.count] {
		b = binary.BigEndian.AppendUint32(b, uint32(batch.first))
		b = binary.BigEndian.AppendUint32(b, uint32(batch.last))
		b = binary.BigEndian.AppendUint64(b, uint64(batch.base))
		b = binary.BigEndian.AppendUint64(b, uint64(batch.timestamp))
	}
	return b
}

// encode writes those that have ended: the open ones are their producers'.
func (u *undecided) encode(b []byte) []byte {
	at, count := len(b), uint32(0)
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, t := range u.list {
		if t.marker != open {
			b = binary.BigEndian.AppendUint64(b, uint64(t.first))
			b = binary.BigEndian.AppendUint64(b, uint64(t.marker))
			count++
		}
	}
	binary.BigEndian.PutUint32(b[at:], count)
	return b
}

// Decode reads a snapshot and says which offset it pictures. A damaged one is an error, and the log has to be read
// instead.
func Decode(b []byte) (Producers, int64, error) {
	if len(b) < headSize || producerSizes[string(b[:4])] == 0 {
		return Producers{}, 0, errors.New("not a snapshot of producers")
	}
	if want, is := binary.BigEndian.Uint32(b[4:]), checksum(b); want != is {
		return Producers{}, 0, fmt.Errorf("snapshot of producers: checksum is %08x, must be %08x", is, want)
	}
	d := decoder{rest: b[headSize:], size: producerSizes[string(b[:4])], offset: int64(binary.BigEndian.Uint64(b[8:]))}
	for n := binary.BigEndian.Uint32(b[16:]); n > 0 && d.err == nil; n-- {
		d.producer()
	}
	d.ended()
	if d.offset < 0 || len(d.rest) != 0 {
		d.refuse("offset %d, %d bytes too many", d.offset, len(d.rest))
	}
	if d.err != nil {
		return Producers{}, 0, d.err
	}
	return d.into, d.offset, nil
}

// decoder reads until the first error, which it keeps.
type decoder struct {
	rest   []byte
	size   int   // of a producer
	offset int64 // all batches lie below it
	last   int64 // producer
	some   bool
	into   Producers
	err    error
}

func (d *decoder) refuse(format string, values ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("snapshot of producers: "+format, values...)
	}
}

// plain says that the picture is from before there were transactions.
func (d *decoder) plain() bool { return d.size == plainSize }

// take is the next n bytes; zeros where there are none.
func (d *decoder) take(n int) []byte {
	if d.err == nil && len(d.rest) < n {
		d.refuse("cut short")
	}
	if d.err != nil {
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// producer reads one, whose id must be above the last one's.
func (d *decoder) producer() {
	b := d.take(d.size)
	id, count := int64(binary.BigEndian.Uint64(b)), int(b[d.size-1])
	if d.err != nil {
		return
	}
	if id < 0 || d.some && id <= d.last || count > remembered || d.plain() && count < 1 {
		d.refuse("producer %d behind %d with %d batches", id, d.last, count)
		return
	}
	d.last, d.some = id, true
	known := d.into.add(id, int16(binary.BigEndian.Uint16(b[8:])))
	known.seenMillis = int64(binary.BigEndian.Uint64(b[10:]))
	if !d.plain() {
		d.transaction(known, b[18:])
	}
	for range count {
		d.batch(known, id)
	}
	if d.plain() && d.err == nil {
		known.timestamp = known.batches[known.count-1].timestamp
	}
}

func (d *decoder) transaction(known *producer, b []byte) {
	known.txnStart, known.coordinator = int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))
	known.timestamp = int64(binary.BigEndian.Uint64(b[12:]))
	if known.marker = open; d.size >= producerSize {
		known.marker = int64(binary.BigEndian.Uint64(b[20:]))
	}
	if known.marker < none || known.marker >= d.offset && known.marker != open {
		d.refuse("the last marker of a producer is at %d", known.marker)
	}
	switch at, found := d.into.undecided.at(known.txnStart); {
	case known.txnStart == none:
	case known.txnStart < 0 || known.txnStart >= d.offset || found:
		d.refuse("a transaction begins at %d", known.txnStart)
	default:
		d.into.undecided.list = slices.Insert(d.into.undecided.list, at, transaction{known.txnStart, open})
	}
}

func (d *decoder) batch(known *producer, id int64) {
	b := d.take(batchSize)
	x := batch{first: int32(binary.BigEndian.Uint32(b)), last: int32(binary.BigEndian.Uint32(b[4:])),
		base: int64(binary.BigEndian.Uint64(b[8:])), timestamp: int64(binary.BigEndian.Uint64(b[16:]))}
	if x.first < 0 || x.last < 0 || x.base < 0 || x.base >= d.offset {
		d.refuse("producer %d has a batch at %d with sequences %d to %d", id, x.base, x.first, x.last)
		return
	}
	known.push(x)
}

// ended reads the transactions that have ended.
func (d *decoder) ended() {
	if d.plain() {
		return
	}
	for last, n := none, int(binary.BigEndian.Uint32(d.take(4))); n > 0 && d.err == nil; n-- {
		b := d.take(endedSize)
		t := transaction{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
		at, found := d.into.undecided.at(t.first)
		if t.first <= last || t.first < 0 || t.marker <= t.first || t.marker >= d.offset || found {
			d.refuse("a transaction goes from %d to %d", t.first, t.marker)
			return
		}
		last = t.first
		d.into.undecided.list = slices.Insert(d.into.undecided.list, at, t)
	}
}
