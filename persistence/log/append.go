package log

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Append writes one batch, whose base offset and leader epoch the caller has set, behind the end. now is for rolling by
// age. What it dirtied is in Dirty. On an error the log is as it was before (a partial write is cut away).
// Errors wrap vfs.ErrFull where the disk has no room.
//
// If a partial write cannot be cut away, nothing is appended any more until the log is opened anew.
func (l *Log) Append(b record.Batch, now time.Time) error { return l.append(b, nil, now) }

// append is Append, with an entry for the index of aborted transactions if the batch is a marker that has one.
func (l *Log) append(b record.Batch, aborted *message.Aborted, now time.Time) error {
	if err := l.admits(b); err != nil {
		return err
	}
	if l.last() == nil || l.full(b, now) {
		if err := l.roll(l.baseFor(b)); err != nil {
			return fmt.Errorf("beginning a segment of %s: %w", l.place.dir, err)
		}
	}
	before := l.shape.epochs
	if err := l.notice(b.LeaderEpoch(), b.BaseOffset()); err != nil {
		return fmt.Errorf("noting leader epoch %d of %s: %w", b.LeaderEpoch(), l.place.dir, err)
	}
	if err := l.writeWith(b, aborted); err != nil {
		if l.shape.epochs.last() != before.last() {
			l.reshape().epochs = before
		}
		return err
	}
	if l.size == 0 {
		l.since = now
	}
	l.index.add(b, l.size, l.shape.rules.interval)
	l.size += int64(len(b))
	l.next = b.NextOffset()
	l.trail.add(spot{l.size, l.next})
	l.dirty.last = true
	return nil
}

// writeWith writes a batch, and in front of it its entry in the index of aborted transactions: all or nothing. A marker without an entry
// is unproven.
func (l *Log) writeWith(b record.Batch, aborted *message.Aborted) error {
	if aborted == nil {
		err := l.write(b)
		if err == nil && aborting(b) {
			l.aborts.unproven = append(l.aborts.unproven, b.BaseOffset())
		}
		return err
	}
	sum, err := l.writeAbort(*aborted)
	if err != nil {
		return fmt.Errorf("noting an aborted transaction of %s: %w", l.place.dir, err)
	}
	if err := l.write(b); err != nil {
		l.trimAborts()
		return err
	}
	l.aborts.list, l.aborts.sum = append(l.aborts.list, *aborted), sum
	return nil
}

// baseFor is where a segment begins whose first batch this is: where the one before it ends, also if offsets are missing there, so that a
// segment that has lost its end can be told from one that never had more; unless the batch is too far away.
func (l *Log) baseFor(b record.Batch) int64 {
	if l.last() == nil || b.LastOffset()-l.next > math.MaxInt32 {
		return b.BaseOffset()
	}
	return l.next
}

// admits refuses what would make the log invalid.
func (l *Log) admits(b record.Batch) error {
	switch {
	case l.broken != nil:
		return fmt.Errorf("%s takes no appends until it is opened anew: %w", l.place.dir, l.broken)
	case len(b) < record.HeaderSize || b.Size() != len(b):
		return fmt.Errorf("appending to %s: %d bytes are not one batch", l.place.dir, len(b))
	case b.BaseOffset() < l.next || b.BaseOffset() > l.next && !l.shape.rules.gaps:
		return fmt.Errorf("appending to %s: base offset %d, but the log ends at %d", l.place.dir, b.BaseOffset(), l.next)
	case b.LastOffset() < b.BaseOffset() || b.LastOffset() == math.MaxInt64:
		return fmt.Errorf("appending to %s: last offset %d of a batch that begins at %d", l.place.dir, b.LastOffset(), b.BaseOffset())
	case b.LeaderEpoch() < l.shape.epochs.last():
		return fmt.Errorf("appending to %s: leader epoch %d, but the log has %d already", l.place.dir, b.LeaderEpoch(), l.shape.epochs.last())
	}
	return nil
}

// full says that a batch must go to another segment than the last one.
func (l *Log) full(b record.Batch, now time.Time) bool {
	if b.LastOffset()-l.index.base > math.MaxInt32 {
		return true
	}
	if l.size == 0 {
		return false
	}
	return l.size+int64(len(b)) > l.config.SegmentBytes || l.outgrown() || l.config.SegmentAge > 0 && now.Sub(l.since) >= l.config.SegmentAge
}

// outgrown says that the last segment is larger than it needs to be before compaction may reach it.
func (l *Log) outgrown() bool {
	return l.config.OutgrownBytes > 0 && l.size > max(l.config.OutgrownBytes, l.shape.sealed)
}

// write writes at the end of the last segment, all or nothing.
func (l *Log) write(b record.Batch) error {
	file, err := l.last().log.open()
	if err != nil {
		return err
	}
	if err := l.trim(file); err != nil {
		return fmt.Errorf("appending to %s: %w", l.place.dir, err)
	}
	n, err := file.WriteAt(b, l.size)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	l.ragged = n > 0
	if undo := l.trim(file); undo != nil && !errors.Is(undo, vfs.ErrReadOnly) {
		l.broken = errors.Join(err, undo)
	}
	return fmt.Errorf("appending to %s: %w", l.place.dir, err)
}

// trim cuts away what a failed write has left behind the end. A disk that takes no changes is asked again later.
func (l *Log) trim(file vfs.File) error {
	if !l.ragged {
		return nil
	}
	err := file.Truncate(l.size)
	l.ragged = err != nil
	return err
}

// roll seals the last segment, if there is one, and begins another at an offset.
func (l *Log) roll(base int64) error {
	if l.last() == nil {
		if err := l.place.fs.MkdirAll(l.place.dir); err != nil {
			return err
		}
		l.dirty.above = true
		if err := l.saveStart(base); err != nil {
			return err
		}
	} else if l.size == 0 {
		return l.replace(base)
	}
	if l.last() != nil && l.history.file.Load() == nil { // so that Open need not look into every segment
		if err := l.saveEpochs(l.shape.epochs); err != nil {
			return err
		}
	}
	next := newSegment(l.place, base)
	if _, err := next.log.create(); err != nil {
		return err
	}
	l.dirty.dir = true
	segments := l.shape.segments
	if old := l.last(); old != nil {
		l.seal(old, base)
		segments = segments[:len(segments):len(segments)]
	}
	l.begin(append(segments, next))
	return nil
}

// replace gives an empty last segment another name: the offset cannot stand in it as its distance from the base.
func (l *Log) replace(base int64) error {
	old := l.last()
	next := newSegment(l.place, base)
	if _, err := next.log.create(); err != nil {
		return err
	}
	n := len(l.shape.segments) - 1
	l.dirty.dir = true
	if n == 0 {
		if err := l.saveStart(base); err != nil {
			return err
		}
	}
	l.begin(append(l.shape.segments[:n:n], next))
	return l.drop(old)
}

// begin makes the last of the segments, which is empty, the one that is appended to.
func (l *Log) begin(segments []*segment) {
	next := segments[len(segments)-1]
	l.setSegments(segments).damaged = nil
	l.size, l.index = 0, sketch{base: next.base, maxTime: noTime}
	l.setAborts(nil)
	l.dirty.follow(next.log)
	l.trail.clear()
}

// seal fixes what views read of a segment that gets no more appends. Its index goes to a file; if that cannot be
// written it stays in memory.
func (l *Log) seal(seg *segment, bound int64) {
	seg.size, seg.bound = l.size, bound
	sum := &summary{next: l.next, size: l.size, maxTime: l.index.maxTime, count: len(l.index.entries), entries: l.index.entries, damaged: l.shape.damaged}
	seg.known.Store(sum)
	aborted := l.aborts.list
	seg.aborted.Store(&aborted)
	l.dirty.seal()
	_ = saveSealed(seg, sum) // SaveIndexes tries again
}

// dirty is what has to be synced: the last segment's file, nearly always it alone, and what else there is.
type dirty struct {
	last  bool // the last segment's file
	alone []message.Syncer
	files []message.Syncer // others
	dir   bool
	above bool // and the directories above it
}

// add makes a file that is not the last one dirty.
func (d *dirty) add(h *handle) {
	if !slices.Contains(d.files, message.Syncer(h)) {
		d.files = append(d.files, h)
	}
}

// follow makes another file the last one.
func (d *dirty) follow(h *handle) {
	d.last = false
	d.alone = []message.Syncer{h}
}

// seal keeps the last file among the others when it is the last no more.
func (d *dirty) seal() {
	if d.last {
		d.files, d.last = append(d.files, d.alone...), false
	}
}

// Dirty hands out, once, everything that was dirtied since the last call and has to be synced to make the log durable:
// files first, then directories. The slice is not to be changed. The Syncers outlive the log: they can be synced after
// Close, and those of removed files have nothing to do.
func (l *Log) Dirty() []message.Syncer {
	d := &l.dirty
	if d.files == nil && !d.dir && !d.above {
		if !d.last {
			return nil
		}
		d.last = false
		return d.alone
	}
	d.seal()
	out := d.files
	if planted.Is(planted.DirectoriesUnsynced) {
		d.above, d.dir = false, false
	}
	switch {
	case d.above:
		out = append(out, l.place.chain()...)
	case d.dir:
		out = append(out, l.place.chain()[0])
	}
	*d = dirty{alone: d.alone}
	return out
}
