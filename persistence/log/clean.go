package log

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// CleanOptions say how a pass works.
type CleanOptions struct {
	End             int64         // as Dirt said
	MapBytes        int64         // of memory for keys (log.cleaner.dedupe.buffer.size)
	MapLoad         float64       // how much of it may be used; 0: 0.9
	Block           int64         // bytes that are read at a time (log.cleaner.io.buffer.size)
	Secret          [16]byte      // that nobody can guess: see keymap
	DeleteRetention time.Duration // how long tombstones stay behind the first pass that has met them
	// Producers are those that are remembered, and where the log has the last batches of each: those stay, or their headers do.
	Producers map[int64]message.Latest
	Now       time.Time
}

// Cleaning is one pass of compaction over the sealed segments of a log: it learns from what is dirty where each key was last, and then
// writes, from the log's first segment on, without what was overtaken.
//
//	aborted transactions ─▶ keys ─▶ (segments that fit into one ─▶ .cleaned ─▶ synced ─▶ in their place) again and again ─▶ done
//
// Step does a portion of it, wherever the owner of the log likes; appends and readers go on meanwhile. The owner takes part in two
// things only: it says that a segment may take the place of others (Swap), and it uses it from then on (Log.Exchange).
//
// A pass may end anywhere: what it has put in place is right by itself, since a record goes only when a later one of its key stays, and
// what is older goes first. Only a pass that came to its end counts as having been there.
type Cleaning struct {
	place    *place
	rules    rules
	most     int64 // bytes of a segment
	o        CleanOptions
	view     *view // of the log as it was
	segments []*segment
	from     int64 // no pass has been through what lies from here on
	state    cleaned

	left atomic.Bool // by its owner: nothing is changed any more
	mu   sync.Mutex  // held while a step is at work

	phase   func(*Cleaning) error
	source  source
	aborted transactions
	met     map[int64]met  // what is dirty has of the producers that are remembered
	open    map[int64]bool // producers of whose transaction a batch was met, and its marker not yet
	keys    *keymap
	mapped  int64 // the keys of everything below are known
	group   int   // of segments: the first that is still to be written
	out     *output
	ready   *Exchange
	epoch   int32 // the last that was met
	sieve   sieve
	count   Cleaned
	done    bool
	stuck   bool // a swap has failed: what it has left is for recovery
}

// Cleaned is what a pass has done.
type Cleaned struct {
	Read, Written int64 // bytes
	Before, After int64 // bytes of the segments that it has written anew, and of those in their place
	UpTo          int64 // it has been through everything below
}

// Errors of a pass, for errors.Is.
var (
	// ErrLeft: the owner of the log has left the pass.
	ErrLeft = errors.New("the pass was called off")
	// ErrTooManyKeys: not even one batch's keys find room.
	ErrTooManyKeys = errors.New("the keys of one batch are more than log.cleaner.dedupe.buffer.size has room for")
)

// plainBatchMax bounds what a batch may decompress to while it is looked into.
const plainBatchMax = 1 << 30

// Clean begins a pass. The log must not be cut, mended or deleted from before the pass is over or was left.
func (l *Log) Clean(o CleanOptions) (*Cleaning, error) {
	if l.broken != nil {
		return nil, l.broken
	}
	c := &Cleaning{place: l.place, view: l.view(message.Bounds{}), rules: l.shape.rules, most: l.config.SegmentBytes, o: o, from: max(l.cleaned.upTo, l.start), state: l.cleaned, epoch: anyEpoch}
	c.rules.gaps, c.met, c.open = true, map[int64]met{}, map[int64]bool{}
	for _, seg := range l.shape.segments[:max(0, len(l.shape.segments)-1)] {
		if seg.bound <= o.End {
			c.segments = append(c.segments, seg)
		}
	}
	c.o.End = c.from
	if n := len(c.segments); n > 0 {
		c.o.End = max(c.from, c.segments[n-1].bound)
	}
	c.phase = (*Cleaning).learnAborted
	c.source.begin(c, c.dirty())
	return c, nil
}

// dirty are the segments that no pass has been through.
func (c *Cleaning) dirty() []*segment {
	for i, seg := range c.segments {
		if seg.bound > c.from {
			return c.segments[i:]
		}
	}
	return nil
}

// Step goes on until it has read and written about so many bytes, or has written a segment that may take the place of others. It says
// whether the pass is over, and how many bytes it were. Errors: ErrLeft; a *message.Damaged, since what cannot be read is not
// written anew; ErrTooManyKeys; or the file system's.
func (c *Cleaning) Step(bytes int64) (over bool, moved int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.count.Read + c.count.Written
	for !c.done && c.ready == nil && c.count.Read+c.count.Written-before < bytes {
		if c.left.Load() {
			return false, 0, errors.Join(ErrLeft, c.discard())
		}
		if err := c.phase(c); err != nil {
			return false, 0, errors.Join(fmt.Errorf("compacting %s: %w", c.place.dir, err), c.discard())
		}
	}
	return c.done, c.count.Read + c.count.Written - before, nil
}

// Ready says that a segment was written and waits for Swap.
func (c *Cleaning) Ready() bool { return c.ready != nil }

// Leave ends the pass: no step that begins later changes anything. One that is at work may still come to its end.
func (c *Cleaning) Leave() { c.left.Store(true) }

// Left says that Leave was called.
func (c *Cleaning) Left() bool { return c.left.Load() }

// Settle leaves the pass, waits for a step that is at work, and removes what was not finished: afterwards the files are whoever's who
// opens them.
func (c *Cleaning) Settle() error {
	c.Leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready != nil && !c.ready.over && !c.stuck {
		base := c.ready.new.base
		c.ready = nil
		return c.place.removeCleaned(base)
	}
	return c.discard()
}

// Count is what the pass has done so far.
func (c *Cleaning) Count() Cleaned { return c.count }

// discard removes what was not finished.
func (c *Cleaning) discard() error {
	if c.out == nil {
		return nil
	}
	err := error(nil)
	if !c.out.closed {
		err = c.out.file.Close()
	}
	c.out = nil
	return errors.Join(err, c.place.removeCleaned(c.segments[c.group].base))
}

// removeCleaned removes what was written to take the place of a segment.
func (p *place) removeCleaned(base int64) error {
	s := newSegment(p, base)
	return errors.Join(unlessMissing(p.fs.Remove(s.log.path()+cleanedExt)), unlessMissing(p.fs.Remove(s.aborts.path()+cleanedExt)))
}

// source hands out the batches of some segments, one by one.
type source struct {
	segments []*segment // that are still to be read, the first of which is open
	part     part
	walker   walker
	counted  int64
	open     bool
}

func (s *source) begin(c *Cleaning, segments []*segment) { *s = source{segments: segments} }

// next is the next batch, by read, and whether it is the last of all. io.EOF behind it. Bytes that are no batch are damage.
func (s *source) next(c *Cleaning, read func(*walker) (record.Batch, error)) (b record.Batch, last bool, err error) {
	for {
		if len(s.segments) == 0 {
			return nil, false, io.EOF
		}
		if !s.open {
			if err := s.enter(c); err != nil {
				return nil, false, err
			}
		}
		b, d, err := s.part.take(&s.walker, read)
		c.count.Read += s.walker.read - s.counted
		s.counted = s.walker.read
		switch {
		case err == io.EOF:
			s.segments, s.open = s.segments[1:], false
			continue
		case d != nil:
			return nil, false, d
		case err != nil:
			return nil, false, err
		}
		last = len(s.segments) == 1 && s.walker.at+int64(b.Size()) >= s.walker.size
		s.walker.step(b)
		return b, last, nil
	}
}

// swallow is whole for who reads everything: a batch that reaches beyond the buffer is read once, as a whole.
func (w *walker) swallow() (record.Batch, error) {
	b, err := w.header()
	if err != nil {
		return nil, err
	}
	if size := int64(b.Size()); w.at+size > w.from+int64(len(w.buf)) {
		if err := w.fill(w.at, w.block, size); err != nil {
			return nil, err
		}
	}
	return w.whole()
}

func (s *source) enter(c *Cleaning) (err error) {
	if s.part, err = s.segments[0].part(c.rules); err != nil {
		return err
	}
	s.walker, err = s.part.walk(-1, c.rules, max(c.o.Block, blockBytes))
	s.counted, s.open = 0, true
	return err
}

// learnAborted takes from the index which transactions were aborted in what is dirty, wherever their markers are.
func (c *Cleaning) learnAborted() error {
	if c.from < c.o.End {
		all, err := c.view.Aborted(c.from, c.o.End)
		if err != nil {
			return err
		}
		c.aborted.learn(all)
	}
	c.beginKeys()
	return nil
}

func (c *Cleaning) beginKeys() {
	c.keys = newKeymap(c.o.Secret, c.o.End-c.from, c.o.MapBytes, c.o.MapLoad)
	c.mapped, c.phase = c.from, (*Cleaning).learnKeys
	c.source.begin(c, c.dirty())
}

// learnKeys reads where a batch's keys are, as long as there is room.
func (c *Cleaning) learnKeys() error {
	b, _, err := c.source.next(c, (*walker).swallow)
	switch {
	case err == io.EOF:
		c.mapped = max(c.mapped, c.o.End)
		c.beginGroup(0)
		return nil
	case err != nil:
		return err
	case b.NextOffset() <= c.from:
		return nil
	}
	c.meet(b)
	switch {
	case b.Attributes().Has(record.Control) || c.aborted.has(b):
		c.mapped = b.NextOffset()
		return nil
	case !c.keys.room(int(b.Count())) && c.mapped == c.from:
		return fmt.Errorf("%w: %d at offset %d", ErrTooManyKeys, b.Count(), b.BaseOffset())
	case !c.keys.room(int(b.Count())):
		c.beginGroup(0)
		return nil
	}
	if err := c.sieve.read(b); err != nil {
		return err
	}
	var rec record.Record
	for c.sieve.reader.Next(&rec) {
		if offset := b.BaseOffset() + int64(rec.OffsetDelta); rec.Key != nil && offset >= c.from {
			c.keys.put(rec.Key, offset)
		}
	}
	c.mapped = b.NextOffset()
	return c.sieve.reader.Err()
}

// beginGroup begins to write the next segments anew: as many as fit into one.
func (c *Cleaning) beginGroup(first int) {
	c.group = first
	if first == len(c.segments) || c.segments[first].base >= c.mapped {
		c.phase = (*Cleaning).finish
		return
	}
	c.phase = (*Cleaning).write
	c.source.begin(c, c.segments[first:c.groupEnd(first)])
}

// groupEnd is behind the last of the segments that fit into one with the first.
func (c *Cleaning) groupEnd(first int) int {
	bytes, base, i := int64(0), c.segments[first].base, first
	for ; i < len(c.segments); i++ {
		seg := c.segments[i]
		if bytes += seg.size; i > first && (bytes > c.most || seg.bound-base > math.MaxInt32 || seg.base >= c.mapped) {
			break
		}
	}
	return i
}

// write writes one more batch, or what stays of it.
func (c *Cleaning) write() error {
	if c.out == nil {
		if err := c.create(); err != nil {
			return err
		}
	}
	b, last, err := c.source.next(c, (*walker).swallow)
	if err == io.EOF {
		return c.close()
	}
	if err != nil {
		return err
	}
	left, err := c.sift(b, last)
	if err != nil || left == nil {
		return err
	}
	return c.out.write(c, left)
}

// output is a segment that is being written.
type output struct {
	file     vfs.File
	sketch   sketch
	size     int64
	next     int64
	unsynced int64
	changed  bool // it is another than what it takes the place of
	closed   bool
	dropped  []int64 // markers, by their offsets
}

// syncEvery is after how many bytes a segment that is being written is synced: a gigabyte at once would hold up everybody else's syncs.
const syncEvery = 8 << 20

func (c *Cleaning) create() error {
	base := c.segments[c.group].base
	f, err := c.place.fs.Create(c.place.path(segmentName(base) + cleanedExt))
	if err != nil {
		return err
	}
	c.out = &output{file: f, sketch: sketch{base: base, maxTime: noTime}, next: base}
	return nil
}

func (o *output) write(c *Cleaning, b record.Batch) error {
	if n, err := o.file.WriteAt(b, o.size); err != nil || n < len(b) {
		return errors.Join(err, shortWrite(n, len(b)))
	}
	o.sketch.add(b, o.size, c.rules.interval)
	o.size += int64(len(b))
	o.next = b.NextOffset()
	c.count.Written += int64(len(b))
	if o.unsynced += int64(len(b)); o.unsynced < syncEvery || planted.Is(planted.SwapUnsynced) {
		return nil
	}
	o.unsynced = 0
	return o.file.Sync()
}

func shortWrite(n, of int) error {
	if n < of {
		return io.ErrShortWrite
	}
	return nil
}

// close ends a segment. Where it is what it was the old one stays, if it is below the guard already, where everything is synced.
func (c *Cleaning) close() error {
	old := c.segments[c.group:c.groupEnd(c.group)]
	if !c.out.changed && len(old) == 1 && old[0].bound <= c.state.guard {
		err := c.discard()
		c.beginGroup(c.group + 1)
		return err
	}
	if !planted.Is(planted.SwapUnsynced) {
		if err := c.out.file.Sync(); err != nil {
			return err
		}
	}
	c.out.closed = true
	if err := c.out.file.Close(); err != nil {
		return err
	}
	x, err := newExchange(c, old)
	if err == nil {
		c.ready, c.out = x, nil
	}
	return err
}

// finish notes that the pass has been through everything up to where it knows the keys.
func (c *Cleaning) finish() error {
	c.state.known, c.state.upTo = true, max(c.state.upTo, min(c.mapped, c.o.End))
	if err := c.place.saveCleaned(c.state); err != nil {
		return err
	}
	c.count.UpTo, c.done, c.keys = c.state.upTo, true, nil
	return nil
}

// transactions are those that were aborted, by producer: from their first batch to their marker.
type transactions map[int64][]stretch

type stretch struct{ from, to int64 }

func (t *transactions) learn(all []message.Aborted) {
	for _, a := range all {
		if *t == nil {
			*t = transactions{}
		}
		(*t)[a.Producer] = append((*t)[a.Producer], stretch{a.First, a.Last})
	}
}

// has says that a batch is of a transaction that was aborted.
func (t transactions) has(b record.Batch) bool {
	if !b.Attributes().Has(record.Transactional) || b.Attributes().Has(record.Control) {
		return false
	}
	return slices.ContainsFunc(t[b.ProducerID()], func(s stretch) bool { return s.from <= b.BaseOffset() && b.BaseOffset() < s.to })
}

// Compacted says that a pass has been through the log, or through the one that it is a copy of.
func (l *Log) Compacted() bool { return l.cleaned.known }

// Rewritten is an offset below which batches may be missing that were appended.
func (l *Log) Rewritten() int64 { return l.cleaned.guard }

// Proof is behind all that may have overtaken records which compaction took away. A log that is cut below it lacks some that nothing in
// it overtakes any more.
func (l *Log) Proof() int64 { return l.cleaned.proof }

// Sealed is how many segments the log has besides the last, SealedEnd where those end.
func (l *Log) Sealed() int { return max(0, len(l.shape.segments)-1) }

// SealedEnd is where the last segment begins.
func (l *Log) SealedEnd() int64 {
	if last := l.last(); last != nil {
		return last.base
	}
	return l.start
}

// Soiled says that there are sealed segments that no pass has been through.
func (l *Log) Soiled() bool { return l.Sealed() > 0 && l.SealedEnd() > max(l.cleaned.upTo, l.start) }

// Reached is up to where compaction has been through the log.
func (l *Log) Reached() int64 { return l.cleaned.upTo }
