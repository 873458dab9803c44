package metadata

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

// TestLeadershipsAreGivenBackInPortions: one entry of the log must not grow with the cluster, and what is left is for the next
// reminder.
func TestLeadershipsAreGivenBackInPortions(t *testing.T) {
	brain, tip := large(3)
	ask := func(m any) int {
		d, _ := brain.Decide(tip, tip.Index+1, m)
		if d.Image != nil {
			tip = d.Image
		}
		return len(d.Records)
	}
	epoch := tip.Broker(1).Epoch
	ask(&Fence{Node: 1, Epoch: epoch})
	ask(&Unfence{Node: 1, Epoch: epoch})
	astray := 0
	for topic := range tip.Topics() {
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if p.Preferred() == 1 {
				astray++
			}
			ask(&message.AlterPartition{Node: p.Leader, Epoch: tip.Broker(p.Leader).Epoch, Partitions: []message.NewISR{
				{Partition: topic.At(int32(i)), LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: p.Replicas}}})
		}
	}
	for _, want := range []int{min(astray, electionsMax), astray - electionsMax, 0} {
		if n := ask(&Balance{}); n != want {
			t.Fatalf("%d leaderships of %d were given back, not %d", n, astray, want)
		}
	}
}
