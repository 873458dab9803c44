package journal

import (
	"errors"
	"io"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// search collects, file by file, what the rounds from a sequence on say of each partition.
type search struct {
	from  uint64
	files []*file              // all there are: their headers say what was not proven
	only  *message.PartitionID // nil: all of them

	found []Found
	index map[message.PartitionID]int
}

func newSearch(c Checkpoint) *search {
	s := &search{from: c.From, index: make(map[message.PartitionID]int, len(c.Points))}
	for _, p := range c.Points {
		*s.of(p.Partition) = Found{Point: p}
	}
	return s
}

// of is the partition's place; the pointer is valid until the next call.
func (s *search) of(p message.PartitionID) *Found {
	i, ok := s.index[p]
	if !ok {
		i = len(s.found)
		s.index[p] = i
		s.found = append(s.found, Found{Point: Point{Partition: p}})
	}
	return &s.found[i]
}

// unproven says that a round may never have been synced, though later ones were.
func (s *search) unproven(sequence uint64) bool {
	for _, f := range s.files {
		if f.number > 0 && f.proven <= sequence && sequence < f.first {
			return true
		}
	}
	return false
}

// prove returns the first round that may never have been synced, where the last that was found is one of them.
func (s *search) prove(last uint64) uint64 {
	for i := range s.found {
		if f := &s.found[i]; f.Last == last {
			f.Unproven = true
		}
	}
	first := last
	for _, f := range s.files {
		if f.number > 0 && f.proven < f.first && f.first > s.from {
			first = min(first, f.proven)
		}
	}
	return first
}

// file reads one file's rounds, up to the round void, and sets the file's last and end. Those before proven must be there.
func (s *search) file(f *file, void, proven uint64) error {
	w := window{f: f.f, end: f.end}
	at, expect, crc := int64(page), f.first, uint32(0)
	for expect < void {
		r, body, err := w.round(at)
		if err != nil {
			return &Damaged{File: f.path, From: at, To: f.end, First: expect, Last: expect, Why: err.Error()}
		}
		if body != nil && planted.Is(planted.JournalUnchained) {
			r.seed, r.sequence, r.previous = f.seed, expect, crc
		}
		if body == nil || r.seed != f.seed || r.sequence != expect || r.previous != crc {
			resume, next, err := w.after(at, f.seed, expect)
			if err != nil || next.sequence > max(s.from, expect) || next.sequence == 0 && proven > max(s.from, expect) {
				return s.judge(f, at, resume, expect, next.sequence, proven, err)
			}
			if next.sequence == 0 { // a torn tail, or nothing more
				break
			}
			at, expect, crc = resume, next.sequence, next.previous
			continue
		}
		if err := s.take(f, &r, body, at+roundSize); err != nil {
			return err
		}
		at, expect, crc = at+r.size(), expect+1, r.crc
	}
	f.last, f.end, f.crc = expect-1, at, crc
	return nil
}

// judge names the damage: rounds from expect on, up to the next that is readable, in this file or, if there is none, in
// the file after it, up to proven.
func (s *search) judge(f *file, at, resume int64, expect, next, proven uint64, err error) error {
	d := &Damaged{File: f.path, From: at, To: resume, First: expect, Last: next - 1, Why: "checksum or sequence do not match"}
	if next == 0 {
		d.To, d.Last = f.end, proven-1
	}
	if err != nil {
		d.Last, d.Why = expect, err.Error()
	}
	return d
}

// headless looks into a file whose header is not valid. That is what a crash leaves of a file that was just begun, and
// then it has at most the round that was being written, next. A later one says that the header was good once.
func (s *search) headless(f *file, next uint64) error {
	w := window{f: f.f, end: f.end}
	at, r, err := w.after(0, 0, next)
	if err != nil || r.sequence != 0 {
		return s.judge(f, 0, at, next, r.sequence, 0, err)
	}
	return nil
}

// take takes what one valid round says.
func (s *search) take(f *file, r *round, body []byte, at int64) error {
	if r.sequence < s.from {
		return nil
	}
	for rest := body; len(rest) > 0; {
		e, behind, ok := decodeEntry(rest)
		if !ok {
			return &Damaged{File: f.path, From: at, To: at + int64(len(body)), First: r.sequence, Last: r.sequence, Why: "an entry is malformed"}
		}
		if s.only == nil || *s.only == e.Partition {
			start := at + int64(len(body)-len(behind)-len(e.Batch))
			s.entry(r.sequence, &e, Ref{Kind: e.Kind, Epoch: e.Epoch, Offset: e.Offset, file: f.f, at: start, length: len(e.Batch)})
		}
		rest = behind
	}
	return nil
}

// entry lets one entry change what is known of its partition.
func (s *search) entry(sequence uint64, e *Entry, ref Ref) {
	p := s.of(e.Partition)
	switch e.Kind {
	case Marker:
		p.Synced, p.First, p.Last, p.Refs, p.Unproven = e.Offset, 0, 0, nil, false
		return
	case Truncate:
		p.Synced = min(p.Synced, e.Offset)
		// What was cut away is not replayed first: the files may not even have what it stood upon.
		p.Refs = slices.DeleteFunc(p.Refs, func(r Ref) bool { return r.Kind == Batch && r.Offset >= e.Offset })
	case StartAt:
		p.Start = max(p.Start, e.Offset)
	}
	if p.First == 0 {
		p.First = sequence
	}
	p.Last, p.Unproven = sequence, p.Unproven || s.unproven(sequence)
	p.Refs = append(p.Refs, ref)
}

// window reads a file in large pieces.
type window struct {
	f   vfs.File
	end int64 // of the file
	buf []byte
	at  int64
}

const windowBytes = 1 << 20

// bytes are the n bytes at a position, fewer where the file ends. They are valid until the next call.
func (w *window) bytes(at, n int64) ([]byte, error) {
	if at < w.at || at+n > w.at+int64(len(w.buf)) {
		want := max(n, min(windowBytes, w.end-at))
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		got, err := w.f.ReadAt(w.buf[:want], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.buf, w.at = w.buf[:got], at
	}
	b := w.buf[at-w.at:]
	return b[:min(n, int64(len(b)))], nil
}

// round reads the round at a position; body is nil if there is no valid one.
func (w *window) round(at int64) (r round, body []byte, err error) {
	head, err := w.bytes(at, roundSize)
	if err != nil || len(head) < roundSize {
		return r, nil, err
	}
	r = decodeRound(head)
	if r.sequence == 0 || int64(r.length) > w.end-at-roundSize {
		return r, nil, nil
	}
	whole, err := w.bytes(at, roundSize+int64(r.length))
	if err != nil || len(whole) < roundSize+int(r.length) || !r.holds(whole, whole[roundSize:]) {
		return r, nil, err
	}
	return r, whole[roundSize:], nil
}

// after finds the next valid round of the seed (0: of any) behind a position with a sequence above last; its sequence is
// 0 if there is none.
func (w *window) after(at int64, seed, last uint64) (int64, round, error) {
	for at += page; at < w.end; at += page {
		head, err := w.bytes(at, roundSize)
		if err != nil {
			return at, round{}, err
		}
		if len(head) < roundSize {
			break
		}
		if r := decodeRound(head); r.sequence <= last || seed != 0 && r.seed != seed {
			continue
		}
		if r, body, err := w.round(at); err != nil || body != nil {
			return at, r, err
		}
	}
	return at, round{}, nil
}
