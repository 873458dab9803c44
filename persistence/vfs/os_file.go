package vfs

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// piecesMax is IOV_MAX: how many pieces Linux takes in one pwritev.
const piecesMax = 1024

type osFile struct {
	f    *os.File
	raw  syscall.RawConn
	path string
}

func (f *osFile) Path() string { return f.path }

func (f *osFile) Close() error { return f.f.Close() }

func (f *osFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.f.ReadAt(b, at)
	if err == io.EOF { // as it is: io.ReaderAt's callers compare
		return n, err
	}
	return n, mapped(err)
}

func (f *osFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.f.WriteAt(b, at)
	return n, mapped(err)
}

func (f *osFile) WriteVec(pieces [][]byte, at int64) (int, error) {
	written := 0
	for len(pieces) > 0 {
		n, err := f.pwritev(pieces[:min(len(pieces), piecesMax)], at+int64(written))
		written += n
		if err != nil {
			return written, f.failed("pwritev", err)
		}
		if n == 0 && !hollow(pieces) {
			return written, f.failed("pwritev", io.ErrShortWrite)
		}
		pieces = behind(pieces, n)
	}
	return written, nil
}

// behind is what is left of the pieces after n bytes. The caller's slice is not changed.
func behind(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n == 0 || len(pieces) == 0 {
		return pieces
	}
	rest := append([][]byte(nil), pieces...)
	rest[0] = rest[0][n:]
	return rest
}

// hollow says that the next system call has nothing to write.
func hollow(pieces [][]byte) bool {
	for _, p := range pieces[:min(len(pieces), piecesMax)] {
		if len(p) > 0 {
			return false
		}
	}
	return true
}

func (f *osFile) pwritev(pieces [][]byte, at int64) (n int, err error) {
	e := f.raw.Control(func(fd uintptr) {
		n, err = again(func() (int, error) { return unix.Pwritev(int(fd), pieces, at) })
	})
	if e != nil {
		return 0, e
	}
	return max(n, 0), err
}

func (f *osFile) Truncate(size int64) error { return mapped(f.f.Truncate(size)) }

func (f *osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, mapped(err)
	}
	return info.Size(), nil
}

// Sync is fdatasync: the contents and the size, but not the times.
func (f *osFile) Sync() error {
	var err error
	e := f.raw.Control(func(fd uintptr) {
		_, err = again(func() (int, error) { return 0, unix.Fdatasync(int(fd)) })
	})
	if err == nil {
		err = e
	}
	return f.failed("fdatasync", err)
}

// Fd implements Sender: the descriptor cannot be closed while use runs.
func (f *osFile) Fd(use func(fd uintptr) error) error {
	var err error
	e := f.raw.Control(func(fd uintptr) { err = use(fd) })
	if e != nil {
		return f.failed("sendfile", e)
	}
	return err
}

// Cool tells the system that it need not keep these bytes of a file in its memory. They should be synced: what is not stays, and is written
// back the sooner. It is only a hint, so nothing comes of an error, and nothing happens to files that the system does not know.
func Cool(f File, from, to int64) {
	if s, ok := f.(Sender); ok {
		_ = s.Fd(func(fd uintptr) error { return unix.Fadvise(int(fd), from, to-from, unix.FADV_DONTNEED) })
	}
}

func (f *osFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return mapped(&fs.PathError{Op: op, Path: f.f.Name(), Err: err})
}

// again repeats a system call that a signal has interrupted before it did anything.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
