package log

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Retention says what DeleteOld may take.
type Retention struct {
	Age   time.Duration // by the segment's largest timestamp; negative: for ever
	Bytes int64         // that must stay of what is below Below; negative: any size
	Below int64         // never a segment with records at or above this offset (the high watermark)
}

// DeleteOld removes whole segments by age, by size and below the start, the active one too (a new empty one is rolled
// first), moves the start, and says how many segments went.
//
// It syncs by itself, which happens rarely: before the first removal where the log will begin, and the names of the segments
// that stay, as an empty one alone knows the end offset; and between two removals, so that a crash leaves no hole.
func (l *Log) DeleteOld(r Retention, now time.Time) (segments int, err error) {
	if l.broken != nil {
		return 0, l.broken
	}
	n, err := l.old(r, now)
	if err != nil || n == 0 {
		return 0, err
	}
	if planted.Is(planted.RetentionOneMore) {
		n = min(n+1, len(l.shape.segments))
	}
	if err := l.closeDoomed(); err != nil {
		return 0, err
	}
	if n == len(l.shape.segments) {
		if err := l.roll(l.next); err != nil {
			return 0, err
		}
	}
	if err := l.saveStart(l.shape.segments[n].base); err != nil {
		return 0, err
	}
	if err := l.announce(); err != nil {
		l.broken = err // a failed sync is not tried again: only what Open finds is known
		return 0, err
	}
	for i, seg := range l.shape.segments[:n] {
		if i > 0 {
			if err := l.place.fs.SyncDir(l.place.dir); err != nil {
				return i, err
			}
		}
		if err := l.forget(seg); err != nil {
			return i, err
		}
	}
	return n, nil
}

// HasOld says whether DeleteOld would remove anything.
func (l *Log) HasOld(r Retention, now time.Time) (bool, error) {
	n, err := l.old(r, now)
	return n > 0, err
}

// old is how many segments, from the first on, may go.
func (l *Log) old(r Retention, now time.Time) (int, error) {
	bytes := l.bytesBelow(r.Below)
	for i := range l.shape.segments {
		p, err := l.part(i)
		if err != nil {
			return 0, err
		}
		if p.size == 0 && i == len(l.shape.segments)-1 || p.next > r.Below {
			return i, nil
		}
		bytes -= p.size
		gone := p.next <= l.start || r.Bytes >= 0 && bytes >= r.Bytes
		if !gone {
			if gone, err = l.aged(&p, r.Age, now); err != nil {
				return 0, err
			}
		}
		if !gone {
			return i, nil
		}
	}
	return len(l.shape.segments), nil
}

// bytesBelow is how much those segments hold that end at or below an offset: what is behind it may yet be cut, and is no reason to
// let go of what comes before.
func (l *Log) bytesBelow(offset int64) int64 {
	bytes, end, size := l.Bytes(), l.next, l.size
	for i := len(l.shape.segments) - 1; i >= 0 && end > offset; i-- {
		bytes -= size
		end = l.shape.segments[i].base
		if i > 0 {
			size = l.shape.segments[i-1].size
		}
	}
	return bytes
}

// aged says whether a segment is too old.
func (l *Log) aged(p *part, age time.Duration, now time.Time) (bool, error) {
	if age < 0 {
		return false, nil
	}
	last, err := l.newest(p)
	return err == nil && now.Sub(last) > age, err
}

// newest is a segment's largest timestamp, or if it has none the time of the last write.
func (l *Log) newest(p *part) (time.Time, error) {
	if p.maxTime >= 0 {
		return time.UnixMilli(p.maxTime), nil
	}
	info, err := l.place.fs.Stat(p.log.path())
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Due is when age alone will let DeleteOld take something of a log that it has just been through; false if never.
func (l *Log) Due(age time.Duration) (at time.Time, ever bool, err error) {
	if age < 0 || l.Bytes() == 0 {
		return at, false, nil
	}
	p, err := l.part(0)
	if err != nil {
		return at, false, err
	}
	last, err := l.newest(&p)
	return last.Add(age + time.Millisecond), err == nil, err
}

// announce makes durable where the log will begin, and the names of its files.
func (l *Log) announce() error {
	for _, d := range append([]message.Syncer{&l.first}, l.place.chain()...) {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// forget removes the first segment.
func (l *Log) forget(seg *segment) error {
	if err := l.drop(seg); err != nil {
		return err
	}
	rest := l.shape.segments[1:]
	l.setSegments(slices.Clone(rest))
	l.start = max(l.start, rest[0].base)
	l.forgetEpochs()
	return nil
}
