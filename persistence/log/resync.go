package log

import (
	"io"

	"github.com/troupe-broker/troupe/persistence/record"
)

// run is batches behind a flaw, one behind the other, that are whole and agree on their offsets.
type run struct {
	at, bytes  int64 // position and size
	base, next int64 // offsets: of the first record, and behind the last
}

const (
	runSure = 1 << 20 // a run of so many bytes is no copy that a misdirected write has left
	runsMax = 1024    // so many are compared
)

// resync searches behind a flaw for where the log goes on: with a batch whose checksum is right and whose offset and epoch
// can follow, but that starts at most at an offset. It goes there; if there is none, to the end of what may be read.
//
// No checksum protects a batch's offset, and what is whole may be a copy from another place of the file, which a misdirected
// write has left. So all that is whole is looked at, up to a run that is too long to be one, and the log goes on where most of it
// agrees: every run with offsets behind those of the run before.
func (w *walker) resync(most int64) error {
	w.block = max(w.block, blockBytes)
	runs, err := w.runs(most)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		w.at = w.size
		return nil
	}
	first := runs[heaviest(runs)]
	w.at, w.next = first.at, first.base
	return nil
}

// runs lists what is whole behind the walker's position.
func (w *walker) runs(most int64) (runs []run, err error) {
	for at := w.at + 1; at+record.HeaderSize <= w.size && len(runs) < runsMax; at++ {
		b, err := w.peek(at)
		if err != nil {
			return nil, err
		}
		if !w.plausible(b, w.size-at, most) {
			continue
		}
		r, err := w.follow(at, b.BaseOffset())
		if err != nil {
			return nil, err
		}
		if r.bytes == 0 || !w.reaches(r, most) {
			continue
		}
		if runs = append(runs, r); r.bytes >= runSure {
			break
		}
		at += r.bytes - 8 // a copy may end in the zeros that the next offset begins with
	}
	return runs, nil
}

// follow is the run that begins at a position with an offset, of no bytes if what is there is not whole.
func (w *walker) follow(at, base int64) (run, error) {
	p := &walker{file: w.file, size: w.size, bound: w.bound, rules: w.rules, block: w.block, at: at, next: base, epoch: w.epoch, strict: true, proved: w.proved}
	for p.at-at < runSure {
		b, err := p.checked()
		if _, bad := err.(flaw); bad || err == io.EOF {
			break
		}
		if err != nil {
			return run{}, err
		}
		p.step(b)
	}
	return run{at: at, bytes: p.at - at, base: base, next: p.next}, nil
}

// reaches says that a run which ends with the file ends with the offset that the file should end with.
func (w *walker) reaches(r run, most int64) bool {
	return w.rules.gaps || r.at+r.bytes < w.size || r.next >= min(most, w.bound)
}

// plausible says whether bytes may be a batch behind a flaw, with so much room up to the end.
func (w *walker) plausible(b record.Batch, room, most int64) bool {
	return b.Magic() == 2 && b.BaseOffset() >= w.next && b.BaseOffset() <= most &&
		b.Size() >= record.HeaderSize && int64(b.Size()) <= room &&
		b.LastOffsetDelta() >= 0 && b.LastOffset() >= b.BaseOffset() && b.LastOffset() < w.bound &&
		(b.LeaderEpoch() >= w.epoch || w.next < w.proved)
}

// heaviest is the first run of those that agree and have the most bytes together.
func heaviest(runs []run) (first int) {
	first = len(runs) - 1
	bytes := make([]int64, len(runs)) // of the best choice that begins with the run
	for i := len(runs) - 1; i >= 0; i-- {
		for j := i + 1; j < len(runs); j++ {
			if runs[j].base >= runs[i].next {
				bytes[i] = max(bytes[i], bytes[j])
			}
		}
		if bytes[i] += runs[i].bytes; bytes[i] >= bytes[first] {
			first = i
		}
	}
	return first
}
