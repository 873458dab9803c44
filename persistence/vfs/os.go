package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	fileMode = 0o640
	dirMode  = 0o750
)

// OS is the operating system's file system below root, a directory that exists. Files are synced with fdatasync,
// directories with fsync; pieces are written with pwritev.
func OS(root string) (FS, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, mapped(err)
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: root, Err: syscall.ENOTDIR}
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return osFS{absolute}, nil
}

type osFS struct{ root string }

// at is where a path lies; a path that could leave the root is refused.
func (o osFS) at(op, path string) (string, error) {
	if !fs.ValidPath(path) {
		return "", invalid(op, path)
	}
	return filepath.Join(o.root, filepath.FromSlash(path)), nil
}

func invalid(op, path string) error {
	return &fs.PathError{Op: op, Path: path, Err: fmt.Errorf("%w: paths are relative to the root, slash-separated and clean", fs.ErrInvalid)}
}

func (o osFS) Create(path string) (File, error) {
	return o.open("create", path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (o osFS) Open(path string) (File, error) { return o.open("open", path, os.O_RDWR) }

func (o osFS) open(op, path string, flags int) (File, error) {
	name, err := o.at(op, path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, flags, fileMode)
	if err != nil {
		return nil, mapped(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &osFile{f: f, raw: raw, path: path}, nil
}

func (o osFS) Remove(path string) error {
	return o.change("remove", path, os.Remove)
}

func (o osFS) RemoveAll(path string) error {
	if path == "." { // the root is not ours
		return invalid("remove", path)
	}
	return o.change("remove", path, os.RemoveAll)
}

func (o osFS) MkdirAll(path string) error {
	return o.change("mkdir", path, func(name string) error { return os.MkdirAll(name, dirMode) })
}

func (o osFS) change(op, path string, do func(name string) error) error {
	name, err := o.at(op, path)
	if err != nil {
		return err
	}
	return mapped(do(name))
}

func (o osFS) Rename(from, to string) error {
	source, err := o.at("rename", from)
	if err != nil {
		return err
	}
	return o.change("rename", to, func(name string) error { return renamed(os.Rename(source, name)) })
}

// renamed makes a rename's error the *fs.PathError that FS promises.
func renamed(err error) error {
	var link *os.LinkError
	if !errors.As(err, &link) {
		return err
	}
	return &fs.PathError{Op: link.Op, Path: link.Old + " to " + link.New, Err: link.Err}
}

func (o osFS) List(path string) ([]string, error) {
	name, err := o.at("list", path)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(name) // sorted by name
	if err != nil {
		return nil, mapped(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (o osFS) Stat(path string) (fs.FileInfo, error) {
	name, err := o.at("stat", path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	return info, mapped(err)
}

func (o osFS) SyncDir(path string) error {
	return o.change("sync", path, func(name string) error {
		d, err := os.Open(name)
		if err != nil {
			return err
		}
		defer d.Close()
		return d.Sync()
	})
}

func (o osFS) Usage() (total, free int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(o.root, &s); err != nil {
		return 0, 0, mapped(&fs.PathError{Op: "statfs", Path: o.root, Err: err})
	}
	// Bavail leaves out what is reserved for root: we cannot write there.
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), nil
}

// Lock uses flock: the kernel gives the lock back when the process dies, however it dies.
func (o osFS) Lock(path string) (io.Closer, error) {
	name, err := o.at("lock", path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, mapped(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
}

// mapped adds the sentinel that callers test for to what the system said, and keeps what it said.
func mapped(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}
