package log

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Recovery says what Open found and did.
type Recovery struct {
	Cut        int64 // bytes of invalid tail that were removed
	Scanned    int64 // bytes read
	Rebuilt    int   // indexes made anew
	Quarantine []message.Damaged
	Dirty      []message.Syncer // was written again and must be synced before anything is acknowledged on top of it
}

// Open recovers the longest valid prefix; a directory that is not there is an empty log that starts at opts.LogStart.
//
// Segments wholly below the recovery point are not read but believed; what is wrong with them is found by who reads
// there. The one that holds the recovery point is read from the last index entry below it on, and everything above is
// read and checked: checksums, offsets without gap, epochs that do not fall. A process that is killed on the way and
// opens the log again gets the same.
func Open(opts Options, now time.Time) (*Log, Recovery, error) {
	l := &Log{place: &place{fs: opts.FS, dir: opts.Dir}, config: opts.Config.withDefaults(), shape: &shape{}}
	l.history.place, l.history.name = l.place, epochsName
	l.first.place, l.first.name = l.place, startName
	l.cleaned.swap, l.shape.rules = noSwap, l.config.rules()
	r := &recovery{log: l, point: max(opts.RecoveryPoint, 0), least: anyEpoch, suspect: opts.Suspect, again: opts.Reopened, now: now}
	if err := r.run(opts.LogStart); err != nil {
		return nil, r.report, fmt.Errorf("opening the log %s: %w", opts.Dir, err)
	}
	return l, r.report, nil
}

// recovery is one run of Open.
type recovery struct {
	log     *Log
	point   int64 // what is invalid below is damage
	suspect bool  // a sync failed: nothing is clean because the page cache says so
	again   bool  // this process has had the log open before
	now     time.Time

	report  Recovery
	saved   epochs // what the file has
	epochs  epochs
	least   int32             // epoch of the last batch that was read
	damaged []message.Damaged // of the segment that holds the point
	blocked bool              // and it reaches the end of the file
	proven  int64             // bytes of the segment that is read which come before the recovery point
	covered int64             // bytes that the index file of the segment speaks of
	tails   []tail            // what no sync is known to have proved
	markers []int64           // that abort, in the segment that is read
}

func (r *recovery) run(start int64) error {
	l := r.log
	found, err := r.list()
	if err != nil {
		return err
	}
	if found == nil {
		r.nothing(start)
		return nil
	}
	if err := r.loadStart(start); err != nil {
		return err
	}
	start = max(start, l.firstBase)
	if len(found) > 0 && found[0].base > max(start, r.point) {
		// the first segments never got a durable name, so nothing that was written is worth more
		if err := r.drop(found); err != nil {
			return err
		}
		found = nil
	}
	if len(found) == 0 {
		r.nothing(start)
		return r.settle()
	}
	if found[0].base > start {
		if found, err = r.front(found, start); err != nil {
			return err
		}
	}
	if err := r.load(found); err != nil {
		return err
	}
	if l.start = max(start, found[0].base); l.start > l.next {
		if err := l.TruncateAll(l.start); err != nil {
			return err
		}
	}
	if !slices.Equal(r.saved, l.shape.epochs) && (len(r.saved) > 0 || len(l.shape.epochs) > 1) {
		if err := l.saveEpochs(l.shape.epochs); err != nil {
			return err
		}
	}
	defer l.forgetEpochs()
	return r.sum()
}

// front puts an empty segment where the first ones are missing, so that who reads there is told.
func (r *recovery) front(found []*segment, start int64) ([]*segment, error) {
	l, lost := r.log, found[0].base
	r.report.Quarantine = append(r.report.Quarantine, message.Damaged{File: l.place.dir, First: start, Next: lost, Why: "the first segments are missing"})
	seg := newSegment(l.place, start)
	seg.bound = lost
	_, err := seg.log.create()
	l.dirty.dir = true
	return append([]*segment{seg}, found...), err
}

// nothing is a log without files: new, or lost.
func (r *recovery) nothing(start int64) {
	l := r.log
	if start < r.point {
		r.report.Quarantine = []message.Damaged{{File: l.place.dir, First: max(start, 0), Next: r.point, Why: "all files are missing"}}
	}
	l.start = max(start, r.point)
	l.next = l.start
	r.report.Dirty = l.Dirty()
}

// list finds the segments and removes what a crash has left over; nil if there is not even a directory.
func (r *recovery) list() ([]*segment, error) {
	place := r.log.place
	names, err := place.fs.List(place.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := r.loadCleaned(names); err != nil {
		return nil, err
	}
	if names, err = r.finishSwap(names); err != nil {
		return nil, err
	}
	found := []*segment{}
	for _, name := range names {
		base, ext, ok := parseName(name)
		switch {
		case ok && ext == logExt:
			found = append(found, newSegment(place, base))
			found[len(found)-1].expectAborts(names)
		case ok && (ext == indexExt || ext == abortsExt) && !slices.Contains(names, strings.TrimSuffix(name, ext)+logExt),
			strings.HasSuffix(name, ".tmp"):
			if err := place.fs.Remove(place.path(name)); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(found, func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
	return found, r.measure(found)
}

func (r *recovery) measure(found []*segment) error {
	for i, seg := range found {
		info, err := r.log.place.fs.Stat(seg.log.path())
		if err != nil {
			return err
		}
		if seg.size = info.Size(); i > 0 {
			found[i-1].bound = seg.base
		}
	}
	return nil
}

// load believes the segments below the recovery point and reads the others.
func (r *recovery) load(found []*segment) error {
	first := 0 // the one that holds the recovery point
	for i, seg := range found {
		if seg.base <= r.point {
			first = i
		}
	}
	if err := r.loadEpochs(); err != nil {
		return err
	}
	if first > 0 && found[first].base == r.point {
		r.tails = append(r.tails, tail{found[first-1], found[first-1].size}) // perhaps it was cut there
	}
	l := r.log
	l.next = found[first].base
	for i, seg := range found[first:] {
		due := seg.base == l.next || l.shape.rules.gaps && seg.base-l.next > math.MaxInt32 // see baseFor
		if i > 0 && !due {
			return r.drop(found[first+i:])
		}
		if i > 0 {
			r.sealLast(seg.base)
		}
		whole, err := r.scan(found[:first+i+1])
		if err != nil {
			return err
		}
		if i == 0 && (r.blocked || l.next < r.point && !l.shape.rules.gaps) {
			return r.bridge(found[first+1:])
		}
		if !whole {
			return r.drop(found[first+i+1:])
		}
	}
	return nil
}

// scan reads the last of the segments, which becomes the log's last one. It is whole if nothing was cut.
func (r *recovery) scan(segments []*segment) (whole bool, err error) {
	l, seg := r.log, segments[len(segments)-1]
	file, err := seg.log.open()
	if err != nil {
		return false, err
	}
	l.begin(segments)
	w := &walker{file: file, size: seg.size, bound: math.MaxInt64, rules: l.shape.rules, next: seg.base, strict: true, proved: r.point, epoch: r.least, block: blockBytes}
	defer func() { r.report.Scanned += w.read }()
	if err := r.resume(w, seg); err != nil {
		return false, err
	}
	if r.least == anyEpoch {
		if err := r.agree(w, segments); err != nil {
			return false, err
		}
	}
	r.proven = w.at
	flawed, err := r.read(w, seg)
	if err != nil {
		return false, err
	}
	r.tails = append(r.tails, tail{seg, min(r.proven, w.at)})
	l.next, l.size, r.least = w.next, w.at, w.epoch
	if err := r.recoverAborts(seg); err != nil {
		return false, err
	}
	l.shape.damaged, l.shape.epochs = r.damaged, r.epochs
	r.damaged = nil
	if err := r.forgetIndex(seg); err != nil {
		return false, err
	}
	if flawed {
		return false, r.cut(seg, w.at)
	}
	return true, nil
}

// forgetIndex removes an index of records that are gone: after another crash it could pass for the index of those that
// take their place.
func (r *recovery) forgetIndex(seg *segment) error {
	if r.covered <= r.log.size {
		return nil
	}
	r.log.dirty.dir = true
	return seg.index.remove()
}

// resume takes the entries of the segment's index below the recovery point, and moves the walker to the last of them
// that proves right. Without an index it reads from the segment's start.
func (r *recovery) resume(w *walker, seg *segment) error {
	l := r.log
	h, err := checkIndex(&seg.index, seg.base, func(e entry) {
		if seg.base+int64(e.offset) <= r.point && int64(e.at) < seg.size {
			l.index.entries = append(l.index.entries, e)
		}
	})
	if r.covered = h.covered; err != nil {
		l.index.entries, r.covered = nil, 0
		if errors.Is(err, errIndex) {
			return nil
		}
		return err
	}
	for n := len(l.index.entries); n > 0; n-- {
		e := l.index.entries[n-1]
		w.at, w.next = int64(e.at), seg.base+int64(e.offset)
		_, err := w.checked()
		if err == nil {
			l.index.entries, l.index.maxTime = l.index.entries[:n-1], e.before
			return nil
		}
		if _, bad := err.(flaw); !bad && err != io.EOF {
			return err
		}
	}
	l.index.entries = nil
	w.at, w.next = 0, seg.base
	return nil
}

// read goes on to the end of the valid batches. Flaws below the recovery point are quarantined.
func (r *recovery) read(w *walker, seg *segment) (cut bool, err error) {
	l := r.log
	for {
		b, err := w.checked()
		believed := true
		if err == nil && w.next < r.point && (b.LeaderEpoch() > max(w.epoch, r.epochs.last()) || b.BaseOffset() > w.next) {
			b, believed, err = w.doubt(b)
		}
		if bad, ok := err.(flaw); ok {
			if w.next >= r.point {
				return true, nil
			}
			if err := r.quarantine(w, seg, bad); err != nil {
				return false, err
			}
			continue
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if b.LastOffset() < r.point {
			r.proven = w.at + int64(b.Size())
		}
		r.take(b, believed)
		if b.Attributes().Has(record.Control) {
			if b, err = w.whole(); err != nil {
				return false, err
			}
			if aborting(b) {
				r.markers = append(r.markers, b.BaseOffset())
			}
		}
		l.index.add(b, w.at, l.shape.rules.interval)
		w.pass(b, believed)
	}
}

// take notices a batch's epoch, if it is believed, and of a segment's first one the time.
func (r *recovery) take(b record.Batch, believed bool) {
	if believed {
		r.epochs = r.epochs.with(b.LeaderEpoch(), b.BaseOffset())
	}
	if len(r.log.index.entries) == 0 {
		r.log.since = r.now
		if t := time.UnixMilli(b.MaxTimestamp()); b.MaxTimestamp() > 0 && t.Before(r.now) {
			r.log.since = t // nearly when it was appended
		}
	}
}

// quarantine remembers a range below the recovery point that cannot be read, and goes behind it.
func (r *recovery) quarantine(w *walker, seg *segment, why flaw) error {
	d, err := w.damage(seg.log, r.point, why)
	if err != nil {
		return err
	}
	r.damaged = append(r.damaged, d)
	r.report.Quarantine = append(r.report.Quarantine, d)
	r.blocked = w.at == w.size
	return nil
}

// bridge lets the log go on in a new segment at the recovery point when what is missing below it reaches the end of
// the file. What stands behind it in the file stays for who can read it, nothing is appended there.
func (r *recovery) bridge(rest []*segment) error {
	l := r.log
	seg := l.last()
	if !r.blocked {
		d := message.Damaged{File: seg.log.path(), From: l.size, To: l.size, First: l.next, Next: r.point, Why: "the file ends before what was synced does"}
		r.report.Quarantine = append(r.report.Quarantine, d)
		l.shape.damaged = append(l.shape.damaged, d)
	}
	if err := r.drop(rest); err != nil {
		return err
	}
	next := newSegment(l.place, r.point)
	if _, err := next.log.create(); err != nil {
		return err
	}
	l.dirty.dir = true
	r.sealLast(r.point)
	l.next = r.point
	l.begin(append(slices.Clip(l.shape.segments), next))
	return nil
}

// sealLast makes the segment that was read last one with another behind it.
func (r *recovery) sealLast(bound int64) {
	l := r.log
	l.dirty.last = true
	l.seal(l.last(), bound)
	r.report.Rebuilt++
}

// cut removes what is invalid at the end of a segment.
func (r *recovery) cut(seg *segment, at int64) error {
	file, err := seg.log.open()
	if err != nil {
		return err
	}
	r.report.Cut += seg.size - at
	r.log.dirty.last = true
	return file.Truncate(at)
}

// drop removes segments, the newest first: a crash in between leaves a prefix.
func (r *recovery) drop(segments []*segment) error {
	for _, seg := range slices.Backward(segments) {
		r.report.Cut += seg.size
		if err := r.log.drop(seg); err != nil {
			return err
		}
	}
	return nil
}
