package log

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

const (
	blockBytes = 64 << 10 // what recovery and scans read at a time
	anyEpoch   = math.MinInt32
)

// flaw says why the bytes at a position are not the batch that should be there.
type flaw string

func (f flaw) Error() string { return string(f) }

// rules are what a log's batches must keep to, besides being whole.
type rules struct {
	gaps     bool // compacted: offsets may be missing between batches
	interval int64
}

// walker goes through a segment from batch to batch, by the headers, through one buffer.
type walker struct {
	file  io.ReaderAt
	size  int64 // of the part that may be read
	bound int64 // no batch may go beyond this offset
	rules rules
	block int64 // bytes to read at a time

	at     int64 // position
	next   int64 // the offset that is due there
	strict bool  // epochs may not fall: recovery, where an old tail may stand behind what is new
	proved int64 // but below this offset there is no old tail: an epoch that falls has rotted, or the one before it
	epoch  int32 // the least epoch that is due there
	read   int64 // bytes read from the file

	buf  []byte
	from int64 // where buf lies in the file
}

// header is the header of the batch at the walker's position, perhaps with bytes behind it. io.EOF at the end, and where
// the bound is reached: what stands behind it belongs to no offset, it was cut and a crash has brought it back. A flaw if
// that is not the batch that is due there.
func (w *walker) header() (record.Batch, error) {
	if w.at >= w.size || w.next >= w.bound {
		return nil, io.EOF
	}
	b, err := w.peek(w.at)
	if err != nil {
		return nil, err
	}
	if _, err := record.CheckHeader(b); err != nil {
		return nil, flaw(err.Error())
	}
	base, size := b.BaseOffset(), int64(b.Size())
	switch {
	case base < w.next || base > w.next && !w.rules.gaps:
		return nil, flaw(fmt.Sprintf("offset %d where %d is due", base, w.next))
	case size > w.size-w.at:
		return nil, flaw(fmt.Sprintf("the batch at offset %d is cut short", base))
	case b.LastOffset() >= w.bound || b.LastOffset() < base:
		return nil, flaw(fmt.Sprintf("the batch at offset %d reaches %d, beyond %d", base, b.LastOffset(), w.bound))
	case b.LeaderEpoch() < w.epoch && w.next >= w.proved:
		return nil, flaw(fmt.Sprintf("the batch at offset %d has leader epoch %d behind %d", base, b.LeaderEpoch(), w.epoch))
	}
	return b, nil
}

// step goes behind the batch whose header it is given.
func (w *walker) step(b record.Batch) {
	w.pass(b, true)
}

// pass is step for a batch whose epoch may not be believed.
func (w *walker) pass(b record.Batch, believed bool) {
	w.at += int64(b.Size())
	w.next = b.NextOffset()
	if w.strict && believed {
		w.epoch = max(w.epoch, b.LeaderEpoch())
	}
}

// doubt looks at the batch behind the one that the walker is at, where the epoch rises or the offset leaps below the recovery
// point: the epoch is the one field that neither checksum nor order protects, nor do they the offset where there may be gaps, and a
// rotten one would make all that follows look old. An epoch that is higher than what comes next is not believed; the batch itself
// is whole. But if the one behind the next has risen as well, it is the next that is wrong.
func (w *walker) doubt(b record.Batch) (_ record.Batch, believed bool, err error) {
	epoch, base, behind := b.LeaderEpoch(), b.BaseOffset(), b.NextOffset()
	believed = true
	at := w.at + int64(b.Size())
	next, err := w.peek(at)
	switch {
	case err != nil || next.Magic() != 2:
	case next.BaseOffset() == behind && next.LeaderEpoch() < epoch:
		after := next.NextOffset()
		third, err := w.peek(at + int64(next.Size()))
		believed = err == nil && third.Magic() == 2 && third.BaseOffset() == after && third.LeaderEpoch() >= epoch
	case base > w.next && next.BaseOffset() > w.next && next.BaseOffset() < behind:
		return nil, false, flaw(fmt.Sprintf("offset %d, but the next batch has %d", base, next.BaseOffset()))
	}
	b, err = w.peek(w.at)
	return b, believed, err
}

// peek is at least a header's worth of bytes from a position on.
func (w *walker) peek(at int64) (record.Batch, error) {
	if at+record.HeaderSize > w.size {
		return nil, flaw(fmt.Sprintf("%d bytes are no header", w.size-at))
	}
	if at < w.from || at+record.HeaderSize > w.from+int64(len(w.buf)) {
		if err := w.fill(at, w.block, record.HeaderSize); err != nil {
			return nil, err
		}
	}
	return record.Batch(w.buf[at-w.from:]), nil
}

// fill reads so many bytes from a position on, or as many as there are. Where they are too few for what is needed now, the file has lost
// its end; if only what would come next is missing, it may have been cut behind a view's high watermark.
func (w *walker) fill(at, n, need int64) error {
	n = min(max(n, need), w.size-at)
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	w.buf, w.from = w.buf[:n], at
	got, err := w.file.ReadAt(w.buf, at)
	w.read += int64(got)
	if int64(got) == n {
		return nil
	}
	if ended := err == nil || errors.Is(err, io.EOF); ended && int64(got) >= need {
		w.buf = w.buf[:got]
		return nil
	}
	w.buf = w.buf[:0]
	if err == nil || errors.Is(err, io.EOF) {
		return flaw(fmt.Sprintf("the file ends at %d, and not at %d", at+int64(got), w.size))
	}
	return err
}

// checked is header for those who want the checksum too.
func (w *walker) checked() (record.Batch, error) {
	b, err := w.header()
	if err != nil {
		return nil, err
	}
	base, crc := b.BaseOffset(), b.CRC()
	sum, err := w.checksum(w.at, int64(b.Size()))
	if err != nil {
		return nil, err
	}
	if sum != crc && !planted.Is(planted.NoChecksumAtRecovery) {
		return nil, flaw(fmt.Sprintf("the checksum of the batch at offset %d does not match", base))
	}
	return w.peek(w.at)
}

// whole is checked with all of the batch in the buffer.
func (w *walker) whole() (record.Batch, error) {
	b, err := w.checked()
	if err != nil {
		return nil, err
	}
	size := b.Size()
	if len(b) < size {
		if err := w.fill(w.at, w.block, int64(size)); err != nil {
			return nil, err
		}
		b = record.Batch(w.buf)
	}
	return b[:size:size], nil
}

// checksum computes a batch's checksum block by block, so that a length made of rotten bits costs no memory.
func (w *walker) checksum(at, size int64) (uint32, error) {
	if at >= w.from && at+size <= w.from+int64(len(w.buf)) {
		return record.Batch(w.buf[at-w.from:][:size]).Checksum(), nil
	}
	const summed = 21 // the first byte that the checksum covers
	sum := uint32(0)
	for pos, end := at+summed, at+size; pos < end; {
		n := min(blockBytes, end-pos)
		if err := w.fill(pos, n, n); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, record.Castagnoli, w.buf)
		pos += int64(len(w.buf))
	}
	return sum, nil
}
