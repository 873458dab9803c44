package log

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// sum says what has to be synced before the log is built upon: all that may not be, and names above all. An empty last
// segment may have no durable name either.
func (r *recovery) sum() error {
	l := r.log
	defer func() { l.dirty.above = l.size == 0 }()
	if l.next == r.point && !r.suspect && !l.dirty.last && !l.dirty.dir && l.dirty.files == nil {
		return r.settle()
	}
	if err := r.rewrite(); err != nil {
		return err
	}
	r.doubtAll()
	r.report.Dirty = l.Dirty()
	return nil
}

// settle makes durable at once what a process that was killed may have cut or removed. It is gone to look at, so that
// nobody else would have it synced, and a crash could bring it back behind what is appended next. Where there was nothing
// of the kind it costs next to nothing.
func (r *recovery) settle() error {
	if r.again {
		return nil
	}
	if last := r.log.last(); last != nil {
		if err := last.log.Sync(); err != nil {
			return err
		}
		if last.indexed {
			if err := last.aborts.Sync(); err != nil {
				return err
			}
		}
	}
	return r.log.place.chain()[0].Sync()
}

// loadStart reads where the first segment begins, and proves it where nobody else is known to remember: the sync that
// should have may have failed, and a log start that was shown must not fall.
func (r *recovery) loadStart(known int64) error {
	l := r.log
	if err := l.loadStart(); err != nil || l.firstBase <= known {
		return err
	}
	if err := l.writeStart(l.firstBase); err != nil {
		return err
	}
	return l.announce()
}

// tail is the part of a segment, from a position on, that no sync is known to have proved.
type tail struct {
	seg  *segment
	from int64
}

// rewrite writes everything above the recovery point once more, where it stands.
//
// A sync that fails takes what it should have written for clean: the page cache goes on showing it, the disk does not have
// it, and no later sync, of this process or of the next one behind a kill, would write it or say so. So a tail that is read
// back proves nothing. To cut it off would lose what was acknowledged, if a loss of power took the word of its sync. Written
// again it is dirty again, and the sync that follows proves what it says. It is the same bytes in the same place: a crash in the
// midst of it cannot harm those that are on disk.
func (r *recovery) rewrite() error {
	l := r.log
	if r.again || planted.Is(planted.SuspectBelieved) {
		return nil
	}
	last := l.last()
	for _, t := range r.tails {
		if t.seg.log.gone.Load() { // the log begins behind it
			continue
		}
		size := t.seg.size
		if t.seg == last {
			size = l.size
		}
		if err := t.rewrite(size); err != nil {
			return fmt.Errorf("writing the tail of %s again: %w", t.seg.log.path(), err)
		}
		if err := r.rewriteAborts(t.seg); err != nil {
			return fmt.Errorf("writing %s again: %w", t.seg.aborts.path(), err)
		}
	}
	if l.history.file.Load() != nil && !slices.Contains(l.dirty.files, message.Syncer(&l.history)) {
		if err := l.saveEpochs(l.shape.epochs); err != nil {
			return err
		}
	}
	if l.first.file.Load() != nil {
		return l.writeStart(l.firstBase)
	}
	return nil
}

// rewrite writes the tail again and lets the file end at size again: it may have been cut there.
func (t tail) rewrite(size int64) error {
	file, err := t.seg.log.open()
	if err != nil {
		return err
	}
	b := make([]byte, min(size-t.from, rewriteBytes))
	for at := t.from; at < size; at += int64(len(b)) {
		b = b[:min(size-at, rewriteBytes)]
		if n, err := file.ReadAt(b, at); n < len(b) {
			return err
		}
		if n, err := file.WriteAt(b, at); n < len(b) {
			return errors.Join(err, io.ErrShortWrite)
		}
	}
	return file.Truncate(size)
}

// rewriteBytes is how much of a tail is in memory at a time.
const rewriteBytes = 1 << 20

// doubtAll makes everything dirty that the process before this one may have written and not synced.
func (r *recovery) doubtAll() {
	l := r.log
	l.dirty.last, l.dirty.above = true, true
	for _, t := range r.tails {
		if t.seg != l.last() {
			l.dirty.add(t.seg.log)
		}
		if t.seg.indexed {
			l.dirty.add(t.seg.aborts)
		}
	}
	for _, h := range []*handle{&l.history, &l.first} {
		if h.file.Load() != nil {
			l.dirty.add(h)
		}
	}
}
