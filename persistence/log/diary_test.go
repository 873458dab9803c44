package log

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// entryAt is a record as it was appended.
type entryAt struct {
	key, value string // a value of "" is a tombstone
	offset     int64
	stamp      int64
}

// diary is a log with keys, and what was written to it.
type diary struct {
	t       testing.TB
	r       *rand.Rand
	log     *Log
	written []entryAt
	bytes   map[int64]int64 // NextOffset of each batch, by base
	epochs  map[int32]int64 // where each began
	last    map[int64]int64 // base of each producer's last batch
	leader  int32
}

func newDiary(t testing.TB, l *Log, seed uint64) *diary {
	return &diary{t: t, r: rand.New(rand.NewPCG(seed, 7)), log: l, epochs: map[int32]int64{}, last: map[int64]int64{}, bytes: map[int64]int64{}}
}

// write appends batches with a few records each.
func (d *diary) write(batches int) {
	d.t.Helper()
	for range batches {
		if d.r.IntN(15) == 0 {
			d.leader++
		}
		b := record.NewBuilder(d.log.End())
		b.Codec = []record.Codec{record.None, record.None, record.Snappy, record.Zstd}[d.r.IntN(4)]
		b.LeaderEpoch = d.leader
		if d.r.IntN(2) == 0 {
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = int64(d.r.IntN(3)), 0, int32(d.log.End())
		}
		for i := range 1 + d.r.IntN(4) {
			e := entryAt{key: fmt.Sprint("key-", d.r.IntN(12)), offset: d.log.End() + int64(i), stamp: epoch0.UnixMilli() + d.log.End() + int64(i)}
			value := []byte(nil)
			if d.r.IntN(6) > 0 {
				e.value = fmt.Sprint("value-", e.offset)
				value = []byte(e.value)
			}
			d.written = append(d.written, e)
			b.Add(e.stamp, []byte(e.key), value, record.Header{Key: []byte("h"), Value: []byte(e.key)})
		}
		d.append(b)
	}
}

func (d *diary) append(b *record.Builder) record.Batch {
	d.t.Helper()
	batch, err := b.Build(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.log.Append(batch, epoch0); err != nil {
		d.t.Fatalf("Append: %v", err)
	}
	if _, known := d.epochs[b.LeaderEpoch]; !known {
		d.epochs[b.LeaderEpoch] = batch.BaseOffset()
	}
	if b.ProducerID >= 0 && !batch.Attributes().Has(record.Control) {
		d.last[b.ProducerID] = batch.BaseOffset()
	}
	d.bytes[batch.BaseOffset()] = batch.NextOffset()
	return batch
}

func (d *diary) options() CleanOptions {
	o := CleanOptions{End: math.MaxInt64, MapBytes: 1 << 20, Producers: map[int64]message.Latest{}, DeleteRetention: time.Hour, Now: epoch0}
	for id, base := range d.last {
		o.Producers[id] = message.Latest{First: base, Last: base, Marker: -1}
	}
	return o
}

// clean makes a whole pass.
func (d *diary) clean(o CleanOptions) Cleaned {
	d.t.Helper()
	c, err := d.log.Clean(o)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := pass(d.log, c, 200); err != nil {
		d.t.Fatalf("the pass: %v", err)
	}
	return c.Count()
}

// pass goes through a pass in steps of so many bytes.
func pass(l *Log, c *Cleaning, step int64) error {
	for {
		over, _, err := c.Step(step)
		switch {
		case err != nil:
			return err
		case over:
			l.Finished(c)
			return nil
		case c.Ready():
			if !l.Fits(c) {
				return errors.New("it does not fit")
			}
			if err := c.Swap(); err != nil {
				return err
			}
			l.Exchange(c)
		}
	}
}

// interrupt begins a pass, goes on with it for a few steps, and calls it off.
func (d *diary) interrupt() {
	t, l := d.t, d.log
	t.Helper()
	c, err := l.Clean(d.options())
	if err != nil {
		t.Fatal(err)
	}
	for range d.r.IntN(12) {
		over, _, err := c.Step(int64(1 + d.r.IntN(2000)))
		if err != nil {
			t.Fatal(err)
		}
		if over {
			l.Finished(c)
			break
		}
		if c.Ready() {
			if err := c.Swap(); err != nil {
				t.Fatal(err)
			}
			l.Exchange(c)
		}
	}
	if err := c.Settle(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Step(1); err != nil && !errors.Is(err, ErrLeft) {
		t.Fatal(err)
	}
}

// check asks that a log keeps what compaction must keep of what was written. buried says that tombstones may be gone.
func (d *diary) check(l *Log, what string, buried bool) (records int) {
	d.t.Helper()
	here := map[int64]entryAt{}
	next, lastOfProducer, epochs := int64(0), map[int64]int64{}, map[int32]int64{}
	for _, b := range contents(d.t, l) {
		if b.BaseOffset() < next || d.bytes[b.BaseOffset()] != b.NextOffset() {
			d.t.Fatalf("%s: a batch from %d to %d behind %d", what, b.BaseOffset(), b.NextOffset(), next)
		}
		next = b.NextOffset()
		lastOfProducer[b.ProducerID()] = b.BaseOffset()
		if _, known := epochs[b.LeaderEpoch()]; !known {
			epochs[b.LeaderEpoch()] = b.BaseOffset()
		}
		if b.Attributes().Has(record.Control) {
			continue
		}
		for rec, err := range record.All(b, 1<<20) {
			if err != nil {
				d.t.Fatalf("%s: %v", what, err)
			}
			here[b.BaseOffset()+int64(rec.OffsetDelta)] = entryAt{string(rec.Key), string(rec.Value), b.BaseOffset() + int64(rec.OffsetDelta), rec.Timestamp}
		}
	}
	if next != l.End() {
		d.t.Fatalf("%s: the batches end at %d and the log at %d", what, next, l.End())
	}
	latest := map[string]entryAt{}
	for _, e := range d.written {
		if e.offset >= l.End() {
			break
		}
		latest[e.key] = e
		if have, ok := here[e.offset]; ok && have != e {
			d.t.Fatalf("%s: %+v was written and %+v is there", what, e, have)
		}
	}
	for _, e := range latest {
		if _, ok := here[e.offset]; !ok && !(buried && e.value == "") {
			d.t.Fatalf("%s: the last of its key is gone: %+v", what, e)
		}
		if _, ok := here[e.offset]; !ok {
			for _, older := range here {
				if older.key == e.key {
					d.t.Fatalf("%s: %+v is gone, and %+v has come back", what, e, older)
				}
			}
		}
	}
	for id, base := range d.last {
		if base < l.End() && lastOfProducer[id] != base {
			d.t.Fatalf("%s: producer %d's last batch is at %d, and was at %d", what, id, lastOfProducer[id], base)
		}
	}
	for epoch, base := range d.epochs {
		if base < l.End() && epochs[epoch] != base {
			d.t.Fatalf("%s: epoch %d begins at %d, and began at %d", what, epoch, epochs[epoch], base)
		}
	}
	return len(here)
}

func keyed(fs vfs.FS, segment int64) Options {
	return Options{FS: fs, Dir: dir, Config: Config{SegmentBytes: segment, IndexIntervalBytes: 200, Gaps: true}}
}
