package metadata

import (
	"fmt"
	"testing"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// large is a cluster of as many nodes as there are replicas, with 5,000 partitions.
func large(replication int16) (*Brain, *image.Image) {
	seed := uint64(1)
	brain := &Brain{Node: 1, Draw: func() uint64 { seed = seed*6364136223846793005 + 1442695040888963407; return seed }}
	tip := image.Empty()
	ask := func(m any) {
		d, _ := brain.Decide(tip, tip.Index+1, m)
		tip = d.Image
	}
	tip = brain.Found(tip, 1).Image
	for n := range message.NodeID(replication) {
		ask(&message.RegisterBroker{Node: n + 1, Incarnation: message.TopicID{1}})
	}
	for i := range 50 {
		ask(&message.CreateTopics{Topics: []message.NewTopic{{Name: fmt.Sprint("topic-", i), Partitions: 100, Replication: replication}}})
	}
	return brain, tip
}

// BenchmarkFence is what it takes to decide that one of three nodes is gone.
func BenchmarkFence(b *testing.B) {
	brain, tip := large(3)
	b.ReportAllocs()
	for b.Loop() {
		d, _ := brain.Decide(tip, tip.Index+1, &Fence{Node: 1, Epoch: tip.Broker(1).Epoch})
		b.ReportMetric(float64(len(message.EncodeMetadata(d.Records))), "bytes/entry")
	}
}

// BenchmarkRestartAlone is what it takes to decide that the only node has started again.
func BenchmarkRestartAlone(b *testing.B) {
	brain, tip := large(1)
	b.ReportAllocs()
	for b.Loop() {
		brain.Decide(tip, tip.Index+1, &message.RegisterBroker{Node: 1, Incarnation: message.TopicID{2}})
	}
}
