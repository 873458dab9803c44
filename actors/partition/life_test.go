package partition

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func TestAnIdlePartitionTouchesNoDisk(t *testing.T) {
	touched := 0
	h := raise(t, func(h *house, _ *message.Leadership) {
		h.fs = vfs.Memory(vfs.MemoryOptions{Trace: func(vfs.Op, string, int64, int, error) { touched++ }})
	})
	h.send(&message.Sweep{})
	if p := h.me.(*Partition); touched != 0 || p.log != nil || h.published != nil {
		t.Errorf("%d operations, published %v", touched, h.published)
	}
}

func TestWhatComesBeforeTheDiskHasAnsweredIsServedInOrder(t *testing.T) {
	h := raise(t, func(h *house, _ *message.Leadership) { h.mute = true })
	var ids []stage.RequestID
	for range 3 {
		ids = append(ids, h.ask(plain(2)))
	}
	knows := message.Recovered{}
	h.send(&knows)
	h.sync()
	for i, id := range ids {
		if a := told[*message.Appended](h, id); a.BaseOffset != int64(2*i) {
			t.Errorf("append %d: %+v", i, a)
		}
	}
}

func TestADiskThatDoesNotAnswerFailsThePartition(t *testing.T) {
	h := raise(t, func(h *house, _ *message.Leadership) { h.mute = true })
	id := h.ask(plain(1))
	h.send(&stage.TimedOut{})
	if a := told[*message.Appended](h, id); a.Code != message.KafkaStorageError || h.failed == nil {
		t.Errorf("%+v, %v", a, h.failed)
	}
}

func TestAnUnreadableJournalKeepsThePartitionDown(t *testing.T) {
	h := raise(t, func(h *house, _ *message.Leadership) { h.knows.Err = errors.New("damaged") })
	if h.failed == nil || !h.stopped {
		t.Errorf("%v, %d restarts", h.failed, h.restarts)
	}
}

// The power goes at any moment: what was synced is there again, its producers are known, and what was not synced is
// shown to nobody before it is.
func TestPowerLossKeepsWhatWasSynced(t *testing.T) {
	for seed := range uint64(50) {
		h := raise(t)
		h.ask(batch(3, 7, 0))
		h.sync()
		h.ask(batch(3, 7, 3))
		h.fs = h.fs.Crash(rand.New(rand.NewPCG(seed, 1)))
		h.again(message.Recovered{RecoveryPoint: 3})
		h.ask(&message.Await{HighWatermark: -1})
		if h.published != nil && h.bounds().HighWatermark != 3 {
			t.Fatalf("seed %d: %+v is shown before it is synced", seed, h.bounds())
		}
		h.sync()
		if b := h.bounds(); b.HighWatermark != 3 && b.HighWatermark != 6 {
			t.Fatalf("seed %d: %+v", seed, b)
		}
		retry := h.ask(batch(3, 7, 0))
		if a := told[*message.Appended](h, retry); a.BaseOffset != 0 {
			t.Fatalf("seed %d: %+v", seed, a)
		}
		retry = h.ask(batch(3, 7, 3))
		h.sync()
		if a := told[*message.Appended](h, retry); a.Code != message.OK || a.BaseOffset != 3 || h.bounds().HighWatermark != 6 {
			t.Fatalf("seed %d: %+v", seed, a)
		}
	}
}

// What only the journal made durable comes back from it, once, however often it is replayed.
func TestTheJournalIsReplayedOverTheLog(t *testing.T) {
	for seed := range uint64(50) {
		h := raise(t)
		var redo []message.Redo
		for i := range int32(5) {
			h.ask(batch(2, 7, 2*i))
		}
		for _, m := range h.commits() {
			redo = append(redo, message.Redo{LeaderEpoch: m.LeaderEpoch, Base: m.Base, Batch: slices.Clone(m.Batch)})
		}
		r := rand.New(rand.NewPCG(seed, 2))
		for range 2 {
			h.fs = h.fs.Crash(r)
			h.again(message.Recovered{Entries: redo})
			if i := slices.IndexFunc(h.disk, func(m any) bool { _, ok := m.(*message.Replayed); return ok }); i < 0 {
				t.Fatal("the disk does not hear that the journal was replayed")
			}
		}
		h.sync()
		if b := h.bounds(); b.LogEnd != 10 || b.HighWatermark != 10 {
			t.Fatalf("seed %d: %+v", seed, b)
		}
		retry := h.ask(batch(2, 7, 6))
		if a := told[*message.Appended](h, retry); a.BaseOffset != 6 {
			t.Fatalf("seed %d: %+v", seed, a)
		}
	}
}

func TestACleanStopLeavesNothingToRead(t *testing.T) {
	h := raise(t)
	h.ask(batch(2, 7, 0))
	h.sync()
	h.send(&stage.Stopping{})
	if open, _ := h.fs.Descriptors(); open != 0 {
		t.Errorf("%d files are open", open)
	}
	h.again(message.Recovered{RecoveryPoint: 2})
	if a := told[*message.Appended](h, h.ask(batch(2, 7, 0))); a.BaseOffset != 0 {
		t.Errorf("the producer is forgotten: %+v", a)
	}
	if p := h.me.(*Partition); p.unsaved != 0 {
		t.Errorf("%d bytes were read to know the producers", p.unsaved)
	}
}

func TestStoppingAnswersWhoWaits(t *testing.T) {
	h := raise(t)
	append, await := h.ask(plain(1)), h.askAs(2, &message.Await{LeaderEpoch: 5})
	h.send(&stage.Stopping{})
	h.down()
	told[*stage.Down](h, append) // a commit may still be reading its bytes
	if a := told[*message.Progressed](h, await); a.Code != message.NotLeaderOrFollower {
		t.Errorf("%+v", a)
	}
}

// A picture of producers that is ahead of the log, or damaged, is not believed and is gone for good.
func TestAPictureThatDoesNotFitTheLogIsRemoved(t *testing.T) {
	for _, spoil := range []func(h *house){
		func(h *house) {
			p := h.me.(*Partition)
			if err := savePicture(h.fs, dir(here), p.producers.Snapshot(99)); err != nil {
				t.Fatal(err)
			}
		},
		func(h *house) {
			if err := savePicture(h.fs, dir(here), []byte("TPS1 and then rubbish of some length")); err != nil {
				t.Fatal(err)
			}
		},
		func(h *house) {
			if err := savePicture(h.fs, dir(here), nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		h := raise(t)
		h.ask(batch(2, 7, 0))
		h.sync()
		spoil(h)
		h.again(message.Recovered{RecoveryPoint: 2})
		if a := told[*message.Appended](h, h.ask(batch(2, 7, 0))); a.BaseOffset != 0 {
			t.Errorf("%+v", a)
		}
		if _, err := h.fs.Stat(dir(here) + "/" + pictureName); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the picture is still there: %v", err)
		}
	}
}

// Case: the door looks again when the high watermark, the log start or the leadership is another.
func TestAwait(t *testing.T) {
	h := raise(t)
	if a := told[*message.Progressed](h, h.ask(&message.Await{HighWatermark: -1})); a.Code != message.OK {
		t.Errorf("%+v", a)
	}
	seen := &message.Await{HighWatermark: 0, LogStart: 0, LeaderEpoch: 5}
	for what, changed := range map[string]*message.Await{
		"high watermark": {HighWatermark: 1, LeaderEpoch: 5}, "log start": {LogStart: 1, LeaderEpoch: 5}, "epoch": {LeaderEpoch: 4}} {
		if h.answers[h.ask(changed)] == nil {
			t.Errorf("another %s was not answered at once", what)
		}
	}
	first := h.askAs(1, seen)
	again := h.askAs(1, seen) // its first question has timed out
	other := h.askAs(2, seen)
	h.mail = append(h.mail, letter{what: &message.Forget{}, from: stage.Caller{Address: message.ConnectionAt(1, 2)}})
	h.ask(plain(1))
	h.unanswered(again)
	h.sync()
	told[*message.Progressed](h, again)
	h.unanswered(first)
	h.unanswered(other)
	if p := h.me.(*Partition); len(p.awaiting) != 0 {
		t.Errorf("%d still wait", len(p.awaiting))
	}
}

func TestLosingTheLeadershipAnswersEverybody(t *testing.T) {
	h := raise(t)
	append, await := h.ask(plain(1)), h.askAs(2, &message.Await{LeaderEpoch: 5})
	o := office()
	o.Leader, o.LeaderEpoch = 2, 6
	h.send(o)
	h.unanswered(append) // a commit may still be reading its bytes
	h.sync()
	if a := told[*message.Appended](h, append); a.Code != message.NotLeaderOrFollower || a.Leader != 2 || a.LeaderEpoch != 6 {
		t.Errorf("%+v", a)
	}
	told[*message.Progressed](h, await)
	if b := h.bounds(); b.IsLeader || b.Leader != 2 || b.LeaderEpoch != 6 {
		t.Errorf("%+v", b)
	}
}

func TestARestartedInstanceKnowsWhoLeads(t *testing.T) {
	h := raise(t)
	o := office()
	o.LeaderEpoch = 9
	h.send(o)
	h.ask(plain(1))
	h.knows.Suspect = true
	h.send(&message.Unsynced{Incarnation: h.commits()[0].Incarnation, Err: errors.New("broken")})
	h.sync()
	h.ask(plain(1))
	got := h.commits()
	if last := got[len(got)-1]; h.restarts != 1 || last.LeaderEpoch != 9 || record.Batch(last.Batch).LeaderEpoch() != 9 {
		t.Errorf("%d restarts, %+v", h.restarts, last)
	}
}

func TestADeletedPartitionLeavesNothing(t *testing.T) {
	h := raise(t)
	h.ask(plain(1))
	h.sync()
	append, await := h.ask(plain(1)), h.askAs(2, &message.Await{HighWatermark: 1, LeaderEpoch: 5})
	commit := h.commits()[0]
	h.send(&message.Deleted{})
	h.unanswered(append) // a commit may still be reading its bytes
	if a := told[*message.Progressed](h, await); a.Code != message.UnknownTopicOrPartition {
		t.Errorf("%+v", a)
	}
	h.sync()
	if a := told[*message.Appended](h, append); a.Code != message.UnknownTopicOrPartition {
		t.Errorf("%+v", a)
	}
	if _, err := h.fs.Stat(dir(here)); !errors.Is(err, fs.ErrNotExist) || !h.stopped || h.published != nil {
		t.Errorf("stopped %v, %v", h.stopped, err)
	}
	if _, ok := h.disk[len(h.disk)-1].(*message.Dropped); !ok {
		t.Errorf("the disk was told last %T", h.disk[len(h.disk)-1])
	}
	for _, f := range commit.Files {
		if err := f.Sync(); err != nil {
			t.Errorf("a sync that was under way: %v", err)
		}
	}
}

// A replica that is moved elsewhere may come back: its files go when the journal knows that the log is empty, and not before.
func TestAReplicaThatIsMovedEmptiesTheJournalFirst(t *testing.T) {
	h := raise(t)
	h.ask(plain(1))
	h.sync()
	h.send(&message.Deleted{Elsewhere: true})
	commits := h.commits()
	if len(commits) != 1 || !commits[0].Truncate || commits[0].End != 0 {
		t.Fatalf("the disk was sent %+v", commits)
	}
	if _, err := h.fs.Stat(dir(here)); err != nil || h.stopped {
		t.Fatalf("before the disk has answered: stopped %v, %v", h.stopped, err)
	}
	h.sync()
	if _, err := h.fs.Stat(dir(here)); !errors.Is(err, fs.ErrNotExist) || !h.stopped {
		t.Errorf("stopped %v, %v", h.stopped, err)
	}
}

// untold is a replica that was moved, whose word for the journal the disk has refused with an error.
func untold(t *testing.T, err error) (h *house, told *message.Commit) {
	h = raise(t)
	h.ask(plain(1))
	h.sync()
	h.send(&message.Deleted{Elsewhere: true})
	told = h.commits()[0]
	h.disk = nil
	h.send(&message.Unsynced{Incarnation: told.Incarnation, Err: err})
	return h, told
}

// If the journal cannot be told, the files stay: what it has would be replayed over those of the next replica.
func TestAMovedReplicaWhoseJournalFailsLeavesItsFiles(t *testing.T) {
	h, _ := untold(t, errors.New("planted"))
	if _, err := h.fs.Stat(dir(here)); err != nil || !h.stopped {
		t.Errorf("stopped %v, %v", h.stopped, err)
	}
}

// A full disk takes the word when it has room again, which the files' end makes.
func TestAMovedReplicaWaitsForAFullDiskToGo(t *testing.T) {
	h, last := untold(t, vfs.ErrFull)
	if _, err := h.fs.Stat(dir(here)); err != nil || h.stopped {
		t.Fatalf("without room: stopped %v, %v", h.stopped, err)
	}
	h.pass(roomPatience)
	again := h.commits()
	if len(again) != 1 || !again[0].Truncate || again[0].Incarnation == last.Incarnation {
		t.Fatalf("the disk was sent %+v after the instance %d that it had no room for", again, last.Incarnation)
	}
	h.sync()
	if _, err := h.fs.Stat(dir(here)); !errors.Is(err, fs.ErrNotExist) || !h.stopped {
		t.Errorf("stopped %v, %v", h.stopped, err)
	}
}

func TestAClosedPartitionIsDeletedUnopened(t *testing.T) {
	h := raise(t)
	if err := h.fs.MkdirAll(dir(here)); err != nil {
		t.Fatal(err)
	}
	h.send(&message.Deleted{})
	if _, err := h.fs.Stat(dir(here)); !errors.Is(err, fs.ErrNotExist) || !h.stopped {
		t.Errorf("stopped %v, %v", h.stopped, err)
	}
}

func TestADeletedPartitionThatWaitsForTheDiskGoesWhenItAnswers(t *testing.T) {
	for _, answer := range []any{&message.Recovered{}, &message.Recovered{Err: errors.New("damaged")}, &stage.Down{}} {
		h := raise(t, func(h *house, _ *message.Leadership) { h.mute = true })
		h.send(&message.Deleted{})
		if h.stopped {
			t.Fatal("it went too early")
		}
		h.send(answer)
		if !h.stopped || h.failed != nil {
			t.Errorf("%T: stopped %v, %v", answer, h.stopped, h.failed)
		}
	}
}

// S52: DeleteRecords: offset −1 = HW; <0 or >HW → OFFSET_OUT_OF_RANGE; topic with cleanup.policy=compact only →
// POLICY_VIOLATION; internal → INVALID_TOPIC_EXCEPTION; reply low_watermark = new logStart; idempotent when lower than
// current logStart; after that Fetch/ListOffsets(−2) see it.
func TestDeleteRecords(t *testing.T) {
	h := raise(t)
	h.ask(plain(10))
	h.sync()
	var starts []*message.Commit
	for _, c := range []struct {
		offset int64
		code   message.Code
		low    int64
	}{{4, 0, 4}, {2, 0, 4}, {0, 0, 4}, {11, message.OffsetOutOfRange, -1}, {-2, message.OffsetOutOfRange, -1}, {-1, 0, 10}} {
		id := h.ask(&message.DeleteRecords{Offset: c.offset})
		if m := h.commits(); len(m) > 0 && m[len(m)-1].StartAt {
			h.unanswered(id)
			starts = append(starts, m[len(m)-1])
		}
		h.sync()
		a := told[*message.RecordsDeleted](h, id)
		if a.Code != c.code || a.LowWatermark != c.low {
			t.Errorf("to %d: %+v", c.offset, a)
		}
		if c.code == 0 && h.bounds().LogStart != c.low {
			t.Errorf("to %d: readers see %+v", c.offset, h.bounds())
		}
	}
	if len(starts) != 2 || starts[0].Base != 4 || starts[1].Base != 10 || starts[1].End != 10 {
		t.Errorf("the disk was told %+v", starts)
	}
	for code, change := range map[message.Code]func(*message.Leadership){
		message.PolicyViolation:       func(o *message.Leadership) { o.Config.CleanupDelete, o.Config.CleanupCompact = false, true },
		message.InvalidTopicException: func(o *message.Leadership) { o.Internal = true },
		message.NotLeaderOrFollower:   func(o *message.Leadership) { o.Leader = 2 },
	} {
		h := raise(t, func(_ *house, o *message.Leadership) { change(o) })
		if a := told[*message.RecordsDeleted](h, h.ask(&message.DeleteRecords{})); a.Code != code || a.LowWatermark != -1 {
			t.Errorf("want %d: %+v", code, a)
		}
	}
}

func TestDescribeProducers(t *testing.T) {
	h := raise(t)
	h.ask(batch(2, 9, 0))
	h.ask(batch(3, 7, 0))
	a := told[*message.ProducersDescribed](h, h.ask(&message.DescribeProducers{}))
	if len(a.Producers) != 2 || a.Producers[0].ID != 7 || a.Producers[0].LastSequence != 2 || a.Producers[1].ID != 9 {
		t.Errorf("%+v", a)
	}
}

func short(h *house, o *message.Leadership) {
	o.Config.SegmentBytes, o.Config.RetentionMillis = 300, time.Hour.Milliseconds()
}

func TestASweepDeletesWhatRetentionDoesNotKeep(t *testing.T) {
	h := raise(t, short)
	for range 10 {
		h.ask(plain(3))
	}
	h.sync()
	h.send(&message.Sweep{})
	if b := h.bounds(); b.LogStart != 0 {
		t.Fatalf("deleted too early: %+v", b)
	}
	waits := h.askAs(2, &message.Await{HighWatermark: 30, LeaderEpoch: 5})
	h.now = noon.Add(2 * time.Hour)
	h.send(&message.Sweep{})
	if b := h.bounds(); b.LogStart != 30 || b.LogEnd != 30 {
		t.Errorf("%+v", b)
	}
	told[*message.Progressed](h, waits)
	if got := h.commits(); len(got) != 1 || !got[0].StartAt || got[0].Base != 30 {
		t.Errorf("%+v", got)
	}
	h.sync()
	id := h.ask(plain(1))
	h.sync()
	if a := told[*message.Appended](h, id); a.BaseOffset != 30 || a.LogStart != 30 {
		t.Errorf("%+v", a)
	}
}

func TestASweepOnAFullDiskWaitsForRoom(t *testing.T) {
	h := raise(t, short)
	h.ask(plain(3))
	h.sync()
	h.now = noon.Add(2 * time.Hour)
	h.fs.Inject(vfs.Fault{Op: vfs.OpCreate, Path: "topics/*/*/*.log", Err: vfs.ErrFull})
	h.send(&message.Sweep{})
	if b := h.bounds(); h.failed != nil || b.LogStart != 0 {
		t.Errorf("%v, %+v", h.failed, b)
	}
	h.send(&message.Sweep{})
	if b := h.bounds(); b.LogStart != 3 {
		t.Errorf("%+v", b)
	}
}

// Retention holds for idle topics too; a log that nobody else asks for is not kept open for it.
func TestAnIdleLogIsSweptAndClosedAgain(t *testing.T) {
	h := raise(t, short)
	for range 10 {
		h.ask(plain(3))
	}
	h.sync()
	h.send(&stage.Stopping{})
	h.again(message.Recovered{RecoveryPoint: 30})
	h.send(&message.Sweep{})
	if open, _ := h.fs.Descriptors(); open != 0 || h.published != nil || h.me.(*Partition).phase != closed {
		t.Errorf("%d files are open, %v is published", open, h.published)
	}
	h.now = noon.Add(2 * time.Hour)
	h.send(&message.Sweep{})
	h.sync()
	if b := h.bounds(); b.LogStart != 30 {
		t.Errorf("%+v", b)
	}
}

// S24: Producer state expires after producer.id.expiration.ms without writes; the next write must then be accepted (S23).
func TestASweepForgetsSilentProducers(t *testing.T) {
	h := raise(t)
	h.ask(batch(1, 7, 0))
	h.sync()
	h.now = noon.Add(25 * time.Hour)
	h.send(&message.Sweep{})
	id := h.ask(batch(1, 7, 500))
	h.sync()
	if a := told[*message.Appended](h, id); a.Code != message.OK {
		t.Errorf("%+v", a)
	}
}

func TestAPictureOfProducersIsDueEverySoManyBytes(t *testing.T) {
	h := raise(t, func(_ *house, o *message.Leadership) { o.Config.MaxMessageBytes, o.Config.SegmentBytes = 1<<30, 1<<30 })
	h.ask(batch(1, 7, 0))
	h.sync()
	h.me.(*Partition).unsaved = pictureEvery + 1024
	h.ask(batch(1, 7, 1))
	h.sync()
	h.ask(batch(1, 7, 2))
	h.sync()
	h.again(message.Recovered{RecoveryPoint: 3})
	id := h.ask(batch(1, 7, 1))
	if a := told[*message.Appended](h, id); a.BaseOffset != 1 {
		t.Errorf("%+v", a)
	}
	if p := h.me.(*Partition); p.unsaved == 0 || p.unsaved > 200 {
		t.Errorf("%d bytes were read to know the producers, want one batch", p.unsaved)
	}
}
