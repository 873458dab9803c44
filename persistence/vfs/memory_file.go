package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"
)

// file is a file's contents now, what a crash would leave at least, and the writes between the two.
type file struct {
	live, durable content
	unsynced      []dirty
	unsyncedBytes int
	unlinked      bool
	modified      time.Time
}

// dirty is one unsynced write, or the setting of the size to at.
type dirty struct {
	at       int64
	data     []byte
	truncate bool
}

func (d dirty) apply(to *content) {
	if d.truncate {
		to.truncate(d.at)
		return
	}
	to.write(d.data, d.at)
}

// Like a kernel, the disk writes back by itself what nobody syncs.
const (
	unsyncedMax      = 4096
	unsyncedBytesMax = 4 << 20
)

func (f *file) add(d dirty) {
	f.unsynced = append(f.unsynced, d)
	f.unsyncedBytes += len(d.data)
	if len(f.unsynced) > unsyncedMax || f.unsyncedBytes > unsyncedBytesMax {
		f.flush(len(f.unsynced) / 2)
	}
}

// flush makes the oldest n writes durable.
func (f *file) flush(n int) {
	for _, d := range f.unsynced[:n] {
		d.apply(&f.durable)
		f.unsyncedBytes -= len(d.data)
	}
	rest := copy(f.unsynced, f.unsynced[n:])
	clear(f.unsynced[rest:])
	f.unsynced = f.unsynced[:rest]
}

// forget is a failed sync: readers still see the writes, but they are taken for clean and never reach the disk.
func (f *file) forget() { f.unsynced, f.unsyncedBytes = nil, 0 }

func (f *file) truncate(size int64) {
	f.live.truncate(size)
	f.add(dirty{at: size, truncate: true})
}

// memoryFile is an open file.
type memoryFile struct {
	fs     *MemoryFS
	file   *file
	path   string
	closed bool
}

func (f *memoryFile) Path() string { return f.path }

// do is one operation on the open file.
func (f *memoryFile) do(op Op, at int64, n int, deed func(v verdict) (int, error)) (int, error) {
	m := f.fs
	m.mu.Lock()
	if op == OpSync {
		n = f.file.unsyncedBytes
	}
	v := m.verdict(op, f.path, n)
	done, err := 0, v.err
	switch {
	case f.closed:
		err = fs.ErrClosed
	case at < 0:
		err = syscall.EINVAL
	case err == nil:
		done, err = deed(v)
	case op == OpSync && !errors.Is(err, ErrCrashed):
		f.file.forget()
	}
	m.mu.Unlock()
	return done, m.over(op, f.path, at, done, err)
}

func (f *memoryFile) Close() error {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return f.fs.over(OpClose, f.path, 0, 0, fs.ErrClosed)
	}
	f.closed = true
	f.fs.open--
	f.fs.mu.Unlock()
	return f.fs.over(OpClose, f.path, 0, 0, nil)
}

func (f *memoryFile) ReadAt(b []byte, at int64) (int, error) {
	return f.do(OpRead, at, len(b), func(verdict) (int, error) {
		n := f.file.live.read(b, at)
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	})
}

func (f *memoryFile) WriteAt(b []byte, at int64) (int, error) {
	return f.do(OpWrite, at, len(b), func(v verdict) (int, error) { return f.write(keep(b), at, v) })
}

func (f *memoryFile) WriteVec(pieces [][]byte, at int64) (int, error) {
	b := bytes.Join(pieces, nil)
	return f.do(OpWrite, at, len(b), func(v verdict) (int, error) { return f.write(b, at, v) })
}

// write takes b over.
func (f *memoryFile) write(b []byte, at int64, v verdict) (int, error) {
	var err error
	if v.short {
		b, err = b[:len(b)/2], syscall.EIO
	}
	if fits := f.fs.fitting(f.file, at, len(b)); fits < len(b) {
		b, err = b[:fits], syscall.ENOSPC
	}
	if len(b) == 0 {
		return 0, err
	}
	if v.flip {
		b = bytes.Clone(b)
		b[v.draw%uint64(len(b))] ^= 1 << (v.draw >> 61)
	}
	f.grow(max(f.file.live.size, at+int64(len(b))))
	f.file.live.write(b, at)
	if v.misdirect {
		at = int64(v.draw % uint64(f.file.live.size))
	}
	f.file.add(dirty{at: at, data: b})
	return len(b), err
}

// grow accounts for a new size, and for the time.
func (f *memoryFile) grow(size int64) {
	f.fs.touch(f.file)
	if !f.file.unlinked {
		f.fs.used += size - f.file.live.size
	}
}

// touch notes the time of a change.
func (m *MemoryFS) touch(f *file) {
	if m.opts.Now != nil {
		f.modified = m.opts.Now()
	}
}

// fitting is how many of n bytes at a position the disk has room for.
func (m *MemoryFS) fitting(f *file, at int64, n int) int {
	if m.opts.FullAtSync || f.unlinked {
		return n
	}
	room := f.size() + max(m.opts.Capacity-m.used, 0) // how large the file may become
	return int(min(max(room-at, 0), int64(n)))
}

func (f *file) size() int64 { return f.live.size }

func (f *memoryFile) Truncate(size int64) error {
	_, err := f.do(OpTruncate, size, 0, func(verdict) (int, error) {
		if size > f.file.live.size && f.fs.fitting(f.file, size-1, 1) < 1 {
			return 0, syscall.ENOSPC
		}
		f.grow(size)
		f.file.truncate(size)
		return 0, nil
	})
	return err
}

func (f *memoryFile) Size() (int64, error) {
	var size int64
	_, err := f.do(OpStat, 0, 0, func(verdict) (int, error) {
		size = f.file.live.size
		return 0, nil
	})
	return size, err
}

func (f *memoryFile) Sync() error {
	_, err := f.do(OpSync, 0, 0, func(verdict) (int, error) {
		if f.fs.opts.FullAtSync && f.fs.used > f.fs.opts.Capacity && len(f.file.unsynced) > 0 {
			f.file.forget()
			return 0, syscall.ENOSPC
		}
		f.file.flush(len(f.file.unsynced))
		return 0, nil
	})
	return err
}

// described is a fs.FileInfo.
type described struct {
	name     string
	size     int64
	dir      bool
	modified time.Time
}

func describe(at string, n *node) described {
	d := described{name: path.Base(at), dir: n.dir != nil}
	if n.file != nil {
		d.size, d.modified = n.file.live.size, n.file.modified
	}
	return d
}

func (d described) Name() string       { return d.name }
func (d described) Size() int64        { return d.size }
func (d described) IsDir() bool        { return d.dir }
func (d described) ModTime() time.Time { return d.modified }
func (d described) Sys() any           { return nil }

func (d described) Mode() fs.FileMode {
	if d.dir {
		return fs.ModeDir | dirMode
	}
	return fileMode
}
