package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// createPartitions raises topics' partition counts, each on its own (S105).
func (t *turn) createPartitions(m *message.CreatePartitions) *message.Results {
	answer := &message.Results{Problems: make([]message.Problem, len(m.Topics))}
	count, room := map[string]int{}, partitionsMax
	for i := range m.Topics {
		count[m.Topics[i].Name]++
	}
	for i := range m.Topics {
		more := &m.Topics[i]
		answer.Problems[i] = t.trial(!m.ValidateOnly, func(t *turn) message.Problem {
			if count[more.Name] > 1 {
				return refuse(message.InvalidRequest, "Duplicate topic name.")
			}
			return t.morePartitions(more, &room)
		})
	}
	return answer
}

func (t *turn) morePartitions(m *message.MorePartitions, room *int) message.Problem {
	topic := t.image().Topic(m.Name)
	if topic == nil {
		return refuse(message.UnknownTopicOrPartition, "This server does not host this topic-partition.")
	}
	if slices.ContainsFunc(topic.Partitions, func(p image.Partition) bool { return p.Reassigning() }) {
		return refuse(message.ReassignmentInProgress, "A partition reassignment is in progress for the topic %s.", m.Name)
	}
	have := int32(len(topic.Partitions))
	switch {
	case m.Count == have:
		return refuse(message.InvalidPartitions, "Topic already has %d partition(s).", have)
	case m.Count < have:
		return refuse(message.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", m.Name, have, m.Count)
	}
	if p := take(room, int(m.Count-have)); p.Code != message.OK {
		return p
	}
	placed, p := t.placeMore(topic, m)
	if p.Code != message.OK {
		return p
	}
	for i, replicas := range placed {
		t.note(t.newPartition(topic.At(have+int32(i)), replicas))
	}
	return message.Problem{}
}

func (t *turn) placeMore(topic *image.Topic, m *message.MorePartitions) ([][]message.NodeID, message.Problem) {
	have, replication := len(topic.Partitions), int(topic.Replication())
	added := int(m.Count) - have
	if len(m.Assignment) == 0 {
		placed, err := t.place(added, replication)
		if err != nil {
			return nil, refuse(message.InvalidReplicationFactor, "%s", err)
		}
		return placed, message.Problem{}
	}
	if len(m.Assignment) != added {
		return nil, refuse(message.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", added, len(m.Assignment))
	}
	return m.Assignment, t.checkByHand(m.Assignment, have, replication)
}
