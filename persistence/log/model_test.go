package log

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// model is a log as a list of batches.
type model struct {
	fs      *vfs.MemoryFS
	config  Config
	log     *Log
	batches []record.Batch
	start   int64
	end     int64
	leader  int32
	synced  int64 // everything below is durable, in this form
}

func newModel(t *rapid.T) *model {
	m := &model{fs: vfs.Memory(vfs.MemoryOptions{}), config: Config{
		SegmentBytes:       rapid.Int64Range(100, 3000).Draw(t, "segmentBytes"),
		IndexIntervalBytes: rapid.Int32Range(1, 1000).Draw(t, "interval"),
	}}
	m.open(t, 0)
	return m
}

func (m *model) open(t *rapid.T, point int64) Recovery {
	l, r := mustOpen(t, Options{FS: m.fs, Config: m.config, RecoveryPoint: point, LogStart: m.start})
	m.log = l
	return r
}

func (m *model) append(t *rapid.T) {
	stamps := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 4).Draw(t, "stamps")
	m.leader += rapid.SampledFrom([]int32{0, 0, 0, 0, 1, 3}).Draw(t, "leader")
	codec := rapid.SampledFrom([]record.Codec{record.None, record.None, record.Gzip, record.Zstd}).Draw(t, "codec")
	b := batchOf(t, m.end, m.leader, codec, rapid.IntRange(0, 400).Draw(t, "pad"), stamps...)
	if err := m.log.Append(b, epoch0); err != nil {
		t.Fatalf("Append: %v", err)
	}
	m.batches, m.end = append(m.batches, b), b.NextOffset()
}

func (m *model) sync(t *rapid.T) {
	mustSync(t, m.log.Dirty())
	m.synced = m.end
}

// boundary draws the first offset of a batch, or the end.
func (m *model) boundary(t *rapid.T, name string) int64 {
	if i := rapid.IntRange(0, len(m.batches)).Draw(t, name); i < len(m.batches) {
		return m.batches[i].BaseOffset()
	}
	return m.end
}

func (m *model) truncate(t *rapid.T) {
	offset := rapid.Int64Range(m.start, m.end).Draw(t, "offset")
	if err := m.log.Truncate(offset); err != nil {
		t.Fatalf("Truncate(%d): %v", offset, err)
	}
	m.cut(offset)
	m.sync(t) // as the caller must before it goes on
}

func (m *model) cut(offset int64) {
	i := slices.IndexFunc(m.batches, func(b record.Batch) bool { return b.LastOffset() >= offset })
	if i >= 0 {
		m.end = max(m.batches[i].BaseOffset(), 0)
		m.batches = m.batches[:i:i]
	}
	m.start = min(m.start, m.end)
}

func (m *model) truncateAll(t *rapid.T) {
	offset := rapid.Int64Range(0, m.end+5).Draw(t, "offset")
	if err := m.log.TruncateAll(offset); err != nil {
		t.Fatalf("TruncateAll(%d): %v", offset, err)
	}
	m.batches, m.start, m.end = nil, offset, offset
	m.sync(t)
}

func (m *model) retain(t *rapid.T) {
	m.sync(t)
	m.log.SetStart(rapid.Int64Range(m.start, m.end).Draw(t, "start"))
	r := Retention{Age: -1, Bytes: rapid.Int64Range(-1, 3000).Draw(t, "bytes"), Below: m.boundary(t, "below")}
	before := m.log.Start()
	if _, err := m.log.DeleteOld(r, epoch0.Add(time.Hour)); err != nil {
		t.Fatalf("DeleteOld: %v", err)
	}
	if m.log.Start() > max(before, r.Below) || m.log.Start() < before {
		t.Fatalf("DeleteOld moved the start from %d to %d, the limit is %d", before, m.log.Start(), r.Below)
	}
	if r.Bytes >= 0 && r.Below == m.end && m.log.Bytes() > r.Bytes && m.log.Bytes()-m.log.shape.segments[0].size >= r.Bytes && len(m.log.shape.segments) > 1 {
		t.Fatalf("DeleteOld left %d bytes of %d", m.log.Bytes(), r.Bytes)
	}
	m.start = m.log.Start()
	m.forget()
}

// forget drops from the model what lies below the first segment.
func (m *model) forget() {
	if len(m.log.shape.segments) > 0 {
		m.batches = slices.DeleteFunc(m.batches, func(b record.Batch) bool { return b.BaseOffset() < m.log.shape.segments[0].base })
	}
}

// reopen is a kill or a clean end: the page cache stays.
func (m *model) reopen(t *rapid.T) {
	if rapid.Bool().Draw(t, "clean") {
		if err := m.log.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	point := rapid.Int64Range(0, m.synced).Draw(t, "point")
	r := m.open(t, m.pointAt(point))
	if r.Cut != 0 || r.Quarantine != nil {
		t.Fatalf("recovery of a whole log: %+v", r)
	}
	m.prove(t)
	mustSync(t, append(r.Dirty, m.log.Dirty()...))
	m.synced = m.end
}

// pointAt is the batch boundary at or below an offset.
func (m *model) pointAt(offset int64) int64 {
	for _, b := range m.batches {
		if b.LastOffset() >= offset {
			return b.BaseOffset()
		}
	}
	return min(offset, m.end)
}

// fail is a sync that fails, once or several times in a row, in this process or in one that is killed then: what is opened
// and synced anew is durable.
func (m *model) fail(t *rapid.T) {
	var r Recovery
	for again := true; again; again = rapid.Bool().Draw(t, "again") {
		for range rapid.IntRange(0, 3).Draw(t, "unsynced") {
			m.append(t)
		}
		failSync(m.fs, append(r.Dirty, m.log.Dirty()...))
		if rapid.Bool().Draw(t, "close") {
			if err := m.log.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		suspect := rapid.Bool().Draw(t, "suspect")
		if !suspect {
			m.fs = m.fs.Keep()
		}
		m.log, r = mustOpen(t, Options{FS: m.fs, Suspect: suspect, Config: m.config, RecoveryPoint: m.synced, LogStart: m.start})
		if r.Quarantine != nil || m.log.End() != m.end {
			t.Fatalf("the log ends at %d and not at %d: %+v", m.log.End(), m.end, r)
		}
	}
	m.prove(t)
	mustSync(t, append(r.Dirty, m.log.Dirty()...))
	m.synced = m.end
}

// crash loses what was not synced: what is recovered is a prefix, and at least what was synced. Recovering again, also
// after another crash on the way, gives the same.
func (m *model) crash(t *rapid.T) {
	seed := rapid.Uint64().Draw(t, "seed")
	m.fs = m.fs.Crash(rand.New(rand.NewPCG(seed, 1)))
	point := m.pointAt(rapid.Int64Range(0, m.synced).Draw(t, "point"))
	r := m.open(t, point)
	if r.Quarantine != nil {
		t.Fatalf("nothing was damaged: %+v", r)
	}
	if m.log.End() < m.synced || m.log.End() > m.end {
		t.Fatalf("the log ends at %d, it was synced to %d and ended at %d", m.log.End(), m.synced, m.end)
	}
	m.cut(m.log.End())
	m.end = m.log.End()
	m.forget()
	first := picture(t, m.log)
	switch rapid.IntRange(0, 2).Draw(t, "again") {
	case 0:
		m.fs = m.fs.Keep()
	case 1: // power fails before what recovery did is durable
		m.fs = m.fs.Crash(rand.New(rand.NewPCG(seed, 2)))
	case 2:
		mustSync(t, r.Dirty)
		m.fs = m.fs.Crash(rand.New(rand.NewPCG(seed, 2)))
		m.synced = m.end
	}
	r = m.open(t, point)
	m.prove(t)
	mustSync(t, append(r.Dirty, m.log.Dirty()...))
	if m.log.End() < m.synced || m.log.End() > m.end {
		t.Fatalf("recovered again, the log ends at %d and not at %d to %d", m.log.End(), m.synced, m.end)
	}
	if again := picture(t, m.log); m.log.End() == m.end && !reflect.DeepEqual(again, first) {
		t.Fatalf("recovered again:\n%+v\nfirst\n%+v", again, first)
	}
	m.cut(m.log.End())
	m.end, m.synced = m.log.End(), m.log.End()
	m.leader = max(m.leader, m.log.LastEpoch())
}

// image is what a reader can learn of a log.
type image struct {
	Start, End int64
	Epoch      int32
	Batches    []record.Batch
	Ends       [][2]int64
}

func picture(t tb, l *Log) image {
	p := image{Start: l.Start(), End: l.End(), Epoch: l.LastEpoch(), Batches: contents(t, l)}
	v := l.View(message.Bounds{})
	for e := int32(0); e < 200 && p.Start < p.End; e++ { // of an empty log a restart need not remember the epochs
		epoch, end := v.EpochEnd(e)
		p.Ends = append(p.Ends, [2]int64{int64(epoch), end})
	}
	return p
}

func (m *model) check(t *rapid.T) {
	if m.log.Start() != m.start || m.log.End() != m.end {
		t.Fatalf("the log goes from %d to %d, not from %d to %d", m.log.Start(), m.log.End(), m.start, m.end)
	}
	visible := slices.DeleteFunc(slices.Clone(m.batches), func(b record.Batch) bool { return b.LastOffset() < m.start })
	if have := contents(t, m.log); !equal(have, visible) {
		t.Fatalf("the log has %d batches, not %d, or others", len(have), len(visible))
	}
	m.checkEpochs(t, visible)
	if len(visible) > 0 {
		m.checkRead(t, visible)
		m.checkTime(t, visible)
		m.checkAborted(t, visible)
	}
}

func (m *model) checkEpochs(t *rapid.T, visible []record.Batch) {
	v := m.log.View(message.Bounds{})
	for i, b := range visible {
		if b.BaseOffset() >= m.start && v.EpochAt(b.BaseOffset()) != b.LeaderEpoch() {
			t.Fatalf("EpochAt(%d) = %d, not %d", b.BaseOffset(), v.EpochAt(b.BaseOffset()), b.LeaderEpoch())
		}
		end := m.end
		if i+1 < len(visible) {
			end = visible[i+1].BaseOffset()
			if visible[i+1].LeaderEpoch() == b.LeaderEpoch() {
				continue
			}
		}
		if epoch, have := v.EpochEnd(b.LeaderEpoch()); epoch != b.LeaderEpoch() || have != end {
			t.Fatalf("EpochEnd(%d) = %d, %d, not %d", b.LeaderEpoch(), epoch, have, end)
		}
	}
}

// checkRead reads somewhere: whole batches, the right ones, within limit and size.
func (m *model) checkRead(t *rapid.T, visible []record.Batch) {
	offset := rapid.Int64Range(m.start, m.end).Draw(t, "read")
	limit := rapid.Int64Range(m.start, m.end).Draw(t, "limit")
	v := m.log.View(message.Bounds{HighWatermark: limit})
	most := rapid.IntRange(0, 3000).Draw(t, "maxBytes")
	one := rapid.Bool().Draw(t, "oneAtLeast")
	s, err := v.Read(offset, limit, most, one)
	if err != nil {
		t.Fatalf("Read(%d, %d, %d): %v", offset, limit, most, err)
	}
	i := slices.IndexFunc(visible, func(b record.Batch) bool { return b.LastOffset() >= offset })
	if i < 0 || offset >= limit || visible[i].NextOffset() > limit || !one && len(visible[i]) > most {
		if s.Bytes != 0 {
			t.Fatalf("Read(%d, %d, %d, %v) = %+v, there is nothing", offset, limit, most, one, s)
		}
		return
	}
	got := make([]byte, s.Bytes)
	if _, err := s.File.ReadAt(got, s.At); err != nil {
		t.Fatalf("reading the slice: %v", err)
	}
	n := i
	for have := 0; have < s.Bytes && n < len(visible); n++ {
		have += len(visible[n])
	}
	if n == i || !bytes.Equal(got, bytes.Join(raw(visible[i:n]), nil)) || s.First != visible[i].BaseOffset() || s.Next != visible[n-1].NextOffset() {
		t.Fatalf("Read(%d, %d, %d) = %+v is not batches %d to %d", offset, limit, most, s, i, n)
	}
	if s.Next > limit || s.Bytes > most && n > i+1 {
		t.Fatalf("Read(%d, %d, %d) = %+v is too much", offset, limit, most, s)
	}
	if most == 3000 && s.Next != limit && n < len(visible) && visible[n].NextOffset() <= limit && m.log.shape.segmentAt(s.Next) == m.log.shape.segmentAt(offset) && s.Bytes+len(visible[n])+int(m.config.IndexIntervalBytes) < 2000 {
		t.Fatalf("Read(%d, %d, %d) = %+v is too little", offset, limit, most, s)
	}
}

// S48, S50: by the records' timestamps, whatever their order, and inside of batches.
func (m *model) checkTime(t *rapid.T, visible []record.Batch) {
	v := m.log.View(message.Bounds{})
	limit := m.boundary(t, "timeLimit")
	target := rapid.Int64Range(0, 51).Draw(t, "millis")
	var first, largest message.TimedOffset
	first.Offset, largest.Timestamp = -1, -1
	for _, b := range visible {
		for rec, err := range record.All(b, math.MaxInt32) {
			if err != nil {
				t.Fatalf("%v", err)
			}
			x := message.TimedOffset{Offset: b.BaseOffset() + int64(rec.OffsetDelta), Timestamp: rec.Timestamp, LeaderEpoch: b.LeaderEpoch()}
			if x.Offset < m.start || x.Offset >= limit {
				continue
			}
			if first.Offset < 0 && x.Timestamp >= target {
				first = x
			}
			if x.Timestamp > largest.Timestamp {
				largest = x
			}
		}
	}
	at, found, err := v.OffsetForTime(target, limit)
	if err != nil || found != (first.Offset >= 0) || found && at != first {
		t.Fatalf("OffsetForTime(%d, %d) = %+v %v %v, not %+v", target, limit, at, found, err, first)
	}
	at, found, err = v.MaxTimestamp(limit)
	if err != nil || found != (largest.Timestamp >= 0) || found && at != largest {
		t.Fatalf("MaxTimestamp(%d) = %+v %v %v, not %+v", limit, at, found, err, largest)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"":            m.check,
			"append":      m.append,
			"append more": m.append,
			"transaction": m.appendTxn,
			"transactions": func(t *rapid.T) {
				for range rapid.IntRange(2, 10).Draw(t, "steps") {
					m.appendTxn(t)
				}
			},
			"append many": func(t *rapid.T) { m.append(t); m.append(t); m.append(t); m.append(t) },
			"sync":        m.sync,
			"truncate":    m.truncate,
			"truncateAll": m.truncateAll,
			"retain":      m.retain,
			"reopen":      m.reopen,
			"crash":       m.crash,
			"fail":        m.fail,
			"indexes": func(t *rapid.T) {
				if err := m.log.SaveIndexes(); err != nil {
					t.Fatalf("SaveIndexes: %v", err)
				}
			},
		})
	})
}

// Whatever rots below the recovery point: what is served is what was written, and what is not served is named.
func TestRotIsNeverServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(2, 30).Draw(t, "batches") {
			m.append(t)
		}
		m.sync(t)
		if rapid.Bool().Draw(t, "close") {
			if err := m.log.Close(); err != nil {
				t.Fatalf("%v", err)
			}
		}
		n := len(m.log.shape.segments)
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, min(n, 3), rapid.ID).Draw(t, "segments") {
			seg := m.log.shape.segments[i] // one bit each: two in neighbours' offsets can agree on a lie
			info, err := m.fs.Stat(seg.log.path())
			if err != nil {
				t.Fatalf("%v", err)
			}
			if err := m.fs.Rot(seg.log.path(), rapid.Int64Range(0, info.Size()-1).Draw(t, "byte"), rapid.IntRange(0, 7).Draw(t, "bit")); err != nil {
				t.Fatalf("%v", err)
			}
		}
		for range 2 {
			r := m.open(t, m.end)
			if r.Cut != 0 || m.log.End() != m.end {
				t.Fatalf("end %d, not %d: %+v", m.log.End(), m.end, r)
			}
			m.checkRotten(t)
		}
	})
}

// alike compares all but the leader epoch, which no checksum protects.
func alike(a, b record.Batch) bool {
	return bytes.Equal(a[:12], b[:12]) && bytes.Equal(a[16:], b[16:])
}

func (m *model) checkRotten(t *rapid.T) {
	damaged, _, err := m.log.Verify(0, m.end)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	have := contents(t, m.log)
	for _, b := range m.batches {
		whole := slices.ContainsFunc(have, func(h record.Batch) bool { return alike(h, b) })
		named := slices.ContainsFunc(damaged, func(d message.Damaged) bool { return d.First <= b.BaseOffset() && b.BaseOffset() < d.Next })
		if whole == named {
			t.Fatalf("offset %d: there %v, damaged %v: %v", b.BaseOffset(), whole, named, damaged)
		}
		_, s, err := at(m.log.View(message.Bounds{}), b.BaseOffset())
		if _, ok := errors.AsType[*message.Damaged](err); err != nil && (!ok || whole) {
			t.Fatalf("offset %d: %v", b.BaseOffset(), err)
		}
		if err == nil && (s.First > b.BaseOffset() || s.Next <= b.BaseOffset()) {
			t.Fatalf("offset %d: %+v", b.BaseOffset(), s)
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(m.batches, func(b record.Batch) bool { return alike(h, b) }) {
			t.Fatalf("offset %d was made up", h.BaseOffset())
		}
	}
}
