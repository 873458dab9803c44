// Package vfs is the only way to files: the operating system's, or a disk in memory that can lose power.
//
// Everything that outlives the process goes through FS. The OS file system (OS), the one in memory (Memory) and the
// layer that keeps few descriptors open (Cached) are made in this package; it refuses to know what the bytes mean.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// Errors that callers tell apart with errors.Is, whatever file system they use. The OS file system wraps syscall errors so
// that they match.
var (
	// ErrFull is a disk without room (ENOSPC, EDQUOT).
	ErrFull = errors.New("no space left on the data directory's disk")
	// ErrReadOnly is a disk that takes no writes (EROFS).
	ErrReadOnly = errors.New("the data directory's disk is read-only")
)

// NoRoom says that the disk is whole but takes nothing now.
func NoRoom(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrReadOnly) }

// FS is a tree of files below one root. Paths are relative to the root, slash-separated and clean; "." is the root.
// An FS may be used from several goroutines. Errors wrap *fs.PathError; a missing file is fs.ErrNotExist.
type FS interface {
	// Create makes a new empty file, or empties an existing one, for reading and writing.
	Create(path string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Remove deletes a file or an empty directory.
	Remove(path string) error
	// RemoveAll deletes a tree; a missing one is no error.
	RemoveAll(path string) error
	// Rename moves a file over another, atomically.
	Rename(from, to string) error
	// MkdirAll makes a directory and its parents.
	MkdirAll(path string) error
	// List names a directory's entries in ascending order.
	List(path string) ([]string, error)
	// Stat says a file's size and kind.
	Stat(path string) (fs.FileInfo, error)
	// SyncDir makes a directory's entries durable: files created, renamed or removed in it.
	SyncDir(path string) error
	// Usage is the room on the disk, in bytes: in all, and still free.
	Usage() (total, free int64, err error)
	// Lock takes the exclusive lock of a file, which is created if need be; ErrLocked if another process has it. Closing
	// the returned Closer gives it back.
	Lock(path string) (io.Closer, error)
}

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// File is an open file. Reads and writes name their position; there is no cursor. Reads and Sync may be called from
// any goroutine, writes from one at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteVec writes the pieces one after the other from position at on, in one system call where there is one.
	WriteVec(pieces [][]byte, at int64) (int, error)
	// Truncate sets the size.
	Truncate(size int64) error
	// Size is the size now.
	Size() (int64, error)
	// Sync makes the contents durable (fdatasync). After an error nothing may be assumed about what was written since
	// the last success, and it is not to be tried again.
	Sync() error
	// Path is the name the file was opened by.
	Path() string
}

// Sender is a File that can move its bytes to a socket without a copy. Fd calls use with a descriptor that stays open
// until use returns.
type Sender interface {
	Fd(use func(fd uintptr) error) error
}
