package message

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// headerRoom is what the words that are sent most take without their raw bytes, and their tag.
const headerRoom = 64

var errNoWord = errors.New("message: there is no word")

// scribe writes a word's fields, or reads them: a word spells itself once and can not be read otherwise than it was
// written. It goes on until the first error, which it keeps.
type scribe struct {
	err error

	to  *msgpack.Encoder // nil: it reads
	out []byte
	end []byte // raw bytes that belong behind out

	from *msgpack.Decoder
	in   bytes.Reader // what is left to read
	all  []byte       // what in began with
}

// write spells a word out behind b.
func (s *scribe) write(b []byte, w Word) {
	s.out = b
	s.to = msgpack.GetEncoder()
	defer msgpack.PutEncoder(s.to)
	s.to.ResetWriter(s)
	w.spell(s)
}

// read spells a word from b.
func (s *scribe) read(b []byte, w Word) {
	s.all = b
	s.in.Reset(b)
	s.from = msgpack.GetDecoder()
	defer msgpack.PutDecoder(s.from)
	s.from.ResetReader(&s.in)
	w.spell(s)
	if left := s.left(); left > 0 {
		s.keep(fmt.Errorf("%d bytes are left over", left))
	}
}

// Write is part of io.Writer, for the encoder.
func (s *scribe) Write(b []byte) (int, error) {
	s.out = append(s.out, b...)
	return len(b), nil
}

// WriteByte is part of io.ByteWriter, for the encoder.
func (s *scribe) WriteByte(b byte) error {
	s.out = append(s.out, b)
	return nil
}

func (s *scribe) left() int { return s.in.Len() }

// keep notes an error unless there was one before.
func (s *scribe) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

// number spells a number. One that does not fit its type is an error.
func number[T ~int8 | ~int16 | ~int32 | ~int64](s *scribe, v *T) {
	if s.err != nil {
		return
	}
	if s.to != nil {
		s.keep(s.to.EncodeInt(int64(*v)))
		return
	}
	n, err := s.from.DecodeInt64()
	s.keep(err)
	if *v = T(n); int64(*v) != n {
		s.keep(errRange)
	}
}

func (s *scribe) bool(v *bool) {
	if s.err != nil {
		return
	}
	if s.to != nil {
		s.keep(s.to.EncodeBool(*v))
		return
	}
	b, err := s.from.DecodeBool()
	s.keep(err)
	*v = b
}

func (s *scribe) text(v *string) {
	if s.err != nil {
		return
	}
	if s.to != nil {
		s.keep(s.to.EncodeString(*v))
		return
	}
	*v = string(s.bytes(s.length(s.from.DecodeBytesLen())))
}

// maybe spells a text that may be nil.
func (s *scribe) maybe(v **string) {
	if s.err != nil {
		return
	}
	if s.to == nil {
		if n, some := s.orNil(s.from.DecodeBytesLen()); some {
			text := string(s.bytes(n))
			*v = &text
		}
		return
	}
	if *v == nil {
		s.keep(s.to.EncodeNil())
		return
	}
	s.text(*v)
}

func (s *scribe) id(v *TopicID) {
	if s.err != nil {
		return
	}
	if s.to != nil {
		s.keep(s.to.EncodeBytes(v[:]))
		return
	}
	n := s.length(s.from.DecodeBytesLen())
	if n != len(v) {
		s.keep(errID)
		return
	}
	copy(v[:], s.bytes(n))
}

// list spells how many there are, or nil, and each.
func list[T any](s *scribe, v *[]T, each func(s *scribe, v *T)) {
	if s.err != nil {
		return
	}
	if s.to == nil {
		listed(s, v, each)
		return
	}
	if *v == nil {
		s.keep(s.to.EncodeNil())
		return
	}
	s.keep(s.to.EncodeArrayLen(len(*v)))
	for i := range *v {
		each(s, &(*v)[i])
	}
}

// listed reads a list. Room is made for what has been read: a big number of big things is said in few bytes.
func listed[T any](s *scribe, v *[]T, each func(s *scribe, v *T)) {
	n, some := s.orNil(s.from.DecodeArrayLen())
	if !some {
		return
	}
	*v = make([]T, 0, min(n, 16))
	for range n {
		var one T
		if each(s, &one); s.err != nil {
			return
		}
		*v = append(*v, one)
	}
}

// raw spells bytes up to the end of the word; none and nil are one. It comes last.
func (s *scribe) raw(v *[]byte) {
	if s.err != nil {
		return
	}
	if s.to != nil {
		s.end = *v
		return
	}
	if n := s.left(); n > 0 {
		*v = s.bytes(n)
	}
}

// length is one that was read. Every element takes at least a byte, so that a length beyond what is left is a lie.
func (s *scribe) length(n int, err error) int {
	s.keep(err)
	if n < 0 || n > s.left() {
		s.keep(errLength)
	}
	if s.err != nil {
		return 0
	}
	return n
}

// orNil is a length that was read where nil may stand instead.
func (s *scribe) orNil(n int, err error) (length int, some bool) {
	if n < 0 && err == nil {
		return 0, false
	}
	n = s.length(n, err)
	return n, s.err == nil
}

// bytes takes the next n of what is read, which has to hold them, without a copy.
func (s *scribe) bytes(n int) []byte {
	at := len(s.all) - s.left()
	b := s.all[at : at+n : at+n]
	s.in.Reset(s.all[at+n:])
	s.all = s.all[at+n:]
	return b
}
