package kafka

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A shape says what a request's bytes look like, so that they can be walked before anything is decoded or allocated:
// a decoder that believes an array's count allocates for what is not there, and one that believes a tag count loops for
// minutes.
//
//	1 2 4 8 16   a field of so many bytes          s  string      b  bytes (both nullable)
//	(...)        an array of structs               [x]  an array of a simple field
//	?(...)       a struct that may be null, marked by a byte
//	...@3+  ...@3-5  ...@-2   in these versions only
//
// Tagged fields (KIP-482) are at the end of every struct of a flexible version and need not be named.
type shape []field

type field struct {
	kind     byte // 'f' fixed, 's', 'b', '(' structs, '[' simple array, '?' nullable struct
	width    int
	min, max int16
	inner    shape
}

// shaped parses a shape; one that cannot be parsed is a mistake in this package.
func shaped(text string) shape {
	p := &shaper{text: text}
	s := p.fields(0)
	if p.at != len(text) {
		panic(fmt.Sprintf("kafka: shape %q: unexpected %q at %d", text, text[p.at], p.at))
	}
	return s
}

type shaper struct {
	text string
	at   int
}

func (p *shaper) fields(end byte) (s shape) {
	for p.at < len(p.text) {
		switch ch := p.text[p.at]; ch {
		case ' ':
			p.at++
		case end:
			return s
		default:
			s = append(s, p.field())
		}
	}
	return s
}

func (p *shaper) field() field {
	f := field{kind: p.text[p.at], max: 1<<15 - 1}
	p.at++
	switch f.kind {
	case '?':
		p.expect('(')
		f.inner = p.fields(')')
		p.expect(')')
	case '(':
		f.inner = p.fields(')')
		p.expect(')')
	case '[':
		f.inner = p.fields(']')
		p.expect(']')
	case 's', 'b':
	default:
		p.at--
		f.kind, f.width = 'f', p.number()
	}
	if p.at < len(p.text) && p.text[p.at] == '@' {
		p.at++
		p.versions(&f)
	}
	return f
}

func (p *shaper) versions(f *field) {
	if p.text[p.at] != '-' {
		f.min = int16(p.number())
		f.max = f.min
	}
	if p.at == len(p.text) {
		return
	}
	switch p.text[p.at] {
	case '+':
		p.at++
		f.max = 1<<15 - 1
	case '-':
		p.at++
		f.max = int16(p.number())
	}
}

func (p *shaper) number() int {
	rest := p.text[p.at:]
	n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	v, err := strconv.Atoi(rest[:n])
	if err != nil {
		panic(fmt.Sprintf("kafka: shape %q: a number is missing at %d", p.text, p.at))
	}
	p.at += n
	return v
}

func (p *shaper) expect(ch byte) {
	if p.at == len(p.text) || p.text[p.at] != ch {
		panic(fmt.Sprintf("kafka: shape %q: %q is missing at %d", p.text, ch, p.at))
	}
	p.at++
}

// fits walks a request's body; false if the bytes are not what the shape says. Bytes behind the end are tolerated, as
// Kafka does.
func (s shape) fits(body []byte, version int16, flexible bool) bool {
	w := walker{rest: body, version: version, flexible: flexible}
	return w.object(s)
}

type walker struct {
	rest     []byte
	version  int16
	flexible bool
	elements int
}

// elementsMax is how many elements all arrays of a request may have together. No client comes near it, and what is
// decoded of smallest elements is many times as large as their bytes.
const elementsMax = 1 << 20

func (w *walker) object(s shape) bool {
	for i := range s {
		if f := &s[i]; f.min <= w.version && w.version <= f.max && !w.field(f) {
			return false
		}
	}
	return !w.flexible || w.tags()
}

func (w *walker) field(f *field) bool {
	switch f.kind {
	case 'f':
		return w.skip(f.width)
	case 's':
		return w.text(2)
	case 'b':
		return w.text(4)
	case '?':
		if len(w.rest) == 0 {
			return false
		}
		present := int8(w.rest[0]) >= 0
		return w.skip(1) && (!present || w.object(f.inner))
	}
	n, ok := w.length(4)
	if w.elements += max(n, 0); !ok || n > len(w.rest) || w.elements > elementsMax {
		return false
	}
	for ; n > 0; n-- {
		if f.kind == '(' && !w.object(f.inner) || f.kind == '[' && !w.field(&f.inner[0]) {
			return false
		}
	}
	return true
}

func (w *walker) skip(n int) bool {
	if n > len(w.rest) {
		return false
	}
	w.rest = w.rest[n:]
	return true
}

func (w *walker) text(width int) bool {
	n, ok := w.length(width)
	return ok && w.skip(max(n, 0))
}

// length reads the length of a string (width 2), or of bytes or an array (width 4); -1 is null.
func (w *walker) length(width int) (int, bool) {
	if w.flexible {
		n, ok := w.uvarint()
		return int(n) - 1, ok
	}
	if len(w.rest) < width {
		return 0, false
	}
	n := int(int16(binary.BigEndian.Uint16(w.rest)))
	if width == 4 {
		n = int(int32(binary.BigEndian.Uint32(w.rest)))
	}
	w.rest = w.rest[width:]
	return n, n >= -1
}

func (w *walker) uvarint() (uint32, bool) {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 || n > 5 || v > 1<<31 {
		return 0, false
	}
	w.rest = w.rest[n:]
	return uint32(v), true
}

func (w *walker) tags() bool {
	n, ok := w.uvarint()
	if !ok || int(n) > len(w.rest) {
		return false
	}
	for ; n > 0; n-- {
		_, ok := w.uvarint()
		size, ok2 := w.uvarint()
		if !ok || !ok2 || !w.skip(int(size)) {
			return false
		}
	}
	return true
}
