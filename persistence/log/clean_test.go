package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func TestCompactionKeepsTheLastOfEachKey(t *testing.T) {
	for seed := range uint64(20) {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, keyed(fs, 1000))
		d := newDiary(t, l, seed)
		d.write(60)
		before, segments := l.Bytes(), len(l.shape.segments)
		d.clean(d.options())
		records := d.check(l, "after a pass", false)
		if l.Bytes() >= before || records >= len(d.written)*2/3 {
			t.Fatalf("seed %d: %d bytes in %d segments have become %d in %d with %d records of %d", seed, before, segments, l.Bytes(), len(l.shape.segments), records, len(d.written))
		}
		d.clean(d.options())
		if d.check(l, "after two", false) != records || len(l.shape.segments) >= segments {
			t.Fatalf("seed %d: %d segments have become %d", seed, segments, len(l.shape.segments))
		}
		d.write(30)
		d.write(30)
		late := d.options()
		late.Now = epoch0.Add(2 * time.Hour)
		d.clean(late)
		d.check(l, "after three", true)
		again, r := mustOpen(t, keyed(fs, 1000))
		if r.Quarantine != nil || again.End() != l.End() || again.Reached() != l.Reached() || !slices.Equal(again.shape.epochs, l.shape.epochs) {
			t.Fatalf("opened again: %+v, ends at %d and %d, epochs %v and %v", r, again.End(), l.End(), again.shape.epochs, l.shape.epochs)
		}
		if !equal(contents(t, again), contents(t, l)) {
			t.Fatal("opened again it is another")
		}
		d.check(again, "opened again", true)
	}
}

// Every offset of a compacted log can be asked for: what comes is the batch that holds it, or the first behind it.
func TestEveryOffsetOfACompactedLogIsRead(t *testing.T) {
	for seed := range uint64(10) {
		l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 1000))
		d := newDiary(t, l, seed)
		d.write(60)
		d.clean(d.options())
		all := contents(t, l)
		v := l.View(message.Bounds{HighWatermark: l.End()})
		for o := range l.End() {
			i := slices.IndexFunc(all, func(b record.Batch) bool { return b.LastOffset() >= o })
			raw, s, err := at(v, o)
			if err != nil || s.First != all[i].BaseOffset() || !bytes.HasPrefix(raw, all[i]) {
				t.Fatalf("seed %d, offset %d: %+v, %v; %d is due", seed, o, s, err, all[i].BaseOffset())
			}
		}
		for _, e := range d.written {
			found, ok, err := v.OffsetForTime(e.stamp, l.End())
			if err != nil || ok && (found.Offset < e.offset || found.Timestamp < e.stamp) {
				t.Fatalf("the first record at %d or later: %+v, %v, %v", e.stamp, found, ok, err)
			}
		}
		if last, ok, err := v.MaxTimestamp(l.End()); err != nil || !ok || last.Timestamp != d.written[len(d.written)-1].stamp {
			t.Fatalf("the largest timestamp: %+v, %v, %v", last, ok, err)
		}
	}
}

// A pass that ends anywhere leaves a log that is right, and so does every pass behind it.
func TestAnInterruptedPassLosesNothing(t *testing.T) {
	for seed := range uint64(40) {
		fs := vfs.Memory(vfs.MemoryOptions{})
		l, _ := mustOpen(t, keyed(fs, 700))
		d := newDiary(t, l, seed)
		for range 4 {
			d.write(25)
			d.interrupt()
			d.check(l, "interrupted", false)
		}
		if names, _ := fs.List(dir); slices.ContainsFunc(names, func(n string) bool { return len(n) > 8 && n[len(n)-8:] == cleanedExt }) {
			t.Fatalf("left over: %v", names)
		}
		for _, after := range []time.Duration{2, 4, 6} { // every tombstone has gone by then
			d.write(10)
			late := d.options()
			late.Now = epoch0.Add(after * time.Hour)
			d.clean(late)
			d.check(l, "after a whole pass", true)
		}
	}
}

// A crash at any operation of a pass leaves every key's last record where it was.
func TestACrashAtEveryStepOfAPass(t *testing.T) {
	for seed := range uint64(6) {
		var fs *vfs.MemoryFS
		var clones []*vfs.MemoryFS
		watching := false
		fs = vfs.Memory(vfs.MemoryOptions{Trace: func(op vfs.Op, _ string, _ int64, _ int, _ error) {
			if watching && op != vfs.OpRead && op != vfs.OpOpen && op != vfs.OpStat {
				clones = append(clones, fs.CrashClone(rand.New(rand.NewPCG(uint64(len(clones)), seed))))
			}
		}})
		l, _ := mustOpen(t, keyed(fs, 900))
		d := newDiary(t, l, seed)
		d.write(40)
		mustSync(t, l.Dirty())
		for range 2 {
			watching = true
			d.clean(d.options())
			watching = false
			d.write(20)
			mustSync(t, l.Dirty())
		}
		for i, crashed := range clones {
			again, r := mustOpen(t, keyed(crashed, 900))
			what := fmt.Sprintf("seed %d, crash %d of %d", seed, i, len(clones))
			if r.Quarantine != nil {
				t.Fatalf("%s: %+v", what, r)
			}
			mustSync(t, r.Dirty)
			d.check(again, what, false)
			d.afterCrash(again, what)
		}
	}
}

// afterCrash makes a pass over what a crash has left, and crashes again: nothing of the first may come back.
func (d *diary) afterCrash(l *Log, what string) {
	d.t.Helper()
	if err := func() error { c, _ := l.Clean(d.options()); return pass(l, c, 500) }(); err != nil {
		d.t.Fatalf("%s: the pass behind it: %v", what, err)
	}
	d.check(l, what+", a pass", false)
	names, err := l.place.fs.List(dir)
	if err != nil || slices.ContainsFunc(names, func(n string) bool { return leftOver(n) && bytes.HasSuffix([]byte(n), []byte(cleanedExt)) }) {
		d.t.Fatalf("%s: left over: %v %v", what, names, err)
	}
}

// A journal that still has what was compacted is replayed over it, and changes nothing.
func TestAJournalIsNotReplayedOverWhatWasCompacted(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, keyed(fs, 900))
	d := newDiary(t, l, 3)
	var entries []message.Redo
	for range 60 {
		d.write(1)
	}
	for _, b := range contents(t, l) {
		entries = append(entries, message.Redo{LeaderEpoch: b.LeaderEpoch(), Base: b.BaseOffset(), Batch: b})
	}
	d.clean(d.options())
	before := contents(t, l)
	again, _ := mustOpen(t, keyed(fs.Crash(rand.New(rand.NewPCG(1, 1))), 900))
	if err := again.Redo(entries, epoch0); err != nil {
		t.Fatal(err)
	}
	if !equal(contents(t, again), before) {
		t.Fatal("the journal has brought something back, or taken something away")
	}
	// what was cut and appended anew is the journal's again
	cut := again.Start() + (again.Reached()-again.Start())/2
	if err := again.Truncate(cut); err != nil {
		t.Fatal(err)
	}
	if again.cleaned.guard > cut || again.Reached() > cut {
		t.Fatalf("cut to %d: %+v", cut, again.cleaned)
	}
	if err := again.Redo([]message.Redo{{Base: cut}}, epoch0); err != nil {
		t.Fatal(err)
	}
}

// A tombstone stays for delete.retention.ms behind the first pass that has met it, and its batch says until when.
func TestTombstonesGoInTwoPhases(t *testing.T) {
	l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 400))
	d := newDiary(t, l, 1)
	put := func(key, value string) {
		b := record.NewBuilder(l.End())
		v := []byte(value)
		if value == "" {
			v = nil
		}
		b.Add(epoch0.UnixMilli()+l.End(), []byte(key), v)
		d.append(b)
		d.written = append(d.written, entryAt{key, value, l.End() - 1, epoch0.UnixMilli() + l.End() - 1})
	}
	put("a", "1")
	put("a", "")
	for i := range 10 {
		put(fmt.Sprint("b", i), "x")
	}
	grave := func() (b record.Batch) {
		for _, batch := range contents(t, l) {
			if batch.BaseOffset() == 1 && batch.Count() > 0 {
				b = batch
			}
		}
		return b
	}
	d.clean(d.options())
	horizon, set := grave().Horizon()
	if want := epoch0.Add(time.Hour).UnixMilli(); !set || horizon != want {
		t.Fatalf("behind the first pass the horizon is %d, %v; %d is due", horizon, set, want)
	}
	d.check(l, "the first pass", false)
	for _, late := range []time.Duration{30 * time.Minute, time.Hour - time.Millisecond} {
		o := d.options()
		o.Now = epoch0.Add(late)
		put("c", "x")
		d.clean(o)
		if again, set := grave().Horizon(); !set || again != horizon {
			t.Fatalf("after %v the horizon is %d, %v", late, again, set)
		}
	}
	o := d.options()
	o.Now = epoch0.Add(time.Hour)
	d.clean(o)
	if b := grave(); b != nil {
		t.Fatalf("it is still there: %d records", b.Count())
	}
	d.check(l, "the last pass", true)
}

// What an aborted transaction has written goes, and is nobody's last value; what a committed one has written stays, and so does a marker in
// the first pass.
func TestAbortedRecordsGo(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, keyed(fs, 300))
	d := newDiary(t, l, 1)
	begun := map[int64]int64{}
	put := func(producer int64, key, value string) {
		b := record.NewBuilder(l.End())
		if producer >= 0 {
			if _, open := begun[producer]; !open {
				begun[producer] = l.End()
			}
			b.Flags, b.ProducerID, b.ProducerEpoch, b.BaseSequence = record.Transactional, producer, 0, int32(l.End())
		}
		b.Add(1, []byte(key), []byte(value))
		d.append(b)
	}
	end := func(producer int64, how record.ControlType) {
		b := record.NewBuilder(l.End())
		b.ProducerID, b.ProducerEpoch = producer, 0
		b.AddControl(1, record.Marker{Type: how})
		batch, err := b.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		a := message.Aborted{Producer: producer, First: begun[producer], Last: l.End(), Stable: l.End() + 1}
		if delete(begun, producer); how == record.Abort {
			err = l.AppendAbort(batch, a, epoch0)
		} else {
			err = l.Append(batch, epoch0)
		}
		if err != nil {
			t.Fatal(err)
		}
		d.bytes[batch.BaseOffset()] = batch.NextOffset()
	}
	aborted := func(l *Log) []message.Aborted {
		found, err := l.view(message.Bounds{HighWatermark: l.End(), LastStable: l.End()}).Aborted(0, l.End())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	put(-1, "a", "old")     // 0
	put(1, "a", "aborted")  // 1
	put(2, "b", "kept")     // 2
	end(1, record.Abort)    // 3
	end(2, record.Commit)   // 4
	put(1, "b2", "kept")    // 5
	end(1, record.Commit)   // 6
	put(-1, "c", "overrun") // 7
	put(-1, "c", "kept")    // 8
	for range 5 {
		put(-1, "filler", "x")
	}
	put(1, "a", "aborted too")
	end(1, record.Abort)
	for range 5 {
		put(-1, "filler", "x")
	}
	before, old := aborted(l), l.view(message.Bounds{HighWatermark: l.End(), LastStable: l.End()})
	mustSync(t, l.Dirty())
	d.clean(d.options())
	d.clean(d.options()) // segments are merged
	crashed := fs.CrashClone(rand.New(rand.NewPCG(3, 3)))
	again, _ := mustOpen(t, Options{FS: crashed, Dir: dir, RecoveryPoint: l.End(), Config: keyed(nil, 300).Config})
	if was, _ := old.Aborted(0, l.End()); len(before) != 2 || !slices.Equal(aborted(l), before) || !slices.Equal(was, before) || !slices.Equal(aborted(again), before) {
		t.Fatalf("aborted are %v, in the old view %v, opened again %v; %v were", aborted(l), was, aborted(again), before)
	}
	got := ""
	for _, b := range contents(t, l) {
		if b.Attributes().Has(record.Control) {
			got += "|"
			continue
		}
		for rec, err := range record.All(b, 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			if string(rec.Key) != "filler" {
				got += fmt.Sprintf(" %s=%s", rec.Key, rec.Value)
			}
		}
	}
	if want := " a=old b=kept|| b2=kept| c=kept|"; got != want {
		t.Fatalf("%q is left, %q is due", got, want)
	}
}

// A pass with little memory goes as far as that reaches, and the next one goes on.
func TestAPassWithLittleMemory(t *testing.T) {
	l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 900))
	d := newDiary(t, l, 5)
	d.write(80)
	o := d.options()
	o.MapBytes = 7 * slotBytes
	last := int64(-1)
	for l.Reached() < l.last().base {
		if l.Reached() <= last {
			t.Fatalf("it does not get beyond %d", last)
		}
		last = l.Reached()
		d.clean(o)
		d.check(l, fmt.Sprintf("up to %d", l.Reached()), false)
	}
	o.MapBytes = 2 * slotBytes
	d.write(30)
	for range 30 {
		c, _ := l.Clean(o)
		if err := pass(l, c, 100); errors.Is(err, ErrTooManyKeys) {
			d.check(l, "too many keys", false)
			return
		}
	}
	t.Fatal("batches of four keys fit into room for one")
}

// Who reads the old segments goes on reading them.
func TestReadersKeepWhatTheyHold(t *testing.T) {
	for name, wrap := range map[string]func(vfs.FS) vfs.FS{"plain": func(f vfs.FS) vfs.FS { return f }, "cached": func(f vfs.FS) vfs.FS { return vfs.Cached(f, 2) }} {
		l, _ := mustOpen(t, keyed(wrap(vfs.Memory(vfs.MemoryOptions{})), 900))
		d := newDiary(t, l, 2)
		d.write(50)
		before := contents(t, l)
		v := l.View(message.Bounds{HighWatermark: l.End()})
		d.clean(d.options())
		d.write(10)
		d.clean(d.options())
		i := 0
		for o := int64(0); o < before[len(before)-1].NextOffset(); {
			raw, s, err := at(v, o)
			if err != nil {
				t.Fatalf("%s: offset %d of the old view: %v", name, o, err)
			}
			for ; len(raw) > 0; i++ {
				if !bytes.HasPrefix(raw, before[i]) {
					t.Fatalf("%s: the batch at %d is another", name, before[i].BaseOffset())
				}
				raw = raw[len(before[i]):]
			}
			o = s.Next
		}
		drop := l.Replaced()
		if err := drop(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := at(v, 0); err == nil || errors.Is(err, message.ErrOffsetOutOfRange) || errors.Is(err, io.EOF) {
			t.Fatalf("%s: the files are gone: %v", name, err)
		}
		d.check(l, name, false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The dirty part is what no pass has been through, up to a bound and an age.
func TestDirt(t *testing.T) {
	l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 900))
	d := newDiary(t, l, 4)
	d.write(60)
	all, err := l.Dirt(l.End(), 0, epoch0)
	if err != nil || all.First != 0 || all.End != l.last().base || all.Clean != 0 || all.Dirty != l.shape.sealed || all.Ratio() != 1 || all.Oldest.UnixMilli() != epoch0.UnixMilli() {
		t.Fatalf("%+v, %v", all, err)
	}
	half, _ := l.Dirt(all.End/2, 0, epoch0)
	if half.End > all.End/2 || half.Dirty >= all.Dirty || half.Dirty == 0 {
		t.Fatalf("below %d: %+v", all.End/2, half)
	}
	young, _ := l.Dirt(l.End(), time.Hour, epoch0.Add(time.Second))
	if young.Dirty != 0 || !young.Ripe.After(epoch0.Add(59*time.Minute)) {
		t.Fatalf("too young: %+v", young)
	}
	d.clean(d.options())
	if clean, _ := l.Dirt(l.End(), 0, epoch0); clean.Dirty != 0 || clean.First != all.End || clean.Clean != l.shape.sealed {
		t.Fatalf("behind a pass: %+v", clean)
	}
}

// Segments that were damaged are not written anew.
func TestDamageIsNotCompactedAway(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, keyed(fs, 900))
	d := newDiary(t, l, 6)
	d.write(40)
	file, _ := l.shape.segments[1].log.open()
	if _, err := file.WriteAt([]byte{0xff, 0xfe, 0xfd}, 100); err != nil {
		t.Fatal(err)
	}
	c, _ := l.Clean(d.options())
	err := pass(l, c, 1000)
	if damage, ok := errors.AsType[*message.Damaged](err); !ok || damage.File != l.shape.segments[1].log.path() {
		t.Fatalf("a pass over damage: %v", err)
	}
}

func TestAKeymapKnowsTheLastOfEachKey(t *testing.T) {
	k, want, r := newKeymap([16]byte{1}, 500, 1<<20, 0.9), map[string]int64{}, rand.New(rand.NewPCG(1, 2))
	for o := int64(0); k.room(1); o++ {
		key := fmt.Sprint(r.IntN(2000))
		k.put([]byte(key), o)
		want[key] = o
	}
	if k.used != len(want) || k.used < 500 || k.last([]byte("nobody")) != -1 {
		t.Fatalf("%d keys, %d were put; %d", k.used, len(want), k.last([]byte("nobody")))
	}
	for key, last := range want {
		if got := k.last([]byte(key)); got != last {
			t.Fatalf("key %s: %d, last put at %d", key, got, last)
		}
	}
}

// A segment that has lost its end is not taken for one that was compacted: what comes behind it goes, too, if no sync has proved it.
func TestALostEndIsNoGap(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, keyed(fs, 700))
	d := newDiary(t, l, 9)
	d.write(40)
	n := len(l.shape.segments)
	hurt := l.shape.segments[n-3]
	file, _ := hurt.log.open()
	if err := file.Truncate(hurt.size / 2); err != nil {
		t.Fatal(err)
	}
	again, _ := mustOpen(t, keyed(fs, 700))
	if again.End() <= hurt.base || again.End() >= hurt.bound {
		t.Fatalf("it ends at %d; the segment from %d to %d has lost its end", again.End(), hurt.base, hurt.bound)
	}
	d.check(again, "cut where it is torn", false)
}

// A copy of a compacted log ends where each of its segments does, wherever offsets are missing.
func TestACopyWithGapsHasNoHolesBetweenSegments(t *testing.T) {
	l, _ := mustOpen(t, keyed(vfs.Memory(vfs.MemoryOptions{}), 900))
	d := newDiary(t, l, 8)
	d.write(80)
	d.clean(d.options())
	fs := vfs.Memory(vfs.MemoryOptions{})
	c, _ := mustOpen(t, keyed(fs, 300))
	for _, b := range contents(t, l) {
		if err := c.Append(b, epoch0); err != nil {
			t.Fatal(err)
		}
	}
	again, r := mustOpen(t, keyed(fs, 300))
	if again.End() != l.End() || r.Cut != 0 || !equal(contents(t, again), contents(t, l)) {
		t.Fatalf("the copy ends at %d, opened again at %d, and the log at %d: %+v", c.End(), again.End(), l.End(), r)
	}
}

// The last segment ends once it has outgrown a floor and what lies before it.
func TestTheLastSegmentEndsWhenItHasOutgrownTheOthers(t *testing.T) {
	o := keyed(vfs.Memory(vfs.MemoryOptions{}), 1<<20)
	o.Config.OutgrownBytes = 500
	l, _ := mustOpen(t, o)
	d := newDiary(t, l, 1)
	for range 400 {
		d.write(1)
		if active, before := l.size, l.shape.sealed; active > max(500, before)+1000 {
			t.Fatalf("%d bytes are behind %d", active, before)
		}
	}
	if n := len(l.shape.segments); n < 5 || n > 9 {
		t.Fatalf("%d segments", n)
	}
	for range 20 {
		d.write(40)
		d.clean(d.options())
	}
	if l.Bytes() > 10_000 {
		t.Fatalf("%d bytes, compacted all along", l.Bytes())
	}
	d.check(l, "in the end", false)
}
