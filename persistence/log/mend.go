package log

import (
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Mend writes batches of another copy of the log into the place of damaged ones: those from the first damaged offset on, which lie
// one behind the other and reach at most to where the damage ends. What is left of the damage afterwards, if they do not reach
// its end, is returned; it is the zero Damaged if nothing is. What it wrote is in Dirty.
//
// Where the log starts within the damage, others may not give away what is below: batches from the one that holds the start on are taken too, if
// they reach to where the damage ends, since only from there their place is known. What is in front of them stays, and is nobody's.
//
// Where the log starts within the damage nobody has the batches below any more: those from the one that holds the start on are taken, if they
// reach to where the damage ends, since only from there their place is known. What is in front of them stays as it is, and is nobody's.
//
// It is the same bytes that stood there once, so that a crash in the midst leaves batches that are either whole or still
// damaged. What does not fit exactly is refused and stays as it is.
func (l *Log) Mend(d message.Damaged, raw []byte) (rest message.Damaged, err error) {
	seg, err := l.hurt(d)
	if err != nil {
		return d, err
	}
	batches, err := l.fitting(d, raw)
	if err != nil {
		return d, fmt.Errorf("mending %s: %w", d.File, err)
	}
	place, front := d, message.Damaged{}
	if base := batches[0].BaseOffset(); base > d.First {
		front, place.From, place.First = d, d.To-int64(len(raw)), base
		front.To, front.Next = place.From, base
	}
	file, err := seg.log.open()
	if err != nil {
		return d, err
	}
	if _, err := file.WriteAt(raw, place.From); err != nil {
		return d, fmt.Errorf("mending %s: %w", d.File, err)
	}
	if last := batches[len(batches)-1]; last.NextOffset() < d.Next {
		rest = place
		rest.From, rest.First = place.From+int64(len(raw)), last.NextOffset()
	}
	l.mended(seg, d, batches, front, rest)
	return rest, l.learnEpochs(batches)
}

// hurt is the segment that damage is in, if it still is: the log may have been cut since it was found.
func (l *Log) hurt(d message.Damaged) (*segment, error) {
	found, _, err := l.Verify(d.First, d.Next)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(Joined(found), func(f message.Damaged) bool {
		return f.File == d.File && f.From == d.From && f.To == d.To && f.First == d.First && f.Next == d.Next
	}) {
		return nil, fmt.Errorf("%s: offsets %d to %d are not damaged any more", d.File, d.First, d.Next-1)
	}
	return l.shape.segments[l.segmentAt(d.First)], nil
}

// Joined is damage with neighbours made one: what a misdirected write has left of one batch may be found piece by piece.
func Joined(all []message.Damaged) (joined []message.Damaged) {
	for _, d := range all {
		if n := len(joined) - 1; n >= 0 && joined[n].File == d.File && joined[n].To == d.From && joined[n].Next == d.First {
			joined[n].To, joined[n].Next = d.To, d.Next
			continue
		}
		joined = append(joined, d)
	}
	return joined
}

// fitting takes the batches apart and refuses them if they cannot be what stood there.
func (l *Log) fitting(d message.Damaged, raw []byte) (batches []record.Batch, err error) {
	next, room, last := d.First, d.To-d.From, false
	if int64(len(raw)) > room || len(raw) == 0 {
		return nil, fmt.Errorf("%d bytes for a place of %d", len(raw), room)
	}
	for left := raw; len(left) > 0; {
		b, err := record.Check(left)
		if err == nil && len(batches) == 0 && b.BaseOffset() > d.First && b.BaseOffset() <= l.start {
			next, last = b.BaseOffset(), true
		}
		switch {
		case err != nil:
			return nil, err
		case b.BaseOffset() != next || b.LastOffset() < next || b.NextOffset() > d.Next:
			return nil, fmt.Errorf("a batch with offsets %d to %d where %d to %d are missing", b.BaseOffset(), b.LastOffset(), next, d.Next-1)
		case b.LeaderEpoch() > l.shape.epochs.last():
			return nil, fmt.Errorf("a batch of leader epoch %d, and the log has none above %d", b.LeaderEpoch(), l.shape.epochs.last())
		}
		batches, left, next = append(batches, b), left[len(b):], b.NextOffset()
	}
	switch {
	case last && (next != d.Next || int64(len(raw)) >= room):
		return nil, fmt.Errorf("%d bytes up to offset %d for the end of a place of %d up to %d", len(raw), next, room, d.Next)
	case !last && next == d.Next && int64(len(raw)) != room:
		return nil, fmt.Errorf("%d bytes for a place of %d", len(raw), room)
	}
	return batches, nil
}

// mended forgets damage but for what is left of it, and what was known of the segment without its batches.
func (l *Log) mended(seg *segment, d message.Damaged, batches []record.Batch, left ...message.Damaged) {
	if seg != l.last() {
		seg.known.Store(nil) // made anew by who looks next
		l.dirty.add(seg.log)
		return
	}
	l.dirty.last = true
	damaged := slices.DeleteFunc(slices.Clone(l.shape.damaged), func(k message.Damaged) bool { return k.From >= d.From && k.From < d.To })
	damaged = append(damaged, slices.DeleteFunc(left, func(k message.Damaged) bool { return k.To == 0 })...)
	slices.SortFunc(damaged, func(a, b message.Damaged) int { return int(a.From - b.From) })
	l.reshape().damaged = damaged
	l.index.entries = slices.Clone(l.index.entries) // views keep the others
	for _, b := range batches {
		l.index.maxTime = max(l.index.maxTime, b.MaxTimestamp())
		for i := range l.index.entries {
			if e := &l.index.entries[i]; int64(e.at) > d.From {
				e.before = max(e.before, b.MaxTimestamp())
			}
		}
	}
}

// learnEpochs lets an epoch begin earlier, whose first batches were damaged when the history was made anew.
func (l *Log) learnEpochs(batches []record.Batch) error {
	for _, b := range batches {
		at, number := b.BaseOffset(), b.LeaderEpoch()
		if at < l.start || l.shape.epochs.at(at) >= number {
			continue
		}
		e := append(l.shape.epochs.cut(at), epoch{number, at})
		for _, later := range l.shape.epochs[len(e)-1:] {
			if later.number > number {
				e = append(e, later)
			}
		}
		if err := l.saveEpochs(e); err != nil {
			return err
		}
		l.reshape().epochs = e
	}
	return nil
}
