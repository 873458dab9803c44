package partition

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

// ordeal is a partition under an idempotent producer that retries, on a disk that commits by journal or by the files, loses
// power and fails to sync.
type ordeal struct {
	*house
	r       *rand.Rand
	seed    uint64
	journal []message.Redo
	dirty   []message.Syncer
	point   int64 // what was synced into the files

	next    int32
	pending []sending
	acked   map[int64]int32 // base offset to sequence
	high    int64
}

type sending struct {
	sequence int32
	count    int
	id       stage.RequestID
}

func TestAcknowledgedRecordsSurviveOnce(t *testing.T) {
	for seed := range uint64(300) {
		o := &ordeal{house: raise(t, segments(1<<(8+seed%9))), seed: seed, r: rand.New(rand.NewPCG(seed, 3)), acked: map[int64]int32{}}
		for range 120 {
			o.step()
		}
		for range 8 { // and then it heals
			o.round()
			o.retry()
		}
		if len(o.pending) > 0 {
			t.Fatalf("seed %d: %+v was never acknowledged", seed, o.pending[0])
		}
		o.ask(&message.Await{HighWatermark: -1})
		o.judge(seed)
	}
}

// segments lets the log roll early.
func segments(bytes int64) func(*house, *message.Leadership) {
	return func(_ *house, l *message.Leadership) { l.Config.SegmentBytes = bytes }
}

func (o *ordeal) step() {
	switch d := o.r.IntN(100); {
	case d < 55 && len(o.pending) < 5:
		n := 1 + o.r.IntN(3)
		o.pending = append(o.pending, sending{o.next, n, o.ask(batch(n, 7, o.next))})
		o.next += int32(n)
	case d < 85:
		o.round()
	case d < 92:
		o.fs = o.fs.Crash(o.r)
		o.mail, o.dirty = nil, nil
		o.down()
		o.again(message.Recovered{RecoveryPoint: o.point, Entries: o.entries()})
	case d < 96 && len(o.commits()) > 0:
		last := o.commits()[0]
		o.knows = message.Recovered{RecoveryPoint: o.point, Entries: o.entries(), Suspect: true}
		o.disk, o.dirty = nil, nil
		o.send(&message.Unsynced{Incarnation: last.Incarnation, Err: syscall.EIO})
		o.restarts--
	}
	if o.restarts != 0 {
		o.t.Fatalf("seed %d: it failed: %v", o.seed, o.failed)
	}
	o.retry()
}

func (o *ordeal) entries() []message.Redo {
	out := slices.Clone(o.journal)
	for i := range out {
		out[i].Batch = slices.Clone(out[i].Batch)
	}
	return out
}

// round makes everything durable that the disk was sent, as the disk actor would.
func (o *ordeal) round() {
	sent := o.disk
	o.disk = nil
	var commits []*message.Commit
	direct := o.r.IntN(3) == 0
	for _, m := range sent {
		switch m := m.(type) {
		case *message.Replayed:
			o.dirty = append(o.dirty, m.Files...)
		case *message.Commit:
			commits = append(commits, m)
			o.dirty = append(o.dirty, m.Files...)
			direct = direct || m.Batch == nil
		}
	}
	if len(commits) == 0 {
		return
	}
	last := commits[len(commits)-1]
	if direct {
		for _, f := range o.dirty {
			if err := f.Sync(); err != nil {
				o.t.Fatal(err)
			}
		}
		o.dirty, o.journal, o.point = nil, nil, last.End
	} else {
		for _, m := range commits {
			o.journal = append(o.journal, message.Redo{LeaderEpoch: m.LeaderEpoch, Base: m.Base, Batch: slices.Clone(m.Batch)})
		}
	}
	o.send(&message.Synced{Incarnation: last.Incarnation, End: last.End, Commits: len(commits)})
}

// retry takes the answers and sends again, in order, what was refused or lost and all behind it.
func (o *ordeal) retry() {
	for len(o.pending) > 0 {
		a, ok := o.answers[o.pending[0].id].(*message.Appended)
		if !ok || a.Code != message.OK {
			break
		}
		o.acked[a.BaseOffset] = o.pending[0].sequence
		o.pending = o.pending[1:]
	}
	if len(o.pending) > 0 && o.answers[o.pending[0].id] != nil {
		for i := range o.pending {
			p := &o.pending[i]
			p.id = o.ask(batch(p.count, 7, p.sequence))
		}
	}
	if v, ok := o.published.(message.View); ok {
		if high := v.Bounds().HighWatermark; high < o.high {
			o.t.Fatalf("the high watermark fell from %d to %d", o.high, high)
		} else {
			o.high = high
		}
	}
}

// judge reads the log: every sequence is there once and in order, and where it was acknowledged to be.
func (o *ordeal) judge(seed uint64) {
	o.t.Helper()
	sequence, end := int32(0), int64(0)
	each := func(b record.Batch) bool {
		if b.BaseSequence() != sequence || b.BaseOffset() != end {
			o.t.Fatalf("seed %d: offset %d has sequence %d, must be offset %d and sequence %d", seed, b.BaseOffset(), b.BaseSequence(), end, sequence)
		}
		if acked, ok := o.acked[end]; !ok || acked != sequence {
			o.t.Fatalf("seed %d: sequence %d at offset %d was acknowledged as %d", seed, sequence, end, acked)
		}
		delete(o.acked, end)
		sequence, end = sequence+b.Count(), b.NextOffset()
		return true
	}
	if err := o.me.(*Partition).log.Scan(0, each); err != nil || sequence != o.next || len(o.acked) > 0 {
		o.t.Fatalf("seed %d: %d of %d records are there, %d acknowledged batches are not: %v", seed, sequence, o.next, len(o.acked), err)
	}
}
