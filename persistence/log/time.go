package log

import (
	"errors"
	"fmt"
	"io"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// plainBytesMax bounds what one batch may decompress to when its records' timestamps are looked at.
const plainBytesMax = 1 << 30

// OffsetForTime is the first record below limit whose timestamp is at least millis; see message.View. Timestamps need
// not ascend: what the index and the headers know are maxima, and the records decide.
func (v *view) OffsetForTime(millis, limit int64) (at message.TimedOffset, found bool, err error) {
	limit = min(limit, v.bounds.LogEnd)
	for i := v.shape.segmentAt(v.bounds.LogStart); i < len(v.shape.segments) && !found; i++ {
		p, err := v.part(i)
		if err != nil {
			return at, false, p.failed(err)
		}
		if p.base >= limit {
			break
		}
		if p.maxTime < millis {
			continue
		}
		if at, found, err = v.firstAtLeast(&p, millis, limit); err != nil {
			return at, false, p.failed(err)
		}
	}
	return at, found, nil
}

// firstAtLeast searches one segment. The first batch that reaches millis lies in front of the first entry that knows of
// one; what lies below the log start may have hidden it, so the search goes on if that is not it.
func (v *view) firstAtLeast(p *part, millis, limit int64) (at message.TimedOffset, found bool, err error) {
	i := p.find.last(func(e entry) bool { return e.before < millis })
	w, err := p.walk(max(i, p.find.at(v.bounds.LogStart)), v.shape.rules, blockBytes)
	if err != nil {
		return at, false, err
	}
	var failed error
	_, err = p.walkOn(&w, v.bounds.LogStart, limit, (*walker).checked, func(b record.Batch, w *walker) bool {
		if b.MaxTimestamp() < millis {
			return true
		}
		at, found, failed = v.firstRecord(p, w, millis, limit)
		return failed == nil && !found
	}, func(message.Damaged) {})
	if err == nil || err == io.EOF {
		err = failed
	}
	return at, found, err
}

// firstRecord searches the batch that the walker is at.
func (v *view) firstRecord(p *part, w *walker, millis, limit int64) (at message.TimedOffset, found bool, err error) {
	err = v.records(p, w, func(r message.TimedOffset) bool {
		if found = r.Timestamp >= millis && r.Offset < limit; found {
			at = r
		}
		return !found
	})
	return at, found, err
}

// records hands out the places of the records, from the log start on, of the batch that the walker is at. A batch that
// proves damaged is passed over.
func (v *view) records(p *part, w *walker, each func(message.TimedOffset) bool) error {
	whole := *w
	whole.buf, whole.from = nil, 0
	b, err := whole.whole()
	if _, bad := err.(flaw); bad {
		return nil
	}
	if err != nil {
		return err
	}
	for rec, err := range record.All(b, plainBytesMax) {
		if err != nil {
			return fmt.Errorf("%s: the batch at offset %d: %w", p.log.path(), b.BaseOffset(), err)
		}
		r := message.TimedOffset{Offset: b.BaseOffset() + int64(rec.OffsetDelta), Timestamp: rec.Timestamp, LeaderEpoch: b.LeaderEpoch()}
		if r.Offset >= v.bounds.LogStart && !each(r) {
			return nil
		}
	}
	return nil
}

// MaxTimestamp is the record below limit with the largest timestamp, the first if there are several; see message.View.
func (v *view) MaxTimestamp(limit int64) (at message.TimedOffset, found bool, err error) {
	limit = min(limit, v.bounds.LogEnd)
	largest, err := v.largest(limit, false)
	if err != nil || largest == noTime {
		return at, false, err
	}
	if at, found, err = v.OffsetForTime(largest, limit); found || err != nil {
		return at, found, err
	}
	// the index knew of a record below the log start: look at every header
	if largest, err = v.largest(limit, true); err != nil || largest == noTime {
		return at, false, err
	}
	return v.OffsetForTime(largest, limit)
}

// largest is the largest timestamp in the headers below a limit, and either all of the first segment's counted in or
// only from the log start on.
func (v *view) largest(limit int64, exact bool) (int64, error) {
	largest := int64(noTime)
	for i := v.shape.segmentAt(v.bounds.LogStart); i < len(v.shape.segments); i++ {
		p, err := v.part(i)
		if err != nil {
			return 0, p.failed(err)
		}
		if p.base >= limit {
			break
		}
		t, err := v.largestIn(&p, limit, exact && p.base < v.bounds.LogStart)
		if err != nil {
			return 0, p.failed(err)
		}
		largest = max(largest, t)
	}
	return largest, nil
}

func (v *view) largestIn(p *part, limit int64, exact bool) (int64, error) {
	largest, from := int64(noTime), v.bounds.LogStart
	if !exact {
		if p.next <= limit {
			return p.maxTime, nil
		}
		if i := p.find.at(limit); i >= 0 {
			e := p.find.entry(i)
			largest, from = e.before, max(from, p.base+int64(e.offset))
		}
	}
	w, err := p.walk(p.find.at(from), v.shape.rules, blockBytes)
	if err != nil {
		return 0, err
	}
	var failed error
	_, err = p.walkOn(&w, from, limit, (*walker).checked, func(b record.Batch, w *walker) bool {
		if exact && b.BaseOffset() < v.bounds.LogStart { // its largest may be below the start
			failed = v.records(p, w, func(r message.TimedOffset) bool {
				largest = max(largest, r.Timestamp)
				return true
			})
			return failed == nil
		}
		if b.Count() > 0 {
			largest = max(largest, b.MaxTimestamp())
		}
		return true
	}, func(message.Damaged) {})
	return largest, errors.Join(err, failed)
}
