package log

import (
	"io"
	"math"
	"sync"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// view is the message.View of a log at one moment. Sealed segments and the rest of the shape are shared with the log and
// never change; of the last segment it has the numbers of its moment, and a prefix of the index.
type view struct {
	bounds  message.Bounds
	shape   *shape
	size    int64 // of the last segment
	maxTime int64
	entries []entry
	aborted []message.Aborted // of the last segment

	committed, before spot // see trail
}

// View is an immutable picture for readers, with the bounds given (LogStart and LogEnd are filled in by the log). It
// stays readable when the log goes on, rolls or is truncated above the bounds' HighWatermark. What retention takes away
// under it is answered with ErrOffsetOutOfRange.
func (l *Log) View(b message.Bounds) message.View {
	v := l.view(b)
	l.trail.commit(b.HighWatermark)
	v.committed, v.before = l.trail.committed, l.trail.before
	return v
}

func (l *Log) view(b message.Bounds) *view {
	b.LogStart, b.LogEnd = l.start, l.next
	return &view{bounds: b, shape: l.shape, size: l.size, maxTime: l.index.maxTime, entries: l.index.entries, aborted: l.aborts.list}
}

// Bounds are where the log starts, what is committed and stable, and where it ends.
func (v *view) Bounds() message.Bounds { return v.bounds }

// Bytes is how much the log's segments hold on disk.
func (v *view) Bytes() int64 { return v.shape.sealed + v.size }

// EpochEnd is the largest leader epoch that is at most epoch, and the offset at which it ends; (-1, -1) if none.
func (v *view) EpochEnd(epoch int32) (found int32, end int64) {
	return v.shape.epochs.end(epoch, v.bounds.LogEnd)
}

// EpochAt is the leader epoch of the batch at offset, -1 if the log does not know.
func (v *view) EpochAt(offset int64) int32 {
	if offset < v.bounds.LogStart || offset >= v.bounds.LogEnd {
		return -1
	}
	return v.shape.epochs.at(offset)
}

// part is the segment of a number.
func (v *view) part(i int) (part, error) {
	seg := v.shape.segments[i]
	if i < len(v.shape.segments)-1 {
		return seg.part(v.shape.rules)
	}
	return part{
		segment: seg, next: v.bounds.LogEnd, maxTime: v.maxTime, size: v.size, damaged: v.shape.damaged,
		find: finder{base: seg.base, entries: v.entries, count: len(v.entries)},
	}, nil
}

// Read finds whole batches; see message.View. It reads no more than a few headers: where the index leads, and from
// there to the batch that holds the offset. The bodies are not looked at, damage in them is what Verify finds.
func (v *view) Read(offset, limit int64, maxBytes int, oneAtLeast bool) (message.Slice, error) {
	if offset < v.bounds.LogStart || offset > v.bounds.LogEnd {
		return message.Slice{}, message.ErrOffsetOutOfRange
	}
	limit = min(limit, v.bounds.LogEnd)
	if offset >= limit {
		return message.Slice{}, nil
	}
	if s, ok := v.fresh(offset, limit, maxBytes); ok {
		return s, nil
	}
	room := scratches.Get().(*scratch)
	defer scratches.Put(room)
	for i := v.shape.segmentAt(offset); offset < limit; i++ {
		p, err := v.part(i)
		if err != nil {
			return message.Slice{}, p.failed(err)
		}
		p.use(room)
		s, err := v.readPart(&p, offset, limit, maxBytes, oneAtLeast)
		if p.find.err != nil {
			if p, err = p.partAnew(v.shape.rules, p.find.err); err == nil {
				s, err = v.readPart(&p, offset, limit, maxBytes, oneAtLeast)
			}
		}
		if err != io.EOF {
			return s, p.failed(err)
		}
		offset = p.next // a gap reaches the segment's end
	}
	return message.Slice{}, nil
}

// scratch is memory for one Read at a time: a reader's headers and index entries.
type scratch struct {
	block [reachMost]byte
	entry [entrySize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// use lets the part's walkers and its finder borrow memory, one of each at a time.
func (p *part) use(room *scratch) { p.room, p.find.raw = room, room.entry[:] }

// failed makes of a failed read in a segment that retention took away meanwhile what it is.
func (p *part) failed(err error) error {
	if err != nil && p.segment != nil && p.log.gone.Load() && !p.log.moved.Load() {
		return message.ErrOffsetOutOfRange
	}
	return err
}

func (v *view) readPart(p *part, offset, limit int64, maxBytes int, oneAtLeast bool) (message.Slice, error) {
	w, first, err := v.seek(p, offset)
	if err != nil {
		return message.Slice{}, err
	}
	file, at := w.file, w.at
	slice := message.Slice{File: file, At: at, First: first.BaseOffset()}
	w.step(first)
	if w.next > limit || !oneAtLeast && w.at-at > int64(maxBytes) {
		return message.Slice{}, nil
	}
	if err := v.extend(p, &w, limit, at+int64(maxBytes)); err != nil {
		return message.Slice{}, err
	}
	slice.Bytes, slice.Next = int(w.at-at), w.next
	return slice, nil
}

// seek goes to the batch that holds an offset, or the first behind it where there is a gap. If the index leads astray, an
// index made anew decides whether it or the segment is damaged.
func (v *view) seek(p *part, offset int64) (walker, record.Batch, error) {
	w, b, err := v.trySeek(p, offset)
	if _, damaged := err.(*message.Damaged); !damaged || p.find.file == nil {
		return w, b, err
	}
	if _, err := p.rebuild(v.shape.rules); err != nil {
		return w, nil, err
	}
	again, err := p.segment.part(v.shape.rules)
	if err != nil {
		return w, nil, err
	}
	again.use(p.room)
	*p = again
	return v.trySeek(p, offset)
}

// trySeek hops by the headers. If they lead to something bad, the length or offset of a batch before may have led
// there: the checksums decide. So they do if they lead into the midst of a batch, as few readers do: it may only claim to
// reach that far.
func (v *view) trySeek(p *part, offset int64) (walker, record.Batch, error) {
	i := p.find.at(offset)
	w, b, err := p.seekFrom(i, offset, v.shape.rules, p.reach(i, offset), (*walker).header)
	if _, damaged := err.(*message.Damaged); damaged || err == nil && b.BaseOffset() < offset {
		return p.seekFrom(i, offset, v.shape.rules, blockBytes, (*walker).checked)
	}
	return w, b, err
}

func (p *part) seekFrom(i int, offset int64, r rules, block int64, next func(*walker) (record.Batch, error)) (walker, record.Batch, error) {
	w, err := p.walk(i, r, block)
	if err != nil {
		return w, nil, err
	}
	for {
		b, d, err := p.take(&w, next)
		switch {
		case err != nil:
			return w, nil, err
		case d != nil && d.Next > offset:
			return w, nil, d
		case d != nil:
			next = (*walker).checked // headers alone may lead on into what is a copy
		case d == nil && b.LastOffset() >= offset:
			return w, b, nil
		case d == nil:
			w.step(b)
		}
	}
}

// reachMost is how many bytes a Read looks at at once, at most.
const reachMost = 8 << 10

// reach is how many bytes to read at once at an entry: just the header if the entry is what is looked for, else what is
// in front of the next entry, at most a few KiB.
func (p *part) reach(i int, offset int64) int64 {
	switch {
	case i < 0:
		return reachMost
	case p.base+int64(p.find.entry(i).offset) == offset:
		return record.HeaderSize
	case i+1 < p.find.len():
		return min(reachMost, int64(p.find.entry(i+1).at)-int64(p.find.entry(i).at))
	default:
		return min(reachMost, p.size-int64(p.find.entry(i).at))
	}
}

// extend moves the walker from the end of the first batch to the end of the last that ends at most at an offset and a
// position: by the index, and where the offset is what limits to the very batch.
func (v *view) extend(p *part, w *walker, limit, end int64) error {
	limit = min(limit, p.next)
	if d := p.firstDamage(w.at); d != nil {
		limit, end = min(limit, d.First), min(end, d.From)
	}
	if limit == p.next && p.size <= end { // all of it
		w.at, w.next = p.size, limit
		return nil
	}
	if c := v.committed; c.at > w.at && c.at <= end && c.next == limit && p.segment == v.shape.segments[len(v.shape.segments)-1] {
		w.at, w.next = c.at, limit
		return nil
	}
	i := p.find.last(func(e entry) bool { return int64(e.at) <= end && p.base+int64(e.offset) <= limit })
	if i >= 0 {
		if e := p.find.entry(i); int64(e.at) > w.at {
			w.at, w.next = int64(e.at), p.base+int64(e.offset)
			if i+1 < p.find.len() && int64(p.find.entry(i+1).at) > end {
				return p.find.err // the bytes are what limits, and near enough
			}
		}
	}
	if p.find.err != nil {
		return p.find.err
	}
	return v.creep(p, w, limit, end)
}

// creep goes on header by header.
func (v *view) creep(p *part, w *walker, limit, end int64) error {
	w.block = min(max(v.shape.rules.interval, record.HeaderSize), reachMost)
	for w.next < limit && w.at < end {
		b, err := w.header()
		if _, bad := err.(flaw); bad || err == io.EOF {
			return nil // what comes before it is served; who reads on from here is told
		}
		if err != nil {
			return err
		}
		if b.NextOffset() > limit || w.at+int64(b.Size()) > end {
			return nil
		}
		w.step(b)
	}
	return nil
}

// firstDamage is the first known damage from a position on.
func (p *part) firstDamage(at int64) *message.Damaged {
	for i := range p.damaged {
		if p.damaged[i].From >= at {
			return &p.damaged[i]
		}
	}
	return nil
}

// Verify checks every batch in a range of offsets, checksums included, and says what is damaged and how many bytes it
// read. It belongs to message.View's implementation, not to the interface; background scrubbing asks for it by type.
func (v *view) Verify(from, limit int64) (damaged []message.Damaged, read int64, err error) {
	err = v.walkAll(max(from, v.bounds.LogStart), limit, (*walker).checked,
		func(record.Batch, *walker) bool { return true },
		func(d message.Damaged) { damaged = append(damaged, d) },
		&read)
	return damaged, read, err
}

// walkAll goes through every batch that holds an offset from from on and begins below limit. next is how the walker
// reads one. Damage is skipped; known damage stays known even if the bytes look right.
func (v *view) walkAll(from, limit int64, next func(*walker) (record.Batch, error), each func(record.Batch, *walker) bool, skipped func(message.Damaged), read *int64) error {
	limit = min(limit, v.bounds.LogEnd)
	for i := v.shape.segmentAt(from); i < len(v.shape.segments); i++ {
		p, err := v.part(i)
		if err != nil {
			return p.failed(err)
		}
		if p.base >= limit {
			return nil
		}
		w, err := p.walk(p.find.at(from), v.shape.rules, blockBytes)
		if err != nil {
			return p.failed(err)
		}
		more, err := p.walkOn(&w, from, limit, next, each, skipped)
		if read != nil {
			*read += w.read
		}
		if err != nil || !more {
			return p.failed(err)
		}
	}
	return nil
}

func (p *part) walkOn(w *walker, from, limit int64, next func(*walker) (record.Batch, error), each func(record.Batch, *walker) bool, skipped func(message.Damaged)) (more bool, err error) {
	for w.next < limit {
		b, d, err := p.take(w, next)
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, err
		case d != nil:
			if d.Next > from {
				skipped(*d)
			}
			continue
		case b.BaseOffset() >= limit:
			return false, nil
		case b.LastOffset() >= from && !each(b, w):
			return false, nil
		}
		w.step(b)
	}
	return w.next < math.MaxInt64, nil
}

// Scan reads every batch from offset on, in order, until each returns false. The batch is valid during the call only.
// Damaged batches, by header or checksum, are left out; the first of them is the *message.Damaged that is returned when
// everything else has been handed out.
func (l *Log) Scan(from int64, each func(b record.Batch) bool) error {
	var first *message.Damaged
	err := l.view(message.Bounds{}).walkAll(max(from, l.start), l.next, (*walker).whole,
		func(b record.Batch, _ *walker) bool { return each(b) },
		func(d message.Damaged) {
			if first == nil {
				first = &d
			}
		}, nil)
	if err == nil && first != nil {
		return first
	}
	return err
}

// Verify checks every batch from an offset on up to a limit, and says what is damaged and how many bytes it read.
func (l *Log) Verify(from, limit int64) (damaged []message.Damaged, read int64, err error) {
	return l.view(message.Bounds{}).Verify(from, limit)
}

// Segment describes one segment to people.
type Segment struct {
	File         string
	Base, Next   int64 // offsets: of its first record, and behind its last
	Bytes        int64
	MaxTimestamp int64 // milliseconds; -1 if there is none
	Entries      int   // of the index
	Damaged      []message.Damaged
}

// Segments lists the segments in ascending order.
func (l *Log) Segments() ([]Segment, error) {
	list := make([]Segment, 0, len(l.shape.segments))
	for i := range l.shape.segments {
		p, err := l.part(i)
		if err != nil {
			return nil, err
		}
		list = append(list, Segment{
			File: p.log.path(), Base: p.base, Next: p.next, Bytes: p.size,
			MaxTimestamp: max(p.maxTime, -1), Entries: p.find.len(), Damaged: p.damaged,
		})
	}
	return list, nil
}
