package vfs

import (
	"bytes"
	"path"
	"syscall"
)

// Rates are how often, from 0 to 1, an operation goes wrong by itself.
type Rates struct {
	Read      float64 // a read fails
	Write     float64 // a write fails and writes nothing
	Short     float64 // a write fails after its first half
	Misdirect float64 // a write reaches the disk at another place of the file; readers see that after a crash
	Flip      float64 // a bit of a write is turned over
	Sync      float64 // a file's sync fails, and what it should have synced is lost at the next crash
	SyncDir   float64 // a directory's sync fails
	// Where, if there is one, says which paths may suffer: damage belongs where the promise says that it is survivable.
	Where func(op Op, path string) bool
}

// Fault is one fault that happens once.
type Fault struct {
	Op   Op
	Path string // a pattern for path.Match; empty is every path
	Skip int    // so many matching operations go well first
	// Err is what the operation fails with; EIO if neither it nor any of the following is set.
	Err                    error
	Short, Misdirect, Flip bool // of writes
}

// Inject adds a fault. Of several that match an operation the first added happens first.
func (m *MemoryFS) Inject(f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.Err == nil && !f.Short && !f.Misdirect && !f.Flip {
		f.Err = syscall.EIO
	}
	m.faults = append(m.faults, f)
}

// SetRates replaces the rates; the zero Rates heal.
func (m *MemoryFS) SetRates(r Rates) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opts.Rates = r
}

// SetCapacity says how many bytes the disk has; less than is used is a full disk.
func (m *MemoryFS) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opts.Capacity = bytes
}

// SetReadOnly makes the disk refuse every change, or take changes again.
func (m *MemoryFS) SetReadOnly(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readOnly = on
}

// Rot turns a bit (0 to 7) of a file's byte over, in the page cache and on disk. Beyond the end nothing happens.
func (m *MemoryFS) Rot(path string, offset int64, bit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(path)
	if err == nil && n.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return err
	}
	n.file.live.flip(offset, bit)
	n.file.durable.flip(offset, bit)
	for i := range n.file.unsynced {
		d := &n.file.unsynced[i]
		if !d.truncate && offset >= d.at && offset < d.at+int64(len(d.data)) {
			d.data = bytes.Clone(d.data)
			d.data[offset-d.at] ^= 1 << (bit & 7)
		}
	}
	return nil
}

// verdict is what becomes of an operation.
type verdict struct {
	err                    error
	short, misdirect, flip bool
	draw                   uint64 // chance for the details
}

// verdict judges an operation, counts its time and draws its faults.
func (m *MemoryFS) verdict(op Op, path string, n int) verdict {
	if m.dead {
		return verdict{err: ErrCrashed}
	}
	if m.opts.Latency != nil {
		m.delay += m.opts.Latency(op, path, n)
	}
	if m.readOnly && changes(op) {
		return verdict{err: syscall.EROFS}
	}
	if v, ok := m.injected(op, path); ok {
		return v
	}
	return m.drawn(op, path)
}

func changes(op Op) bool {
	switch op {
	case OpCreate, OpRemove, OpRename, OpMkdir, OpLock, OpWrite, OpTruncate:
		return true
	}
	return false
}

func (m *MemoryFS) injected(op Op, at string) (verdict, bool) {
	for i := range m.faults {
		f := &m.faults[i]
		if f.Op != op || !f.matches(at) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		v := verdict{err: f.Err, short: f.Short, misdirect: f.Misdirect, flip: f.Flip}
		if m.opts.Rand != nil {
			v.draw = m.opts.Rand.Uint64()
		}
		m.faults = append(m.faults[:i], m.faults[i+1:]...)
		return v, true
	}
	return verdict{}, false
}

func (f *Fault) matches(at string) bool {
	if f.Path == "" || f.Path == at {
		return true
	}
	ok, _ := path.Match(f.Path, at)
	return ok
}

func (m *MemoryFS) drawn(op Op, path string) (v verdict) {
	r := &m.opts.Rates
	if m.opts.Rand == nil || r.Where != nil && !r.Where(op, path) {
		return v
	}
	switch {
	case op == OpRead && m.chance(r.Read), op == OpWrite && m.chance(r.Write), op == OpSync && m.chance(r.Sync), op == OpSyncDir && m.chance(r.SyncDir):
		v.err = syscall.EIO
	case op == OpWrite:
		v.short, v.misdirect, v.flip = m.chance(r.Short), m.chance(r.Misdirect), m.chance(r.Flip)
		if v.misdirect || v.flip {
			v.draw = m.opts.Rand.Uint64()
		}
	}
	return v
}

// chance draws nothing at rate 0, so that a fault that is off does not shift the others.
func (m *MemoryFS) chance(rate float64) bool { return rate > 0 && m.opts.Rand.Float64() < rate }
