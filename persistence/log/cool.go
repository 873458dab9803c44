package log

import "github.com/troupe-broker/troupe/persistence/vfs"

// coolStep is how much there must be to forget: a system call's worth.
const coolStep = 1 << 20

// Cool says that nobody is about to read what is in the last segment, but for its newest bytes, keep of them: as soon as the rest is synced the
// system may use its memory for something else. It is the owner's; a log that is compacted, and so read from its beginning, stays warm.
func (l *Log) Cool(keep int64) {
	if last := l.last(); last != nil && !l.shape.rules.gaps {
		last.log.cool.Store(l.size - keep)
	}
}

// coolDown forgets, right after a sync, what need not stay.
func (h *handle) coolDown(f vfs.File) {
	from, to := h.cooled.Load(), h.cool.Load()
	if to-from >= coolStep && h.cooled.CompareAndSwap(from, to) {
		vfs.Cool(f, from, to)
	}
}
