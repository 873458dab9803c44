package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"sort"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// An index file, <base>.index, written whole when its segment is sealed and when the log is closed. One file serves
// offsets and time: an entry names a batch and the largest timestamp of all that come before it, which never falls.
// It is never synced and never needed; if a checksum or a field is wrong the batches' headers are read instead.
//
//	 0  8 "TRPINDX1"
//	 8  8 base offset of the segment
//	16  8 offset behind the last record that it covers
//	24  8 largest timestamp, in milliseconds; the smallest int64 if there is no batch
//	32  4 bytes of the segment that it covers
//	36  4 number of entries
//	40  4 CRC-32C of the entries
//	44  4 CRC-32C of everything from 0 to 44
//	48  . entries of 16 bytes, in ascending order
//
//	 0  4 offset of a batch, less the base offset
//	 4  4 position of the batch in the segment
//	 8  8 largest timestamp before that position; the smallest int64 at the first batch
const (
	indexMagic  = "TRPINDX1"
	indexHeader = 48
	entrySize   = 16
)

// noTime is the largest timestamp where there is no batch.
const noTime = math.MinInt64

var errIndex = errors.New("bad index")

// entry points at a batch.
type entry struct {
	offset uint32 // less the segment's base
	at     uint32
	before int64 // largest timestamp of what lies before it in the segment
}

// sketch is a segment's index in memory while it grows. Entries are only ever added behind, so that a view may keep a
// prefix of them.
type sketch struct {
	base    int64
	entries []entry
	maxTime int64
}

// add counts the batch at a position in, with an entry if the last one is at least interval bytes away.
func (s *sketch) add(b record.Batch, at, interval int64) {
	if n := len(s.entries); n == 0 || at-int64(s.entries[n-1].at) >= interval {
		s.entries = append(s.entries, entry{uint32(b.BaseOffset() - s.base), uint32(at), s.maxTime})
	}
	if b.Count() > 0 { // what compaction has left of a batch may have no record
		s.maxTime = max(s.maxTime, b.MaxTimestamp())
	}
}

// head is an index file's header.
type head struct {
	base, next, maxTime int64
	covered             int64
	count               int
	sum                 uint32
}

func encodeIndex(h head, entries []entry) []byte {
	b := make([]byte, indexHeader, indexHeader+entrySize*len(entries))
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, e.offset)
		b = binary.BigEndian.AppendUint32(b, e.at)
		b = binary.BigEndian.AppendUint64(b, uint64(e.before))
	}
	copy(b, indexMagic)
	binary.BigEndian.PutUint64(b[8:], uint64(h.base))
	binary.BigEndian.PutUint64(b[16:], uint64(h.next))
	binary.BigEndian.PutUint64(b[24:], uint64(h.maxTime))
	binary.BigEndian.PutUint32(b[32:], uint32(h.covered))
	binary.BigEndian.PutUint32(b[36:], uint32(len(entries)))
	binary.BigEndian.PutUint32(b[40:], crc32.Checksum(b[indexHeader:], record.Castagnoli))
	binary.BigEndian.PutUint32(b[44:], crc32.Checksum(b[:44], record.Castagnoli))
	return b
}

func decodeHead(b []byte) (head, error) {
	if len(b) < indexHeader || string(b[:8]) != indexMagic {
		return head{}, fmt.Errorf("%w: not an index", errIndex)
	}
	if crc32.Checksum(b[:44], record.Castagnoli) != binary.BigEndian.Uint32(b[44:]) {
		return head{}, fmt.Errorf("%w: the header's checksum does not match", errIndex)
	}
	return head{
		base:    int64(binary.BigEndian.Uint64(b[8:])),
		next:    int64(binary.BigEndian.Uint64(b[16:])),
		maxTime: int64(binary.BigEndian.Uint64(b[24:])),
		covered: int64(binary.BigEndian.Uint32(b[32:])),
		count:   int(binary.BigEndian.Uint32(b[36:])),
		sum:     binary.BigEndian.Uint32(b[40:]),
	}, nil
}

func decodeEntry(b []byte) entry {
	return entry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint64(b[8:]))}
}

// checkIndex reads an index file once as a whole and hands each entry out, if each is not nil. Errors that are not the
// file system's wrap errIndex.
func checkIndex(h *handle, base int64, each func(entry)) (head, error) {
	f, err := h.open()
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, fmt.Errorf("%w: there is none", errIndex)
	}
	if err != nil {
		return head{}, err
	}
	size, err := f.Size()
	if err != nil {
		return head{}, err
	}
	return readIndex(f, size, base, each)
}

func readIndex(f io.ReaderAt, size, base int64, each func(entry)) (head, error) {
	r := io.NewSectionReader(f, 0, size)
	var raw [indexHeader]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return head{}, shortIndex(err)
	}
	h, err := decodeHead(raw[:])
	if err != nil {
		return h, err
	}
	if h.base != base || size != indexHeader+entrySize*int64(h.count) {
		return h, fmt.Errorf("%w: base offset %d, %d entries in %d bytes", errIndex, h.base, h.count, size)
	}
	return h, readEntries(r, h, each)
}

// readEntries checks that the entries are what was written and ascend; it holds one block of them at a time.
func readEntries(r io.Reader, h head, each func(entry)) error {
	sum, last := uint32(0), entry{}
	block := make([]byte, min(h.count, 1024)*entrySize)
	for left := h.count; left > 0; {
		b := block[:min(left, 1024)*entrySize]
		if _, err := io.ReadFull(r, b); err != nil {
			return shortIndex(err)
		}
		sum = crc32.Update(sum, record.Castagnoli, b)
		for ; len(b) > 0; b, left = b[entrySize:], left-1 {
			e := decodeEntry(b)
			if left < h.count && (e.at <= last.at || e.offset <= last.offset || e.before < last.before) || int64(e.at) >= h.covered {
				return fmt.Errorf("%w: entries are out of order", errIndex)
			}
			if last = e; each != nil {
				each(e)
			}
		}
	}
	if sum != h.sum {
		return fmt.Errorf("%w: the entries' checksum does not match", errIndex)
	}
	return nil
}

func shortIndex(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut short", errIndex)
	}
	return err
}

// finder searches an index, in memory or in its file.
type finder struct {
	base    int64
	entries []entry
	file    io.ReaderAt // where entries is nil
	count   int
	raw     []byte
	err     error // the first one; entries are zero afterwards
}

func (f *finder) len() int { return f.count }

func (f *finder) entry(i int) entry {
	if f.file == nil {
		return f.entries[i]
	}
	if f.raw == nil {
		f.raw = make([]byte, entrySize)
	}
	if _, err := f.file.ReadAt(f.raw, indexHeader+int64(i)*entrySize); err != nil {
		f.err = errors.Join(f.err, err)
		return entry{}
	}
	return decodeEntry(f.raw)
}

// last is the last entry that lies on this side of a border which every entry before it does too; -1 if none.
func (f *finder) last(below func(entry) bool) int {
	return sort.Search(f.count, func(i int) bool { return !below(f.entry(i)) }) - 1
}

// at is the last entry at or below an offset; -1 if none.
func (f *finder) at(offset int64) int {
	i := f.last(func(e entry) bool { return f.base+int64(e.offset) <= offset })
	if planted.Is(planted.IndexOffByOne) && i+1 < f.count {
		i++
	}
	return i
}
