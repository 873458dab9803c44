package stage

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// play is a stage under test: run lets it act until done says so, or too much time has passed.
type play struct {
	Stage
	t   *testing.T
	run func(done func() bool)
}

// onBoth runs a test on the real and on the simulated stage.
func onBoth(t *testing.T, test func(p *play)) {
	t.Run("real", func(t *testing.T) {
		s := NewReal(Options{Node: 1, Seed: 7, RestartDelay: time.Microsecond})
		defer s.Close()
		test(&play{Stage: s, t: t, run: func(done func() bool) {
			for deadline := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("it does not happen")
				}
			}
		}})
	})
	t.Run("simulated", func(t *testing.T) {
		w := NewScheduler(7, time.Unix(1e9, 0))
		s := NewSimulated(w, Options{Node: 1}, 1)
		defer s.Close()
		test(&play{Stage: s, t: t, run: func(done func() bool) {
			for !done() {
				if !w.Step() || w.Elapsed() > time.Hour {
					t.Fatal("it does not happen")
				}
			}
		}})
	})
}

func at(n uint64) message.Address {
	return message.Address{Node: 1, Kind: message.KindOther, Number: n}
}

// heard collects what actors say to the test.
type heard struct {
	mu   sync.Mutex
	said []string
}

func (h *heard) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

func (h *heard) words() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.said)
}

// expect lets the stage act until that many words were said, a little longer, and compares.
func (h *heard) expect(p *play, words ...string) {
	p.t.Helper()
	p.run(func() bool { return len(h.words()) >= len(words) })
	if got := h.words(); !slices.Equal(got, words) {
		p.t.Fatalf("heard %q, want %q", got, words)
	}
}

// nth is a request's number among its actor's.
func nth(id RequestID) uint32 { return uint32(id) }

func receiver(f func(c Context)) func() Actor {
	return func() Actor { return Receiver(f) }
}

func TestMessagesArriveInOrderAndStoppingIsTheLast(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		p.Spawn(at(1), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				h.say("started")
			case *Stopping:
				h.say("stopping")
			case int:
				h.say("%d", m)
			}
		}))
		for i := range 3 {
			p.Send(at(1), i)
		}
		p.Stop(at(1))
		p.Send(at(1), 9)
		h.expect(p, "started", "0", "1", "2", "stopping")
		p.run(func() bool { return p.Spawn(at(1), receiver(func(Context) {})) })
		if p.Spawn(at(1), receiver(func(Context) {})) {
			t.Error("two actors at one address")
		}
	})
}

func TestARequestIsAnsweredOnce(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		var kept Caller
		p.Spawn(at(1), receiver(func(c Context) {
			if m, ok := c.Message().(string); ok {
				switch m {
				case "keep":
					kept = c.Caller()
				case "free":
					c.Answer(kept, "late")
					c.Answer(kept, "twice")
				default:
					c.Answer(c.Caller(), m+"!")
				}
			}
		}))
		p.Spawn(at(2), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				h.say("ask %d", nth(c.Ask(at(1), "keep", time.Minute)))
				h.say("ask %d", nth(c.Ask(at(1), "b", time.Minute)))
				c.Send(at(1), "free")
			case string:
				h.say("%d %s from %d", nth(c.Answers()), m, c.Caller().Address.Number)
				if m == "late" {
					c.After(10*time.Millisecond, 7)
				}
			case int:
				h.say("end")
			}
		}))
		h.expect(p, "ask 1", "ask 2", "2 b! from 1", "1 late from 1", "end")
	})
}

func TestARequestTimesOutOrIsDown(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		var silent Caller
		p.Spawn(at(1), receiver(func(c Context) {
			if c.Message() == "now" {
				c.Answer(silent, "too late")
			}
			silent = c.Caller()
		}))
		p.Spawn(at(2), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Ask(at(1), "x", 20*time.Millisecond)
				c.Ask(at(1), "y", 10*time.Millisecond)
				c.Ask(at(9), "z", time.Minute)
			case *TimedOut:
				h.say("%d timed out at %d", nth(c.Answers()), m.To.Number)
				if nth(c.Answers()) == 1 {
					c.Send(at(1), "now")
					c.After(5*time.Millisecond, "end")
				}
			case *Down:
				h.say("%d down at %d", nth(c.Answers()), m.To.Number)
			default:
				h.say("%v %v", m, nth(c.Answers()))
			}
		}))
		h.expect(p, "3 down at 9", "2 timed out at 1", "1 timed out at 1", "end 0")
	})
}

func TestTimers(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		p.Spawn(at(1), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.After(30*time.Millisecond, "c")
				c.After(10*time.Millisecond, "a")
				stopped := c.After(20*time.Millisecond, "stopped")
				c.After(20*time.Millisecond, "b")
				stopped.Stop()
				stopped.Stop()
				Timer{}.Stop()
			case string:
				h.say("%s", m)
			}
		}))
		h.expect(p, "a", "b", "c")
	})
}

// A timer that is stopped while its message is already in the mailbox does not fire.
func TestAStoppedTimerIsSilentWhenItsTimeHasPassed(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		var timers [2]Timer
		p.Spawn(at(1), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				timers[0] = c.After(time.Millisecond, 0)
				timers[1] = c.After(time.Millisecond, 1)
				for end := time.Now().Add(3 * time.Millisecond); time.Now().Before(end); {
				}
			case int:
				timers[1-m].Stop()
				h.say("one")
				c.After(5*time.Millisecond, "end")
			case string:
				h.say("%s", m)
			}
		}))
		h.expect(p, "one", "end")
	})
}

func TestAFailedActorStartsAgainAndKeepsItsMail(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		incarnations := 0
		p.Spawn(at(1), func() Actor {
			incarnations++
			mine := incarnations
			return Receiver(func(c Context) {
				switch m := c.Message().(type) {
				case *Started:
					h.say("start %d", mine)
					c.After(20*time.Millisecond, fmt.Sprint("timer of ", mine))
				case string:
					h.say("%d: %s", mine, m)
					switch m {
					case "fail":
						c.Fail(errors.New("no"))
					case "panic":
						panic("no")
					}
				}
			})
		})
		p.Spawn(at(2), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Ask(at(1), "keep", time.Minute)
				c.Ask(at(1), "fail", time.Minute)
				c.Ask(at(1), "panic", time.Minute)
				c.Send(at(1), "mail")
			case *Down:
				h.say("down %d", nth(c.Answers()))
			default:
				h.say("%v", m)
			}
		}))
		p.run(func() bool { return slices.Contains(h.words(), "3: timer of 3") })
		got := h.words()
		for _, want := range []string{"down 1", "down 2", "down 3"} {
			i := slices.Index(got, want)
			if i < 0 {
				t.Fatalf("%q was not heard: %q", want, got)
			}
			got = slices.Delete(got, i, i+1)
		}
		want := []string{"start 1", "1: keep", "1: fail", "start 2", "2: panic", "start 3", "3: mail", "3: timer of 3"}
		if !slices.Equal(got, want) {
			t.Fatalf("heard %q, want %q", got, want)
		}
	})
}

func TestWhoFailsTooOftenStaysDown(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		starts := 0
		p.Spawn(at(1), func() Actor {
			starts++
			return Receiver(func(c Context) {
				switch c.Message() {
				case "publish":
					c.Publish("view")
				case "fail":
					c.Fail(errors.New("the disk is broken"))
				}
			})
		})
		p.Send(at(1), "publish")
		p.run(func() bool { return p.Published(at(1)) == "view" })
		p.Spawn(at(2), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Watch(at(1))
				for range 6 {
					c.Send(at(1), "fail")
				}
				c.Ask(at(1), "pending", time.Hour)
			case *Gone:
				h.say("gone")
				if m.Failed == nil || starts != 6 || c.Published(at(1)) != nil {
					h.say("failed %v, %d starts, published %v", m.Failed, starts, c.Published(at(1)))
				}
				c.Ask(at(1), "later", time.Hour)
			case *Down:
				h.say("down %d", nth(c.Answers()))
			}
		}))
		p.run(func() bool { return len(h.words()) == 3 })
		got := h.words()
		slices.Sort(got)
		if want := []string{"down 1", "down 2", "gone"}; !slices.Equal(got, want) {
			t.Fatalf("heard %q, want %q", got, want)
		}
	})
}

func TestAFailureWhileStartingOrStopping(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		starts := 0
		p.Spawn(at(1), func() Actor {
			if starts++; starts == 1 {
				panic("cannot be made")
			}
			return Receiver(func(c Context) {
				switch c.Message().(type) {
				case *Started:
					if starts == 2 {
						panic("cannot start")
					}
				case *Stopping:
					panic("cannot stop")
				}
			})
		})
		p.Spawn(at(2), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Watch(at(1))
				c.Watch(at(1))
				c.Watch(at(8))
				c.Stop(at(1))
			case *Gone:
				h.say("gone %d %v", m.Address.Number, m.Failed)
			}
		}))
		h.expect(p, "gone 8 <nil>", "gone 1 panic: cannot stop")
		if starts != 3 {
			t.Errorf("%d starts", starts)
		}
	})
}

func TestOffload(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		var running, most atomic.Int32
		work := func() any {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return 5
		}
		failed := false
		sum := 0
		p.Spawn(at(1), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				if failed {
					h.say("again")
					return
				}
				for range 100 {
					c.Offload(time.Millisecond, work)
				}
			case int:
				if sum += m; sum == 500 {
					h.say("all %d", nth(c.Answers()))
					failed = true
					c.Offload(time.Millisecond, func() any { panic("out there") })
				}
			}
		}))
		p.run(func() bool { return len(h.words()) == 2 })
		if h.words()[1] != "again" {
			t.Errorf("heard %q", h.words())
		}
		if most.Load() > 32 {
			t.Errorf("%d at once", most.Load())
		}
	})
}

func TestAskFromOutside(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		p.Spawn(at(1), receiver(func(c Context) {
			if c.Message() == "hello" {
				c.Answer(c.Caller(), "hello yourself")
			}
		}))
		say := func(answer any) { h.say("%v", answer) }
		p.Ask(at(1), "hello", time.Minute, say)
		p.run(func() bool { return len(h.words()) == 1 })
		p.Ask(at(1), "silence", time.Millisecond, say)
		p.run(func() bool { return len(h.words()) == 2 })
		p.Ask(at(7), "anybody", time.Minute, say)
		p.run(func() bool { return len(h.words()) == 3 })
		p.Ask(at(1), "silence", time.Minute, say)
		p.Close()
		p.run(func() bool { return len(h.words()) == 4 })
		p.Ask(at(1), "hello", time.Minute, say)
		to := at(1)
		want := []string{"hello yourself", fmt.Sprint(&TimedOut{to}), fmt.Sprint(&Down{at(7)}), fmt.Sprint(&Down{to}), fmt.Sprint(&Down{to})}
		if got := h.words(); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	})
}

func TestCloseStopsTheYoungestFirst(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		kinds := []message.Kind{message.KindDisk, message.KindBroker, message.KindPartition}
		for i, k := range kinds {
			p.Spawn(message.Address{Node: 1, Kind: k}, receiver(func(c Context) {
				if _, ok := c.Message().(*Stopping); ok {
					h.say("%v", k)
					for _, older := range kinds[:i] {
						c.Send(message.Address{Node: 1, Kind: older}, k)
					}
				}
				if m, ok := c.Message().(message.Kind); ok {
					h.say("%v hears %v", k, m)
				}
			}))
		}
		p.Close()
		got := h.words()
		order := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return len(s) > 9 })
		if !slices.Equal(order, []string{"partition", "broker", "disk"}) || len(got) != 6 {
			t.Errorf("heard %q", got)
		}
	})
}

func TestRandomStreamsDoNotDependOnEachOther(t *testing.T) {
	draws := func(others int) (x uint64) {
		w := NewScheduler(1, time.Unix(0, 0))
		s := NewSimulated(w, Options{Node: 1}, 1)
		for i := range others {
			s.Spawn(at(uint64(i+10)), receiver(func(c Context) { c.Rand().Uint64() }))
		}
		s.Spawn(at(1), receiver(func(c Context) { x = c.Rand().Uint64() }))
		s.Close()
		return x
	}
	if draws(0) != draws(5) {
		t.Error("an actor's stream depends on its neighbours")
	}
}

// What was asked by an actor that is gone is not answered to the next one at its address.
func TestAnAnswerIsForWhoAsked(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		var kept Caller
		p.Spawn(at(1), receiver(func(c Context) {
			switch c.Message() {
			case "keep":
				kept = c.Caller()
				h.say("kept")
			case "answer":
				c.Answer(kept, "for the first")
				c.Answer(c.Caller(), "for the second")
			}
		}))
		p.Spawn(at(2), receiver(func(c Context) {
			if _, ok := c.Message().(*Started); ok {
				c.Ask(at(1), "keep", time.Minute)
			}
		}))
		p.run(func() bool { return len(h.words()) == 1 })
		p.Stop(at(2))
		second := receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Ask(at(1), "answer", time.Minute)
			case string:
				h.say("%s", m)
			}
		})
		p.run(func() bool { return p.Spawn(at(2), second) })
		h.expect(p, "kept", "for the second")
	})
}
