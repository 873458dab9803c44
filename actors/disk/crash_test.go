package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"pgregory.net/rapid"
)

// replica is a toy of a partition: a file of batches of one record each, without index or segments.
type replica struct {
	id          message.PartitionID
	path        string
	file        vfs.File
	incarnation uint64
	epoch       int32
	log         []record.Batch
	start       int64

	states []state // the last that was acknowledged, and what came after it
	sent   []int   // index of the state of every commit that was not answered
	acked  int     // index of the last state that was Synced, of this incarnation's
	down   bool    // told Unsynced
	dirty  bool    // it was cut, and no commit has named the file since
	cut    int64   // the log is to be cut to it once that is Synced; -1 if not
}

// state is what a log holds.
type state struct {
	text  string
	end   int64
	start int64
}

func describe(log []record.Batch) (s string) {
	for _, b := range log {
		s += fmt.Sprintf(" %d/%d/%x", b.BaseOffset(), b.LeaderEpoch(), b.CRC())
	}
	return s
}

func (r *replica) size() (n int64) {
	for _, b := range r.log {
		n += int64(len(b))
	}
	return n
}

func (r *replica) end() int64 { return int64(len(r.log)) }

func (r *replica) note() {
	r.states = append(r.states, state{describe(r.log), r.end(), r.start})
}

func makeBatch(base int64, epoch int32, size int, fill byte) record.Batch {
	b := make(record.Batch, record.HeaderSize+size)
	for i := record.HeaderSize; i < len(b); i++ {
		b[i] = fill
	}
	b[10], b[11] = byte((len(b)-12)>>8), byte(len(b)-12)
	b[16] = 2
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(epoch)
	b.Seal()
	return b
}

// folder syncs a directory.
type folder struct {
	files vfs.FS
	path  string
}

func (f folder) Sync() error { return f.files.SyncDir(f.path) }

// tester is a *rapid.T or a *testing.T.
type tester interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is one disk actor, its file system and some replicas.
type world struct {
	t        tester
	files    *vfs.MemoryFS
	chance   *rand.Rand
	bench    *bench
	replicas []*replica
	seed     uint64
}

var small = Options{FileBytes: 8 * 4096, Files: 3, GrowBytes: 4096, Reserve: 4096, Parallel: 2}

// No acknowledged state is lost by a crash, whichever way it became durable and whatever failed meanwhile.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(t, "seed"))
		one := func(t *rapid.T) *replica { return rapid.SampledFrom(w.replicas).Draw(t, "replica") }
		t.Repeat(map[string]func(*rapid.T){
			"append":   func(t *rapid.T) { w.append(one(t), rapid.IntRange(0, 3000).Draw(t, "size"), true) },
			"append2":  func(t *rapid.T) { w.append(one(t), rapid.IntRange(0, 100).Draw(t, "size"), true) },
			"large":    func(t *rapid.T) { w.append(one(t), 40_000, true) },
			"lazy":     func(t *rapid.T) { w.append(one(t), 50, false) },
			"start":    func(t *rapid.T) { w.moveStart(one(t)) },
			"truncate": func(t *rapid.T) { w.truncate(one(t), rapid.Int64Range(0, 4).Draw(t, "by")) },
			"steps":    func(t *rapid.T) { w.steps(rapid.IntRange(1, 20).Draw(t, "n")) },
			"timers":   func(*rapid.T) { w.bench.settle(true); w.read() },
			"prefer":   func(t *rapid.T) { w.prefer(rapid.Bool().Draw(t, "journal")) },
			"restart":  func(t *rapid.T) { w.restart(one(t)) },
			"fail": func(t *rapid.T) {
				w.files.Inject(vfs.Fault{Op: vfs.OpSync, Path: rapid.SampledFrom([]string{"journal/*", "log*"}).Draw(t, "path")})
			},
			"full":  func(*rapid.T) { w.files.SetCapacity(1) },
			"room":  func(*rapid.T) { w.files.SetCapacity(1 << 40) },
			"crash": func(*rapid.T) { w.crash(w.files.Crash(w.chance)) },
			"kill":  func(*rapid.T) { w.crash(w.files.Keep()) },
			"stop":  func(*rapid.T) { w.stop() },
		})
		w.crash(w.files.Crash(w.chance))
	})
}

func newWorld(t tester, seed uint64) *world {
	w := &world{t: t, chance: rand.New(rand.NewPCG(seed, 0)), files: vfs.Memory(vfs.MemoryOptions{})}
	for i := range 3 {
		w.replicas = append(w.replicas, &replica{id: message.PartitionID{Topic: message.TopicID{9}, Index: int32(i)}, path: fmt.Sprintf("log%d", i), cut: -1})
	}
	w.boot()
	return w
}

func (w *world) boot() {
	w.seed++
	w.bench = newBench(w.files, w.seed, small)
	for _, r := range w.replicas {
		w.bench.tell(message.PartitionAt(1, r.id), &message.Recover{Partition: r.id})
	}
	w.calm()
}

// read lets the replicas read what the disk has sent.
func (w *world) read() {
	sent := w.bench.sent
	w.bench.sent = nil
	for _, l := range sent {
		for _, r := range w.replicas {
			if l.to == message.PartitionAt(1, r.id) {
				w.receive(r, l.msg)
			}
		}
	}
	if len(w.bench.sent) > 0 {
		w.read()
	}
}

func (w *world) receive(r *replica, m any) {
	switch m := m.(type) {
	case *message.Synced:
		if m.Incarnation == r.incarnation && !r.down {
			r.acked = r.sent[m.Commits-1]
			r.sent = r.sent[m.Commits:]
			switch {
			case r.cut >= 0:
				w.cut(r)
			case r.states[r.acked].end != m.End:
				w.t.Fatalf("%s: synced to %d, the commit ended at %d", r.path, m.End, r.states[r.acked].end)
			}
		}
	case *message.Unsynced:
		if m.Incarnation == r.incarnation {
			r.down = true
			w.bench.tell(message.PartitionAt(1, r.id), &message.Recover{Partition: r.id})
		}
	case *message.Recovered:
		w.recovered(r, m)
	}
}

func (w *world) recovered(r *replica, m *message.Recovered) {
	if m.Err != nil {
		w.t.Fatal(m.Err)
	}
	w.files.SetCapacity(1 << 40) // a toy that finds no room when it starts would have to wait
	w.openFile(r)
	r.log = readLog(w.t, r.file)
	if r.end() < m.RecoveryPoint {
		w.t.Fatalf("%s: the log ends at %d, below the recovery point %d", r.path, r.end(), m.RecoveryPoint)
	}
	r.start = m.LogStart
	for _, e := range m.Entries {
		w.replay(r, e)
	}
	w.check(r)
	r.incarnation++
	r.epoch++
	r.down, r.cut = false, -1
	r.states, r.acked, r.sent = r.states[min(r.acked, len(r.states)):], 0, nil
	r.note()
	w.rewrite(r)
	files := []message.Syncer{r.file, folder{w.files, "."}}
	if m.Entries != nil {
		w.bench.tell(message.PartitionAt(1, r.id), &message.Replayed{Partition: r.id, End: r.end(), Files: files})
	}
	// What the recovery made of the log is committed like anything else, and until then nothing is promised of it
	// beyond what was.
	w.commit(r, &message.Commit{Base: r.end(), End: r.end(), Files: files})
}

func (w *world) replay(r *replica, e message.Redo) {
	switch {
	case e.StartAt:
		r.start = max(r.start, e.Base)
	case e.Batch == nil:
		r.log = r.log[:min(r.end(), e.Base)]
	case e.Base > r.end():
		w.t.Fatalf("%s: a gap: the log ends at %d, the journal has %d", r.path, r.end(), e.Base)
	case e.Base < r.end() && bytes.Equal(r.log[e.Base], e.Batch):
	default:
		r.log = append(r.log[:e.Base:e.Base], bytes.Clone(e.Batch))
	}
}

// check holds what was recovered against what was acknowledged.
func (w *world) check(r *replica) {
	if r.states == nil {
		return
	}
	text := describe(r.log)
	for _, s := range r.states[r.acked:] {
		if s.text == text && r.start >= r.states[r.acked].start {
			return
		}
	}
	w.t.Fatalf("%s: recovered%s from %d, acknowledged was%s from %d, last was%s",
		r.path, text, r.start, r.states[r.acked].text, r.states[r.acked].start, r.states[len(r.states)-1].text)
}

func (w *world) openFile(r *replica) {
	f, err := w.files.Open(r.path)
	if err != nil {
		f, err = w.files.Create(r.path)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	r.file = f
}

// readLog is the longest valid prefix.
func readLog(t tester, f vfs.File) (log []record.Batch) {
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	epoch := int32(0)
	for len(b) > 0 {
		batch, err := record.Check(b)
		if err != nil || batch.BaseOffset() != int64(len(log)) || batch.LeaderEpoch() < epoch {
			break
		}
		epoch = batch.LeaderEpoch()
		log = append(log, bytes.Clone(batch))
		b = b[len(batch):]
	}
	return log
}

// rewrite makes the file what the log is.
func (w *world) rewrite(r *replica) {
	var all []byte
	for _, b := range r.log {
		all = append(all, b...)
	}
	if err := r.file.Truncate(int64(len(all))); err != nil {
		w.t.Fatal(err)
	}
	if len(all) > 0 {
		if _, err := r.file.WriteAt(all, 0); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) commit(r *replica, m *message.Commit) {
	m.Partition, m.Incarnation, m.LeaderEpoch = r.id, r.incarnation, r.epoch
	r.sent = append(r.sent, len(r.states)-1)
	r.dirty = r.dirty && m.Files == nil
	w.bench.tell(message.PartitionAt(1, r.id), m)
}

func (w *world) append(r *replica, size int, journal bool) {
	if r.down || r.cut >= 0 {
		return
	}
	b := makeBatch(r.end(), r.epoch, size, byte(w.chance.Uint32()))
	if _, err := r.file.WriteAt(b, r.size()); errors.Is(err, vfs.ErrFull) {
		if err := r.file.Truncate(r.size()); err != nil {
			w.t.Fatal(err)
		}
		return
	} else if err != nil {
		w.t.Fatal(err)
	}
	r.log = append(r.log[:r.end():r.end()], b)
	r.note()
	m := &message.Commit{Base: r.end() - 1, End: r.end(), Files: []message.Syncer{r.file, folder{w.files, "."}}}
	if journal {
		m.Batch = b
	}
	w.commit(r, m)
}

func (w *world) moveStart(r *replica) {
	if r.down || r.cut >= 0 || r.start >= r.end() {
		return
	}
	r.start++
	r.note()
	m := &message.Commit{Base: r.start, End: r.end(), StartAt: true}
	if r.dirty {
		m.Files = []message.Syncer{r.file}
	}
	w.commit(r, m)
}

// truncate announces a cut when nothing of the log is in flight. Until the first commit behind it is answered, the log may
// be found as it was or cut.
func (w *world) truncate(r *replica, by int64) {
	w.calm()
	if r.down || by == 0 || r.end()-by < r.start {
		return
	}
	if len(r.sent) > 0 {
		w.t.Fatalf("%s: %d commits were never answered", r.path, len(r.sent))
	}
	r.cut = r.end() - by
	r.states, r.acked = r.states[r.acked:], 0
	w.commit(r, &message.Commit{Base: r.cut, End: r.cut, Truncate: true})
	r.sent[0] = r.acked // an earlier cut that nothing was committed upon may still be undone
	r.states = append(r.states, state{describe(r.log[:r.cut]), r.cut, r.start})
}

// cut cuts the log, which a crash may undo as long as nothing is appended.
func (w *world) cut(r *replica) {
	r.log, r.cut, r.dirty = r.log[:r.cut], -1, true
	r.epoch++
	if err := r.file.Truncate(r.size()); err != nil {
		w.t.Fatal(err)
	}
	if w.chance.IntN(2) == 0 {
		w.commit(r, &message.Commit{Base: r.end(), End: r.end(), Files: []message.Syncer{r.file}})
	}
}

// calm lets everything happen that does not wait for a timer.
func (w *world) calm() {
	for len(w.bench.inbox)+len(w.bench.work)+len(w.bench.sent) > 0 {
		w.bench.settle(false)
		w.read()
	}
}

func (w *world) steps(n int) {
	for range n {
		w.bench.step(true)
	}
	w.read()
}

// prefer makes one way look dear.
func (w *world) prefer(journal bool) {
	d := w.bench.actor.(*Disk)
	for range 30 {
		if journal {
			d.plan.Synced(w.bench.now, 1, 100, 1e9)
			d.plan.Journalled(w.bench.now, 100, 1e3)
		} else {
			d.plan.Synced(w.bench.now, 1, 100, 1e3)
			d.plan.Journalled(w.bench.now, 100, 1e9)
		}
	}
}

// restart starts a replica again that has not failed, as a supervisor does after a panic.
func (w *world) restart(r *replica) {
	if !r.down {
		r.down = true
		w.bench.tell(message.PartitionAt(1, r.id), &message.Recover{Partition: r.id})
		w.calm()
	}
}

func (w *world) crash(after *vfs.MemoryFS) {
	w.files = after
	for _, r := range w.replicas {
		r.down = true
	}
	w.boot()
}

// stop shuts down cleanly, loses power, and expects nothing to replay.
func (w *world) stop() {
	w.calm()
	w.bench.tell(message.BrokerAt(1), &message.Flushed{})
	w.bench.settle(true)
	done := false
	for _, l := range w.bench.sent {
		if _, ok := l.msg.(*message.FlushDone); ok {
			done = true
		}
	}
	if !done {
		w.t.Fatal("the disk did not finish its shutdown")
	}
	w.read()
	w.crash(w.files.Crash(w.chance))
}
