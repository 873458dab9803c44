package log

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Truncate cuts the log so that it ends at offset (the start of a batch; a batch that holds the offset goes whole).
// An offset at or beyond the end changes nothing, one below the start is TruncateAll. A start within the batch that goes
// falls to its base, so that the batch can be appended again; SetStart then moves it up once more. The caller syncs what is Dirty
// before anything that is appended afterwards counts: a crash may otherwise keep what was cut behind what is new.
func (l *Log) Truncate(offset int64) error {
	switch {
	case offset >= l.next:
		return nil
	case offset < l.start || offset <= l.shape.segments[0].base:
		return l.TruncateAll(offset)
	}
	if err := l.soil(offset); err != nil {
		return err
	}
	i := l.segmentAt(offset)
	p, err := l.part(i)
	if err != nil {
		return err
	}
	cut, err := p.locate(offset, l.shape.rules)
	if err != nil {
		return err
	}
	if err := l.dropAll(l.shape.segments[i+1:]); err != nil {
		return err
	}
	return l.cutPart(i, &p, cut)
}

// segmentAt is the number of the segment that holds an offset.
func (l *Log) segmentAt(offset int64) int { return l.shape.segmentAt(offset) }

func (s *shape) segmentAt(offset int64) int {
	i, found := slices.BinarySearchFunc(s.segments, offset, func(seg *segment, o int64) int {
		if seg.base > o {
			return 1
		}
		if seg.base < o {
			return -1
		}
		return 0
	})
	if !found {
		i--
	}
	return max(i, 0)
}

// part is a segment as the owner sees it.
func (l *Log) part(i int) (part, error) { return l.view(message.Bounds{}).part(i) }

// place of a cut: a position, and the offset that the batch there had.
type spot struct{ at, next int64 }

// locate finds the batch that holds an offset, or the damage that does, or the end of the part.
func (p *part) locate(offset int64, r rules) (spot, error) {
	w, err := p.walk(p.find.at(offset), r, blockBytes)
	if err != nil {
		return spot{}, err
	}
	for {
		from := spot{w.at, w.next}
		b, d, err := p.take(&w, (*walker).checked)
		switch {
		case err == io.EOF:
			return from, nil
		case err != nil:
			return from, err
		case d != nil && d.Next > offset:
			return from, nil
		case d == nil && b.LastOffset() >= offset:
			return from, nil
		case d == nil:
			w.step(b)
		}
	}
}

// cutPart makes a segment the last one and lets it end at a spot. Views go on with the old one, whose file is the same.
func (l *Log) cutPart(i int, p *part, to spot) error {
	entries, maxTime, err := p.until(to.at, l.shape.rules)
	if err != nil {
		return err
	}
	file, err := p.log.open()
	if err != nil {
		return err
	}
	if err := file.Truncate(to.at); err != nil {
		return err
	}
	if err := p.index.remove(); err != nil {
		return err
	}
	damaged := slices.DeleteFunc(slices.Clone(p.damaged), func(d message.Damaged) bool { return d.First >= to.next })
	l.doom(&p.index)
	aborted, err := l.view(message.Bounds{}).abortsOf(i)
	if err != nil {
		return err
	}
	seg := newSegment(l.place, p.base)
	seg.log, seg.aborts, seg.indexed = p.log, p.aborts, p.indexed
	l.dirty.last, l.dirty.dir = false, true
	l.begin(append(slices.Clone(l.shape.segments[:i]), seg))
	l.shape.damaged = damaged
	l.dirty.last = true
	l.index.entries, l.index.maxTime = entries, maxTime
	l.size, l.next = to.at, to.next
	l.start = min(l.start, l.next)
	if err := l.cutAborts(aborted, to.next); err != nil {
		return err
	}
	return l.cutEpochs(to.next)
}

// until is the part's index up to a position, in memory.
func (p *part) until(at int64, r rules) ([]entry, int64, error) {
	var entries []entry
	for i := range p.find.len() {
		if e := p.find.entry(i); int64(e.at) < at {
			entries = append(entries, e)
		}
	}
	maxTime := int64(noTime)
	if len(entries) > 0 {
		maxTime = entries[len(entries)-1].before
	}
	w, err := p.walk(len(entries)-1, r, blockBytes)
	if err != nil {
		return nil, 0, err
	}
	for w.at < at {
		b, d, err := p.take(&w, (*walker).checked)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if d == nil {
			if b.Count() > 0 {
				maxTime = max(maxTime, b.MaxTimestamp())
			}
			w.step(b)
		}
	}
	return entries, maxTime, nil
}

// TruncateAll empties the log and lets it start at offset. As with Truncate, sync before anything is built upon it.
func (l *Log) TruncateAll(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("truncating %s: offset %d is negative", l.place.dir, offset)
	}
	if err := l.soil(0); err != nil {
		return err
	}
	if err := l.dropAll(l.shape.segments); err != nil {
		return err
	}
	l.setSegments(nil)
	l.trail.clear()
	l.aborts = aborts{}
	l.start, l.next, l.size = offset, offset, 0
	if err := l.cutEpochs(0); err != nil {
		return err
	}
	return l.roll(offset)
}

// dropAll removes the newest segments, the last first: what a crash leaves is a prefix.
func (l *Log) dropAll(segments []*segment) error {
	if err := l.closeDoomed(); err != nil {
		return err
	}
	for _, seg := range slices.Backward(segments) {
		if err := l.drop(seg); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a segment's files.
func (l *Log) drop(seg *segment) error {
	l.dirty.dir = true
	l.doom(seg.log)
	l.doom(&seg.index)
	l.doom(seg.aborts)
	err := errors.Join(seg.log.remove(), seg.index.remove())
	if seg.indexed {
		err = errors.Join(err, seg.aborts.remove())
	}
	return err
}

func (l *Log) doom(h *handle) {
	if h.file.Load() != nil {
		l.doomed = append(l.doomed, h)
	}
}

func (l *Log) closeDoomed() error {
	var err error
	for _, h := range l.doomed {
		err = errors.Join(err, h.close())
	}
	l.doomed = nil
	return err
}

// Holds says whether the log has this very batch: the same base offset, epoch and checksum.
func (l *Log) Holds(b record.Batch) (bool, error) {
	if len(b) < record.HeaderSize || b.BaseOffset() < l.start || b.BaseOffset() >= l.next {
		return false, nil
	}
	held := false
	err := l.Scan(b.BaseOffset(), func(have record.Batch) bool {
		held = have.BaseOffset() == b.BaseOffset() && have.LeaderEpoch() == b.LeaderEpoch() && have.CRC() == b.CRC()
		return false
	})
	if _, damaged := errors.AsType[*message.Damaged](err); damaged {
		return false, nil
	}
	return held, err
}
