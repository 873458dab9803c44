package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/snapshot"
)

// The file "cleaned" is there as soon as offsets may be missing between batches: a pass of compaction has been through the log, or
// was through the one that it is a copy of. It says how far compaction has got, and, while segments take the place of others, which.
// It is written whole and durable (package snapshot adds the checksum).
//
//	 0 8 guard: everything below it is synced in its file, and may be other than it was appended; a journal has nothing to say of it
//	 8 8 first offset that no pass has been through
//	16 8 base offset of the segment that takes the place of others; -1: none does
//	24 8 base offset of the segment behind those
//	32 8 bytes of the segment that takes their place
//	40 8 first offset behind all that may have overtaken records which are gone; files of 40 bytes, from before, do not say
//
// A segment is written beside those whose place it takes, <base>.log.cleaned, and synced. Then this file says so, and that is the
// moment: before it a crash leaves the old segments, and recovery throws the other away; behind it recovery finishes what is left to
// do. The old files live on under other names, <base>.log.deleted, for readers that are at them.
const (
	cleanedName = "cleaned"
	cleanedSize = 48
	cleanedOld  = 40
	cleanedExt  = ".cleaned"
	deletedExt  = ".deleted"
)

// cleaned is what the file says.
type cleaned struct {
	known bool // there is one
	guard int64
	upTo  int64
	swap  swap
	proof int64
}

// swap is a segment that takes the place of all those from its own base offset up to another.
type swap struct {
	base, bound, size int64 // none: base is -1
}

var noSwap = swap{base: -1}

func (c cleaned) encode() []byte {
	b := make([]byte, 0, cleanedSize)
	for _, n := range [...]int64{c.guard, c.upTo, c.swap.base, c.swap.bound, c.swap.size, c.proof} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func decodeCleaned(b []byte) (cleaned, error) {
	if len(b) != cleanedSize && len(b) != cleanedOld {
		return cleaned{}, fmt.Errorf("%d bytes do not say how far compaction is", len(b))
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	c := cleaned{known: true, guard: n(0), upTo: n(1), swap: swap{base: n(2), bound: n(3), size: n(4)}}
	if c.proof = max(c.guard, c.upTo); len(b) == cleanedSize {
		c.proof = n(5)
	}
	if c.guard < 0 || c.upTo < 0 || c.proof < 0 || c.swap.base < -1 || c.swap.base >= 0 && (c.swap.bound <= c.swap.base || c.swap.size < 0) {
		return cleaned{}, fmt.Errorf("compaction cannot be at %+v", c)
	}
	return c, nil
}

// saveCleaned makes durable how far compaction is.
func (p *place) saveCleaned(c cleaned) error {
	return snapshot.Write(p.fs, p.path(cleanedName), c.encode())
}

// loadCleaned reads the file. Of a bad one is known that it was there: everything is dirty, and below the recovery point, where the
// files are whole, a journal has nothing to say.
func (r *recovery) loadCleaned(names []string) error {
	l := r.log
	if !slices.Contains(names, cleanedName) {
		return nil
	}
	b, err := snapshot.Read(l.place.fs, l.place.path(cleanedName))
	if _, bad := errors.AsType[*snapshot.Damaged](err); err != nil && !bad {
		return err
	}
	l.cleaned, err = decodeCleaned(b)
	if err != nil {
		l.cleaned = cleaned{known: true, guard: r.point, proof: r.point, swap: noSwap}
		r.report.Quarantine = append(r.report.Quarantine, message.Damaged{File: l.place.path(cleanedName), Why: "how far compaction is cannot be read"})
	}
	l.shape.rules = l.rules()
	return nil
}

// finishSwap does what a crash has left to do, and throws away what it has left over. It gives the names that are left.
func (r *recovery) finishSwap(names []string) ([]string, error) {
	place, s, changed := r.log.place, r.log.cleaned.swap, false
	if s.base >= 0 {
		seg := newSegment(place, s.base)
		for _, h := range []*handle{seg.log, seg.aborts} {
			if !slices.Contains(names, h.name+cleanedExt) {
				continue
			}
			if err := place.fs.Rename(h.path()+cleanedExt, h.path()); err != nil {
				return nil, err
			}
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == seg.log.name+cleanedExt || n == seg.aborts.name+cleanedExt })
	}
	taken := s.base >= 0 && r.hasTaken(s)
	changed = changed || s.base >= 0
	for _, name := range names {
		base, ext, ok := parseName(name)
		if over := taken && ok && (ext == logExt || ext == indexExt || ext == abortsExt) && base > s.base && base < s.bound; !over && !leftOver(name) {
			continue
		}
		if err := place.fs.Remove(place.path(name)); unlessMissing(err) != nil {
			return nil, err
		}
		changed = true
	}
	if changed {
		if err := place.fs.SyncDir(place.dir); err != nil {
			return nil, err
		}
	}
	if s.base >= 0 {
		r.log.cleaned.swap = noSwap
		if err := place.saveCleaned(r.log.cleaned); err != nil {
			return nil, err
		}
	}
	if !changed {
		return names, nil
	}
	return place.fs.List(place.dir)
}

// hasTaken says that the segment is in its place.
func (r *recovery) hasTaken(s swap) bool {
	info, err := r.log.place.fs.Stat(r.log.place.path(segmentName(s.base)))
	return err == nil && info.Size() == s.size
}

// leftOver says that a file was being written, or was to go.
func leftOver(name string) bool {
	return strings.HasSuffix(name, cleanedExt) || strings.HasSuffix(name, deletedExt)
}

// AllowGaps lets offsets be missing between batches from now on, whatever the log is configured for: the log that it is a copy of
// was compacted. It is durable when it returns.
func (l *Log) AllowGaps() error {
	if l.cleaned.known {
		return nil
	}
	return l.saveCleaned(cleaned{known: true, swap: noSwap})
}

func (l *Log) saveCleaned(c cleaned) error {
	if err := l.place.saveCleaned(c); err != nil {
		return err
	}
	l.cleaned = c
	if l.shape.rules != l.rules() {
		l.reshape().rules = l.rules()
	}
	return nil
}

// rules are those of the config, but a log that has gaps keeps them.
func (l *Log) rules() rules {
	r := l.config.rules()
	r.gaps = r.gaps || l.cleaned.known
	return r
}

// soil notes that the log is cut at an offset: what is appended there no pass has been through, and a journal has all of it.
func (l *Log) soil(offset int64) error {
	c := l.cleaned
	c.guard, c.upTo, c.proof = min(c.guard, offset), min(c.upTo, offset), min(c.proof, offset)
	if c == l.cleaned {
		return nil
	}
	return l.saveCleaned(c)
}
