package stage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// chatter is a small world whose course depends on every kind of chance there is.
func chatter(seed uint64) *Scheduler {
	w := NewScheduler(seed, time.Unix(0, 0))
	for n := range message.NodeID(2) {
		s := NewSimulated(w, Options{Node: n}, 1)
		for i := range uint64(5) {
			self := message.Address{Node: n, Kind: message.KindOther, Number: i}
			s.Spawn(self, receiver(func(c Context) {
				to := self
				to.Number = c.Rand().Uint64N(5)
				if c.Message() == 7 {
					c.After(time.Duration(c.Rand().IntN(1e8)), 7)
				}
				switch x := c.Rand().IntN(100); {
				case x == 0 || c.Answers() == 0 && c.Message() != 7:
					c.After(time.Millisecond, 7)
				case x < 4:
					c.Fail(errors.New("no"))
				case x < 40:
					c.Ask(to, 1, time.Millisecond)
				case x < 60:
					c.Offload(time.Millisecond, func() any { return "done" })
				case x < 80:
					c.Answer(c.Caller(), "yes")
				}
			}))
		}
		if n == 0 {
			w.After(300*time.Millisecond, s.Crash)
			w.After(20*time.Millisecond, s.Pause)
			w.After(90*time.Millisecond, s.Resume)
		}
	}
	return w
}

func TestTwinWorldsAreEqual(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := range uint64(20) {
		a, b := chatter(seed), chatter(seed)
		a.RunFor(time.Second)
		b.RunFor(time.Second)
		if a.Hash() != b.Hash() || a.Steps() != b.Steps() {
			t.Fatalf("seed %d: hashes %x and %x after %d and %d steps", seed, a.Hash(), b.Hash(), a.Steps(), b.Steps())
		}
		if a.Steps() < 200 {
			t.Fatalf("seed %d: only %d steps", seed, a.Steps())
		}
		if other, there := seen[a.Hash()]; there {
			t.Fatalf("seeds %d and %d have the same hash", other, seed)
		}
		seen[a.Hash()] = seed
	}
}

func TestACrashLeavesNothingBehind(t *testing.T) {
	w := NewScheduler(3, time.Unix(0, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	late := 0
	s.Spawn(at(1), receiver(func(c Context) {
		switch c.Message().(type) {
		case *Started:
			c.After(time.Second, "timer")
			for range 50 {
				c.Offload(time.Second, func() any { return "done" })
			}
			c.Send(at(1), "mail")
		default:
			late++
		}
	}))
	w.Step()
	s.Crash()
	if w.RunFor(time.Minute); late != 0 || s.Published(at(1)) != nil || s.Spawn(at(2), nil) {
		t.Errorf("%d messages arrived after the crash", late)
	}
}

func TestAPausedNodeHearsNothingUntilItIsResumed(t *testing.T) {
	w := NewScheduler(3, time.Unix(0, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	heard := 0
	s.Spawn(at(1), receiver(func(c Context) {
		if _, ok := c.Message().(*Started); ok {
			c.After(time.Second, 1)
			return
		}
		heard++
	}))
	w.Step()
	s.Pause()
	s.Send(at(1), 2)
	if w.RunFor(time.Minute); heard != 0 {
		t.Errorf("%d messages while paused", heard)
	}
	s.Resume()
	if w.RunFor(time.Minute); heard != 2 {
		t.Errorf("%d messages after the pause", heard)
	}
}

func TestAClockIsTheNodesOwn(t *testing.T) {
	w := NewScheduler(3, time.Unix(1000, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	s.SetClock(-time.Hour)
	fired := time.Time{}
	s.Spawn(at(1), receiver(func(c Context) {
		if _, ok := c.Message().(*Started); ok {
			c.After(time.Second, 1)
			return
		}
		fired = c.Now()
	}))
	w.RunFor(2 * time.Second)
	if want := time.Unix(1001, 0).Add(-time.Hour); fired.Sub(want).Abs() > time.Millisecond {
		t.Errorf("fired at %v, want %v", fired, want)
	}
}

func TestStreamsHaveNames(t *testing.T) {
	if Stream(1, "a").Uint64() != Stream(1, "a").Uint64() {
		t.Error("a stream is not the same again")
	}
	if Stream(1, "a").Uint64() == Stream(1, "b").Uint64() || Stream(1, "a").Uint64() == Stream(2, "a").Uint64() {
		t.Error("streams with other names or seeds are the same")
	}
}

func BenchmarkSimulatedSteps(b *testing.B) {
	w := NewScheduler(1, time.Unix(0, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	for i := range uint64(100) {
		s.Spawn(at(i), receiver(func(c Context) {
			if _, ok := c.Message().(*TimedOut); !ok {
				c.Send(at((i+1)%100), c.Message())
			}
		}))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		w.Step()
	}
}

func BenchmarkNewWorld(b *testing.B) {
	for range b.N {
		NewSimulated(NewScheduler(1, time.Unix(0, 0)), Options{Node: 1}, 1)
	}
}

func TestTheDiskMakesActorsWait(t *testing.T) {
	w := NewScheduler(3, time.Unix(0, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	disk := time.Duration(0)
	s.SetDelay(func() time.Duration {
		d := disk
		disk = 0
		return d
	})
	var wrote, synced time.Duration
	s.Spawn(at(1), receiver(func(c Context) {
		switch c.Message() {
		case "write":
			disk = time.Second
		case "next":
			wrote = w.Elapsed()
			c.Offload(0, func() any {
				disk = time.Minute
				return "synced"
			})
		case "synced":
			synced = w.Elapsed()
		}
	}))
	s.Send(at(1), "write")
	s.Send(at(1), "next")
	w.RunFor(time.Hour)
	if wrote.Round(time.Second) != time.Second || synced.Round(time.Second) != 61*time.Second {
		t.Errorf("the next message came after %v, the sync ended after %v", wrote, synced)
	}
}

// Restarts wait 0, 20, 80, 320 and 1,280 ms, so that what passes does not bring an actor down for good.
func TestRestartsWaitLongerAndLonger(t *testing.T) {
	w := NewScheduler(3, time.Unix(0, 0))
	s := NewSimulated(w, Options{Node: 1}, 1)
	var starts []int64
	s.Spawn(at(1), receiver(func(c Context) {
		if _, ok := c.Message().(*Started); ok {
			starts = append(starts, w.Elapsed().Milliseconds())
			c.Fail(errors.New("no"))
		}
	}))
	w.RunFor(time.Minute)
	if want := []int64{0, 0, 20, 100, 420, 1700}; !slices.Equal(starts, want) {
		t.Errorf("it started at %v ms, want %v", starts, want)
	}
	if s.Stop(at(1)); len(s.Actors()) != 0 {
		t.Error("it is still there")
	}
}
