package log

import (
	"errors"
	"io/fs"
	"path"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// place is the directory of one log.
type place struct {
	fs     vfs.FS
	dir    string
	graves int // names that were given to files whose place others have taken
}

func (p *place) path(name string) string { return p.dir + "/" + name }

// chain is the log's directory and every one above it up to the root. A new directory's name stands in the one above,
// and a neighbour who made that may not have synced it yet; so all of them are dirty, and whoever syncs drops doubles.
func (p *place) chain() []message.Syncer {
	dirs := []message.Syncer{directory{p.fs, p.dir}}
	for dir := p.dir; dir != "."; {
		dir = path.Dir(dir)
		dirs = append(dirs, directory{p.fs, dir})
	}
	return dirs
}

// directory is vfs.Directory for one that may have been removed meanwhile.
type directory vfs.Directory

// Sync makes the directory's entries durable, if there still is one.
func (d directory) Sync() error { return unlessMissing(vfs.Directory(d).Sync()) }

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// handle is one file of a log, opened at first use by the owner or by any reader. It is the file's one message.Syncer,
// and stays that when the log is closed or the file is removed while the disk still means to sync it.
type handle struct {
	place *place
	name  string

	cool   atomic.Int64 // bytes below it need not stay in the system's memory once they are synced
	cooled atomic.Int64 // and those below this do not

	file  atomic.Pointer[vfs.File]
	gone  atomic.Bool // removed on purpose
	moved atomic.Bool // another has its name
	grave string      // and this is its own until it is deleted
}

// closed stands in a handle that opens no more.
var closed = new(vfs.File)

func (h *handle) path() string { return h.place.path(h.name) }

func (h *handle) open() (vfs.File, error) {
	switch f := h.file.Load(); f {
	case nil:
		return h.openLate()
	case closed:
		return nil, &fs.PathError{Op: "open", Path: h.path(), Err: fs.ErrClosed}
	default:
		return *f, nil
	}
}

func (h *handle) openLate() (vfs.File, error) {
	f, err := h.place.fs.Open(h.path())
	if err != nil {
		return nil, err
	}
	if h.file.CompareAndSwap(nil, &f) {
		return f, nil
	}
	if err := f.Close(); err != nil { // another reader was faster
		return nil, err
	}
	return h.open()
}

// create makes the file anew and empty.
func (h *handle) create() (vfs.File, error) {
	f, err := h.place.fs.Create(h.path())
	if err != nil {
		return nil, err
	}
	return f, h.keep(&f)
}

func (h *handle) keep(f *vfs.File) error {
	if old := h.file.Swap(f); old != nil && old != closed {
		return (*old).Close()
	}
	return nil
}

// close lets the file be opened no more.
func (h *handle) close() error { return h.keep(closed) }

// remove deletes the file. Who has it open reads on until it is closed.
func (h *handle) remove() error {
	h.gone.Store(true)
	return unlessMissing(h.place.fs.Remove(h.path()))
}

// Sync makes the file durable, whatever became of the log; a file that was removed has nothing to sync.
func (h *handle) Sync() error {
	if h.gone.Load() {
		return nil
	}
	err := h.sync()
	if err == nil || h.gone.Load() || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sync opens a file of its own when the log has closed the other: what was written still has to be made durable, and
// the closing may happen while a sync runs.
func (h *handle) sync() error {
	if f := h.file.Load(); f != nil && f != closed {
		err := (*f).Sync()
		if err == nil {
			h.coolDown(*f)
		}
		if !errors.Is(err, fs.ErrClosed) {
			return err
		}
	}
	f, err := h.place.fs.Open(h.path())
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
