package vfs

import (
	"maps"
	"slices"
)

// node is a file or a directory, whatever its names.
type node struct {
	dir  *directory
	file *file
}

func newFile() *node { return &node{file: &file{}} }

func newDirectory() *node { return &node{dir: &directory{live: map[string]*node{}}} }

// directory is what is in a directory now, what a crash would leave, and the changes between the two.
type directory struct {
	live, durable map[string]*node
	changes       []*change
}

// change is an entry that comes, goes or moves. A move between two directories is in the lists of both.
type change struct {
	from, to         *directory
	fromName, toName string
	node             *node
	done             bool // durable, by a sync of the other directory
}

func (d *directory) names() []string { return slices.Sorted(maps.Keys(d.live)) }

func (d *directory) change(c change) {
	c.move(func(in *directory) map[string]*node { return in.live })
	d.changes = append(d.changes, &c)
	if c.from != nil && c.to != nil && c.to != c.from {
		c.to.changes = append(c.to.changes, d.changes[len(d.changes)-1])
	}
}

// move changes the entries that in finds for a directory; nil is none of our business.
func (c *change) move(in func(*directory) map[string]*node) {
	if c.from != nil {
		delete(in(c.from), c.fromName)
	}
	if c.to != nil {
		if entries := in(c.to); entries != nil {
			entries[c.toName] = c.node
		}
	}
}

func (d *directory) sync() {
	for _, c := range d.changes {
		if !c.done {
			c.move((*directory).disk)
			c.done = true
		}
	}
	d.changes = nil
}

func (d *directory) disk() map[string]*node {
	if d.durable == nil {
		d.durable = map[string]*node{}
	}
	return d.durable
}
