package partition

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// fill leaves no room on a node's disk; empty gives it back.
func (w *cluster) fill(m *member) {
	if total, free, err := m.files.Usage(); err == nil {
		m.files.SetCapacity(total - free)
	}
}

func (m *member) empty() { m.files.SetCapacity(1 << 30) }

// The leader's disk is full, then that of one that follows, then all: as long as two have room everything goes on at once.
func TestWhileADiskIsFullTheOthersGoOn(t *testing.T) {
	w := newCluster(t, 5, 3, func(o *message.Leadership) { o.Config.MinInsyncReplicas = 2 })
	defer w.close()
	w.say(5)
	soon := func(what string) {
		t.Helper()
		begun := w.world.Elapsed()
		w.say(10)
		if took := w.world.Elapsed() - begun; took > 900*time.Millisecond { // a follower that says nothing is given a second
			t.Errorf("%s: ten batches took %v", what, took)
		}
	}
	first := w.nodes[w.office.Leader-1]
	w.fill(first)
	soon("the leader's disk is full")
	if w.office.Leader == first.id || slices.Contains(w.office.ISR, first.id) {
		t.Errorf("its disk is full: %+v", w.office)
	}
	first.empty()
	w.world.RunFor(15 * time.Second)
	w.say(1)
	w.office.Leader = first.id // what it had refused others have appended since, and it has copied that
	w.office.LeaderEpoch++
	w.announce()
	soon("the first leads again")
	second := w.nodes[w.office.Leader%3]
	w.fill(second)
	soon("a follower's disk is full")
	for _, m := range w.nodes {
		w.fill(m)
	}
	for range 100 {
		w.tries = -1
		w.produce()
		w.world.RunFor(50 * time.Millisecond)
	}
	if epoch := w.office.LeaderEpoch; epoch > office().LeaderEpoch+6 {
		t.Errorf("five seconds after all disks were full the leader epoch is %d", epoch)
	}
	w.settle()
	w.judge()
}
