package log

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// segment is one file of batches. Of the last one of a log only the files are in use, the owner and each view have its
// numbers; a segment that gets another behind it is sealed, and what was sealed never changes.
type segment struct {
	base  int64
	log   *handle // shared with the segment that a cut makes of this one
	index handle

	aborts  *handle                           // shared likewise
	indexed bool                              // there is such a file; the owner's
	aborted atomic.Pointer[[]message.Aborted] // sealed: what it says, loaded at first need

	size  int64 // sealed: bytes
	bound int64 // sealed: the next segment's base, where this one should end
	known atomic.Pointer[summary]
}

// summary is what a sealed segment's index says, loaded at first need.
type summary struct {
	next    int64 // offset behind the last record
	size    int64 // bytes up to there; what the file has behind them was cut, and a crash has brought it back
	maxTime int64
	count   int
	entries []entry // nil: they are in the index file
	damaged []message.Damaged
}

const (
	logExt   = ".log"
	indexExt = ".index"
)

func newSegment(p *place, base int64) *segment {
	s := &segment{base: base, log: &handle{place: p, name: segmentName(base)}}
	s.index.place, s.index.name = p, strings.TrimSuffix(segmentName(base), logExt)+indexExt
	s.aborts = &handle{place: p, name: strings.TrimSuffix(segmentName(base), logExt) + abortsExt}
	return s
}

// segmentName is the name of a segment's file.
func segmentName(base int64) string { return fmt.Sprintf("%020d", base) + logExt }

// parseName takes a file name of a segment apart.
func parseName(name string) (base int64, ext string, ok bool) {
	stem, ext, _ := strings.Cut(name, ".")
	base, err := strconv.ParseInt(stem, 10, 64)
	if err != nil || len(stem) != 20 || base < 0 {
		return 0, "", false
	}
	return base, "." + ext, true
}

// summary loads the index file and checks it, once; a bad one is made anew in memory from the headers, and written by
// the owner when it saves the indexes.
func (s *segment) summary(r rules) (*summary, error) {
	if known := s.known.Load(); known != nil {
		return known, nil
	}
	h, err := checkIndex(&s.index, s.base, nil)
	if errors.Is(err, errIndex) || err == nil && (h.covered != s.size || h.next > s.bound) {
		return s.rebuild(r)
	}
	if err != nil {
		return nil, err
	}
	sum := &summary{next: h.next, size: h.covered, maxTime: h.maxTime, count: h.count, damaged: s.lost(h.next, r)}
	s.known.CompareAndSwap(nil, sum)
	return s.known.Load(), nil
}

// rebuild reads a sealed segment. As something is wrong already, the checksums are looked at too.
func (s *segment) rebuild(r rules) (*summary, error) {
	file, err := s.log.open()
	if err != nil {
		return nil, err
	}
	w := walker{file: file, size: s.size, bound: s.bound, rules: r, next: s.base, epoch: anyEpoch, block: blockBytes}
	k := sketch{base: s.base, maxTime: noTime}
	sum := &summary{}
	for {
		b, err := w.checked()
		if err == io.EOF {
			break
		}
		if bad, ok := err.(flaw); ok {
			d, err := w.damage(s.log, s.bound, bad)
			if err != nil {
				return nil, err
			}
			sum.damaged = append(sum.damaged, d)
			continue
		}
		if err != nil {
			return nil, err
		}
		k.add(b, w.at, r.interval)
		w.step(b)
	}
	sum.damaged = append(sum.damaged, s.lost(w.next, r)...)
	sum.next, sum.size, sum.maxTime, sum.entries, sum.count = w.next, w.at, k.maxTime, k.entries, len(k.entries)
	s.known.Store(sum)
	return sum, nil
}

// damage names the flawed range from the walker's position to the next batch that can be read, or to the end of the file,
// which holds nothing up to the offset most.
func (w *walker) damage(h *handle, most int64, why flaw) (message.Damaged, error) {
	d := message.Damaged{File: h.path(), From: w.at, First: w.next, Why: why.Error()}
	if err := w.resync(most); err != nil {
		if _, short := err.(flaw); !short {
			return d, err
		}
		w.at = w.size // the file has lost its end
	}
	if d.To = w.at; w.at == w.size {
		w.next = most
	}
	d.Next = w.next
	return d, nil
}

// part is one segment as a view or the owner sees it.
type part struct {
	*segment
	next    int64 // where it ends, or should
	maxTime int64
	size    int64
	damaged []message.Damaged
	find    finder
	room    *scratch // nil: a walker makes its own
}

// part is the part that a sealed segment is.
func (s *segment) part(r rules) (part, error) {
	sum, err := s.summary(r)
	if err != nil {
		return part{segment: s}, err
	}
	p := part{segment: s, next: s.bound, maxTime: sum.maxTime, size: sum.size, damaged: sum.damaged}
	p.find = finder{base: s.base, entries: sum.entries, count: sum.count}
	if sum.entries == nil && sum.count > 0 {
		if p.find.file, err = s.index.open(); err != nil {
			return s.partAnew(r, err)
		}
	}
	return p, nil
}

// partAnew is the part whose index file has failed: where a cut took that from an older view, its index is made in memory.
func (s *segment) partAnew(r rules, failed error) (part, error) {
	if !s.index.gone.Load() || s.log.gone.Load() {
		return part{segment: s}, failed
	}
	if _, err := s.rebuild(r); err != nil {
		return part{segment: s}, err
	}
	return s.part(r)
}

// walk is a walker at an entry of the part's index; -1 is the part's start.
func (p *part) walk(i int, r rules, block int64) (walker, error) {
	file, err := p.log.open()
	w := walker{file: file, size: p.size, bound: p.next, rules: r, next: p.base, epoch: anyEpoch, block: block}
	if p.room != nil {
		w.buf = p.room.block[:0]
	}
	if i >= 0 {
		e := p.find.entry(i)
		w.at, w.next = int64(e.at), p.base+int64(e.offset)
	}
	return w, errors.Join(err, p.find.err)
}

// take reads the walker's batch, by next. Bytes that are not what is due are named as damage, and the walker goes behind
// them. io.EOF at the part's end.
func (p *part) take(w *walker, next func(*walker) (record.Batch, error)) (record.Batch, *message.Damaged, error) {
	if d := p.knownAt(w); d != nil {
		w.at, w.next = d.To, d.Next
		return nil, d, nil
	}
	b, err := next(w)
	if bad, ok := err.(flaw); ok {
		d, err := w.damage(p.log, p.next, bad)
		return nil, &d, err
	}
	return b, nil, err
}

// knownAt is the damage that is known to hold the walker's position, or the offset that is due there. It may hold bytes and no
// offset: what is left of a copy.
func (p *part) knownAt(w *walker) *message.Damaged {
	for i := range p.damaged {
		if d := &p.damaged[i]; d.From <= w.at && (w.at < d.To || w.next < d.Next) {
			return d
		}
	}
	return nil
}

// lost is the damage of a sealed segment that ends too early, which in a log with gaps nobody can tell.
func (s *segment) lost(next int64, r rules) []message.Damaged {
	if r.gaps || next >= s.bound {
		return nil
	}
	return []message.Damaged{{File: s.log.path(), From: s.size, To: s.size, First: next, Next: s.bound, Why: "the batches up to the next segment are missing"}}
}
