package log

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
	"sort"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// The file "epochs" holds where each leader epoch begins: entries of 16 bytes, in ascending order, written whole when an
// epoch begins or is cut. What stands behind the first bad entry is not believed. A log that has had one epoch and one
// segment only has no such file.
//
//	 0  4 leader epoch
//	 4  8 offset of its first record
//	12  4 CRC-32C of the whole file up to here, so that parts of two versions do not pass for one
const (
	epochsName = "epochs"
	epochSize  = 16
)

// epoch is where a leader epoch begins.
type epoch struct {
	number int32
	start  int64
}

// epochs are a log's epochs in ascending order. The slice is shared with views: it is copied to be changed.
type epochs []epoch

// last is the last one's number, -1 if there is none.
func (e epochs) last() int32 {
	if len(e) == 0 {
		return -1
	}
	return e[len(e)-1].number
}

// at is the epoch at an offset, -1 if it is not known.
func (e epochs) at(offset int64) int32 {
	return e[:sort.Search(len(e), func(i int) bool { return e[i].start > offset })].last()
}

// end is the largest epoch that is at most number, and where it ends in a log that ends at next; -1, -1 if none.
func (e epochs) end(number int32, next int64) (int32, int64) {
	i := sort.Search(len(e), func(i int) bool { return e[i].number > number })
	switch {
	case i == 0:
		return -1, -1
	case i < len(e):
		next = e[i].start
	}
	return e[i-1].number, next
}

// cut is without the epochs that begin at an offset or behind it.
func (e epochs) cut(offset int64) epochs {
	return slices.Clone(e[:sort.Search(len(e), func(i int) bool { return e[i].start >= offset })])
}

// from is without the epochs that ended at an offset or before it.
func (e epochs) from(offset int64) epochs {
	i := sort.Search(len(e), func(i int) bool { return e[i].start > offset })
	return e[max(0, i-1):]
}

// with is with one more, if it is one more.
func (e epochs) with(number int32, start int64) epochs {
	if number <= e.last() {
		return e
	}
	return append(e.cut(start), epoch{number, start})
}

func (e epochs) encode() []byte {
	b := make([]byte, 0, epochSize*len(e))
	for _, x := range e {
		b = binary.BigEndian.AppendUint32(b, uint32(x.number))
		b = binary.BigEndian.AppendUint64(b, uint64(x.start))
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, record.Castagnoli))
	}
	return b
}

// decodeEpochs takes the entries up to the first that is bad or out of order.
func decodeEpochs(file []byte) (e epochs) {
	sum := uint32(0)
	for b := file; len(b) >= epochSize; b = b[epochSize:] {
		sum = crc32.Update(sum, record.Castagnoli, b[:12])
		x := epoch{int32(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))}
		if sum != binary.BigEndian.Uint32(b[12:]) || x.number < 0 || x.start < 0 {
			return e
		}
		if n := len(e); n > 0 && (x.number <= e[n-1].number || x.start <= e[n-1].start) {
			return e
		}
		e = append(e, x)
		sum = crc32.Update(sum, record.Castagnoli, b[12:epochSize])
	}
	return e
}

// notice writes down an epoch that begins.
func (l *Log) notice(number int32, start int64) error {
	if number <= l.shape.epochs.last() {
		return nil
	}
	e := l.shape.epochs.with(number, start)
	if len(e) > 1 || l.history.file.Load() != nil { // a file that is there must not go stale
		if err := l.saveEpochs(e); err != nil {
			return err
		}
	}
	l.reshape().epochs = e
	return nil
}

// saveEpochs writes the file whole and in place: it is small, rarely written, and a torn one is noticed.
func (l *Log) saveEpochs(e epochs) error {
	f, err := l.openEpochs()
	if err != nil {
		return err
	}
	b := e.encode()
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	l.dirty.add(&l.history)
	return f.Truncate(int64(len(b)))
}

func (l *Log) openEpochs() (vfs.File, error) {
	f, err := l.history.open()
	if errors.Is(err, fs.ErrNotExist) {
		l.dirty.dir = true
		return l.history.create()
	}
	return f, err
}

// forgetEpochs drops, in memory, the epochs below the log start.
func (l *Log) forgetEpochs() {
	if e := l.shape.epochs.from(l.start); len(e) < len(l.shape.epochs) {
		l.reshape().epochs = e
	}
}

// cutEpochs drops the epochs of what was cut.
func (l *Log) cutEpochs(offset int64) error {
	e := l.shape.epochs.cut(offset)
	if len(e) == len(l.shape.epochs) {
		return nil
	}
	l.reshape().epochs = e
	return l.saveEpochs(e)
}
