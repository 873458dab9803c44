package vfs

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
)

// Cached is a file system whose files hold a descriptor only while they are in use or were used recently: about openMax
// are kept, at least one, and a file that has lost its own is opened again when it is used. What is in use is never
// closed, so that more may be open for a while.
//
// A file whose name is removed or renamed over stays readable while it happens to hold its descriptor; afterwards its
// operations answer fs.ErrNotExist, even if the name has come back. A renamed file goes on under its new name, which Path
// then says. Everything that removes or renames must go through the same Cached.
//
// Closing a file that has unsynced writes and syncing it later by another descriptor is sound on Linux: fdatasync works on
// the inode, and an error in writing back that nobody has been told is told to who opens the file next (errseq_t since
// Linux 4.13, mended in 4.17). What is left is that the kernel may drop an inode under memory pressure and the error with
// it, and therefore files without unsynced writes go first.
func Cached(under FS, openMax int) FS {
	c := &cachedFS{FS: under, openMax: max(openMax, 1), named: map[string]*cachedFile{}}
	c.recent.next, c.recent.prev = &c.recent, &c.recent
	return c
}

type cachedFS struct {
	FS
	openMax int

	mu     sync.Mutex
	named  map[string]*cachedFile // by path, chained by sibling
	recent cachedFile             // the ring's head: next was used last, prev is the first to go
	open   int
}

// cachedFile is a file that may have a descriptor. All fields but fs are guarded by fs.mu.
type cachedFile struct {
	fs   *cachedFS
	path string

	file       File // nil without a descriptor
	pins       int32
	dirty      bool // written since the last sync
	gone       bool // its name is no longer its own
	closed     bool
	next, prev *cachedFile // in fs.recent, while it has a descriptor
	sibling    *cachedFile // of the same path
}

// cachedSender is a cachedFile whose descriptor can be sent from.
type cachedSender struct{ *cachedFile }

// Create implements FS.
func (c *cachedFS) Create(path string) (File, error) { return c.adopt(c.FS.Create(path)) }

// Open implements FS.
func (c *cachedFS) Open(path string) (File, error) { return c.adopt(c.FS.Open(path)) }

func (c *cachedFS) adopt(file File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	f := &cachedFile{fs: c, path: file.Path(), file: file}
	c.mu.Lock()
	f.sibling = c.named[f.path]
	c.named[f.path] = f
	c.use(f)
	surplus := c.surplus()
	c.mu.Unlock()
	closeAll(surplus)
	if _, ok := file.(Sender); ok {
		return cachedSender{f}, nil
	}
	return f, nil
}

// Remove implements FS.
func (c *cachedFS) Remove(path string) error {
	c.mu.Lock()
	c.orphan(path)
	c.mu.Unlock()
	return c.FS.Remove(path)
}

// RemoveAll implements FS.
func (c *cachedFS) RemoveAll(path string) error {
	c.mu.Lock()
	for _, name := range c.below(path) {
		c.orphan(name)
	}
	c.mu.Unlock()
	return c.FS.RemoveAll(path)
}

// Rename implements FS. It holds the lock: nobody may open a file by a name that is about to be another's.
func (c *cachedFS) Rename(from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.FS.Rename(from, to); err != nil || from == to {
		return err
	}
	moved := c.below(from)
	c.orphan(to)
	for _, name := range moved {
		c.rename(name, to+strings.TrimPrefix(name, from))
	}
	return nil
}

// below are the known names of a path and of what is in it. Their order decides nothing. In a file is nothing: only for the
// names in a directory are all looked through.
func (c *cachedFS) below(path string) (found []string) {
	if c.named[path] != nil {
		return []string{path}
	}
	within := path + "/"
	for name := range c.named {
		if strings.HasPrefix(name, within) {
			found = append(found, name)
		}
	}
	return found
}

// orphan lets the files of a name live as long as their descriptors.
func (c *cachedFS) orphan(path string) {
	for f := c.named[path]; f != nil; f = f.sibling {
		f.gone = true
	}
	delete(c.named, path)
}

func (c *cachedFS) rename(from, to string) {
	first := c.named[from]
	for f := first; f != nil; f = f.sibling {
		f.path = to
	}
	delete(c.named, from)
	c.named[to] = first
}

// forget takes a file from the list of its name.
func (c *cachedFS) forget(f *cachedFile) {
	if c.named[f.path] == f {
		c.named[f.path] = f.sibling
		if f.sibling == nil {
			delete(c.named, f.path)
		}
		return
	}
	for at := c.named[f.path]; at != nil; at = at.sibling {
		if at.sibling == f {
			at.sibling = f.sibling
			return
		}
	}
}

// use makes a file with a descriptor the one that was used last.
func (c *cachedFS) use(f *cachedFile) {
	if f.next != nil {
		f.leave()
	} else {
		c.open++
	}
	f.next, f.prev = c.recent.next, &c.recent
	f.next.prev, f.prev.next = f, f
}

func (f *cachedFile) leave() {
	f.next.prev, f.prev.next = f.prev, f.next
	f.next, f.prev = nil, nil
}

// drop takes a file's descriptor away, for the caller to close.
func (c *cachedFS) drop(f *cachedFile) File {
	file := f.file
	f.file = nil
	f.leave()
	c.open--
	return file
}

// surplus takes descriptors away until there are no more than openMax, or all are in use.
func (c *cachedFS) surplus() (files []File) {
	for c.open > c.openMax {
		f := c.oldest()
		if f == nil {
			break
		}
		files = append(files, c.drop(f))
	}
	return files
}

// lookMax is how far to look for a file without unsynced writes before one with them goes.
const lookMax = 32

func (c *cachedFS) oldest() *cachedFile {
	var second *cachedFile
	looked := 0
	for f := c.recent.prev; f != &c.recent && (looked < lookMax || second == nil); f = f.prev {
		looked++
		if f.pins > 0 {
			continue
		}
		if !f.dirty {
			return f
		}
		if second == nil {
			second = f
		}
	}
	return second
}

func closeAll(files []File) {
	for _, f := range files {
		f.Close() // nothing is in it that was not given to the kernel; a sync says whether it was written
	}
}

// pin is a descriptor that stays until unpin.
func (f *cachedFile) pin(op string) (File, error) {
	c := f.fs
	c.mu.Lock()
	for f.file == nil && !f.closed && !f.gone {
		if err := f.reopen(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	if f.closed || f.file == nil {
		err := &fs.PathError{Op: op, Path: f.path, Err: fs.ErrNotExist}
		if f.closed {
			err.Err = fs.ErrClosed
		}
		c.mu.Unlock()
		return nil, err
	}
	f.pins++
	c.use(f)
	file, surplus := f.file, c.surplus()
	c.mu.Unlock()
	closeAll(surplus)
	return file, nil
}

// reopen opens the file by its name. It lets go of the lock meanwhile, and takes nothing for granted afterwards.
func (f *cachedFile) reopen() error {
	c, path := f.fs, f.path
	c.mu.Unlock()
	file, err := c.FS.Open(path)
	c.mu.Lock()
	if f.file == nil && !f.closed && !f.gone && f.path == path {
		if err == nil {
			f.file = file
			c.use(f)
		}
		return err
	}
	if err == nil {
		file.Close() // somebody was faster, or the name is another's
	}
	return nil
}

func (f *cachedFile) unpin() {
	c := f.fs
	c.mu.Lock()
	f.pins--
	var surplus []File
	if f.closed && f.pins == 0 {
		surplus = append(surplus, c.drop(f))
	} else {
		surplus = c.surplus()
	}
	c.mu.Unlock()
	closeAll(surplus)
}

func (f *cachedFile) mark(dirty bool) {
	f.fs.mu.Lock()
	f.dirty = dirty
	f.fs.mu.Unlock()
}

// Path implements File.
func (f *cachedFile) Path() string {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.path
}

// Close implements File. Operations that run end first.
func (f *cachedFile) Close() error {
	c := f.fs
	c.mu.Lock()
	if f.closed {
		c.mu.Unlock()
		return &fs.PathError{Op: "close", Path: f.path, Err: fs.ErrClosed}
	}
	f.closed = true
	if !f.gone {
		c.forget(f)
	}
	var file File
	if f.file != nil && f.pins == 0 {
		file = c.drop(f)
	}
	c.mu.Unlock()
	if file == nil {
		return nil
	}
	return file.Close()
}

// ReadAt implements File.
func (f *cachedFile) ReadAt(b []byte, at int64) (int, error) {
	file, err := f.pin("read")
	if err != nil {
		return 0, err
	}
	defer f.unpin()
	return file.ReadAt(b, at)
}

// WriteAt implements File.
func (f *cachedFile) WriteAt(b []byte, at int64) (int, error) {
	file, err := f.pin("write")
	if err != nil {
		return 0, err
	}
	defer f.unpin()
	f.mark(true)
	return file.WriteAt(b, at)
}

// WriteVec implements File.
func (f *cachedFile) WriteVec(pieces [][]byte, at int64) (int, error) {
	file, err := f.pin("write")
	if err != nil {
		return 0, err
	}
	defer f.unpin()
	f.mark(true)
	return file.WriteVec(pieces, at)
}

// Truncate implements File.
func (f *cachedFile) Truncate(size int64) error {
	file, err := f.pin("truncate")
	if err != nil {
		return err
	}
	defer f.unpin()
	f.mark(true)
	return file.Truncate(size)
}

// Size implements File.
func (f *cachedFile) Size() (int64, error) {
	file, err := f.pin("stat")
	if err != nil {
		return 0, err
	}
	defer f.unpin()
	return file.Size()
}

// Sync implements File; see Cached for why another descriptor will do. It is clean for the choice of what to close from
// here on, whatever is written while the sync runs: an imprecision that only costs a descriptor its turn.
func (f *cachedFile) Sync() error {
	file, err := f.pin("sync")
	if err != nil {
		return err
	}
	defer f.unpin()
	f.mark(false)
	return file.Sync()
}

// Fd implements Sender.
func (f cachedSender) Fd(use func(fd uintptr) error) error {
	file, err := f.pin("sendfile")
	if err != nil {
		return err
	}
	defer f.unpin()
	sender, ok := file.(Sender)
	if !ok {
		return errors.ErrUnsupported
	}
	return sender.Fd(use)
}
