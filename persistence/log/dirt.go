package log

import (
	"errors"
	"io"
	"time"
)

// Dirt is what there is in a log for a pass of compaction.
type Dirt struct {
	First int64 // no pass has been through what lies from here on
	End   int64 // and a pass may go up to here: where a segment begins
	Clean int64 // bytes of the segments before First
	Dirty int64 // and of those up to End
	// Oldest is the time of the first record in the oldest of those, by its producer; zero if there is none.
	Oldest time.Time
	// Ripe is when more may be compacted than now, because it is old enough then; zero if nothing waits for that.
	Ripe time.Time
}

// Ratio is how much of what a pass would read is dirty, from 0 to 1.
func (d Dirt) Ratio() float64 {
	if d.Dirty == 0 {
		return 0
	}
	return float64(d.Dirty) / float64(d.Clean+d.Dirty)
}

// Dirt says what a pass could do: to segments that are not the last, end at or below an offset, and have no record younger than lag.
func (l *Log) Dirt(below int64, lag time.Duration, now time.Time) (Dirt, error) {
	d := Dirt{First: max(l.cleaned.upTo, l.start)}
	if d.End = d.First; l.Unproven() {
		return d, nil // which transactions were aborted is not known yet
	}
	for i, seg := range l.shape.segments[:max(0, len(l.shape.segments)-1)] {
		if seg.bound <= d.First {
			d.Clean += seg.size
			continue
		}
		if seg.bound > below {
			break
		}
		p, err := l.part(i)
		if err != nil {
			return d, err
		}
		last, err := l.newest(&p)
		if err != nil {
			return d, err
		}
		if lag > 0 && now.Sub(last) < lag {
			d.Ripe = last.Add(lag)
			break
		}
		if err := d.count(&p, l.shape.rules); err != nil {
			return d, err
		}
	}
	return d, nil
}

// count takes a segment in.
func (d *Dirt) count(p *part, r rules) error {
	d.Dirty += p.size
	d.End = p.bound
	w, err := p.walk(-1, r, 0)
	if err != nil {
		return err
	}
	b, err := w.header()
	if _, bad := err.(flaw); bad || errors.Is(err, io.EOF) {
		return nil // a pass will find out
	}
	if err != nil {
		return err
	}
	if t := time.UnixMilli(b.BaseTimestamp()); b.BaseTimestamp() > 0 && (d.Oldest.IsZero() || t.Before(d.Oldest)) {
		if _, horizon := b.Horizon(); !horizon {
			d.Oldest = t
		}
	}
	return nil
}
