package log

import (
	"github.com/troupe-broker/troupe/actors/message"
)

// Trimmed finds the last batch of a slice that has records; see message.View. It begins at the index entry before the slice's end, and reads
// little more than what is behind that.
func (v *view) Trimmed(s message.Slice) message.Slice {
	if !v.shape.rules.gaps || s.Bytes == 0 {
		return s
	}
	p, err := v.part(v.shape.segmentAt(s.First))
	if err != nil {
		return s
	}
	room := scratches.Get().(*scratch)
	defer scratches.Put(room)
	p.use(room)
	end := s.At + int64(s.Bytes)
	for before := end; before > s.At; {
		i := p.find.last(func(e entry) bool { return int64(e.at) < before })
		w, err := p.walk(i, v.shape.rules, reachMost)
		if err != nil {
			return s
		}
		before = w.at
		at, next, ok := p.lastFull(&w, s.At, end)
		if !ok {
			return s
		}
		if at > s.At {
			s.Bytes, s.Next = int(at-s.At), next
			return s
		}
	}
	return message.Slice{}
}

// lastFull is where the last batch with records ends that begins at a position or behind it, and below the end; 0 if there is none. What cannot be
// read is not ok.
func (p *part) lastFull(w *walker, from, end int64) (at, next int64, ok bool) {
	for w.at < end {
		b, d, err := p.take(w, (*walker).header)
		if err != nil || d != nil {
			return 0, 0, false
		}
		begun, full := w.at, b.Count() > 0
		if w.step(b); full && begun >= from {
			at, next = w.at, w.next
		}
	}
	return at, next, true
}
