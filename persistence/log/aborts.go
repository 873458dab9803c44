package log

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// The file <base>.txnindex says which transactions were aborted: an entry for every marker of its segment that aborts one, in the order
// of the log. It is there as soon as there is such a marker. An entry is Kafka's (AbortedTxn), and a checksum:
//
//	 0  2 version, 0
//	 2  8 producer id
//	10  8 offset of the transaction's first batch; that of the marker if it has none
//	18  8 offset of the marker
//	26  8 last stable offset: of the transactions that were open then the first begins there; or the offset behind the marker
//	34  4 CRC-32C of the whole file up to here, so that parts of two versions do not pass for one
//
// It is dirty, synced and cut with the segment. Above the recovery point it may lack entries that the segment has markers for: those are
// learnt from the batches (Prove). Below it is believed, unless a checksum says otherwise: then the log is read.
const (
	abortsExt  = ".txnindex"
	abortSize  = 38
	abortSumAt = 34
)

// appendAbort adds an entry behind those whose checksum is sum.
func appendAbort(b []byte, a message.Aborted, sum uint32) ([]byte, uint32) {
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, 0)
	for _, v := range []int64{a.Producer, a.First, a.Last, a.Stable} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	own := crc32.Update(sum, record.Castagnoli, b[at:])
	b = binary.BigEndian.AppendUint32(b, own)
	return b, crc32.Update(own, record.Castagnoli, b[at+abortSumAt:])
}

func encodeAborts(all []message.Aborted) (b []byte, sum uint32) {
	b = make([]byte, 0, abortSize*len(all))
	for _, a := range all {
		b, sum = appendAbort(b, a, sum)
	}
	return b, sum
}

// decodeAborts takes the entries up to the first that is bad or out of order. whole says that there is none.
func decodeAborts(b []byte) (all []message.Aborted, whole bool) {
	sum, last := uint32(0), int64(-1)
	for ; len(b) >= abortSize; b = b[abortSize:] {
		field := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
		a := message.Aborted{Producer: field(2), First: field(10), Last: field(18), Stable: field(26)}
		sum = crc32.Update(sum, record.Castagnoli, b[:abortSumAt])
		version := binary.BigEndian.Uint16(b)
		if sum != binary.BigEndian.Uint32(b[abortSumAt:]) || version != 0 || a.Producer < 0 || a.First < 0 || a.First > a.Last || a.Last <= last || a.Stable > a.Last+1 {
			return all, false
		}
		sum = crc32.Update(sum, record.Castagnoli, b[abortSumAt:abortSize])
		all, last = append(all, a), a.Last
	}
	return all, len(b) == 0
}

// aborts is what the owner knows of the last segment's file, and of what is missing.
type aborts struct {
	list []message.Aborted // only ever added to, so that a view may keep a prefix
	sum  uint32            // of the file
	// unproven are offsets of markers, in any segment, for which there is no entry; in ascending order.
	unproven []int64
}

// AppendAbort is Append for a marker that aborts a transaction. An error leaves the log without either.
func (l *Log) AppendAbort(b record.Batch, a message.Aborted, now time.Time) error {
	return l.append(b, &a, now)
}

// writeAbort writes an entry behind those that the last segment has. It counts when the marker is written.
func (l *Log) writeAbort(a message.Aborted) (sum uint32, err error) {
	f, err := l.openAborts(l.last())
	if err != nil {
		return 0, err
	}
	raw, sum := appendAbort(nil, a, l.aborts.sum)
	if _, err := f.WriteAt(raw, l.abortsSize()); err != nil {
		l.trimAborts()
		return 0, err
	}
	l.dirty.add(l.last().aborts)
	return sum, nil
}

func (l *Log) abortsSize() int64 { return int64(len(l.aborts.list)) * abortSize }

// trimAborts takes back an entry whose marker was not written. One that stayed would be believed one day.
func (l *Log) trimAborts() {
	f, err := l.last().aborts.open()
	if err == nil {
		err = f.Truncate(l.abortsSize())
	}
	if err != nil && !errors.Is(err, vfs.ErrReadOnly) {
		l.broken = err
	}
}

func (l *Log) openAborts(seg *segment) (vfs.File, error) {
	if seg.indexed {
		return seg.aborts.open()
	}
	f, err := seg.aborts.create()
	if err == nil {
		seg.indexed, l.dirty.dir = true, true
	}
	return f, err
}

// saveAborts writes a segment's file anew.
func (l *Log) saveAborts(seg *segment, all []message.Aborted) error {
	if len(all) == 0 && !seg.indexed {
		return nil
	}
	f, err := l.openAborts(seg)
	if err != nil {
		return err
	}
	raw, _ := encodeAborts(all)
	if _, err := f.WriteAt(raw, 0); err != nil {
		return err
	}
	l.dirty.add(seg.aborts)
	return f.Truncate(int64(len(raw)))
}

// setAborts makes entries those of the last segment.
func (l *Log) setAborts(all []message.Aborted) {
	_, sum := encodeAborts(all)
	l.aborts.list, l.aborts.sum = slices.Clip(all), sum
}

// cutAborts forgets what was cut, of the last segment and of what is unproven.
func (l *Log) cutAborts(of []message.Aborted, offset int64) error {
	n := sort.Search(len(of), func(i int) bool { return of[i].Last >= offset })
	l.setAborts(slices.Clone(of[:n]))
	at, _ := slices.BinarySearch(l.aborts.unproven, offset)
	l.aborts.unproven = l.aborts.unproven[:at]
	if !l.last().indexed {
		return nil
	}
	f, err := l.last().aborts.open()
	if err != nil {
		return err
	}
	l.dirty.add(l.last().aborts)
	return f.Truncate(int64(n) * abortSize)
}

// Unproven says that there are markers of aborted transactions of which the index knows nothing.
func (l *Log) Unproven() bool { return len(l.aborts.unproven) > 0 }

// Prove completes the index of aborted transactions with what is known of the markers that it lacks, and with what the log says of the
// others: it is read from where a transaction may have begun that was open then. What it wrote is in Dirty.
func (l *Log) Prove(known []message.Aborted) error {
	missing := l.aborts.unproven
	if l.aborts.unproven = nil; len(missing) == 0 || planted.Is(planted.AbortsForgotten) {
		return nil
	}
	found := slices.DeleteFunc(slices.Clone(known), func(a message.Aborted) bool { return !contains(missing, a.Last) })
	if len(found) < len(missing) {
		var err error
		if found, err = l.view(message.Bounds{}).learnAborts(missing[0], l.next); err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(a message.Aborted) bool { return !contains(missing, a.Last) })
	}
	for len(found) > 0 {
		i := l.segmentAt(found[0].Last)
		n := len(found)
		if i+1 < len(l.shape.segments) {
			n = sort.Search(n, func(k int) bool { return found[k].Last >= l.shape.segments[i+1].base })
		}
		if err := l.complete(i, found[:n]); err != nil {
			return err
		}
		found = found[n:]
	}
	return nil
}

func contains(sorted []int64, offset int64) bool {
	_, found := slices.BinarySearch(sorted, offset)
	return found
}

// complete adds entries to those of a segment.
func (l *Log) complete(i int, more []message.Aborted) error {
	seg, have := l.shape.segments[i], l.aborts.list
	if seg != l.last() {
		var err error
		if have, err = l.view(message.Bounds{}).abortsOf(i); err != nil {
			return err
		}
	}
	all := append(slices.Clone(have), more...)
	slices.SortFunc(all, func(a, b message.Aborted) int { return cmp.Compare(a.Last, b.Last) })
	all = slices.CompactFunc(all, func(a, b message.Aborted) bool { return a.Last == b.Last })
	if seg == l.last() {
		l.setAborts(all)
	} else {
		seg.aborted.Store(&all)
	}
	return l.saveAborts(seg, all)
}

// loadAborts reads a segment's file; whole is false if it is damaged, and then the first entries may be right.
func (s *segment) loadAborts() (all []message.Aborted, whole bool, err error) {
	f, err := s.aborts.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, false, err
	}
	b := make([]byte, min(size, math.MaxInt32))
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	all, whole = decodeAborts(b[:n])
	return all, whole, nil
}

// abortsOf are the entries of a view's segment. If the file of a sealed one is damaged they are learnt from the log.
func (v *view) abortsOf(i int) ([]message.Aborted, error) {
	if i == len(v.shape.segments)-1 {
		return v.aborted, nil
	}
	seg := v.shape.segments[i]
	if known := seg.aborted.Load(); known != nil {
		return *known, nil
	}
	all, whole, err := seg.loadAborts()
	if err != nil {
		return nil, err
	}
	if !whole || len(all) > 0 && (all[0].Last < seg.base || all[len(all)-1].Last >= seg.bound) {
		if all, err = v.learnAborts(seg.base, seg.bound); err != nil {
			return nil, err
		}
	}
	seg.aborted.CompareAndSwap(nil, &all)
	return *seg.aborted.Load(), nil
}

// learnAborts reads the log for the markers that abort in a range of offsets.
func (v *view) learnAborts(from, limit int64) (found []message.Aborted, err error) {
	k := begun{}
	err = v.walkAll(v.calmBefore(from), limit, (*walker).whole, func(b record.Batch, _ *walker) bool {
		if a, aborts := k.take(b); aborts && a.Last >= from {
			found = append(found, a)
		}
		return true
	}, func(message.Damaged) {}, nil)
	return found, err
}

// calmBefore is an offset below which no transaction begins that was open at from: the log start, or what the last entry before says.
func (v *view) calmBefore(from int64) int64 {
	for i := v.shape.segmentAt(from); i >= 0 && i < len(v.shape.segments); i-- {
		known := v.aborted
		if i < len(v.shape.segments)-1 {
			p := v.shape.segments[i].aborted.Load()
			if p == nil {
				continue
			}
			known = *p
		}
		if n := sort.Search(len(known), func(k int) bool { return known[k].Last >= from }); n > 0 {
			return max(known[n-1].Stable, v.bounds.LogStart)
		}
	}
	return v.bounds.LogStart
}

// begun are transactions that are open while a log is read, by their producers: where they begin.
type begun map[int64]int64

// take goes on with a batch; if it is a marker that aborts, aborts is its entry.
func (k begun) take(b record.Batch) (a message.Aborted, aborts bool) {
	id, attributes := b.ProducerID(), b.Attributes()
	if id < 0 || !attributes.Has(record.Transactional) {
		return a, false
	}
	first, open := k[id]
	if !attributes.Has(record.Control) {
		if !open {
			k[id] = b.BaseOffset()
		}
		return a, false
	}
	m, err := record.ParseControl(b)
	if err != nil || m.Type != record.Abort && m.Type != record.Commit {
		return a, false
	}
	delete(k, id)
	if m.Type == record.Commit {
		return a, false
	}
	a = message.Aborted{Producer: id, First: b.BaseOffset(), Last: b.BaseOffset(), Stable: b.BaseOffset() + 1}
	if open {
		a.First = first
	}
	for _, other := range k {
		a.Stable = min(a.Stable, other)
	}
	return a, true
}

// aborting says that a batch is a marker that aborts.
func aborting(b record.Batch) bool {
	if a := b.Attributes(); !a.Has(record.Control) || !a.Has(record.Transactional) || b.ProducerID() < 0 {
		return false
	}
	m, err := record.ParseControl(b)
	return err == nil && m.Type == record.Abort
}

// Aborted are the aborted transactions of which a reader of the offsets from from on up to to, which is at most the last stable offset,
// may meet a batch; in the order of their markers, which may be anywhere behind: after a restart even above the high watermark, which was higher
// before. Those that have no batch are left out.
func (v *view) Aborted(from, to int64) (found []message.Aborted, err error) {
	for i := v.shape.segmentAt(from); i < len(v.shape.segments); i++ {
		all, err := v.abortsOf(i)
		if seg := v.shape.segments[i]; err != nil {
			if seg.log.gone.Load() {
				err = message.ErrOffsetOutOfRange
			}
			return nil, fmt.Errorf("the aborted transactions of %s: %w", seg.log.path(), err)
		}
		if planted.Is(planted.AbortsCutShort) && i > v.shape.segmentAt(from) {
			break
		}
		for _, a := range all[sort.Search(len(all), func(k int) bool { return all[k].Last >= from }):] {
			if a.First < to && a.First < a.Last {
				found = append(found, a)
			}
			if a.Stable >= to {
				return found, nil
			}
		}
	}
	return found, nil
}
