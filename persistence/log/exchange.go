package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Exchange is a segment that takes the place of others.
type Exchange struct {
	old []*segment
	new *segment

	aborts bool // its index of aborted transactions is another, too, be it that nothing is in it
	state  cleaned
	over   bool // it has taken it
}

// newExchange is what a pass has written.
func newExchange(c *Cleaning, old []*segment) (*Exchange, error) {
	out := c.out
	x := &Exchange{old: old, new: newSegment(c.place, old[0].base)}
	x.new.size, x.new.bound = out.size, old[len(old)-1].bound
	x.new.known.Store(&summary{next: out.next, size: out.size, maxTime: out.sketch.maxTime, count: len(out.sketch.entries), entries: out.sketch.entries})
	return x, x.gatherAborts(c)
}

// gatherAborts makes one index of aborted transactions of those of the old segments, without the markers that are gone: a reader that was
// told of a transaction and met no marker would take what its producer writes next for a part of it. Views of the old ones have theirs
// in memory from then on.
func (x *Exchange) gatherAborts(c *Cleaning) error {
	all := []message.Aborted{}
	for _, seg := range x.old {
		x.new.indexed = x.new.indexed || seg.indexed
		of, err := c.view.abortsOf(slices.Index(c.view.shape.segments, seg))
		if err != nil {
			return err
		}
		all = append(all, of...)
	}
	before := len(all)
	all = slices.DeleteFunc(all, func(a message.Aborted) bool { return contains(c.out.dropped, a.Last) })
	x.new.aborted.Store(&all)
	if x.aborts = x.new.indexed && (len(x.old) > 1 || len(all) < before); !x.aborts {
		x.new.aborts = x.old[0].aborts
		return nil
	}
	raw, _ := encodeAborts(all)
	return c.place.writeSynced(x.new.aborts.path()+cleanedExt, raw)
}

// writeSynced writes a small file and syncs it.
func (p *place) writeSynced(path string, b []byte) error {
	f, err := p.fs.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Fits says that the segments are still those of the log, so that Swap may be called.
func (l *Log) Fits(c *Cleaning) bool {
	at := slices.Index(l.shape.segments, c.ready.old[0])
	return at >= 0 && at+len(c.ready.old) < len(l.shape.segments) && slices.Equal(l.shape.segments[at:at+len(c.ready.old)], c.ready.old)
}

// Swap puts what was written in its place, durably; meanwhile the log must not be cut, mended, deleted from or closed. An error other
// than ErrLeft leaves the log to be opened anew, which finishes it or throws it away.
func (c *Cleaning) Swap() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left.Load() {
		return ErrLeft
	}
	x := c.ready
	if err := c.swap(x); err != nil {
		c.stuck = true
		return fmt.Errorf("putting a compacted segment of %s in its place: %w", c.place.dir, err)
	}
	c.count.After += x.new.size
	for _, seg := range x.old {
		c.count.Before += seg.size
	}
	x.state, x.over = c.state, true
	return nil
}

func (c *Cleaning) swap(x *Exchange) error {
	for _, seg := range x.old {
		if _, err := seg.log.open(); err != nil { // for readers: the name is another's soon
			return err
		}
		if err := seg.index.remove(); err != nil { // durably, before another could pass for its segment
			return err
		}
	}
	if !planted.Is(planted.SwapUnsynced) {
		if err := c.place.fs.SyncDir(c.place.dir); err != nil {
			return err
		}
	}
	c.state.known, c.state.guard, c.state.proof = true, max(c.state.guard, x.new.bound), max(c.state.proof, c.mapped)
	c.state.swap = swap{base: x.new.base, bound: x.new.bound, size: x.new.size}
	if err := c.place.saveCleaned(c.state); err != nil {
		return err
	}
	if err := c.rename(x); err != nil {
		return err
	}
	c.state.swap = noSwap
	if err := c.place.saveCleaned(c.state); err != nil {
		return err
	}
	_ = saveSealed(x.new, x.new.known.Load()) // else it stays in memory, and SaveIndexes tries again
	return nil
}

func (c *Cleaning) rename(x *Exchange) error {
	for _, seg := range x.old {
		c.place.graves++
		seg.log.grave = fmt.Sprintf("%s.%d%s", seg.log.path(), c.place.graves, deletedExt)
		if err := c.place.fs.Rename(seg.log.path(), seg.log.grave); err != nil {
			return err
		}
	}
	if err := c.place.fs.Rename(x.new.log.path()+cleanedExt, x.new.log.path()); err != nil {
		return err
	}
	if err := x.renameAborts(c.place); err != nil {
		return err
	}
	return c.place.fs.SyncDir(c.place.dir)
}

// renameAborts puts the index of aborted transactions in place of those that the old segments had.
func (x *Exchange) renameAborts(p *place) error {
	if !x.aborts {
		return nil
	}
	for _, seg := range x.old {
		if err := seg.aborts.remove(); err != nil {
			return err
		}
	}
	return p.fs.Rename(x.new.aborts.path()+cleanedExt, x.new.aborts.path())
}

// Exchange lets the log use a segment that has taken the place of others. Views that are older go on with those.
func (l *Log) Exchange(c *Cleaning) {
	x := c.ready
	at := slices.Index(l.shape.segments, x.old[0])
	if !x.over || at < 0 {
		panic(fmt.Sprintf("log: %s: the segment at %d takes no place", l.place.dir, x.new.base))
	}
	l.setSegments(slices.Replace(slices.Clone(l.shape.segments), at, at+len(x.old), x.new))
	l.cleaned = x.state
	if l.shape.rules != l.rules() {
		l.reshape().rules = l.rules()
	}
	for _, seg := range x.old {
		seg.log.moved.Store(true)
		l.replaced = append(l.replaced, seg.log, &seg.index)
		if x.aborts {
			l.replaced = append(l.replaced, seg.aborts)
		}
	}
	c.ready = nil
	c.beginGroup(c.group + len(x.old))
}

// Finished takes note of a pass that is over.
func (l *Log) Finished(c *Cleaning) {
	l.cleaned = c.state
	if l.shape.rules != l.rules() {
		l.reshape().rules = l.rules()
	}
}

// Replaced hands out, once, the files whose place others have taken. The function deletes them, wherever it is called; who still reads
// them is answered with an error.
func (l *Log) Replaced() func() error {
	if len(l.replaced) == 0 {
		return nil
	}
	place, files := l.place, l.replaced
	l.replaced = nil
	return func() error { return dropReplaced(place, files) }
}

func dropReplaced(place *place, files []*handle) (err error) {
	for _, h := range files {
		h.gone.Store(true)
		if err = errors.Join(err, h.close()); h.grave != "" {
			err = errors.Join(err, unlessMissing(place.fs.Remove(h.grave)))
		}
	}
	return err
}
