// Package snapshot keeps small things that are always written whole: raft's hard state, the metadata image, checkpoints.
// After a crash at any moment a file holds either what was written last or what was written before, checked by checksum.
//
//	0  4 "TSN1"    4  4 CRC-32C of everything behind it    8  8 length    16  . data
//
// It refuses to know what the bytes mean, and deletes nothing that it cannot read.
package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

const (
	magic      = "TSN1"
	headerSize = 16
	fresh      = ".new" // behind the name of what is being written
)

// Damaged is a file that fails its checks.
type Damaged struct{ Path, Why string }

// Error names the file.
func (d *Damaged) Error() string {
	return fmt.Sprintf("%s is damaged (%s): restore it from a copy", d.Path, d.Why)
}

// Write puts data in the place of what the file holds. It is durable when Write returns; after an error the file holds
// the one or the other.
func Write(files vfs.FS, name string, data []byte) error {
	if err := makeDir(files, path.Dir(name)); err != nil {
		return err
	}
	if err := writeFile(files, name+fresh, encode(data)); err != nil {
		return errors.Join(err, files.RemoveAll(name+fresh))
	}
	if err := files.Rename(name+fresh, name); err != nil {
		return err
	}
	return files.SyncDir(path.Dir(name))
}

// makeDir makes a directory, and its entries in the directories above durable: a process that was killed may have made it
// without that.
func makeDir(files vfs.FS, dir string) error {
	if err := files.MkdirAll(dir); err != nil {
		return err
	}
	for dir != "." {
		dir = path.Dir(dir)
		if err := files.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func encode(data []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(data))
	copy(b, magic)
	binary.BigEndian.PutUint64(b[8:], uint64(len(data)))
	b = append(b, data...)
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], record.Castagnoli))
	return b
}

func writeFile(files vfs.FS, name string, b []byte) error {
	f, err := files.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Read is what was written last: an error that is fs.ErrNotExist if nothing ever was, a *Damaged if it fails its checks.
func Read(files vfs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := readAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	data, why := decode(b)
	if why != "" {
		return nil, &Damaged{Path: name, Why: why}
	}
	return data, nil
}

func readAll(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// decode says what is wrong, empty if nothing.
func decode(b []byte) (data []byte, why string) {
	switch {
	case len(b) < headerSize:
		return nil, "it is too short"
	case string(b[:4]) != magic:
		return nil, "it does not begin as it should"
	case binary.BigEndian.Uint64(b[8:]) != uint64(len(b)-headerSize):
		return nil, "it has not the length that it says"
	case binary.BigEndian.Uint32(b[4:]) != crc32.Checksum(b[8:], record.Castagnoli):
		return nil, "the checksum is another"
	}
	return b[headerSize:], ""
}
