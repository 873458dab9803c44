package node

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// Two clusters in one process know nothing of each other, and when they have stopped nothing of them is left.
func TestTwoClustersInOneProcess(t *testing.T) {
	red, blue := newTrio(t), newTrio(t)
	round := func() {
		reds, failed := red.start(founding(red))
		blues, failedToo := blue.start(founding(blue))
		for i := 1; i <= 3; i++ {
			if failed[i] != nil || failedToo[i] != nil {
				t.Fatal(failed[i], failedToo[i])
			}
		}
		defer blue.stop(blues)
		defer red.stop(reds)
		r, b := imageOf(t, reds[1], 3), imageOf(t, blues[1], 3)
		if r.Cluster == b.Cluster {
			t.Errorf("both are cluster %s", r.Cluster)
		}
		produceOne(t, reds[2].Kafka())
		if got := readOne(t, reds[3].Kafka()); got != "hello" {
			t.Errorf("read %q", got)
		}
		for i, n := range blues {
			if img := n.stage.Published(message.BrokerAt(n.config.ID)).(*image.Image); img.Topic("first") != nil {
				t.Errorf("node %d of the other cluster knows the topic", i)
			}
		}
	}
	round() // what the runtime opens once and keeps
	descriptors, routines := descriptorsOpen(t), goleak.IgnoreCurrent()
	round()
	goleak.VerifyNone(t, routines)
	if now := descriptorsOpen(t); now > descriptors {
		t.Errorf("%d descriptors before, %d after", descriptors, now)
	}
}

// founding is what three nodes are told that found a cluster.
func founding(r *trio) map[int][]string {
	set := []string{"bootstrap.expect=3", "cluster.join=" + r.mesh[1], "default.replication.factor=3"}
	return map[int][]string{1: set, 2: set, 3: set}
}

// descriptorsOpen is how many descriptors the process has.
func descriptorsOpen(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(entries)
}
