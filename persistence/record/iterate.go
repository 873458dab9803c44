package record

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Record is one record of a batch. Key, Value and Headers point into the bytes that it was read from and are valid as
// long as those are; a nil Key or Value is Kafka's null.
type Record struct {
	OffsetDelta int32 // to the batch's base offset
	Timestamp   int64 // milliseconds since 1970
	Key, Value  []byte
	Headers     Headers
}

// Reader goes through a batch's records without allocating.
//
//	r := record.NewReader(batch, plain)
//	for r.Next(&rec) { ... }
//	if r.Err() != nil { ... }
type Reader struct {
	rest     []byte
	left     int32
	base     int64
	appended bool
	stamp    int64
	err      error
}

// NewReader reads the records of b; plain are its records decompressed (see Batch.Plain).
func NewReader(b Batch, plain []byte) Reader {
	return Reader{rest: plain, left: b.Count(), base: b.BaseTimestamp(), appended: b.Attributes().Has(LogAppendTime), stamp: b.MaxTimestamp()}
}

// Next reads the next record and says whether there was one. What it refuses, Err explains: a record that is malformed,
// too few records, bytes left over.
func (r *Reader) Next(rec *Record) bool {
	if r.err != nil {
		return false
	}
	if r.left == 0 {
		if len(r.rest) > 0 {
			r.err = fmt.Errorf("%w: %d bytes behind the last one", ErrRecord, len(r.rest))
		}
		return false
	}
	body, ok := r.cut()
	if ok {
		ok = r.decode(body, rec)
	}
	if !ok {
		r.err = fmt.Errorf("%w: with %d to go and %d bytes left", ErrRecord, r.left, len(r.rest))
		return false
	}
	r.left--
	return true
}

// Err says why Next stopped; nil at a proper end.
func (r *Reader) Err() error { return r.err }

// cut takes one record's bytes, without its length, off the front.
func (r *Reader) cut() ([]byte, bool) {
	size, n := binary.Varint(r.rest)
	if n <= 0 || size < 0 || size > int64(len(r.rest)-n) {
		return nil, false
	}
	body := r.rest[n : n+int(size)]
	r.rest = r.rest[n+int(size):]
	return body, true
}

// length varint | attributes 1 | timestamp delta varint | offset delta varint
// key length varint (-1 null) | key | value length varint | value | header count varint | headers
func (r *Reader) decode(body []byte, rec *Record) bool {
	if len(body) == 0 {
		return false
	}
	body = body[1:] // attributes: none are defined
	delta, n := binary.Varint(body)
	if n <= 0 {
		return false
	}
	body = body[n:]
	offset, n := binary.Varint(body)
	if n <= 0 || offset < math.MinInt32 || offset > math.MaxInt32 {
		return false
	}
	var ok bool
	if rec.Key, body, ok = field(body[n:]); !ok {
		return false
	}
	if rec.Value, body, ok = field(body); !ok {
		return false
	}
	count, n := binary.Varint(body)
	if n <= 0 || count < 0 || count > int64(len(body)-n)/2 { // a header is two bytes at least
		return false
	}
	rec.Headers = Headers{count: int32(count), raw: body[n:]}
	rec.OffsetDelta = int32(offset)
	rec.Timestamp = r.base + delta
	if r.appended { // the broker's stamp stands in the batch's header only
		rec.Timestamp = r.stamp
	}
	return true
}

// field takes a length and that many bytes off the front; a length of -1 is null.
func field(b []byte) (value, rest []byte, ok bool) {
	size, n := binary.Varint(b)
	if n <= 0 || size < -1 || size > int64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	if size < 0 {
		return nil, b, true
	}
	return b[:size:size], b[size:], true
}

// Header is one of a record's headers. A nil Value is null.
type Header struct {
	Key   []byte
	Value []byte
}

// Headers are a record's headers, not yet decoded.
type Headers struct {
	count int32
	raw   []byte
}

// Len is how many there are by their count.
func (h Headers) Len() int { return int(h.count) }

// Raw are the headers' bytes, behind their count.
func (h Headers) Raw() []byte { return h.raw }

// Next takes the first header off. ok is false when there are no more, or when the bytes are not headers (see Check).
func (h *Headers) Next(header *Header) (ok bool) {
	if h.count <= 0 {
		return false
	}
	if header.Key, h.raw, ok = field(h.raw); !ok || header.Key == nil {
		return false
	}
	if header.Value, h.raw, ok = field(h.raw); !ok {
		return false
	}
	h.count--
	return true
}

// Check says whether the bytes are exactly as many headers as announced.
func (h Headers) Check() error {
	var header Header
	for h.Next(&header) {
	}
	if h.count != 0 || len(h.raw) != 0 {
		return fmt.Errorf("%w: its headers cannot be read", ErrRecord)
	}
	return nil
}

// All are the records of b, decompressed to at most max bytes, for those who do not count allocations. An error ends it.
func All(b Batch, max int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		plain, err := b.Plain(nil, max)
		if err != nil {
			yield(Record{}, err)
			return
		}
		var rec Record
		r := NewReader(b, plain)
		for r.Next(&rec) {
			if !yield(rec, nil) {
				return
			}
		}
		if r.Err() != nil {
			yield(Record{}, r.Err())
		}
	}
}
