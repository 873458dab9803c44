package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Errors of Load, for errors.Is.
var (
	// ErrMissing: nothing was ever saved there.
	ErrMissing = errors.New("no snapshot")
	// ErrCorrupt: the file is not what Save has written.
	ErrCorrupt = errors.New("the snapshot is damaged")
)

// Save is Write for things whose layout changes with time: the version of the body, its owner's affair, is kept in two
// bytes before it.
func Save(files vfs.FS, name string, version uint16, body []byte) error {
	data := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(body)), version)
	return Write(files, name, append(data, body...))
}

// Load is what was saved last. Errors: ErrMissing, ErrCorrupt, or the file system's.
func Load(files vfs.FS, name string) (version uint16, body []byte, err error) {
	data, err := Read(files, name)
	var damaged *Damaged
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil, fmt.Errorf("%w: %w", ErrMissing, err)
	case errors.As(err, &damaged):
		return 0, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case err != nil:
		return 0, nil, err
	case len(data) < 2:
		return 0, nil, fmt.Errorf("%w: %s has no version", ErrCorrupt, name)
	}
	return binary.BigEndian.Uint16(data), data[2:], nil
}
