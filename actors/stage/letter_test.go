package stage

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// neighbour is a stage that gets letters.
type neighbour interface {
	Stage
	Receive(l Letter)
	PeerDown(n message.NodeID)
}

// road carries letters between two stages, as bytes where they hold a word. It can lose them, or keep them back.
type road struct {
	mu      sync.Mutex
	t       *testing.T
	ends    map[message.NodeID]neighbour
	carry   func(then func()) // brings a letter to the other end
	lose    bool
	carried []Letter
}

func (r *road) Send(l Letter) {
	end := r.note(l)
	if end == nil {
		return
	}
	l.Word = r.copied(l.Word)
	r.carry(func() { end.Receive(l) })
}

// note remembers a letter and says who gets it.
func (r *road) note(l Letter) neighbour {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.carried = append(r.carried, l)
	if r.lose {
		return nil
	}
	return r.ends[l.To.Node]
}

func (r *road) copied(w message.Word) message.Word {
	if w == nil {
		return nil
	}
	b, err := message.AppendWord(nil, w)
	if err == nil {
		w, err = message.DecodeWord(b)
	}
	if err != nil {
		r.t.Error(err)
	}
	return w
}

func (r *road) setLose(lose bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = lose
}

// count is how many letters of a kind were sent.
func (r *road) count(of LetterKind) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.carried {
		if l.Kind == of {
			n++
		}
	}
	return n
}

// pair is nodes 1 and 2 under test; the play's stage is node 1's.
type pair struct {
	*play
	one, two neighbour
	road     *road
	heard
}

// onPairs runs a test on two real and on two simulated stages with a road between them.
func onPairs(t *testing.T, test func(p *pair)) {
	t.Run("real", func(t *testing.T) {
		r := &road{t: t, carry: func(then func()) { then() }}
		one := NewReal(Options{Node: 1, Seed: 7, Post: r, RestartDelay: time.Microsecond})
		two := NewReal(Options{Node: 2, Seed: 8, Post: r, RestartDelay: time.Microsecond})
		r.ends = map[message.NodeID]neighbour{1: one, 2: two}
		defer two.Close()
		defer one.Close()
		run := func(done func() bool) {
			for deadline := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("it does not happen")
				}
			}
		}
		test(&pair{play: &play{Stage: one, t: t, run: run}, one: one, two: two, road: r})
	})
	t.Run("simulated", func(t *testing.T) {
		w := NewScheduler(7, time.Unix(1e9, 0))
		r := &road{t: t, carry: func(then func()) { w.After(time.Millisecond, then) }}
		one := NewSimulated(w, Options{Node: 1, Post: r}, 1)
		two := NewSimulated(w, Options{Node: 2, Post: r}, 1)
		r.ends = map[message.NodeID]neighbour{1: one, 2: two}
		defer two.Close()
		defer one.Close()
		run := func(done func() bool) {
			for !done() {
				if !w.Step() || w.Elapsed() > time.Hour {
					t.Fatal("it does not happen")
				}
			}
		}
		test(&pair{play: &play{Stage: one, t: t, run: run}, one: one, two: two, road: r})
	})
}

func (p *pair) expect(words ...string) {
	p.t.Helper()
	p.heard.expect(p.play, words...)
}

// settle lets both nodes handle what is on its way between them: a word there, one back, and one to oneself.
func (p *pair) settle() {
	p.t.Helper()
	var came heard
	p.two.Spawn(there(99), receiver(func(c Context) {
		if m, ok := c.Message().(*message.Pull); ok {
			c.Answer(c.Caller(), &message.Pulled{HighWatermark: m.End})
		}
	}))
	for i := range 3 {
		p.one.Ask(there(99), pull(0), time.Minute, func(any) { came.say("here") })
		p.run(func() bool { return len(came.words()) > i })
	}
}

func there(n uint64) message.Address {
	return message.Address{Node: 2, Kind: message.KindOther, Number: n}
}

// pull and pulled are the toy actors' words: a number, and its answer.
func pull(n int64) message.Word   { return &message.Pull{End: n} }
func pulled(n int64) message.Word { return &message.Pulled{HighWatermark: n} }

// toy is an actor that asks when it is told to, and says what comes back.
func (p *pair) toy(by neighbour, at message.Address, more func(c Context) bool) {
	by.Spawn(at, receiver(func(c Context) {
		if more(c) {
			return
		}
		switch m := c.Message().(type) {
		case *message.Pulled:
			p.say("pulled %d", m.HighWatermark)
		case *TimedOut:
			p.say("timed out %v", m.To)
		case *Down:
			p.say("down %v", m.To)
		case *Gone:
			p.say("gone %v %v", m.Address, m.Failed)
		}
	}))
}

// ask is a message to a toy: ask that.
type ask struct {
	to       message.Address
	what     message.Word
	patience time.Duration
}

func asks(c Context) bool {
	if m, ok := c.Message().(ask); ok {
		c.Ask(m.to, m.what, m.patience)
		return true
	}
	return false
}

// answers is a toy that answers every pull with its number.
func answers(c Context) bool {
	if m, ok := c.Message().(*message.Pull); ok {
		c.Answer(c.Caller(), pulled(m.End))
		return true
	}
	return false
}

func TestAnActorOfAnotherNodeIsSentToAndAskedLikeOneOfThis(t *testing.T) {
	onPairs(t, func(p *pair) {
		var callers []Caller
		p.toy(p.two, there(1), func(c Context) bool {
			m, ok := c.Message().(*message.Pull)
			switch {
			case !ok:
			case m.End == 3: // both callers of the parked pulls are answered, in the order that this one chooses
				c.Answer(callers[1], pulled(20))
				c.Answer(callers[0], pulled(10))
				p.say("sent by %v, asked %t", c.Caller().Address, c.Caller().Request != 0)
			default:
				callers = append(callers, c.Caller())
			}
			return true
		})
		p.toy(p.one, at(1), func(c Context) bool {
			if c.Message() == "go" {
				for n := range int64(2) {
					c.Ask(there(1), pull(n), time.Minute)
				}
				c.Send(there(1), pull(3))
			}
			return c.Message() == "go"
		})
		p.Send(at(1), "go")
		p.run(func() bool { return len(p.words()) == 3 })
		got := p.words()
		slices.Sort(got) // the sender's word may be said before or behind the answers
		if want := []string{"pulled 10", "pulled 20", "sent by n1/other/1, asked false"}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		if callers[0] == callers[1] || callers[0] != (Caller{Address: at(1), Request: callers[0].Request, debt: callers[0].debt}) {
			t.Errorf("callers of another node are compared as %v", callers)
		}
	})
}

func TestFromOutsideOtherNodesAreReachedToo(t *testing.T) {
	onPairs(t, func(p *pair) {
		p.toy(p.two, there(1), func(c Context) bool {
			if m, ok := c.Message().(*message.Pull); ok {
				p.say("asked for %d", m.End)
			}
			return answers(c)
		})
		p.one.Send(there(1), pull(1))
		p.expect("asked for 1")
		p.one.Deliver(there(1), pull(2))
		p.expect("asked for 1", "asked for 2")
		p.one.Ask(there(1), pull(3), time.Minute, func(answer any) { p.say("%T", answer) })
		p.expect("asked for 1", "asked for 2", "asked for 3", "*message.Pulled")
		if p.one.Published(there(1)) != nil {
			t.Error("something is published on another node")
		}
	})
}

func TestNobodyThereOrOneThatFailsOrStopsIsDown(t *testing.T) {
	onPairs(t, func(p *pair) {
		p.toy(p.two, there(1), func(c Context) bool {
			if m, ok := c.Message().(*message.Pull); ok && m.End == 7 {
				panic("seven")
			}
			return true
		})
		p.toy(p.one, at(1), asks)
		p.Send(at(1), ask{there(5), pull(0), time.Minute})
		p.expect("down n2/other/5")
		p.Send(at(1), ask{message.PartitionAt(message.Nobody, message.MetadataLog), pull(0), time.Minute})
		nobodys := fmt.Sprint("down ", message.PartitionAt(message.Nobody, message.MetadataLog))
		p.expect("down n2/other/5", nobodys)
		p.Send(at(1), ask{there(1), pull(7), time.Minute})
		p.expect("down n2/other/5", nobodys, "down n2/other/1")
		p.Send(at(1), ask{there(1), pull(1), time.Minute})
		p.run(func() bool { return p.road.count(LetterWord) == 3 })
		p.settle()
		p.two.Stop(there(1))
		p.expect("down n2/other/5", nobodys, "down n2/other/1", "down n2/other/1")
	})
}

func TestALostNodeIsDownForWhoAskedItAndForNobodyElse(t *testing.T) {
	onPairs(t, func(p *pair) {
		third := message.Address{Node: 3, Kind: message.KindOther}
		p.toy(p.one, at(1), asks)
		p.toy(p.one, at(2), func(Context) bool { return true })
		p.road.setLose(true)
		for _, a := range []ask{{there(1), pull(1), time.Minute}, {third, pull(2), 200 * time.Millisecond}, {at(2), pull(3), 300 * time.Millisecond}} {
			p.Send(at(1), a)
		}
		p.run(func() bool { return p.road.count(LetterWord) == 2 })
		p.one.PeerDown(2)
		p.one.PeerDown(2)
		p.expect("down n2/other/1", "timed out n3/other/0", "timed out n1/other/2")
	})
}

func TestNothingIsOwedToALostNode(t *testing.T) {
	onPairs(t, func(p *pair) {
		p.toy(p.two, there(1), func(c Context) bool {
			switch m := c.Message().(type) {
			case *message.Pull:
				p.say("owes %d", m.End)
			case string:
				panic(m)
			}
			return true
		})
		p.toy(p.one, at(1), func(c Context) bool {
			if m, ok := c.Message().(message.Address); ok {
				c.Watch(m)
			}
			return asks(c)
		})
		p.Send(at(1), there(1))
		p.Send(at(1), ask{there(1), pull(1), time.Minute})
		p.expect("owes 1")
		p.two.PeerDown(1)
		p.two.Send(there(1), "fail")
		p.two.Stop(there(1))
		p.run(func() bool { return p.two.Spawn(there(1), receiver(func(Context) {})) })
		p.settle()
		if n := p.road.count(LetterDown) + p.road.count(LetterGone); n > 0 {
			t.Errorf("%d letters were sent to a node that had gone", n)
		}
	})
}

func TestALateADoubledAndAForeignAnswerAreDropped(t *testing.T) {
	onPairs(t, func(p *pair) {
		var parked Caller
		p.toy(p.two, there(1), func(c Context) bool {
			switch m := c.Message().(type) {
			case *message.Pull:
				parked = c.Caller()
				p.say("parked %d", m.End)
			case int:
				c.Answer(parked, pulled(int64(m)))
			}
			return true
		})
		p.toy(p.one, at(1), func(c Context) bool {
			if c.Message() == "timer" {
				c.After(time.Hour, "too early")
			}
			if c.Message() == "too early" {
				p.say("an answer was taken for a timer's end")
			}
			return asks(c)
		})
		p.Send(at(1), ask{there(1), pull(1), 20 * time.Millisecond})
		p.expect("parked 1", "timed out n2/other/1")
		p.two.Send(there(1), 1)
		p.settle()
		p.Send(at(1), ask{there(1), pull(2), time.Minute})
		p.expect("parked 1", "timed out n2/other/1", "parked 2")
		p.Send(at(1), "timer")
		p.settle()
		third := message.Address{Node: 3, Kind: message.KindOther, Number: 1}
		number := uint64(parked.Request)
		p.one.Receive(Letter{From: third, To: at(1), Kind: LetterAnswer, Request: number, Word: pulled(3)})
		p.one.Receive(Letter{From: there(1), To: at(1), Kind: LetterAnswer, Request: number + 1, Word: pulled(4)}) // the timer's
		p.one.Receive(Letter{From: at(9), To: at(1), Kind: LetterAnswer, Request: number, Word: pulled(5)})        // this node's
		p.one.Receive(Letter{From: message.Address{Kind: message.KindOther}, To: at(1), Kind: LetterAnswer, Request: number + 1, Word: pulled(4)})
		p.one.PeerDown(0)
		p.one.Receive(Letter{From: at(9), To: at(1), Kind: LetterWord, Word: pulled(5)})
		p.one.Receive(Letter{From: there(1), To: third, Kind: LetterWord, Request: number, Word: pulled(6)})
		p.one.Receive(Letter{From: there(1), To: at(1), Kind: 77, Request: number, Word: pulled(7)})
		p.settle()
		p.two.Send(there(1), 2)
		p.two.Send(there(1), 9)
		p.expect("parked 1", "timed out n2/other/1", "parked 2", "pulled 2")
		p.settle()
		p.expect("parked 1", "timed out n2/other/1", "parked 2", "pulled 2")
		if n := p.road.count(LetterDown); n > 0 {
			t.Errorf("%d letters to others were answered", n)
		}
	})
}

func TestARestartedAskerGetsNoOldAnswer(t *testing.T) {
	onPairs(t, func(p *pair) {
		var parked []Caller
		p.toy(p.two, there(1), func(c Context) bool {
			switch m := c.Message().(type) {
			case *message.Pull:
				parked = append(parked, c.Caller())
				p.say("parked %d", m.End)
			case int:
				c.Answer(parked[m], pulled(int64(m)))
			}
			return true
		})
		p.toy(p.one, at(1), func(c Context) bool {
			if c.Message() == "fail" {
				panic("as told")
			}
			return asks(c)
		})
		p.Send(at(1), ask{there(1), pull(0), time.Minute})
		p.expect("parked 0")
		p.Send(at(1), "fail")
		p.Send(at(1), ask{there(1), pull(1), time.Minute})
		p.expect("parked 0", "parked 1")
		p.two.Send(there(1), 0)
		p.two.Send(there(1), 1)
		p.expect("parked 0", "parked 1", "pulled 1")
	})
}

func TestTheNextIncarnationOfANodeGetsNoAnswerToTheLast(t *testing.T) {
	w := NewScheduler(7, time.Unix(1e9, 0))
	r := &road{t: t, lose: true}
	var asked []uint64
	for incarnation := range uint64(2) {
		s := NewSimulated(w, Options{Node: 1, Post: r}, incarnation+1)
		var h heard
		s.Spawn(at(1), receiver(func(c Context) {
			switch c.Message().(type) {
			case *Started:
				c.Ask(there(1), pull(1), time.Hour)
			case *message.Pulled:
				h.say("pulled")
			}
		}))
		w.RunFor(time.Second)
		asked = append(asked, r.carried[incarnation].Request)
		s.Receive(Letter{From: there(1), To: at(1), Kind: LetterAnswer, Request: asked[0], Word: pulled(1)})
		w.RunFor(time.Second)
		if got, want := len(h.words()), 1-int(incarnation); got != want {
			t.Errorf("incarnation %d got %d answers to request %d, want %d", incarnation+1, got, asked[0], want)
		}
		s.Crash()
		s.Receive(Letter{From: there(1), To: at(1), Kind: LetterWord, Request: 1, Word: pull(1)})
		s.PeerDown(2)
	}
	if n := r.count(LetterDown); n > 0 {
		t.Errorf("a crashed node has sent %d letters", n)
	}
}

func TestWhoWatchesAnActorOfAnotherNodeHearsOfItsEnd(t *testing.T) {
	onPairs(t, func(p *pair) {
		for n := range uint64(3) {
			p.toy(p.two, there(n), answers)
		}
		p.toy(p.one, at(1), func(c Context) bool {
			if m, ok := c.Message().(message.Address); ok {
				c.Watch(m)
				c.Watch(m)
			}
			return false
		})
		for _, n := range []uint64{7, 0, 1, 2} {
			p.Send(at(1), there(n))
		}
		p.expect("gone n2/other/7 <nil>")
		p.settle()
		p.two.Stop(there(0))
		p.expect("gone n2/other/7 <nil>", "gone n2/other/0 <nil>")
		p.one.PeerDown(2)
		lost := []string{"gone n2/other/7 <nil>", "gone n2/other/0 <nil>",
			fmt.Sprint("gone n2/other/1 ", errPeerDown), fmt.Sprint("gone n2/other/2 ", errPeerDown)}
		p.expect(lost...)
		p.two.Stop(there(1)) // which still believes that it is watched
		p.settle()
		p.expect(lost...)
	})
}

func TestWithoutAPostThereAreNoOtherNodes(t *testing.T) {
	onBoth(t, func(p *play) {
		var h heard
		p.Spawn(at(1), receiver(func(c Context) {
			switch m := c.Message().(type) {
			case *Started:
				c.Send(there(1), "needs no bytes where nobody is")
				c.Ask(there(1), "nor does this", time.Minute)
			case *Down:
				h.say("down %v", m.To)
				c.Watch(there(1))
			case *Gone:
				h.say("gone %v %v", m.Address, m.Failed)
			}
		}))
		h.expect(p, "down n2/other/1", "gone n2/other/1 <nil>")
		p.Send(there(1), "dropped")
		p.Ask(there(1), "asked", time.Minute, func(answer any) { h.say("%T", answer) })
		h.expect(p, "down n2/other/1", "gone n2/other/1 <nil>", "*stage.Down")
	})
}

func TestOnlyWordsCross(t *testing.T) {
	onPairs(t, func(p *pair) {
		p.toy(p.one, at(1), func(c Context) bool {
			if c.Message() == "go" {
				p.say("goes")
				c.Send(there(1), "no word")
			}
			if _, again := c.Message().(*Started); again {
				p.say("started")
			}
			return true
		})
		p.Send(at(1), "go")
		p.expect("started", "goes", "started")
		panics(t, "a message from outside", func() { p.one.Send(there(1), 5) })
		panics(t, "a request from outside", func() { p.one.Ask(there(1), 5, time.Minute, func(any) {}) })
		if n := p.road.count(LetterWord); n > 0 {
			t.Errorf("%d letters were sent", n)
		}
	})
}

func TestNobodySpawnsOrStopsOnAnotherNode(t *testing.T) {
	onPairs(t, func(p *pair) {
		panics(t, "spawning", func() { p.one.Spawn(there(1), receiver(func(Context) {})) })
		panics(t, "stopping", func() { p.one.Stop(there(1)) })
		p.toy(p.one, at(1), func(c Context) bool {
			if c.Message() == "stop" {
				defer func() { p.say("panics %t", recover() != nil) }()
				c.Stop(there(1))
			}
			return true
		})
		p.Send(at(1), "stop")
		p.expect("panics true")
	})
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

// TestALostNodeIsNoticedInTheSameOrderInEqualWorlds: many actors ask, and their node loses the other.
func TestALostNodeIsNoticedInTheSameOrderInEqualWorlds(t *testing.T) {
	world := func() (hash uint64, said []string) {
		w := NewScheduler(3, time.Unix(1e9, 0))
		w.StepCost = 0
		s := NewSimulated(w, Options{Node: 1, Post: &road{t: t, lose: true}}, 1)
		var h heard
		for n := range uint64(100) {
			s.Spawn(at(n), receiver(func(c Context) {
				switch c.Message().(type) {
				case *Started:
					c.Ask(there(1), pull(1), time.Hour)
					c.Ask(there(2), pull(1), time.Hour)
				case *Down:
					h.say("%v %d", c.Self(), nth(c.Answers()))
				}
			}))
		}
		w.RunFor(time.Second)
		s.PeerDown(2)
		w.RunFor(time.Second)
		return w.Hash(), h.words()
	}
	hash, said := world()
	for range 3 {
		if again, words := world(); again != hash || !slices.Equal(words, said) {
			t.Fatal("two equal worlds differ")
		}
	}
	if len(said) != 200 {
		t.Errorf("%d of 200 requests were answered", len(said))
	}
}
