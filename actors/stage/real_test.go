package stage

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"time"
)

// pingPong sets two actors up that throw a ball n times.
func pingPong(s Stage, first uint64, ask bool, n int, done func()) {
	throw := func(c Context, to message.Address) {
		if n--; n < 0 {
			done()
			return
		}
		if ask {
			c.Ask(to, c.Message(), time.Minute)
			return
		}
		c.Send(to, c.Message())
	}
	s.Spawn(at(first+1), receiver(func(c Context) {
		switch c.Message().(type) {
		case *Started, *Stopping:
		default:
			if ask {
				c.Answer(c.Caller(), c.Message())
				return
			}
			c.Send(at(first), c.Message())
		}
	}))
	s.Spawn(at(first), receiver(func(c Context) {
		switch c.Message().(type) {
		case *Started, *Stopping:
		default:
			throw(c, at(first+1))
		}
	}))
	s.Send(at(first), &struct{ ball int }{})
}

func benchmarkPingPong(b *testing.B, ask bool, pairs int) {
	s := NewReal(Options{Node: 1})
	defer s.Close()
	b.ReportAllocs()
	var all sync.WaitGroup
	all.Add(pairs)
	for p := range pairs {
		pingPong(s, uint64(10*p), ask, b.N/pairs, sync.OnceFunc(all.Done))
	}
	all.Wait()
}

// One operation is a round trip.
func BenchmarkSendRoundTrip(b *testing.B)    { benchmarkPingPong(b, false, 1) }
func BenchmarkAskRoundTrip(b *testing.B)     { benchmarkPingPong(b, true, 1) }
func BenchmarkSendRoundTrip100(b *testing.B) { benchmarkPingPong(b, false, 100) }
func BenchmarkAskRoundTrip100(b *testing.B)  { benchmarkPingPong(b, true, 100) }

func BenchmarkSendFromOutside(b *testing.B) {
	s := NewReal(Options{Node: 1})
	defer s.Close()
	done := make(chan struct{})
	n := 0
	s.Spawn(at(1), receiver(func(c Context) {
		if n++; n == b.N+1 {
			close(done)
		}
	}))
	b.ReportAllocs()
	msg := &struct{ ball int }{}
	for range b.N {
		s.Send(at(1), msg)
	}
	<-done
}

func BenchmarkPublished(b *testing.B) {
	s := NewReal(Options{Node: 1})
	defer s.Close()
	for i := range uint64(10000) {
		s.Spawn(at(i), receiver(func(c Context) { c.Publish(i) }))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s.Published(at(uint64(i % 10000)))
	}
}

// TestAnIdleActorIsSmall holds the memory of an actor, proto.actor's part included, below 2 KB.
func TestAnIdleActorIsSmall(t *testing.T) {
	const actors = 10000
	s := NewReal(Options{Node: 1})
	defer s.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var started sync.WaitGroup
	started.Add(actors)
	idle := func() Actor {
		return Receiver(func(c Context) {
			if _, ok := c.Message().(*Started); ok {
				started.Done()
			}
		})
	}
	for i := range uint64(actors) {
		s.Spawn(at(i), idle)
	}
	started.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / actors
	t.Logf("an idle actor has %d bytes", each)
	if each > 2048 {
		t.Errorf("an idle actor has %d bytes", each)
	}
}

// TestAllWorkersWork shows that an actor that is stuck keeps nobody else from running.
func TestAllWorkersWork(t *testing.T) {
	s := NewReal(Options{Node: 1, Workers: 4})
	defer s.Close()
	release := make(chan struct{})
	var served sync.WaitGroup
	served.Add(100)
	for i := range uint64(100) {
		s.Spawn(at(100+i), receiver(func(c Context) {
			if c.Message() == "work" {
				served.Done()
			}
		}))
	}
	for i := range uint64(3) {
		s.Spawn(at(i), receiver(func(c Context) {
			if c.Message() == "block" {
				for j := range uint64(100) {
					if j%3 == i {
						c.Send(at(100+j), "work")
					}
				}
				<-release
			}
		}))
		s.Send(at(i), "block")
	}
	served.Wait()
	close(release)
}

// TestACrowdOnTheRealStage lets everything happen at once, for the race detector above all: every request is answered,
// timed out or down exactly once, whatever fails or stops meanwhile.
func TestACrowdOnTheRealStage(t *testing.T) {
	s := NewReal(Options{Node: 1, Workers: 4, FailuresMax: 1000, RestartDelay: 1})
	var asked, answered, closing atomic.Int64
	crowd := func(i uint64) func() Actor {
		return func() Actor {
			mine := map[RequestID]bool{}
			return Receiver(func(c Context) {
				if closing.Load() == 1 {
					return
				}
				if id := c.Answers(); id != 0 && !mine[id] {
					t.Errorf("%d was answered twice, or is not of this instance", id)
				} else if id != 0 {
					delete(mine, id)
					answered.Add(1)
				}
				if _, ok := c.Message().(*Stopping); ok {
					asked.Add(int64(-len(mine)))
					clear(mine)
					return
				}
				to := at(c.Rand().Uint64N(20))
				switch x := c.Rand().IntN(100); {
				case x < 2:
					asked.Add(int64(-len(mine)))
					c.Fail(errors.New("now and then"))
				case x < 40:
					mine[c.Ask(to, 1, time.Duration(1+c.Rand().IntN(1e6)))] = true
					asked.Add(1)
				case x < 50:
					mine[c.Offload(0, func() any { return 1 })] = true
					asked.Add(1)
				case x < 52:
					c.Stop(to)
				case x < 54:
					c.Watch(to)
				case x < 60:
					c.Publish(c.Published(to))
				case x < 65:
					c.After(time.Duration(c.Rand().IntN(1e5)), 1).Stop()
				case x < 90 && c.Caller().Request != 0:
					c.Answer(c.Caller(), 1)
				}
				c.After(time.Duration(c.Rand().IntN(1e5)), 1)
			})
		}
	}
	begun := time.Now()
	for time.Since(begun) < 200*time.Millisecond || answered.Load() < 1000 && time.Since(begun) < 20*time.Second {
		runtime.Gosched()
		for i := range uint64(20) {
			s.Spawn(at(i), crowd(i))
		}
	}
	closing.Store(1)
	s.Close()
	if answered.Load() < 1000 || asked.Load() < answered.Load() {
		t.Errorf("%d requests and %d answers", asked.Load(), answered.Load())
	}
}
