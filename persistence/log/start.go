package log

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/troupe-broker/troupe/persistence/record"
)

// The file "start" says with which offset the first segment begins, if that is not 0. Without it nobody could tell a log
// whose first segments were deleted from one that a loss of power took them from before their names were durable.
//
//	0  8 base offset of the first segment, or of one behind it
//	8  4 CRC-32C of 0 to 8
const (
	startName = "start"
	startSize = 12
)

func decodeStart(b []byte) int64 {
	if len(b) < startSize || crc32.Checksum(b[:8], record.Castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return 0
	}
	return max(0, int64(binary.BigEndian.Uint64(b)))
}

// loadStart reads the file; a missing or bad one says 0.
func (l *Log) loadStart() error {
	f, err := l.first.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b := make([]byte, startSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return err
	}
	l.firstBase = decodeStart(b[:n])
	return nil
}

// saveStart notes where the first segment begins.
func (l *Log) saveStart(base int64) error {
	if base == l.firstBase {
		return nil
	}
	return l.writeStart(base)
}

func (l *Log) writeStart(base int64) error {
	f, err := l.first.open()
	if errors.Is(err, fs.ErrNotExist) {
		l.dirty.dir = true
		f, err = l.first.create()
	}
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(base))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, record.Castagnoli))
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	l.firstBase = base
	l.dirty.add(&l.first)
	return nil
}
