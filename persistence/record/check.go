package record

import (
	"errors"
	"fmt"
	"math"
)

// What can be wrong with a batch's bytes, for errors.Is.
var (
	// ErrShort: the bytes end before the header or before the batch does. At a log's end this is a torn write.
	ErrShort = errors.New("the record batch is cut short")
	// ErrLength: the length in the header cannot be that of a batch.
	ErrLength = errors.New("the record batch has an impossible length")
	// ErrMagic: message format 0 or 1, or no batch at all.
	ErrMagic = errors.New("the record batch is not of format 2")
	// ErrCRC: the checksum does not match.
	ErrCRC = errors.New("the record batch's checksum does not match")
	// ErrCount: record count and last offset delta contradict each other.
	ErrCount = errors.New("the record batch's count does not match its last offset delta")
	// ErrRecord: the records behind a sound header cannot be read.
	ErrRecord = errors.New("malformed record")
)

// Check checks the batch at the start of b: length, magic, CRC, and that count and last offset delta can be true. It
// returns the batch cut to its size; what follows it in b is not looked at. It allocates only to say what is wrong.
//
// Fewer records than offsets are allowed, down to none: compaction leaves such batches.
func Check(b []byte) (Batch, error) {
	head, err := CheckHeader(b)
	if err != nil {
		return nil, err
	}
	size := head.Size()
	if len(b) < size {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrShort, len(b), size)
	}
	batch := Batch(b[:size:size])
	if sum := batch.Checksum(); sum != batch.CRC() {
		return nil, fmt.Errorf("%w: offset %d: %08x in the header, %08x computed", ErrCRC, batch.BaseOffset(), batch.CRC(), sum)
	}
	return batch, nil
}

// CheckHeader checks what a header alone can tell, for hopping from header to header: HeaderSize bytes are enough. It
// returns as much of the batch as b holds, which may be less than its Size.
func CheckHeader(b []byte) (Batch, error) {
	if len(b) < HeaderSize {
		return nil, fmt.Errorf("%w: %d bytes, a header has %d", ErrShort, len(b), HeaderSize)
	}
	batch := Batch(b)
	length := batch.length()
	switch {
	case batch.Magic() != 2:
		return nil, fmt.Errorf("%w: magic %d", ErrMagic, batch.Magic())
	case length < HeaderSize-12 || length > math.MaxInt32-12:
		return nil, fmt.Errorf("%w: %d", ErrLength, length)
	case batch.LastOffsetDelta() < 0 || batch.Count() < 0 || int64(batch.Count()) > int64(batch.LastOffsetDelta())+1:
		return nil, fmt.Errorf("%w: count %d, last offset delta %d", ErrCount, batch.Count(), batch.LastOffsetDelta())
	}
	size := batch.Size()
	return batch[:min(len(b), size)], nil
}

func (b Batch) length() int64 { return int64(b.Size()) - 12 }
