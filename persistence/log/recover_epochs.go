package log

import (
	"errors"
	"io"
	"io/fs"
	"math"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// loadEpochs reads the file, which may be missing, old or bad.
func (r *recovery) loadEpochs() error {
	f, err := r.log.history.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, min(size, 1<<20))
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	r.saved = decodeEpochs(b)
	return nil
}

// agree takes from the file the epochs that begin before what the walker is about to read, if the batch there says the
// same; otherwise they are gathered from the batches.
func (r *recovery) agree(w *walker, segments []*segment) error {
	if len(segments) == 1 && w.at == 0 {
		return nil
	}
	b, err := w.checked()
	if _, bad := err.(flaw); bad || err == io.EOF {
		return r.agreeBefore(w, segments)
	}
	if err != nil {
		return err
	}
	r.epochs = r.saved.cut(w.next) // one that begins with this very batch is taken with it, if that stays
	if r.saved.cut(w.next+1).last() == b.LeaderEpoch() {
		return nil
	}
	return r.gather(w.at, segments, b.LeaderEpoch())
}

// agreeBefore asks the last batch in front of the walker's segment, where that has none to ask.
func (r *recovery) agreeBefore(w *walker, segments []*segment) error {
	if len(segments) == 1 {
		return nil
	}
	last, err := r.lastEpoch(segments[len(segments)-2])
	if err != nil {
		return err
	}
	if r.epochs = r.saved.cut(w.next); last >= 0 && r.epochs.last() == last {
		return nil
	}
	return r.gather(w.at, segments, math.MaxInt32)
}

// lastEpoch is the epoch of a sealed segment's last batch; -1 if none can be read.
func (r *recovery) lastEpoch(seg *segment) (epoch int32, err error) {
	p, err := seg.part(r.log.shape.rules)
	if err != nil {
		return -1, err
	}
	w, err := p.walk(p.find.len()-1, r.log.shape.rules, reachMost)
	if err != nil {
		return -1, err
	}
	epoch = -1
	_, err = p.walkOn(&w, 0, math.MaxInt64, (*walker).header, func(b record.Batch, _ *walker) bool {
		epoch = b.LeaderEpoch()
		return true
	}, func(message.Damaged) {})
	return epoch, err
}

// gather makes the epochs below a position in the last segment anew. A segment is read only if the one behind it begins
// in another epoch; then is the epoch behind the last.
func (r *recovery) gather(at int64, segments []*segment, then int32) error {
	r.epochs = nil
	n := len(segments)
	for i, seg := range segments {
		size, after := seg.size, then
		if i == n-1 {
			size = at
		} else if b, err := r.first(segments[i+1], segments[i+1].size); err == nil {
			after = b.LeaderEpoch()
		}
		if err := r.gatherFrom(seg, size, after); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) first(seg *segment, size int64) (record.Batch, error) {
	w, err := r.hop(seg, size)
	if err != nil {
		return nil, err
	}
	return w.header()
}

func (r *recovery) hop(seg *segment, size int64) (*walker, error) {
	file, err := seg.log.open()
	return &walker{file: file, size: size, bound: math.MaxInt64, rules: r.log.shape.rules, next: seg.base, strict: true, proved: math.MaxInt64, epoch: anyEpoch}, err
}

// gatherFrom takes the epochs that begin in a segment's first bytes.
func (r *recovery) gatherFrom(seg *segment, size int64, after int32) error {
	w, err := r.hop(seg, size)
	if err != nil {
		return err
	}
	for {
		b, err := w.header()
		believed := true
		if err == nil && b.LeaderEpoch() > max(w.epoch, r.epochs.last()) {
			b, believed, err = w.doubt(b)
		}
		bad, flawed := err.(flaw)
		switch {
		case err == io.EOF:
			return nil
		case flawed:
			if _, err := w.damage(seg.log, math.MaxInt64-1, bad); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if believed {
			r.epochs = r.epochs.with(b.LeaderEpoch(), b.BaseOffset())
		}
		if b.LeaderEpoch() == after {
			return nil
		}
		w.pass(b, believed)
	}
}
