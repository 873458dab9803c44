package log

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// expectAborts notes whether a segment has an index of aborted transactions, by the names in its directory.
func (s *segment) expectAborts(names []string) {
	if s.indexed = slices.Contains(names, s.aborts.name); !s.indexed {
		s.aborted.Store(&[]message.Aborted{})
	}
}

// recoverAborts takes the entries of the segment that was read: those below the recovery point, and above it those whose markers are
// there. What is left of others is taken away before it can pass for right. Markers without an entry are unproven.
func (r *recovery) recoverAborts(seg *segment) error {
	l, markers := r.log, r.markers
	r.markers = nil
	if !seg.indexed {
		l.aborts.unproven = append(l.aborts.unproven, markers...)
		return nil
	}
	found, whole, err := seg.loadAborts()
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(found), func(a message.Aborted) bool {
		return a.Last < seg.base || a.Last >= l.next || a.Last >= r.point && !contains(markers, a.Last)
	})
	l.setAborts(kept)
	for _, at := range markers {
		if !slices.ContainsFunc(kept, func(a message.Aborted) bool { return a.Last == at }) {
			l.aborts.unproven = append(l.aborts.unproven, at)
		}
	}
	if whole && len(kept) == len(found) {
		return nil
	}
	if !whole { // what it says no more may be of markers that were not read
		if err := r.lookForAborts(seg, kept); err != nil {
			return err
		}
	}
	return l.saveAborts(seg, kept)
}

// lookForAborts finds the markers of a segment behind the last of the entries that are left of its file.
func (r *recovery) lookForAborts(seg *segment, kept []message.Aborted) error {
	from := seg.base
	if n := len(kept); n > 0 {
		from = kept[n-1].Last + 1
	}
	found, err := r.log.view(message.Bounds{}).learnAborts(from, r.log.next)
	if err != nil {
		return err
	}
	for _, a := range found {
		if !contains(r.log.aborts.unproven, a.Last) {
			r.log.aborts.unproven = append(r.log.aborts.unproven, a.Last)
		}
	}
	slices.Sort(r.log.aborts.unproven)
	return nil
}

// rewriteAborts writes a segment's entries once more, as the segment's tail.
func (r *recovery) rewriteAborts(seg *segment) error {
	if !seg.indexed {
		return nil
	}
	if seg == r.log.last() {
		return r.log.saveAborts(seg, r.log.aborts.list)
	}
	all, whole, err := seg.loadAborts()
	if known := seg.aborted.Load(); known != nil {
		all, whole, err = *known, true, nil
	}
	if err != nil || !whole {
		return err
	}
	return r.log.saveAborts(seg, all)
}
