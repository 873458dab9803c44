package log

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Redo brings the journal's entries into a log that has recovered its own valid prefix, in order. Doing it twice is doing
// it once. What it wrote is in Dirty.
func (l *Log) Redo(entries []message.Redo, now time.Time) error {
	if len(entries) == 0 {
		return nil
	}
	have, damaged, err := l.traces(entries)
	if err != nil {
		return err
	}
	for _, r := range entries {
		switch {
		case r.Batch != nil && within(damaged, r.Base):
			// quarantined: to cut the log there would cut what is good behind it
		case r.StartAt:
			l.SetStart(max(r.Base, l.Start()))
		case r.Batch == nil:
			have, err = l.cutTraces(have, r.Base)
			damaged = slices.DeleteFunc(damaged, func(d message.Damaged) bool { return d.First >= r.Base })
		default:
			have, err = l.redoBatch(have, r, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trace is what identifies a batch that the log has already.
type trace struct {
	base  int64
	epoch int32
	crc   uint32
	size  int
}

func traceOf(b record.Batch) trace {
	return trace{b.BaseOffset(), b.LeaderEpoch(), b.CRC(), len(b)}
}

func within(damaged []message.Damaged, offset int64) bool {
	return slices.ContainsFunc(damaged, func(d message.Damaged) bool { return d.First <= offset && offset < d.Next })
}

// traces lists what the log has, and what of it is damaged, where the journal has something to say.
func (l *Log) traces(entries []message.Redo) (have []trace, damaged []message.Damaged, err error) {
	from := entries[0].Base
	for _, r := range entries {
		from = min(from, r.Base)
	}
	if from = max(from, l.Start()); from >= l.End() {
		return nil, nil, nil
	}
	err = l.view(message.Bounds{}).walkAll(from, l.End(), (*walker).whole, func(b record.Batch, _ *walker) bool {
		have = append(have, traceOf(b))
		return true
	}, func(d message.Damaged) { damaged = append(damaged, d) }, nil)
	return have, damaged, err
}

// redoBatch appends a batch, unless the log has it. One that contradicts the log is newer than what is there.
func (l *Log) redoBatch(have []trace, r message.Redo, now time.Time) ([]trace, error) {
	b := record.Batch(r.Batch)
	switch {
	case b.NextOffset() <= l.Start() || b.NextOffset() <= l.cleaned.guard && !planted.Is(planted.GuardForgotten) || holds(have, b):
		return have, nil // compaction may have taken it, or written it anew
	case r.Base < l.Start():
		// The log start lies within this batch, and the file that held it is lost.
		start := l.Start()
		if err := l.TruncateAll(r.Base); err != nil {
			return nil, err
		}
		defer l.SetStart(start)
		have = nil
	case r.Base < l.End():
		var err error
		if have, err = l.cutTraces(have, r.Base); err != nil {
			return nil, err
		}
	}
	if r.Base < l.End() || r.Base > l.End() && !l.Gaps() {
		return nil, fmt.Errorf("the journal goes on at offset %d, but the log ends at %d: what is between them was synced once and is "+
			"gone; restore the segment files, or delete the topic", r.Base, l.End())
	}
	return append(have, traceOf(b)), l.Append(b, now)
}

func holds(have []trace, b record.Batch) bool {
	t := tracesFrom(have, b.BaseOffset())
	return len(t) > 0 && t[0] == traceOf(b)
}

// cutTraces truncates the log and the list of what it has.
func (l *Log) cutTraces(have []trace, offset int64) ([]trace, error) {
	have = have[:len(have)-len(tracesFrom(have, offset))]
	if offset >= l.End() {
		return have, nil
	}
	return have, l.Truncate(offset)
}

// tracesFrom is the part of the list from an offset on.
func tracesFrom(have []trace, offset int64) []trace {
	at, _ := slices.BinarySearchFunc(have, offset, func(t trace, offset int64) int { return int(t.base - offset) })
	return have[at:]
}
