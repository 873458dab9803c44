package log

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// ledger is a compacted log to which several producers write in transactions, and what became of each.
type ledger struct {
	t       tb
	fs      *vfs.MemoryFS
	segment int64
	log     *Log
	leader  int32
	now     time.Time
	open    begun
	fates   map[int64]fate // of every batch of a transaction that has ended
	latest  map[int64]message.Latest
	written []entryAt // what is committed, in order of the offsets once the transaction has ended
	pending map[int64][]entryAt
}

// fate is how a batch's transaction has ended.
type fate struct {
	producer, marker int64
	commit           bool
}

func newLedger(t tb, segment int64) *ledger {
	d := &ledger{t: t, fs: vfs.Memory(vfs.MemoryOptions{}), segment: segment, now: epoch0, open: begun{}, fates: map[int64]fate{}, latest: map[int64]message.Latest{}, pending: map[int64][]entryAt{}}
	d.log, _ = mustOpen(t, keyed(d.fs, segment))
	return d
}

func (d *ledger) add(b *record.Builder) record.Batch {
	d.t.Helper()
	b.LeaderEpoch = d.leader
	batch := built(d.t, b)
	err := error(nil)
	if a, aborts := d.open.take(batch); aborts {
		err = d.log.AppendAbort(batch, a, epoch0)
	} else {
		err = d.log.Append(batch, epoch0)
	}
	if err != nil {
		d.t.Fatalf("Append: %v", err)
	}
	return batch
}

// put writes a record; of a transaction, unless the producer is -1.
func (d *ledger) put(producer int64, key, value string) {
	b := record.NewBuilder(d.log.End())
	if producer >= 0 {
		b.Flags, b.ProducerID, b.ProducerEpoch, b.BaseSequence = record.Transactional, producer, 0, int32(d.log.End())
		d.latest[producer] = message.Latest{First: d.log.End(), Last: d.log.End(), Marker: d.at(producer).Marker}
	}
	b.Add(epoch0.UnixMilli(), []byte(key), []byte(value))
	e := entryAt{key: key, value: value, offset: d.log.End()}
	d.add(b)
	if producer < 0 {
		d.written = append(d.written, e)
		return
	}
	d.pending[producer] = append(d.pending[producer], e)
}

func (d *ledger) at(producer int64) message.Latest {
	if l, known := d.latest[producer]; known {
		return l
	}
	return message.Latest{First: -1, Last: -1, Marker: -1}
}

// end writes a marker.
func (d *ledger) end(producer int64, commit bool) {
	marker := d.log.End()
	for _, e := range d.pending[producer] {
		d.fates[e.offset] = fate{producer, marker, commit}
	}
	if commit {
		d.written = append(d.written, d.pending[producer]...)
	}
	delete(d.pending, producer)
	d.latest[producer] = message.Latest{First: d.at(producer).Last, Last: d.at(producer).Last, Marker: marker}
	b := record.NewBuilder(marker)
	b.ProducerID, b.ProducerEpoch = producer, 0
	m := record.Marker{Type: record.Abort}
	if commit {
		m.Type = record.Commit
	}
	b.AddControl(epoch0.UnixMilli(), m)
	d.add(b)
}

// stable is where the first transaction begins that is open.
func (d *ledger) stable() int64 {
	stable := d.log.End()
	for _, first := range d.open {
		stable = min(stable, first)
	}
	return stable
}

func (d *ledger) clean() {
	d.t.Helper()
	c, err := d.log.Clean(CleanOptions{End: d.stable(), MapBytes: 1 << 20, Producers: d.latest, DeleteRetention: time.Hour, Now: d.now})
	if err == nil {
		err = pass(d.log, c, 300)
	}
	if err != nil {
		d.t.Fatalf("the pass: %v", err)
	}
}

// check asks of a log that every batch of a transaction that is there has its marker behind it, that who reads what is committed from
// anywhere on gets what is committed and nothing else, that the last of every key is there, and what is known of producers.
func (d *ledger) check(l *Log, what string) (markers int) {
	d.t.Helper()
	all := contents(d.t, l)
	there, latest, open := map[int64]bool{}, map[int64]message.Latest{}, begun{}
	for _, b := range all {
		there[b.BaseOffset()] = true
		open.take(b)
		id := b.ProducerID()
		if _, known := latest[id]; !known {
			latest[id] = message.Latest{First: -1, Last: -1, Marker: -1}
		}
		if at := latest[id]; b.Attributes().Has(record.Control) {
			markers++
			latest[id] = message.Latest{First: at.Last, Last: at.Last, Marker: b.BaseOffset()}
		} else {
			latest[id] = message.Latest{First: b.BaseOffset(), Last: b.BaseOffset(), Marker: at.Marker}
		}
	}
	for _, b := range all {
		if f, ended := d.fates[b.BaseOffset()]; ended && f.marker < l.End() && !there[f.marker] {
			d.t.Fatalf("%s: offset %d of producer %d is there, and its marker at %d is not", what, b.BaseOffset(), f.producer, f.marker)
		}
	}
	stable := l.End()
	for producer, first := range open {
		if stable = min(stable, first); l == d.log && d.open[producer] > first {
			d.t.Fatalf("%s: a transaction of producer %d begins at %d", what, producer, first)
		}
	}
	for id, at := range d.latest {
		if l == d.log && latest[id] != at {
			d.t.Fatalf("%s: the last of producer %d is at %+v, and was at %+v", what, id, latest[id], at)
		}
	}
	last := map[string]int64{}
	for _, e := range d.written {
		if e.offset < stable {
			last[e.key] = max(last[e.key], e.offset)
		}
	}
	for key, offset := range last {
		if !there[offset] {
			d.t.Fatalf("%s: %s was last committed at %d, and that is gone", what, key, offset)
		}
	}
	for from := int64(0); from < stable; from++ {
		d.read(l, all, from, stable, what)
	}
	return markers
}

// read reads what is committed from an offset on, as a consumer does.
func (d *ledger) read(l *Log, all []record.Batch, from, stable int64, what string) {
	d.t.Helper()
	told, err := l.View(message.Bounds{HighWatermark: l.End(), LastStable: stable}).Aborted(from, stable)
	if err != nil {
		d.t.Fatalf("%v", err)
	}
	slices.SortFunc(told, func(a, b message.Aborted) int { return int(a.First - b.First) })
	gone := map[int64]bool{}
	for _, b := range all {
		if b.LastOffset() < from || b.LastOffset() >= stable {
			continue
		}
		for len(told) > 0 && told[0].First <= b.LastOffset() {
			gone[told[0].Producer], told = true, told[1:]
		}
		switch f, ended := d.fates[b.BaseOffset()]; {
		case b.Attributes().Has(record.Control):
			if m, _ := record.ParseControl(b); m.Type == record.Abort {
				delete(gone, b.ProducerID())
			}
		case ended && b.Count() > 0 && gone[b.ProducerID()] == f.commit:
			d.t.Fatalf("%s: from %d on, offset %d is committed: %v; it was read as %v", what, from, b.BaseOffset(), f.commit, !f.commit)
		}
	}
}

// step does something that may happen to such a log.
func (d *ledger) step(r *rand.Rand) {
	producer := int64(r.IntN(4))
	switch r.IntN(12) {
	case 0:
		d.clean()
	case 1:
		d.now = d.now.Add(time.Duration(r.IntN(90)) * time.Minute)
	case 2, 3, 4:
		d.end(producer, r.IntN(2) == 0)
	case 5:
		d.put(-1, fmt.Sprint("key-", r.IntN(5)), fmt.Sprint("value-", d.log.End()))
	case 6:
		if d.leader += int32(r.IntN(2)); r.IntN(4) == 0 {
			mustSync(d.t, d.log.Dirty())
			d.log, _ = mustOpen(d.t, keyed(d.fs, d.segment))
			if err := d.log.Prove(nil); err != nil {
				d.t.Fatalf("%v", err)
			}
		}
	default:
		d.put(producer, fmt.Sprint("key-", r.IntN(5)), fmt.Sprint("value-", d.log.End()))
	}
}

// S 4.5: a marker may go once nothing of its transaction is left in front of it, and no reader can tell.
func TestMarkersGoWithTheirTransactions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		d := newLedger(t, rapid.Int64Range(200, 1500).Draw(t, "segment"))
		for i := range rapid.IntRange(10, 150).Draw(t, "steps") {
			if d.step(r); i%10 == 0 {
				d.check(d.log, fmt.Sprint("step ", i))
			}
		}
		for producer := range d.pending {
			d.end(producer, true)
		}
		d.check(d.log, "in the end")
	})
}

// The log of who commits the same again and again does not grow with the number of transactions.
func TestALogOfTransactionsStaysSmall(t *testing.T) {
	for _, commit := range []bool{true, false} {
		d := newLedger(t, 1000)
		most := 0
		for i := range 2000 {
			d.put(int64(i%2), fmt.Sprint("key-", i%3), "value")
			d.end(int64(i%2), commit || i < 10)
			if d.now = d.now.Add(time.Minute); i%50 == 49 {
				d.clean()
				most = max(most, len(contents(t, d.log)))
			}
		}
		for range 3 {
			for range 10 {
				d.put(-1, "filler", "x")
			}
			d.now = d.now.Add(3 * time.Hour)
			d.clean()
		}
		if n := d.check(d.log, "in the end"); n > 30 || most > 300 {
			t.Fatalf("committed: %v: %d markers are left, and there were %d batches", commit, n, most)
		}
	}
}

// A marker stays for delete.retention.ms behind the pass that has found nothing of its transaction.
func TestMarkersGoInTwoPhases(t *testing.T) {
	d := newLedger(t, 800)
	d.put(-1, "z", "begins the epoch")
	d.put(1, "a", "aborted") // 1
	d.end(1, false)
	d.put(2, "b", "overrun") // 3
	d.end(2, true)
	d.put(1, "c", "kept") // 5
	d.end(1, true)
	d.put(2, "b", "kept") // 7
	d.end(2, true)
	for range 12 {
		d.put(-1, "filler", "x")
	}
	left := func() string {
		s := ""
		for _, b := range contents(t, d.log) {
			if _, set := b.Horizon(); b.BaseOffset() < 9 {
				if s += fmt.Sprint(" ", b.BaseOffset()); set {
					s += "h"
				}
			}
		}
		return s
	}
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, " 0 2 4 5 6 7 8"},                              // the transactions go
		{0, " 0 2h 4h 5 6 7 8"},                            // nothing of them is met
		{time.Hour - time.Millisecond, " 0 2h 4h 5 6 7 8"}, // not yet
		{time.Hour, " 0 5 6 7 8"},                          // now
		{100 * time.Hour, " 0 5 6 7 8"},                    // what is left is left
	} {
		d.now = epoch0.Add(c.after)
		if d.clean(); left() != c.want {
			t.Fatalf("after %v%s is left, %s is due", c.after, left(), c.want)
		}
		d.check(d.log, c.want)
	}
	aborted, err := d.log.View(message.Bounds{}).Aborted(0, d.log.End())
	if err != nil || len(aborted) > 0 {
		t.Fatalf("aborted are %v, %v", aborted, err)
	}
	again, r := mustOpen(t, keyed(d.fs, 800))
	if aborted, _ = again.View(message.Bounds{}).Aborted(0, d.log.End()); len(aborted) > 0 || again.Unproven() || r.Quarantine != nil {
		t.Fatalf("opened again: %v, %+v", aborted, r)
	}
}

// What an aborted transaction has written is nobody's last value, wherever its marker is.
func TestAnAbortedRecordOvertakesNothing(t *testing.T) {
	d := newLedger(t, 300)
	d.put(-1, "a", "kept")
	d.put(1, "a", "aborted")
	for range 4 {
		d.put(-1, "filler", "x")
	}
	if len(d.log.shape.segments) < 2 {
		t.Fatal("it is one segment")
	}
	d.end(1, false)
	d.clean()
	d.check(d.log, "a pass")
}

// A crash at any operation of passes that drop markers leaves a log in which markers and the index of what was aborted agree.
func TestACrashWhileMarkersGo(t *testing.T) {
	for seed := range uint64(4) {
		d := newLedger(t, 700)
		var clones []*vfs.MemoryFS
		watching := false
		d.fs = vfs.Memory(vfs.MemoryOptions{Trace: func(op vfs.Op, _ string, _ int64, _ int, _ error) {
			if watching && op != vfs.OpRead && op != vfs.OpOpen && op != vfs.OpStat {
				clones = append(clones, d.fs.CrashClone(rand.New(rand.NewPCG(uint64(len(clones)), seed))))
			}
		}})
		d.log, _ = mustOpen(t, keyed(d.fs, 700))
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range 40 {
			d.put(int64(i%3), fmt.Sprint("key-", r.IntN(4)), fmt.Sprint("value-", i))
			d.end(int64(i%3), r.IntN(2) == 0)
		}
		for range 12 {
			d.put(-1, "filler", "x")
		}
		mustSync(t, d.log.Dirty())
		watching = true
		for range 4 {
			d.clean()
			d.now = d.now.Add(2 * time.Hour)
		}
		watching = false
		before := d.check(d.log, "no crash")
		if before > 25 {
			t.Fatalf("%d markers are left", before)
		}
		for i, crashed := range clones {
			for _, point := range []int64{0, d.log.End()}[i%2 : i%2+1] {
				again, rec := mustOpen(t, Options{FS: crashed.Keep(), Dir: dir, RecoveryPoint: point, Config: keyed(nil, 700).Config})
				what := fmt.Sprintf("seed %d, crash %d of %d, point %d", seed, i, len(clones), point)
				if err := again.Prove(nil); err != nil || rec.Quarantine != nil || again.End() != d.log.End() {
					t.Fatalf("%s: %v, %+v", what, err, rec)
				}
				d.check(again, what)
			}
		}
	}
}

// What a producer has written beyond the pass may yet be cut: then what it had written last in front of that is known.
func TestProducersOutliveACut(t *testing.T) {
	d := newLedger(t, 300)
	write := func(sequence int32) {
		b := record.NewBuilder(d.log.End())
		if sequence >= 0 {
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 0, sequence
		}
		b.Add(epoch0.UnixMilli(), []byte("key"), []byte("value"))
		d.add(b)
	}
	for i := range int32(4) {
		write(i)
	}
	for range 8 {
		write(-1)
	}
	beyond := d.log.End()
	write(4)
	for range 2 { // in the second pass nothing of it is dirty
		o := CleanOptions{End: beyond, MapBytes: 1 << 20, Producers: map[int64]message.Latest{7: {First: beyond, Last: beyond, Marker: -1}}, Now: d.now}
		c, err := d.log.Clean(o)
		if err == nil {
			err = pass(d.log, c, math.MaxInt64)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.log.Truncate(beyond); err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for _, b := range contents(t, d.log) {
		if b.ProducerID() == 7 {
			last = b.BaseOffset()
		}
	}
	if last != 3 {
		t.Fatalf("cut to %d, its last batch is at %d", beyond, last)
	}
}
