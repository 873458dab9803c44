package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// alterPartition gives leaders the in-sync sets that they ask for, each on its own (KIP-497). What a leader asks rests on
// what it saw last of the partition; if that is not how it is any more, nothing changes.
func (t *turn) alterPartition(m *message.AlterPartition) *message.PartitionsAltered {
	answer := &message.PartitionsAltered{Codes: make([]message.Code, len(m.Partitions))}
	_, code := t.registered(m.Node, m.Epoch)
	for i := range m.Partitions {
		if answer.Codes[i] = code; code == message.OK {
			answer.Codes[i] = t.alterISR(m.Node, &m.Partitions[i])
		}
	}
	return answer
}

func (t *turn) alterISR(leader message.NodeID, n *message.NewISR) message.Code {
	topic := t.image().TopicByID(n.Partition.Topic)
	if topic == nil {
		return message.UnknownTopicID
	}
	p := topic.Partition(n.Partition.Index)
	if p == nil {
		return message.UnknownTopicOrPartition
	}
	if code := t.checkISR(leader, p, n); code != message.OK {
		return code
	}
	r, resigns := t.revision(topic, n.Partition.Index), !slices.Contains(n.ISR, leader)
	if r.next.ISR = append(only(p.ISR, n.ISR), except(n.ISR, p.ISR...)...); r.settle() {
		t.decide(r.next)
	}
	if r.next.Leader != leader && !resigns {
		return message.NewLeaderElected // the move of replicas that this ended has no place for it
	}
	return message.OK
}

// checkISR refuses what does not rest on the newest state, and sets that cannot be. A controller that knows less than
// the leader is none any more.
func (t *turn) checkISR(leader message.NodeID, p *image.Partition, n *message.NewISR) message.Code {
	switch {
	case n.LeaderEpoch < p.LeaderEpoch:
		return message.FencedLeaderEpoch
	case n.LeaderEpoch > p.LeaderEpoch, n.PartitionEpoch > p.PartitionEpoch:
		return message.NotController
	case !p.IsLeader(leader):
		return message.InvalidRequest
	case n.PartitionEpoch < p.PartitionEpoch:
		return message.InvalidUpdateVersion
	case len(n.ISR) == 0 || !distinct(n.ISR) || len(except(n.ISR, p.Replicas...)) > 0:
		return message.InvalidRequest
	case slices.ContainsFunc(n.ISR, t.inactive):
		return message.IneligibleReplica
	}
	return message.OK
}

func distinct(nodes []message.NodeID) bool {
	for i, n := range nodes {
		if slices.Contains(nodes[:i], n) {
			return false
		}
	}
	return true
}
