package partition

import (
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// A log that nobody uses from one sweep to the next holds no memory and soon no file; a view of it can be read until then,
// and who comes later finds everything.
func TestAnIdleLogRests(t *testing.T) {
	h := raise(t)
	h.ask(batch(3, 7, 0))
	h.sync()
	h.send(&message.Sweep{})
	kept := h.published.(message.View)
	h.send(&message.Sweep{})
	if p := h.me.(*Partition); p.phase != closed || h.published != nil {
		t.Fatalf("phase %d, %v is published", p.phase, h.published)
	}
	s, err := kept.Read(0, 3, 1<<20, true)
	if err != nil || s.Next != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := s.File.ReadAt(make([]byte, s.Bytes), s.At); err != nil {
		t.Fatal(err)
	}
	h.send(&message.Sweep{})
	if open, _ := h.fs.Descriptors(); open != 0 {
		t.Errorf("%d files are open", open)
	}
	waits := h.askAs(2, &message.Await{HighWatermark: -1})
	told[*message.Progressed](h, waits)
	if b := h.bounds(); b.HighWatermark != 3 || b.LogEnd != 3 {
		t.Errorf("%+v", b)
	}
	again, next := h.ask(batch(3, 7, 0)), h.ask(batch(1, 7, 3))
	h.sync()
	if a := told[*message.Appended](h, again); a.Code != message.OK || a.BaseOffset != 0 {
		t.Errorf("the duplicate: %+v", a)
	}
	if a := told[*message.Appended](h, next); a.Code != message.OK || a.BaseOffset != 3 {
		t.Errorf("%+v", a)
	}
}

// Who waits, or has written, keeps the log open; what is in the page cache only is synced first.
func TestAUsedLogDoesNotRest(t *testing.T) {
	h := raise(t, func(_ *house, o *message.Leadership) { o.Config.Fsync = false })
	h.ask(plain(1))
	h.send(&message.Sweep{})
	waits := h.askAs(2, &message.Await{HighWatermark: 1, LeaderEpoch: 5})
	for range 3 {
		h.send(&message.Sweep{})
	}
	if h.unanswered(waits); h.me.(*Partition).phase != open {
		t.Fatal("it was closed under a waiter")
	}
	h.mail = append(h.mail, letter{what: &message.Forget{}, from: stage.Caller{Address: message.ConnectionAt(1, 2)}})
	h.run()
	h.send(&message.Sweep{})
	if len(h.commits()) != 1 || h.me.(*Partition).phase != open {
		t.Fatalf("%d commits", len(h.commits()))
	}
	h.sync()
	h.send(&message.Sweep{})
	if h.me.(*Partition).phase != closed {
		t.Error("it is open still")
	}
}

// A partition that is stopped before its log is open leaves no file open.
func TestStoppedWhileOpening(t *testing.T) {
	h := raise(t)
	h.ask(plain(1))
	h.sync()
	h.send(&stage.Stopping{})
	h.again(message.Recovered{RecoveryPoint: 1})
	h.mail = append(h.mail, letter{what: plain(1), from: stage.Caller{Address: message.ConnectionAt(1, 1), Request: 99}}, letter{what: &stage.Stopping{}})
	for range 2 { // what comes back from opening is never delivered
		h.current, h.mail = h.mail[0], h.mail[1:]
		h.deliver()
	}
	if open, _ := h.fs.Descriptors(); open != 0 {
		t.Errorf("%d files are open", open)
	}
}

// What the journal has needs room in the log. Until there is some everybody is refused, and then it opens by itself; a
// sync that failed before is not forgotten meanwhile.
func TestReplayWaitsForRoom(t *testing.T) {
	redo := message.Redo{LeaderEpoch: 5, Batch: plain(2).Batch}
	h := raise(t, func(x *house, _ *message.Leadership) {
		x.fs = vfs.Memory(vfs.MemoryOptions{})
		x.knows = message.Recovered{Entries: []message.Redo{redo}, Suspect: true}
		x.fs.Inject(vfs.Fault{Op: vfs.OpCreate, Err: vfs.ErrFull})
	})
	h.knows.Suspect = false // the disk says it once
	id := h.ask(plain(1))
	if a := told[*message.Appended](h, id); a.Code != message.KafkaStorageError || h.failed != nil {
		t.Fatalf("%+v, %v", a, h.failed)
	}
	h.pass(time.Minute)
	if p := h.me.(*Partition); p.phase != open || p.log.End() != 2 || !p.post.suspect {
		t.Fatalf("phase %d, suspect %v", p.phase, p.post.suspect)
	}
	id = h.ask(plain(1))
	h.sync()
	if a := told[*message.Appended](h, id); a.BaseOffset != 2 || h.me.(*Partition).post.suspect {
		t.Errorf("%+v", a)
	}
	if s, err := h.published.(message.View).Read(0, math.MaxInt64, 1<<20, true); err != nil || s.Next != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

// An idle log is not opened by every sweep, but when its oldest segment is due.
func TestASweepOpensNoLogInVain(t *testing.T) {
	h := raise(t, short)
	h.ask(plain(1))
	h.sync()
	for range 3 {
		h.send(&message.Sweep{})
	}
	opened := 0
	h.over = counting{h.fs, &opened}
	h.send(&message.Sweep{})
	if opened != 0 {
		t.Errorf("%d files were opened", opened)
	}
	h.now = noon.Add(2 * time.Hour)
	h.send(&message.Sweep{})
	if b := h.bounds(); opened == 0 || b.LogStart != 1 {
		t.Errorf("%+v", b)
	}
}

// counting counts the files that are opened.
type counting struct {
	*vfs.MemoryFS
	opened *int
}

func (c counting) Open(path string) (vfs.File, error) {
	*c.opened++
	return c.MemoryFS.Open(path)
}

// A sweep that was waiting for the log together with others does not close it before they are served.
func TestASweepAmongThoseWhoWait(t *testing.T) {
	h := raise(t, short)
	h.ask(plain(1))
	h.sync()
	h.send(&stage.Stopping{})
	h.again(message.Recovered{RecoveryPoint: 1})
	client := stage.Caller{Address: message.ConnectionAt(1, 1), Request: 99}
	h.mail = append(h.mail, letter{what: &message.Sweep{}}, letter{what: &message.Sweep{}}, letter{what: plain(1), from: client}, letter{what: &message.Sweep{}})
	h.run()
	h.sync()
	if a := told[*message.Appended](h, 99); a.Code != message.OK || a.BaseOffset != 1 {
		t.Errorf("%+v", a)
	}
}
