package partition

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// troupe is a few partitions beside the real disk actor on the simulated stage, with an idempotent producer for each that
// sends again what was not acknowledged.
type troupe struct {
	t     *testing.T
	r     *rand.Rand
	world *stage.Scheduler
	stage *stage.Simulated
	files *vfs.MemoryFS
	lives uint64
	each  []*writer
}

// writer is one partition's producer. It knows what every record should be, and where it was acknowledged.
type writer struct {
	id      message.PartitionID
	next    int32
	pending []pending
	acked   map[int64]int32 // base offset to sequence
}

type pending struct {
	sequence int32
	count    int
}

func newTroupe(t *testing.T, seed uint64, partitions int) *troupe {
	w := &troupe{t: t, r: rand.New(rand.NewPCG(seed, 9)), world: stage.NewScheduler(seed, noon), files: vfs.Memory(vfs.MemoryOptions{})}
	for i := range partitions {
		id := here
		id.Index = int32(i)
		w.each = append(w.each, &writer{id: id, acked: map[int64]int32{}})
	}
	w.begin()
	return w
}

// begin starts the node over what is on the disk, and the producers send again.
func (w *troupe) begin() {
	w.lives++
	w.stage = stage.NewSimulated(w.world, stage.Options{Node: 1, FS: vfs.Cached(w.files, 4)}, w.lives)
	w.stage.Spawn(message.DiskAt(1), disk.New(disk.Options{FileBytes: 1 << 15, GrowBytes: 1 << 12, Parallel: 1, Interval: 20 * time.Millisecond}))
	for i, p := range w.each {
		o := office()
		o.Config.SegmentBytes = 1 << (9 + i)
		w.stage.Spawn(message.PartitionAt(1, p.id), New(Options{ID: p.id, Leadership: o}))
		for _, again := range p.pending {
			w.send(p, again)
		}
	}
}

func (w *troupe) send(p *writer, b pending) {
	at, life := message.PartitionAt(1, p.id), w.lives
	w.stage.Ask(at, batch(b.count, 7, b.sequence), time.Minute, func(answer any) {
		a, ok := answer.(*message.Appended)
		switch {
		case life != w.lives:
		case !ok || a.Code != message.OK:
			w.t.Errorf("%v: sequence %d was answered with %+v", p.id, b.sequence, answer)
		case len(p.pending) == 0 || p.pending[0] != b:
			w.t.Errorf("%v: sequence %d was acknowledged out of turn", p.id, b.sequence)
		default:
			p.acked[a.BaseOffset] = b.sequence
			p.pending = p.pending[1:]
		}
	})
}

func (w *troupe) produce() {
	p := w.each[w.r.IntN(len(w.each))]
	if len(p.pending) == 5 {
		return
	}
	b := pending{p.next, 1 + w.r.IntN(3)}
	p.next += int32(b.count)
	p.pending = append(p.pending, b)
	w.send(p, b)
}

// end ends the node: the power goes, or the process is killed.
func (w *troupe) end() {
	w.stage.Crash()
	if w.r.IntN(3) == 0 {
		w.files = w.files.Keep()
		return
	}
	w.files = w.files.Crash(w.r)
}

// judge reads every log: each sequence is there once and in order, and where it was acknowledged to be.
func (w *troupe) judge(seed uint64) {
	for _, p := range w.each {
		at := message.PartitionAt(1, p.id)
		w.stage.Ask(at, &message.Await{HighWatermark: -1}, time.Minute, func(any) {})
		w.world.RunFor(time.Second)
		v, ok := w.stage.Published(at).(message.View)
		if !ok {
			w.t.Fatalf("seed %d: %v shows nothing", seed, p.id)
		}
		sequence, found := int32(0), 0
		for next := int64(0); next < v.Bounds().HighWatermark; {
			s, err := v.Read(next, v.Bounds().HighWatermark, 1, true)
			if err != nil {
				w.t.Fatalf("seed %d: %v at %d: %v", seed, p.id, next, err)
			}
			raw := make([]byte, s.Bytes)
			if _, err := s.File.ReadAt(raw, s.At); err != nil {
				w.t.Fatal(err)
			}
			b := record.Batch(raw)
			if acked, ok := p.acked[next]; b.BaseSequence() != sequence || !ok || acked != sequence {
				w.t.Fatalf("seed %d: %v at %d: sequence %d, due is %d, acknowledged was %d %v", seed, p.id, next, b.BaseSequence(), sequence, acked, ok)
			}
			sequence, next, found = sequence+b.Count(), s.Next, found+1
		}
		if sequence != p.next || found != len(p.acked) {
			w.t.Fatalf("seed %d: %v has %d of %d records, %d of %d batches", seed, p.id, sequence, p.next, found, len(p.acked))
		}
	}
}

func TestBesideTheDisk(t *testing.T) {
	for seed := range uint64(60) {
		w := newTroupe(t, seed, 4)
		for range 200 {
			switch d := w.r.IntN(100); {
			case d < 70:
				w.produce()
			case d < 95:
				w.world.RunFor(time.Duration(w.r.IntN(3000)) * time.Microsecond)
			case d < 97:
				for _, p := range w.each {
					w.stage.Send(message.PartitionAt(1, p.id), &message.Sweep{})
				}
			default:
				w.end()
				w.begin()
			}
		}
		w.world.RunFor(time.Minute)
		w.judge(seed)
		w.stage.Close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
