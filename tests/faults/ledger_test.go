package faults

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// stream is what one producer writes to one partition: numbers in order, each once.
type stream struct{ producer, partition uint32 }

// id is a record's own.
type id struct {
	stream
	number uint64
}

func (i id) value() []byte {
	b := binary.BigEndian.AppendUint32(nil, i.producer)
	b = binary.BigEndian.AppendUint32(b, i.partition)
	return append(binary.BigEndian.AppendUint64(b, i.number), make([]byte, 100)...)
}

func idOf(b []byte) id {
	return id{stream{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, binary.BigEndian.Uint64(b[8:])}
}

// ledger is what was acknowledged to producers, and when.
type ledger struct {
	mu     sync.Mutex
	acked  map[id]int64 // at which offset; -1 where the client does not know
	failed []error
	heard  map[stream]time.Time     // the last acknowledgement
	gap    map[stream]time.Duration // the longest time between two, since the count began
}

func newLedger() *ledger {
	return &ledger{acked: map[id]int64{}, heard: map[stream]time.Time{}, gap: map[stream]time.Duration{}}
}

// answered takes down one answer.
func (l *ledger) answered(i id, offset int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, err)
		return
	}
	l.acked[i] = offset
	l.hear(i.stream, time.Now())
}

func (l *ledger) hear(s stream, now time.Time) {
	if before, ok := l.heard[s]; ok {
		l.gap[s] = max(l.gap[s], now.Sub(before))
	}
	l.heard[s] = now
}

// countGaps begins to look for the longest gap; what was before does not count.
func (l *ledger) countGaps() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.heard {
		l.heard[s] = time.Now()
	}
	clear(l.gap)
}

// gapsUntilNow is each stream's longest gap.
func (l *ledger) gapsUntilNow() map[stream]time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[stream]time.Duration{}
	for s := range l.heard {
		l.hear(s, time.Now())
		all[s] = l.gap[s]
	}
	return all
}

// heardSince is how many streams had an acknowledgement after a time.
func (l *ledger) heardSince(t time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.heard {
		if at.After(t) {
			n++
		}
	}
	return n
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// verdict is what is wrong with a topic, beside what was acknowledged to its producers.
type verdict struct {
	lost    int // acknowledged, and not there
	doubled int // there more than once
	wrong   int // at another offset than acknowledged, out of order, or something before them missing
	first   string
}

func (v *verdict) note(format string, values ...any) {
	if v.first == "" {
		v.first = fmt.Sprintf(format, values...)
	}
}

// verify compares a topic's records, each partition's in order, with what was acknowledged.
func (l *ledger) verify(records []*kgo.Record) (v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, next := map[id]int64{}, map[stream]uint64{}
	for _, r := range records {
		i := idOf(r.Value)
		if at, ok := seen[i]; ok {
			v.doubled++
			v.note("record %+v is at offsets %d and %d", i, at, r.Offset)
			continue
		}
		seen[i] = r.Offset
		if uint32(r.Partition) != i.partition || i.number != next[i.stream] {
			v.wrong++
			v.note("partition %d, offset %d: record %+v is there where number %d was due", r.Partition, r.Offset, i, next[i.stream])
		}
		next[i.stream] = i.number + 1
	}
	for i, offset := range l.acked {
		at, ok := seen[i]
		switch {
		case !ok:
			v.lost++
			v.note("record %+v was acknowledged at offset %d and is not there", i, offset)
		case at != offset && offset >= 0:
			v.wrong++
			v.note("record %+v was acknowledged at offset %d and is at %d", i, offset, at)
		}
	}
	return v
}
