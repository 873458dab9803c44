package kafka

import (
	"encoding/binary"

	"github.com/troupe-broker/troupe/actors/message"
)

// The hot requests are read and written here, without kmsg: no allocation, no reflection, records where they lie.

// reader reads a body that its shape has been walked for: it cannot run short, and would panic if it did.
type reader struct {
	rest     []byte
	flexible bool
}

func (d *reader) take(n int) []byte {
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *reader) int8() int8   { return int8(d.take(1)[0]) }
func (d *reader) int16() int16 { return int16(binary.BigEndian.Uint16(d.take(2))) }
func (d *reader) int32() int32 { return int32(binary.BigEndian.Uint32(d.take(4))) }
func (d *reader) int64() int64 { return int64(binary.BigEndian.Uint64(d.take(8))) }

func (d *reader) id() (id message.TopicID) {
	copy(id[:], d.take(16))
	return id
}

func (d *reader) uvarint() int {
	v, n := binary.Uvarint(d.rest)
	d.rest = d.rest[n:]
	return int(v)
}

// length is an array's or a byte string's; null counts as -1.
func (d *reader) length() int {
	if d.flexible {
		return d.uvarint() - 1
	}
	return int(d.int32())
}

// text is a string in the frame's memory, nil for null.
func (d *reader) text() []byte {
	n := 0
	if d.flexible {
		n = d.uvarint() - 1
	} else {
		n = int(d.int16())
	}
	if n < 0 {
		return nil
	}
	return d.take(n)
}

// bytes are a byte string in the frame's memory, nil for null.
func (d *reader) bytes() []byte {
	n := d.length()
	if n < 0 {
		return nil
	}
	return d.take(n)
}

// tags steps over tagged fields, where the version has them.
func (d *reader) tags() {
	if !d.flexible {
		return
	}
	for n := d.uvarint(); n > 0; n-- {
		d.uvarint()
		d.take(d.uvarint())
	}
}

// writer builds an answer's bytes.
type writer struct {
	*Answer
	flexible bool
}

func (w writer) int8(v int8)   { w.Bytes = append(w.Bytes, byte(v)) }
func (w writer) int16(v int16) { w.Bytes = binary.BigEndian.AppendUint16(w.Bytes, uint16(v)) }
func (w writer) int32(v int32) { w.Bytes = binary.BigEndian.AppendUint32(w.Bytes, uint32(v)) }
func (w writer) int64(v int64) { w.Bytes = binary.BigEndian.AppendUint64(w.Bytes, uint64(v)) }

func (w writer) id(id message.TopicID) { w.Bytes = append(w.Bytes, id[:]...) }
func (w writer) uvarint(v int)         { w.Bytes = binary.AppendUvarint(w.Bytes, uint64(v)) }

// length is an array's or a byte string's; -1 is null.
func (w writer) length(n int) {
	if w.flexible {
		w.uvarint(n + 1)
	} else {
		w.int32(int32(n))
	}
}

func (w writer) text(s string) {
	if w.flexible {
		w.uvarint(len(s) + 1)
	} else {
		w.int16(int16(len(s)))
	}
	w.Bytes = append(w.Bytes, s...)
}

// note is a text for people, null if empty.
func (w writer) note(s string) {
	switch {
	case s != "":
		w.text(s)
	case w.flexible:
		w.uvarint(0)
	default:
		w.int16(-1)
	}
}

// noTags ends a struct that has tagged fields, but none set.
func (w writer) noTags() {
	if w.flexible {
		w.int8(0)
	}
}

// slice puts a range of a log here, with its length before it.
func (w writer) slice(s message.Slice) {
	w.length(s.Bytes)
	if s.Bytes > 0 {
		w.Cuts = append(w.Cuts, Cut{At: len(w.Bytes), Slice: s})
	}
}

// leader is the tagged struct current_leader (KIP-951).
func (w writer) leader(tag int, leader message.NodeID, epoch int32) {
	w.uvarint(tag)
	w.uvarint(9)
	w.int32(int32(leader))
	w.int32(epoch)
	w.int8(0)
}
