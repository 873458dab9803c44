package partition

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/budget"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// A replica that begins with nothing copies as fast as the throttle of its node, or of its leader's, lets it, and meanwhile those in sync
// are as quick as ever.
func TestAThrottledReplicaTakesItsTimeAndHoldsNobodyUp(t *testing.T) {
	for _, side := range []message.Side{message.LeaderSide, message.FollowerSide} {
		t.Run(fmt.Sprintf("side %d", side), func(t *testing.T) {
			w := newCluster(t, 5, 3, func(o *message.Leadership) { o.LeaderThrottled, o.FollowerThrottled = true, true })
			defer w.close()
			w.say(200)
			w.rejoin(w.nodes[2])
			size, began := w.size(), w.world.Elapsed()
			w.rate[side] = size / 20 // so it takes twenty seconds
			w.back(w.nodes[2])
			for n := 0; !slices.Contains(w.office.ISR, 3); n++ {
				before := w.world.Elapsed()
				w.say(1)
				if took := w.world.Elapsed() - before; took > 100*time.Millisecond {
					t.Fatalf("batch %d is acknowledged after %s by those in sync", n, took)
				}
				w.world.RunFor(200 * time.Millisecond)
				if w.world.Elapsed()-began > 2*time.Minute {
					t.Fatal("it never catches up")
				}
			}
			took, due := w.world.Elapsed()-began, time.Duration(float64(w.size())/float64(w.rate[side])*float64(time.Second))
			if took < due-2*time.Second || took > due+5*time.Second {
				t.Errorf("%d bytes at %d a second took %s", w.size(), w.rate[side], took)
			}
			w.say(2)
			w.world.RunFor(time.Second)
			w.judge()
		})
	}
}

// Who lifts a throttle need not wait for what was agreed under it.
func TestAThrottleThatIsLiftedHoldsNobodyUp(t *testing.T) {
	w := newCluster(t, 6, 2, func(o *message.Leadership) { o.LeaderThrottled, o.FollowerThrottled = true, true })
	defer w.close()
	w.say(100)
	w.rejoin(w.nodes[1])
	w.rate = [message.Sides]int64{1, 1}
	w.back(w.nodes[1])
	w.world.RunFor(time.Minute)
	if slices.Contains(w.office.ISR, 2) {
		t.Fatal("a byte a second is enough for it")
	}
	w.rate = [message.Sides]int64{budget.Unlimited, budget.Unlimited}
	w.world.RunFor(5 * time.Second)
	if !slices.Contains(w.office.ISR, 2) {
		t.Errorf("in sync are %v", w.office.ISR)
	}
	w.judge()
}

// rejoin kills a node and takes its disk away; it has yet to come back.
func (w *cluster) rejoin(m *member) {
	w.kill(m)
	w.fence()
	w.world.RunFor(time.Second)
	m.files = vfs.Memory(vfs.MemoryOptions{})
}

// size is of node 1's log.
func (w *cluster) size() int64 {
	raw, _ := w.read(w.nodes[0])
	return int64(len(raw))
}
