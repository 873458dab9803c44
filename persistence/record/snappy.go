package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/snappy"
)

// xerial is the head of Java's snappy framing: magic, version 1, compatible with version 1. Blocks follow, each of four
// bytes of length, big endian, and that much raw snappy.
var xerial = []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")

// xerialBlock is how much Java puts into one block.
const xerialBlock = 32 << 10

var errBlock = errors.New("a block is cut short")

func snappyXerial(dst, src []byte) []byte {
	dst = append(dst, xerial...)
	for part := range slices.Chunk(src, xerialBlock) {
		at := len(dst)
		most := snappy.MaxEncodedLen(len(part))
		dst = slices.Grow(dst, 4+most)
		block := snappy.Encode(dst[at+4:at+4+most], part) // long enough: encoded in place
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
		dst = dst[:at+4+len(block)]
	}
	return dst
}

func unsnappy(dst, src []byte, max int) ([]byte, error) {
	dst = dst[:0]
	// The versions are not compared: other libraries write others.
	if len(src) < len(xerial) || !bytes.Equal(src[:8], xerial[:8]) {
		return unsnappyBlock(dst, src, max)
	}
	src = src[len(xerial):]
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, errBlock
		}
		size := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if size > int64(len(src)) {
			return nil, errBlock
		}
		var err error
		if dst, err = unsnappyBlock(dst, src[:size], max); err != nil {
			return nil, err
		}
		src = src[size:]
	}
	return dst, nil
}

// unsnappyBlock appends one raw block to dst, which may grow to max.
func unsnappyBlock(dst, block []byte, max int) ([]byte, error) {
	size, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if size > max-len(dst) {
		return nil, ErrTooLarge
	}
	// Snappy makes at most 64 bytes out of 3: do not believe in more before there is memory for it.
	if size > 32*len(block)+64 {
		return nil, fmt.Errorf("%d bytes cannot become %d", len(block), size)
	}
	at := len(dst)
	dst = slices.Grow(dst, size)[:at+size]
	if _, err := snappy.Decode(dst[at:], block); err != nil {
		return nil, err
	}
	return dst, nil
}
