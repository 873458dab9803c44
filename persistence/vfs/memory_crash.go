package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is what a disk writes wholly or not at all.
const sector = 512

// Crash is the disk after a loss of power: of what was not synced, r decides what is lost, kept, torn at a sector or
// written out of order, file by file and directory by directory. The old file system and its files answer ErrCrashed from
// now on. Faults, hooks and capacity go over to the new one, locks and injected faults do not.
func (m *MemoryFS) Crash(r *rand.Rand) *MemoryFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return m.after(r)
}

// CrashClone is what Crash would have made, while the old file system lives on: for looking at every moment of a scene.
func (m *MemoryFS) CrashClone(r *rand.Rand) *MemoryFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.after(r)
}

// Keep is the disk after a kill -9: everything that was in the page cache still is, unsynced as it was. The old file
// system and its files answer ErrCrashed from now on.
func (m *MemoryFS) Keep() *MemoryFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return &MemoryFS{opts: m.opts, root: m.root, used: m.used, readOnly: m.readOnly}
}

func (m *MemoryFS) after(r *rand.Rand) *MemoryFS {
	c := crash{rand: r, nodes: map[*node]*node{}, fates: map[*change]bool{}}
	return &MemoryFS{opts: m.opts, root: c.node(m.root), used: c.used, readOnly: m.readOnly}
}

// crash is one loss of power. Its maps are looked things up in, never walked.
type crash struct {
	rand  *rand.Rand
	nodes map[*node]*node
	fates map[*change]bool // a move between directories has one fate
	used  int64
}

func (c *crash) node(n *node) *node {
	if done := c.nodes[n]; done != nil {
		return done
	}
	after := &node{}
	c.nodes[n] = after
	if n.dir != nil {
		after.dir = c.directory(n.dir)
	} else {
		after.file = c.file(n.file)
		c.used += after.file.live.size
	}
	return after
}

func (c *crash) directory(d *directory) *directory {
	entries := maps.Clone(d.durable)
	if entries == nil {
		entries = map[string]*node{}
	}
	keep := c.keeper(len(d.changes))
	for i, ch := range d.changes {
		if c.fate(ch, keep(i)) {
			ch.move(func(in *directory) map[string]*node {
				if in == d {
					return entries
				}
				return nil
			})
		}
	}
	after := &directory{live: make(map[string]*node, len(entries)), durable: make(map[string]*node, len(entries))}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		n := c.node(entries[name])
		after.live[name], after.durable[name] = n, n
	}
	return after
}

func (c *crash) fate(ch *change, kept bool) bool {
	if ch.done {
		return true
	}
	if known, ok := c.fates[ch]; ok {
		return known
	}
	c.fates[ch] = kept
	return kept
}

// keeper decides which of n changes survive: none, all, the first few, or any.
func (c *crash) keeper(n int) func(i int) bool {
	if n == 0 {
		return nil
	}
	first := 0
	switch c.rand.IntN(4) {
	case 0:
	case 1:
		first = n
	case 2:
		first = c.rand.IntN(n)
	case 3:
		return func(int) bool { return c.rand.IntN(2) == 0 }
	}
	return func(i int) bool { return i < first }
}

func (c *crash) file(f *file) *file {
	left := f.durable.share()
	if len(f.unsynced) > 0 {
		switch c.rand.IntN(4) {
		case 0: // all lost
		case 1:
			for _, d := range f.unsynced {
				d.apply(&left)
			}
		case 2:
			c.tear(f.unsynced, &left)
		case 3:
			c.scatter(f.unsynced, &left)
		}
		if f.live.size > left.size && c.rand.IntN(4) == 0 {
			left.truncate(f.live.size) // the new size is on disk and the data is not: zeros
		}
	}
	return &file{durable: left, live: left.share(), modified: f.modified}
}

// tear keeps the first few writes, and of the next one the first few sectors.
func (c *crash) tear(writes []dirty, to *content) {
	whole := c.rand.IntN(len(writes))
	for _, d := range writes[:whole] {
		d.apply(to)
	}
	torn := writes[whole]
	if torn.truncate {
		return
	}
	left := c.rand.IntN(int(sectors(torn)) + 1)
	torn.split(func(part dirty, _ int64) {
		if left > 0 {
			part.apply(to)
			left--
		}
	})
}

// scatter lets every sector be as it was after one of the writes that touched it, or before them all. A truncation
// happened or did not.
func (c *crash) scatter(writes []dirty, to *content) {
	reached := map[int64]int{} // by sector: how many of the writes it has seen
	for i, d := range writes {
		if d.truncate {
			if c.rand.IntN(2) == 0 {
				d.apply(to)
			}
			continue
		}
		d.split(func(part dirty, sector int64) {
			seen, ok := reached[sector]
			if !ok {
				seen = c.rand.IntN(len(writes) + 1)
				reached[sector] = seen
			}
			if i < seen {
				part.apply(to)
			}
		})
	}
}

func sectors(d dirty) int64 { return (d.at+int64(len(d.data))-1)/sector - d.at/sector + 1 }

// split cuts a write at the sectors of the file.
func (d dirty) split(each func(part dirty, sector int64)) {
	at, data := d.at, d.data
	for len(data) > 0 {
		n := min(sector-int(at%sector), len(data))
		each(dirty{at: at, data: data[:n]}, at/sector)
		at, data = at+int64(n), data[n:]
	}
}
