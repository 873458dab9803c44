package log

import (
	"errors"
	"io/fs"
	"sync/atomic"
)

// Handover carries a log from where it is opened to its owner, who may have left meanwhile: then it is closed.
type Handover struct{ log atomic.Pointer[Log] }

// left stands in a handover whose owner has left.
var left = new(Log)

// Give is for who has opened the log. An error says that the owner has left, and that the log is closed.
func (h *Handover) Give(l *Log) error {
	if h.log.CompareAndSwap(nil, l) {
		return nil
	}
	return errors.Join(fs.ErrClosed, l.Close())
}

// Leave is for the owner that does not wait any more. It closes the log if it was given already.
func (h *Handover) Leave() error {
	if l := h.log.Swap(left); l != nil && l != left {
		return l.Close()
	}
	return nil
}
