package vfs

import (
	"bytes"
	"slices"
)

const pageSize = 4 << 10

// content is a file's bytes, in pages that copies share until one of them writes.
type content struct {
	pages []page
	size  int64
}

// page holds the first bytes of its part of the file; what is missing is zeros.
type page struct {
	b      []byte
	shared bool
}

// share is a copy.
func (c *content) share() content {
	for i := range c.pages {
		c.pages[i].shared = true
	}
	return content{slices.Clone(c.pages), c.size}
}

func (c *content) read(b []byte, at int64) int {
	if at >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-at)]
	for done := 0; done < len(b); {
		i, from := place(at + int64(done))
		n := min(pageSize-from, len(b)-done)
		part := b[done : done+n]
		copied := 0
		if i < len(c.pages) && from < len(c.pages[i].b) {
			copied = copy(part, c.pages[i].b[from:])
		}
		clear(part[copied:])
		done += n
	}
	return len(b)
}

// write keeps of b what fills pages: it must not change any more.
func (c *content) write(b []byte, at int64) {
	if len(b) == 0 {
		return
	}
	c.size = max(c.size, at+int64(len(b)))
	for len(b) > 0 {
		i, from := place(at)
		for len(c.pages) <= i {
			c.pages = append(c.pages, page{})
		}
		n := min(pageSize-from, len(b))
		switch p := &c.pages[i]; {
		case n == pageSize:
			*p = page{b: b[:n:n], shared: true}
		case from < len(p.b) || !zero(b[:n]):
			p.reach(from + n)
			copy(p.b[from:], b[:n])
		}
		b, at = b[n:], at+int64(n)
	}
}

func (c *content) truncate(size int64) {
	if size < c.size {
		keep, tail := place(size)
		if tail > 0 {
			keep++
		}
		if keep <= len(c.pages) {
			clear(c.pages[keep:])
			c.pages = c.pages[:keep]
			if tail > 0 && len(c.pages[keep-1].b) > tail {
				c.pages[keep-1].b = c.pages[keep-1].b[:tail]
			}
		}
	}
	c.size = size
}

// flip turns one bit over.
func (c *content) flip(at int64, bit int) {
	var b [1]byte
	if c.read(b[:], at) == 1 {
		b[0] ^= 1 << (bit & 7)
		c.write(b[:], at)
	}
}

// reach makes the page its holder's own and at least n bytes long.
func (p *page) reach(n int) {
	have := len(p.b)
	n = max(n, have)
	if p.shared || cap(p.b) < n {
		b := make([]byte, n, min(max(2*n, 64), pageSize))
		copy(b, p.b)
		*p = page{b: b}
		return
	}
	p.b = p.b[:n]
	clear(p.b[have:]) // what was cut off before must not come back
}

func place(at int64) (index, offset int) { return int(at / pageSize), int(at % pageSize) }

// zeros are for whoever writes nothing else, as a journal does that makes room. They stay zero.
var zeros [64 << 10]byte

func zero(b []byte) bool { return len(b) <= len(zeros) && b[0] == 0 && bytes.Equal(b, zeros[:len(b)]) }

// keep is a copy of what a caller wrote. Who changes it makes another.
func keep(b []byte) []byte {
	if len(b) > 0 && zero(b) {
		return zeros[:len(b):len(b)]
	}
	return bytes.Clone(b)
}
