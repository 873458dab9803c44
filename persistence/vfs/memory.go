package vfs

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCrashed is what a MemoryFS and its files answer once the machine or the process that used them is gone.
var ErrCrashed = errors.New("the machine with this disk has crashed")

// Op names an operation in faults, latencies and traces.
type Op string

// The operations.
const (
	OpCreate   Op = "create"
	OpOpen     Op = "open"
	OpClose    Op = "close"
	OpRemove   Op = "remove"
	OpRename   Op = "rename"
	OpMkdir    Op = "mkdir"
	OpList     Op = "list"
	OpStat     Op = "stat"
	OpSyncDir  Op = "syncdir"
	OpLock     Op = "lock"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
)

// MemoryOptions make a MemoryFS. The zero value is a disk without faults, bounds or delays.
type MemoryOptions struct {
	Rand     *rand.Rand // where faults come from; may be nil while all rates are zero
	Rates    Rates
	Capacity int64 // bytes, all files together; 0: a TiB
	// FullAtSync lets writes beyond Capacity through and fails the sync instead, as file systems do that allocate late.
	FullAtSync bool
	// Latency says how long an operation on n bytes takes. The disk does not wait: it adds up what TakeDelay hands out.
	Latency func(op Op, path string, n int) time.Duration
	// Now is the clock of files' modification times; nil: they are the zero time.
	Now func() time.Time
	// Trace is told of every operation when it is over. It may use the file system.
	Trace func(op Op, path string, at int64, n int, err error)
}

const capacityDefault = 1 << 40

// MemoryFS is a disk in memory that forgets, when it crashes, what was not synced: a file's contents since its last Sync,
// a directory's entries since its last SyncDir (a new directory is an entry of its parent). It is as unkind as POSIX
// allows: syncing a file does not make its name durable. With the same calls and the same Rand it does the same.
type MemoryFS struct {
	mu       sync.Mutex
	opts     MemoryOptions
	root     *node
	faults   []Fault
	locks    map[string]bool
	used     int64 // bytes in linked files
	delay    time.Duration
	open     int
	peak     int
	dead     bool
	readOnly bool
}

// Memory is an empty disk.
func Memory(opts MemoryOptions) *MemoryFS {
	if opts.Capacity == 0 {
		opts.Capacity = capacityDefault
	}
	return &MemoryFS{opts: opts, root: newDirectory()}
}

// TakeDelay is how long the operations since the last call have taken.
func (m *MemoryFS) TakeDelay() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.delay
	m.delay = 0
	return d
}

// Descriptors is how many files are open, and how many were at most.
func (m *MemoryFS) Descriptors() (open, peak int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open, m.peak
}

// Create implements FS.
func (m *MemoryFS) Create(path string) (File, error) {
	var f File
	err := m.act(OpCreate, path, func() (err error) {
		f, err = m.create(path)
		return err
	})
	return f, err
}

func (m *MemoryFS) create(path string) (File, error) {
	d, name, err := m.parent(path)
	if err != nil {
		return nil, err
	}
	n := d.live[name]
	switch {
	case n == nil:
		n = newFile()
		d.change(change{to: d, toName: name, node: n})
	case n.dir != nil:
		return nil, syscall.EISDIR
	default:
		m.used -= n.file.live.size
		n.file.truncate(0)
	}
	m.touch(n.file)
	return m.handle(n, path), nil
}

func (m *MemoryFS) handle(n *node, path string) File {
	m.open++
	m.peak = max(m.peak, m.open)
	return &memoryFile{fs: m, file: n.file, path: path}
}

// Open implements FS.
func (m *MemoryFS) Open(path string) (File, error) {
	var f File
	err := m.act(OpOpen, path, func() error {
		n, err := m.find(path)
		if err != nil {
			return err
		}
		if n.dir != nil {
			return syscall.EISDIR
		}
		f = m.handle(n, path)
		return nil
	})
	return f, err
}

// Remove implements FS.
func (m *MemoryFS) Remove(path string) error {
	return m.act(OpRemove, path, func() error {
		d, name, err := m.parent(path)
		if err != nil {
			return err
		}
		n := d.live[name]
		if n == nil {
			return syscall.ENOENT
		}
		if n.dir != nil && len(n.dir.live) > 0 {
			return syscall.ENOTEMPTY
		}
		m.unlink(d, name)
		return nil
	})
}

// RemoveAll implements FS. It removes entry by entry: after a crash any part of the tree may be back.
func (m *MemoryFS) RemoveAll(path string) error {
	return m.act(OpRemove, path, func() error {
		d, name, err := m.parent(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.live[name] == nil {
			return nil
		}
		if err != nil {
			return err
		}
		m.removeTree(d, name)
		return nil
	})
}

func (m *MemoryFS) removeTree(d *directory, name string) {
	if sub := d.live[name].dir; sub != nil {
		for _, child := range sub.names() {
			m.removeTree(sub, child)
		}
	}
	m.unlink(d, name)
}

func (m *MemoryFS) unlink(d *directory, name string) {
	n := d.live[name]
	m.release(n)
	d.change(change{from: d, fromName: name, node: n})
}

// release gives a file's room back. Whoever still has it open keeps it for nothing.
func (m *MemoryFS) release(n *node) {
	if n.file != nil {
		m.used -= n.file.live.size
		n.file.unlinked = true
	}
}

// Rename implements FS. It is one change, even from one directory to another: a crash keeps all of it or nothing.
func (m *MemoryFS) Rename(from, to string) error {
	return m.act(OpRename, to, func() error {
		source, sourceName, err := m.parent(from)
		if err != nil {
			return err
		}
		n := source.live[sourceName]
		if n == nil {
			return syscall.ENOENT
		}
		if from == to {
			return nil
		}
		target, targetName, err := m.parent(to)
		if err != nil {
			return err
		}
		if err := replaceable(n, target.live[targetName], from, to); err != nil {
			return err
		}
		if old := target.live[targetName]; old != nil {
			m.release(old)
		}
		source.change(change{from: source, fromName: sourceName, to: target, toName: targetName, node: n})
		return nil
	})
}

func replaceable(n, old *node, from, to string) error {
	switch {
	case n.dir != nil && strings.HasPrefix(to, from+"/"):
		return syscall.EINVAL
	case old == nil:
		return nil
	case n.dir == nil && old.dir != nil:
		return syscall.EISDIR
	case n.dir != nil && old.dir == nil:
		return syscall.ENOTDIR
	case old.dir != nil && len(old.dir.live) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

// MkdirAll implements FS.
func (m *MemoryFS) MkdirAll(path string) error {
	return m.act(OpMkdir, path, func() error {
		at := m.root
		for name := range names(path) {
			next := at.dir.live[name]
			if next == nil {
				next = newDirectory()
				at.dir.change(change{to: at.dir, toName: name, node: next})
			}
			if next.dir == nil {
				return syscall.ENOTDIR
			}
			at = next
		}
		return nil
	})
}

// List implements FS.
func (m *MemoryFS) List(path string) ([]string, error) {
	var found []string
	err := m.act(OpList, path, func() error {
		d, err := m.directory(path)
		if err == nil {
			found = d.names()
		}
		return err
	})
	return found, err
}

// Stat implements FS.
func (m *MemoryFS) Stat(path string) (fs.FileInfo, error) {
	var info fs.FileInfo
	err := m.act(OpStat, path, func() error {
		n, err := m.find(path)
		if err == nil {
			info = describe(path, n)
		}
		return err
	})
	return info, err
}

// SyncDir implements FS.
func (m *MemoryFS) SyncDir(path string) error {
	return m.act(OpSyncDir, path, func() error {
		d, err := m.directory(path)
		if err == nil {
			d.sync()
		}
		return err
	})
}

// Usage implements FS.
func (m *MemoryFS) Usage() (total, free int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return 0, 0, ErrCrashed
	}
	return m.opts.Capacity, max(m.opts.Capacity-m.used, 0), nil
}

// Lock implements FS. A crash gives every lock back.
func (m *MemoryFS) Lock(path string) (io.Closer, error) {
	err := m.act(OpLock, path, func() error {
		if m.locks[path] {
			return ErrLocked
		}
		d, name, err := m.parent(path)
		if err != nil {
			return err
		}
		if d.live[name] == nil {
			d.change(change{to: d, toName: name, node: newFile()})
		}
		if m.locks == nil {
			m.locks = map[string]bool{}
		}
		m.locks[path] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return memoryLock{m, path}, nil
}

type memoryLock struct {
	fs   *MemoryFS
	path string
}

func (l memoryLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.path)
	return nil
}

// act does one operation on a path: faults first, then the deed, then the trace outside of the lock.
func (m *MemoryFS) act(op Op, path string, do func() error) error {
	m.mu.Lock()
	err := m.verdict(op, path, 0).err
	if err == nil && !fs.ValidPath(path) {
		err = fs.ErrInvalid
	}
	if err == nil {
		err = do()
	}
	m.mu.Unlock()
	return m.over(op, path, 0, 0, err)
}

// over dresses an error like the operating system's and tells the trace.
func (m *MemoryFS) over(op Op, path string, at int64, n int, err error) error {
	if err != nil && err != io.EOF {
		err = mapped(&fs.PathError{Op: string(op), Path: path, Err: err})
	}
	if m.opts.Trace != nil {
		m.opts.Trace(op, path, at, n, err)
	}
	return err
}

func (m *MemoryFS) find(path string) (*node, error) {
	at := m.root
	for name := range names(path) {
		if at.dir == nil {
			return nil, syscall.ENOTDIR
		}
		if at = at.dir.live[name]; at == nil {
			return nil, syscall.ENOENT
		}
	}
	return at, nil
}

func (m *MemoryFS) directory(path string) (*directory, error) {
	n, err := m.find(path)
	if err != nil {
		return nil, err
	}
	if n.dir == nil {
		return nil, syscall.ENOTDIR
	}
	return n.dir, nil
}

// parent is the directory that holds path, and the last element of path.
func (m *MemoryFS) parent(path string) (*directory, string, error) {
	if path == "." {
		return nil, "", fs.ErrInvalid
	}
	above, name := ".", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		above, name = path[:i], path[i+1:]
	}
	d, err := m.directory(above)
	return d, name, err
}

// names are a path's elements; the root has none.
func names(path string) iter.Seq[string] {
	return func(yield func(string) bool) { // as a loop, for no memory is needed where it is inlined
		for more := path != "."; more; {
			var name string
			if name, path, more = strings.Cut(path, "/"); !yield(name) {
				return
			}
		}
	}
}
