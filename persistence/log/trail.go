package log

import (
	"math"

	"github.com/troupe-broker/troupe/actors/message"
)

// trailLength is how many appends are between what is committed and what was appended last, as a rule.
const trailLength = 64

// trail knows where in the last segment the latest batches end, so that who reads what was just committed finds it
// without a look at the disk: at the high watermark, and at the one before it.
type trail struct {
	ends  []spot // a ring, made by the first append
	count int

	committed, before spot // as of the last views; the zero spot is unknown
}

// add notes where the log ends now.
func (t *trail) add(to spot) {
	if t.ends == nil {
		t.ends = make([]spot, trailLength)
	}
	t.ends[t.count%trailLength] = to
	t.count++
}

// clear forgets everything: another segment is the last one, or it was cut.
func (t *trail) clear() { *t = trail{ends: t.ends} }

// commit notes the high watermark of a view.
func (t *trail) commit(high int64) {
	if high == t.committed.next {
		return
	}
	t.before, t.committed = t.committed, spot{}
	for i := t.count - 1; i >= max(0, t.count-trailLength); i-- {
		if end := t.ends[i%trailLength]; end.next == high {
			t.committed = end
			return
		}
	}
}

// fresh is everything between the high watermark before and that of the view, if that is what is asked for.
func (v *view) fresh(offset, limit int64, maxBytes int) (s message.Slice, ok bool) {
	from, to := v.before, v.committed
	if from.at == 0 || to.at <= from.at || offset != from.next || limit != to.next || to.at-from.at > min(int64(maxBytes), math.MaxInt32) {
		return s, false
	}
	last := v.shape.segments[len(v.shape.segments)-1]
	file, err := last.log.open()
	return message.Slice{File: file, At: from.at, Bytes: int(to.at - from.at), First: from.next, Next: to.next}, err == nil
}
