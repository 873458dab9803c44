package group

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// S75: "an offset with a retention of its own (OffsetCommit v2-4) goes when that is over", be it shorter or longer than that of the others,
// and the log remembers it.
func TestARetentionOfItsOwnHolds(t *testing.T) {
	for _, own := range []time.Duration{10 * time.Minute, 3 * time.Hour} {
		s := newScene(t)
		m := commit("", -1, 7)
		m.Retention = own
		if a := answer[*message.OffsetsCommitted](s, m); a.Codes[0] != message.OK {
			t.Fatalf("%+v", a)
		}
		s.again()
		s.pass(own - bounds.RetentionCheck)
		if at := s.committed(); at != 7 {
			t.Fatalf("retention %v: it is %d before its time is over", own, at)
		}
		s.pass(2 * bounds.RetentionCheck)
		if at := s.committed(); at != -1 {
			t.Fatalf("retention %v: it is still %d", own, at)
		}
	}
}

// A topic that the group's members read keeps its offsets, whatever they were committed with.
func TestWhatIsReadIsKeptWhateverItsRetention(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	m := commit("a", a.epoch, 7)
	m.Since9, m.Retention = true, time.Minute
	s.ask(m)
	for range 30 {
		s.pass(4 * time.Second)
		a.waitingBeat(message.Unheld)
	}
	if at := s.committed(); at != 7 {
		t.Fatal(at)
	}
}
