package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/partition/producers"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// keyring is a node with one compacted partition, and what was written to it.
type keyring struct {
	t      *testing.T
	r      *rand.Rand
	world  *stage.Scheduler
	stage  *stage.Simulated
	files  *vfs.MemoryFS
	lives  uint64
	office *message.Leadership
	next   int32
	acked  map[string]int64 // the last acknowledged offset of each key
	values map[int64]string // what was acknowledged at an offset
	freed  uint64
	calm   bool // it does not crash
	pad    int  // bytes of a value
}

func newKeyring(t *testing.T, seed uint64, change func(*message.Leadership)) *keyring {
	w := &keyring{t: t, r: rand.New(rand.NewPCG(seed, 9)), world: stage.NewScheduler(seed, noon), files: vfs.Memory(vfs.MemoryOptions{}), office: office(),
		acked: map[string]int64{}, values: map[int64]string{}}
	c := &w.office.Config
	c.CleanupCompact, c.CleanupDelete, c.SegmentBytes, c.MinCleanableDirtyRatio = true, false, 600, 0.3
	c.MaxCompactionLagMillis, c.DeleteRetentionMillis, c.CleanerBackoff, c.FileDeleteDelayMillis = 1<<62, 3_600_000, 3*time.Millisecond, 1000
	change(w.office)
	w.begin()
	return w
}

func (w *keyring) begin() {
	w.lives++
	w.stage = stage.NewSimulated(w.world, stage.Options{Node: 1, FS: vfs.Cached(w.files, 4)}, w.lives)
	w.stage.Spawn(message.DiskAt(1), disk.New(disk.Options{FileBytes: 1 << 15, GrowBytes: 1 << 12, Parallel: 1, Interval: 20 * time.Millisecond}))
	w.stage.Send(message.DiskAt(1), &message.Cleaner{Enabled: true, Threads: 1, MapBytes: 1 << 12, MapLoad: 0.9, Block: 300, BytesPerSecond: 5e6})
	w.office.LeaderEpoch++
	o := *w.office
	w.stage.Spawn(message.PartitionAt(1, here), New(Options{ID: here, Leadership: &o}))
	w.stage.Ask(message.PartitionAt(1, here), &message.Await{HighWatermark: -1}, time.Minute, func(any) {})
}

// put writes a record, and waits until it is acknowledged.
func (w *keyring) put() {
	key, value := fmt.Sprint(w.r.IntN(10)), fmt.Sprint("value ", w.next, strings.Repeat("x", w.pad))
	b := record.NewBuilder(0)
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = 7, 0, w.next
	b.Add(noon.UnixMilli(), []byte(key), []byte(value))
	raw, _ := b.Build(nil)
	done, life := false, uint64(0)
	for !done {
		if life != w.lives {
			life = w.lives
			again := append([]byte(nil), raw...)
			w.stage.Ask(message.PartitionAt(1, here), &message.Append{Batch: again, Acks: -1, FromClient: !w.office.Internal}, time.Minute, func(answer any) {
				a, ok := answer.(*message.Appended)
				if !ok || a.Code != message.OK {
					w.t.Fatalf("sequence %d: %+v", w.next, answer)
				}
				if done = true; w.values[a.BaseOffset] != "" {
					w.t.Fatalf("offset %d was acknowledged twice", a.BaseOffset)
				}
				w.acked[key], w.values[a.BaseOffset] = a.BaseOffset, value
			})
		}
		w.world.RunFor(time.Duration(100+w.r.IntN(900)) * time.Microsecond)
		if !w.calm && w.r.IntN(60) == 0 {
			w.end()
		}
	}
	w.next++
}

func (w *keyring) end() {
	w.count()
	w.stage.Crash()
	if w.files = w.files.Crash(w.r); w.r.IntN(3) == 0 {
		w.files = w.files.Keep()
	}
	w.begin()
}

// count takes what compaction has freed in this life.
func (w *keyring) count() {
	if s, ok := w.stage.Published(message.DiskAt(1)).(*disk.Stats); ok {
		w.freed += s.Compactions.Freed
	}
}

// judge reads the log: the last of each key is where it was acknowledged, and everything that is there is what was written.
func (w *keyring) judge() (records int) {
	w.world.RunFor(2 * time.Second)
	v, ok := w.stage.Published(message.PartitionAt(1, here)).(message.View)
	if !ok {
		w.t.Fatal("nothing is shown")
	}
	there, next := map[string]int64{}, v.Bounds().LogStart
	for next < v.Bounds().HighWatermark {
		s, err := v.Read(next, v.Bounds().HighWatermark, 1, true)
		if err != nil || s.Bytes == 0 {
			w.t.Fatalf("at %d: %+v, %v", next, s, err)
		}
		raw := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(raw, s.At); err != nil {
			w.t.Fatal(err)
		}
		for rec, err := range record.All(raw, 1<<20) {
			offset := s.First + int64(rec.OffsetDelta)
			if err != nil || w.values[offset] != string(rec.Value) {
				w.t.Fatalf("offset %d has %q, and %q was acknowledged there: %v", offset, rec.Value, w.values[offset], err)
			}
			there[string(rec.Key)] = offset
			records++
		}
		next = s.Next
	}
	for key, offset := range w.acked {
		if there[key] != offset {
			w.t.Fatalf("key %s was last acknowledged at %d, and is last at %d", key, offset, there[key])
		}
	}
	return records
}

func TestCompactionBesideTheDisk(t *testing.T) {
	freed := uint64(0)
	for seed := range uint64(30) {
		w := newKeyring(t, seed, func(*message.Leadership) {})
		for range 150 {
			w.put()
		}
		w.judge()
		w.count()
		freed += w.freed
		w.stage.Close()
	}
	if freed < 30*3000 {
		t.Fatalf("compaction has freed %d bytes", freed)
	}
}

// A log that has once been compacted is read and copied when its topic is compacted no more.
func TestGapsStayWhenThePolicyChanges(t *testing.T) {
	w := newKeyring(t, 1, func(*message.Leadership) {})
	for range 100 {
		w.put()
	}
	if n := w.judge(); n >= 100 {
		t.Fatalf("%d records are left", n)
	}
	w.office.Config.CleanupCompact, w.office.Config.CleanupDelete = false, true
	w.end()
	w.put()
	w.judge()
}

// What cannot be compacted is left alone, and goes on to be written and read.
func TestWhatCannotBeCompactedIsLeftAlone(t *testing.T) {
	w := newKeyring(t, 2, func(*message.Leadership) {})
	w.stage.Send(message.DiskAt(1), &message.Cleaner{Enabled: true, Threads: 1, MapBytes: 1, MapLoad: 0.9, Block: 300, BytesPerSecond: 5e6})
	for range 3 {
		b := record.NewBuilder(0)
		for i := range 20 {
			b.Add(noon.UnixMilli(), fmt.Append(nil, i), []byte("some value"))
		}
		raw, _ := b.Build(nil)
		w.stage.Ask(message.PartitionAt(1, here), &message.Append{Batch: raw, Acks: -1, FromClient: true}, time.Minute, func(any) {})
		w.world.RunFor(time.Second)
	}
	s, ok := w.stage.Published(message.DiskAt(1)).(*disk.Stats)
	if !ok || s.Compactions.Failed != 1 || s.Compactions.Uncleanable != 1 {
		t.Fatalf("%+v", s)
	}
	w.stage.Close()
}

// A picture of producers in which a transaction is open is not believed where compaction has been since: what has ended it may be gone.
func TestAnOldPictureOfAnOpenTransactionIsNotBelieved(t *testing.T) {
	fs := vfs.Memory(vfs.MemoryOptions{})
	l, _, err := log.Open(log.Options{FS: fs, Dir: dir(here), Config: log.Config{SegmentBytes: 300, Gaps: true}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	all := producers.Producers{}
	add := func(b *record.Builder) {
		b.BaseOffset = l.End()
		b.LeaderEpoch = 0
		b.Add(noon.UnixMilli(), []byte("key"), []byte("some value"))
		write(t, l, &all, b)
	}
	plain := func() { add(record.NewBuilder(0)) }
	plain()
	open := record.NewBuilder(0)
	open.ProducerID, open.ProducerEpoch, open.BaseSequence, open.Flags = 7, 0, 0, record.Transactional
	add(open)
	picture := all.Snapshot(l.End())
	end := record.NewBuilder(l.End())
	end.LeaderEpoch, end.ProducerID, end.ProducerEpoch = 0, 7, 1
	end.AddControl(noon.UnixMilli(), record.Marker{Type: record.Commit})
	write(t, l, &all, end)
	for range 20 {
		plain()
	}
	all.Clear() // nobody remembers the producer
	for range 4 {
		c, err := l.Clean(log.CleanOptions{End: l.End(), MapBytes: 1 << 12, Producers: all.Remembered(), Now: noon})
		for over := false; err == nil && !over; {
			if over, _, err = c.Step(1 << 20); c.Ready() && err == nil {
				if err = c.Swap(); err == nil {
					l.Exchange(c)
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Finished(c)
	}
	if err := savePicture(fs, dir(here), picture); err != nil {
		t.Fatal(err)
	}
	k, err := loadProducers(fs, dir(here), l, noon)
	if err != nil || k.producers.Stable(l.End()) != l.End() {
		t.Fatalf("%v: the last stable offset is %d in a log that ends at %d", err, k.producers.Stable(l.End()), l.End())
	}
	if k.producers.Knows(7) {
		t.Fatal("the transaction is there, and this test shows nothing")
	}
}

func write(t *testing.T, l *log.Log, all *producers.Producers, b *record.Builder) {
	t.Helper()
	batch, err := b.Build(nil)
	if err == nil {
		err = l.Append(batch, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	all.Append(batch, noon)
}

// Offsets that are committed again and again make no log that has to be replayed for long: who coordinates next reads little more than what lives.
func TestTheLogOfACoordinatorStaysSmall(t *testing.T) {
	for _, internal := range []bool{true, false} {
		w := newKeyring(t, 3, func(o *message.Leadership) {
			o.Internal, o.Config.SegmentBytes, o.Config.MinCleanableDirtyRatio = internal, 100<<20, 0.9
		})
		w.calm, w.pad = true, 15000
		most, written := int64(0), int64(0)
		for range 1400 {
			w.put()
			written += int64(w.pad)
			most = max(most, w.bytes())
		}
		w.judge()
		switch small := most < 4*outgrownBytes; {
		case small != internal:
			t.Errorf("internal: %v: of %d bytes there were up to %d in the log", internal, written, most)
		case internal && w.bytes() > 2*outgrownBytes:
			t.Errorf("%d bytes are left", w.bytes())
		}
		w.stage.Close()
	}
}

// bytes is how much the log's segments hold.
func (w *keyring) bytes() (n int64) {
	names, err := w.files.List(dir(here))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		if info, err := w.files.Stat(dir(here) + "/" + name); err == nil && strings.HasSuffix(name, ".log") {
			n += info.Size()
		}
	}
	return n
}

// What is not committed may be cut: compaction lets it take nothing with it that is committed, and neither what is not stable nor synced.
func TestCompactionStaysBelowTheHighWatermark(t *testing.T) {
	h := raise(t, func(_ *house, o *message.Leadership) {
		o.Replicas, o.ISR = []message.NodeID{1, 2}, []message.NodeID{1, 2}
		c := &o.Config
		c.CleanupCompact, c.CleanupDelete, c.SegmentBytes, c.CleanerBackoff = true, false, 250, time.Millisecond
		c.MaxCompactionLagMillis, c.DeleteRetentionMillis = 1<<62, 3_600_000
	})
	h.mute = true // the controller answers nothing
	pulled := func(end int64) {
		h.number++
		m := &message.Pull{LeaderEpoch: 5, LastEpoch: 5, End: end, Synced: end, BytesMax: 1, HighWatermark: -1}
		h.mail = append(h.mail, letter{what: m, from: stage.Caller{Address: message.PartitionAt(2, here), Request: h.number}})
		h.run()
	}
	compact := func() (reached int64) {
		h.send(&message.Compact{MapBytes: 1 << 12, MapLoad: 0.9, Block: 1000})
		return h.me.(*Partition).log.Reached()
	}
	left := func(below int64) (records []int64) {
		err := h.me.(*Partition).log.Scan(0, func(b record.Batch) bool {
			if b.BaseOffset() < below && b.Count() > 0 {
				records = append(records, b.BaseOffset())
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
	for range 20 { // three to a segment, of one key
		h.ask(plain(1))
	}
	h.sync()
	pulled(8)
	if mark := h.bounds().HighWatermark; mark != 8 {
		t.Fatalf("the high watermark is %d", mark)
	}
	if reached := compact(); reached != 6 || !slices.Equal(left(8), []int64{5, 6, 7}) {
		t.Fatalf("below the high watermark, which is 8, it was compacted up to %d, and %v are left", reached, left(8))
	}
	pulled(20)
	if reached := compact(); reached != 18 || !slices.Equal(left(20), []int64{17, 18, 19}) {
		t.Fatalf("once all is committed it was compacted up to %d, and %v are left", reached, left(20))
	}
}
