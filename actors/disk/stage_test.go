package disk

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/journal"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// node is a disk actor on the simulated stage, and partitions that only note what they hear.
type node struct {
	t     *testing.T
	world *stage.Scheduler
	stage *stage.Simulated
	files *vfs.MemoryFS
	heard map[message.PartitionID][]any
	logs  map[message.PartitionID]vfs.File
	ends  map[message.PartitionID]int64
}

func newNode(t *testing.T, files *vfs.MemoryFS, o Options) *node {
	w := stage.NewScheduler(1, time.Unix(1000, 0))
	n := &node{t: t, world: w, stage: stage.NewSimulated(w, stage.Options{Node: 1, FS: files}, 1), files: files,
		heard: map[message.PartitionID][]any{}, logs: map[message.PartitionID]vfs.File{}, ends: map[message.PartitionID]int64{}}
	o.Parallel = 1
	n.stage.Spawn(message.DiskAt(1), New(o))
	t.Cleanup(n.stage.Close)
	return n
}

func id(i int) message.PartitionID {
	return message.PartitionID{Topic: message.TopicID{7}, Index: int32(i)}
}

func (n *node) raise(i int) {
	n.stage.Spawn(message.PartitionAt(1, id(i)), func() stage.Actor {
		return stage.Receiver(func(c stage.Context) {
			if _, ok := c.Message().(*stage.Started); !ok {
				n.heard[id(i)] = append(n.heard[id(i)], c.Message())
			}
		})
	})
	f, err := n.files.Create(fmt.Sprintf("log%d", i))
	if err != nil {
		n.t.Fatal(err)
	}
	n.logs[id(i)] = f
}

// commit appends a batch of so many bytes to a partition's file and commits it.
func (n *node) commit(i int, size int) {
	n.send(i, &message.Commit{Base: n.ends[id(i)], End: n.ends[id(i)] + 1, Batch: makeBatch(n.ends[id(i)], 1, size, 1), Files: []message.Syncer{n.logs[id(i)]}})
	n.ends[id(i)]++
}

func (n *node) send(i int, m *message.Commit) {
	m.Partition, m.Incarnation, m.LeaderEpoch = id(i), 1, 1
	n.stage.Send(message.DiskAt(1), m)
}

func (n *node) ask(m any) (answer any) {
	n.stage.Ask(message.DiskAt(1), m, time.Minute, func(a any) { answer = a })
	n.run(time.Second)
	return answer
}

func (n *node) run(d time.Duration) { n.world.RunFor(d) }

// want checks what a partition has heard since the last time, in words.
func (n *node) want(i int, words ...string) {
	n.t.Helper()
	var got []string
	for _, m := range n.heard[id(i)] {
		switch m := m.(type) {
		case *message.Synced:
			got = append(got, fmt.Sprintf("synced %d", m.End))
		case *message.Unsynced:
			got = append(got, "unsynced")
		default:
			got = append(got, fmt.Sprintf("%T", m))
		}
	}
	n.heard[id(i)] = nil
	if fmt.Sprint(got) != fmt.Sprint(words) {
		n.t.Fatalf("partition %d heard %q, want %q", i, got, words)
	}
}

func (n *node) stats() *Stats {
	s, _ := n.stage.Published(message.DiskAt(1)).(*Stats)
	return s
}

// fill leaves no room on the disk.
func (n *node) fill() {
	total, free, err := n.files.Usage()
	if err != nil {
		n.t.Fatal(err)
	}
	n.files.SetCapacity(total - free)
}

// A full disk sends batches to their own files, leaves log starts, truncations and their markers a place in the journal,
// and takes nobody down.
func TestAFullDiskTakesNobodyDown(t *testing.T) {
	n := newNode(t, vfs.Memory(vfs.MemoryOptions{Capacity: 1 << 30}), Options{FileBytes: 1 << 20, GrowBytes: 4096})
	for i := range 3 {
		n.raise(i)
		n.commit(i, 10)
	}
	n.run(time.Second)
	for i := range 3 {
		n.want(i, "synced 1")
	}
	n.fill()
	for range 5 {
		for i := range 2 {
			n.commit(i, 20_000)
		}
		n.send(2, &message.Commit{Base: 1, End: 1, StartAt: true})
		n.run(10 * time.Millisecond)
	}
	n.send(1, &message.Commit{Base: 3, End: 3, Truncate: true})
	n.run(time.Second)
	n.want(0, "synced 2", "synced 3", "synced 4", "synced 5", "synced 6")
	n.want(1, "synced 2", "synced 3", "synced 4", "synced 5", "synced 6", "synced 3")
	n.want(2, "synced 1", "synced 1", "synced 1", "synced 1", "synced 1")
	if f := n.stats().Failed; f > 0 {
		t.Fatalf("%d partitions were told Unsynced", f)
	}
}

// With room on the disk the journal is used again.
func TestADiskThatHasRoomAgainUsesItsJournal(t *testing.T) {
	n := newNode(t, vfs.Memory(vfs.MemoryOptions{Capacity: 1 << 30}), Options{FileBytes: 1 << 20, GrowBytes: 4096})
	n.raise(0)
	n.commit(0, 10)
	n.run(time.Second)
	n.fill()
	n.commit(0, 200_000)
	n.run(time.Second)
	n.files.SetCapacity(1 << 30)
	before := n.stats().Journal.Rounds
	for range 40 { // the plan tries either way now and then
		n.run(time.Second)
		n.commit(0, 10)
	}
	n.run(time.Second)
	if n.stats().Journal.Rounds == before || n.stats().Failed > 0 {
		t.Fatalf("%+v", n.stats())
	}
}

// A disk that has no room for a file's own bytes is a failed sync like any other: it is told, and the others go on.
func TestADiskThatIsFullAtADirectSyncFailsThatPartitionOnly(t *testing.T) {
	n := newNode(t, vfs.Memory(vfs.MemoryOptions{}), Options{FileBytes: 8192, GrowBytes: 4096})
	n.raise(0)
	n.raise(1)
	n.files.Inject(vfs.Fault{Op: vfs.OpSync, Path: "log0", Err: vfs.ErrFull})
	n.commit(0, 20_000)
	n.commit(1, 20_000)
	n.run(time.Second)
	n.want(0, "unsynced")
	n.want(1, "synced 1")
	r := n.ask(&message.Recover{Partition: id(0)}).(*message.Recovered)
	if !r.Suspect || r.RecoveryPoint != 0 || r.Err != nil {
		t.Fatalf("%+v", r)
	}
	n.send(0, &message.Commit{End: 1, Batch: makeBatch(0, 1, 20_000, 1), Files: []message.Syncer{n.logs[id(0)]}})
	n.run(time.Second)
	n.want(0) // the incarnation that was told
	n.stage.Send(message.DiskAt(1), &message.Commit{Partition: id(0), Incarnation: 2, End: 1, Batch: makeBatch(0, 1, 20_000, 1), Files: []message.Syncer{n.logs[id(0)]}})
	n.run(time.Second)
	n.want(0, "synced 1")
}

// journalled writes one entry for each partition to a journal, as an earlier process would have left it.
func journalled(t *testing.T, files *vfs.MemoryFS, partitions int) {
	j, _, err := journal.Open(journal.Options{FS: files, Dir: "journal", FileBytes: 1 << 16, Files: 2, GrowBytes: 4096, Seed: 5}, journal.Checkpoint{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range partitions {
		if _, err := j.Write([]journal.Entry{{Kind: journal.Batch, Partition: id(i), Epoch: 1, Batch: makeBatch(0, 1, 10, 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the broker says to be gone is recycled; what somebody holds stays, and so does everything before that word.
func TestSettledFreesWhatIsProvenGarbage(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	journalled(t, files, 3)
	n := newNode(t, files, Options{FileBytes: 1 << 16, Files: 2})
	n.run(time.Second)
	if r := n.ask(&message.Recover{Partition: id(0)}).(*message.Recovered); len(r.Entries) != 1 {
		t.Fatalf("%+v", r)
	}
	n.stage.Send(message.DiskAt(1), &message.Settled{Partitions: []message.PartitionID{id(1)}})
	n.run(time.Second)
	for i, want := range []int{1, 1, 0} {
		if r := n.ask(&message.Recover{Partition: id(i)}).(*message.Recovered); len(r.Entries) != want {
			t.Fatalf("partition %d: %+v", i, r)
		}
	}
	if done := n.ask(&message.Flushed{}).(*message.FlushDone); done.Err != nil {
		t.Fatal(done.Err)
	}
	c, err := journal.LoadCheckpoint(files, "journal.checkpoint")
	if err != nil || len(c.Points) != 2 {
		t.Fatalf("the checkpoint has %+v, %v", c, err)
	}
}

// A Settled that comes before the journal is read counts all the same.
func TestSettledMayComeFirst(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	journalled(t, files, 2)
	n := newNode(t, files, Options{FileBytes: 1 << 16, Files: 2})
	n.stage.Send(message.DiskAt(1), &message.Settled{Partitions: []message.PartitionID{id(1)}})
	n.run(time.Second)
	for i, want := range []int{0, 1} {
		if r := n.ask(&message.Recover{Partition: id(i)}).(*message.Recovered); len(r.Entries) != want {
			t.Fatalf("partition %d: %+v", i, r)
		}
	}
}

// What is left of a deleted topic is not brought back, and a topic that takes its place starts from nothing.
func TestDroppedForgetsEntriesAndPoints(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	journalled(t, files, 2)
	n := newNode(t, files, Options{FileBytes: 1 << 16, Files: 2})
	n.run(time.Second)
	n.stage.Send(message.DiskAt(1), &message.Dropped{Partition: id(0)})
	n.run(time.Second)
	if r := n.ask(&message.Recover{Partition: id(0)}).(*message.Recovered); len(r.Entries) != 0 || r.RecoveryPoint != 0 {
		t.Fatalf("%+v", r)
	}
	if r := n.ask(&message.Recover{Partition: id(1)}).(*message.Recovered); len(r.Entries) != 1 {
		t.Fatalf("%+v", r)
	}
}

// A replica that comes back to a node writes over what an earlier one of the same partition has left in the journal: with its first sync
// the journal knows, so that after a loss of power nothing of the earlier one is replayed.
func TestNothingOfAnEarlierReplicaIsReplayedOverTheNext(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{Capacity: 1 << 30})
	n := newNode(t, files, Options{FileBytes: 1 << 20, GrowBytes: 4096})
	n.raise(0)
	for range 3 {
		n.commit(0, 10)
		n.run(time.Second)
	}
	if n.stats().Journal.Rounds == 0 {
		t.Fatal("the earlier replica has nothing in the journal")
	}
	n.stage.Send(message.DiskAt(1), &message.Dropped{Partition: id(0)})
	n.run(time.Second)
	n.ends[id(0)] = 0
	n.send(0, &message.Commit{End: 1, Files: []message.Syncer{n.logs[id(0)]}}) // no bytes for the journal: synced directly
	n.run(time.Second)

	again := newNode(t, files.Crash(rand.New(rand.NewPCG(1, 1))), Options{FileBytes: 1 << 20, GrowBytes: 4096})
	again.run(time.Second)
	if r := again.ask(&message.Recover{Partition: id(0)}).(*message.Recovered); len(r.Entries) != 0 {
		t.Fatalf("%d entries are replayed", len(r.Entries))
	}
}

// What is only remembered for the journal's sake is in no checkpoint, and goes with the journal's entries.
func TestADroppedReplicaIsRememberedAsLongAsTheJournalHasIt(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{Capacity: 1 << 30})
	n := newNode(t, files, Options{FileBytes: 1 << 20, GrowBytes: 4096})
	n.raise(0)
	n.commit(0, 10)
	n.run(time.Second)
	n.stage.Send(message.DiskAt(1), &message.Dropped{Partition: id(0)})
	n.run(time.Second)
	if done := n.ask(&message.Flushed{}).(*message.FlushDone); done.Err != nil {
		t.Fatal(done.Err)
	}
	c, err := journal.LoadCheckpoint(files, "journal.checkpoint")
	if err != nil || len(c.Points) != 0 {
		t.Fatalf("the checkpoint has %+v, %v", c, err)
	}
}

// An idle disk publishes nothing new; after a commit it does, once.
func TestStatsArePublished(t *testing.T) {
	n := newNode(t, vfs.Memory(vfs.MemoryOptions{}), Options{FileBytes: 1 << 16})
	n.raise(0)
	for range 3 {
		n.commit(0, 10)
	}
	n.run(time.Second)
	s := n.stats()
	if s == nil || s.Commits != 3 || s.Partitions != 1 || s.JournalSize != 4<<16 || s.Direct.Rounds+s.Journal.Rounds == 0 {
		t.Fatalf("%+v", s)
	}
	if n.run(10 * time.Second); n.stats() != s {
		t.Fatal("an idle disk published")
	}
}

// A checkpoint that cannot be written frees nothing, and the next one makes up for it.
func TestACheckpointThatFailsFreesNothing(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	n := newNode(t, files, Options{FileBytes: 1 << 20, Files: 2, Interval: 10 * time.Second})
	n.raise(0)
	for range 30 {
		n.commit(0, 10)
		n.run(10 * time.Millisecond)
	}
	files.Inject(vfs.Fault{Op: vfs.OpRename, Path: "journal.checkpoint*"})
	n.run(15 * time.Second)
	if c, err := journal.LoadCheckpoint(files, "journal.checkpoint"); err != nil || c.From != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if s := n.stats(); s.Checkpoints != 0 {
		t.Fatalf("%+v", s)
	}
	n.run(15 * time.Second)
	if c, err := journal.LoadCheckpoint(files, "journal.checkpoint"); err != nil || len(c.Points) != 1 || c.Points[0].Synced != 30 {
		t.Fatalf("%+v, %v", c, err)
	}
	n.commit(0, 10)
	n.run(time.Second)
	if s := n.stats(); s.Checkpoints != 1 || s.Failed > 0 {
		t.Fatalf("%+v", s)
	}
}

// Flushed is answered when all that was given before is on disk, and refuses what comes later.
func TestFlushedLeavesNothingToReplay(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	n := newNode(t, files, Options{FileBytes: 1 << 16, Files: 2})
	for i := range 5 {
		n.raise(i)
		n.commit(i, 10)
		n.commit(i, 10)
	}
	if done := n.ask(&message.Flushed{}).(*message.FlushDone); done.Err != nil {
		t.Fatal(done.Err)
	}
	n.commit(0, 10)
	n.run(time.Second)
	if last := n.heard[id(0)][len(n.heard[id(0)])-1]; fmt.Sprintf("%T", last) != "*message.Unsynced" {
		t.Fatalf("a commit behind Flushed got %T", last)
	}
	c, err := journal.LoadCheckpoint(files, "journal.checkpoint")
	if err != nil || len(c.Points) != 5 {
		t.Fatalf("%+v, %v", c, err)
	}
	_, found, err := journal.Open(journal.Options{FS: files, Dir: "journal", FileBytes: 1 << 16, Files: 2, Seed: 2}, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if len(f.Refs) > 0 || f.Synced != 2 {
			t.Fatalf("%+v", f)
		}
	}
}

// A disk actor that fails has forgotten what is dirty: everybody who waits is told, nothing is promised any more, and the
// journal is not opened a second time.
func TestADiskActorThatFailsStaysDown(t *testing.T) {
	n := newNode(t, vfs.Memory(vfs.MemoryOptions{}), Options{FileBytes: 1 << 16})
	n.raise(0)
	n.commit(0, 10)
	n.run(time.Second)
	n.want(0, "synced 1")
	n.commit(0, 10)
	n.send(0, &message.Commit{Base: 2, End: 2, Files: []message.Syncer{broke{}}})
	n.run(time.Second)
	n.want(0, "synced 2", "unsynced")
	n.commit(0, 10)
	n.run(time.Second)
	n.want(0, "unsynced")
	if r := n.ask(&message.Recover{Partition: id(0)}).(*message.Recovered); r.Err == nil {
		t.Fatal("it recovered")
	}
	if done := n.ask(&message.Flushed{}).(*message.FlushDone); done.Err == nil || !n.stats().Broken {
		t.Fatal("it closed as if nothing had happened")
	}
}

type broke struct{}

func (broke) Sync() error { panic("planted") }
