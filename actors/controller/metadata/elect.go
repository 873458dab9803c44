package metadata

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// electLeaders elects the preferred leader, or, unclean, anybody who is alive where nobody leads (KIP-460). Of all
// partitions only those are mentioned where there was something to elect.
func (t *turn) electLeaders(m *message.ElectLeaders) *message.LeadersElected {
	answer := &message.LeadersElected{}
	t.trial(true, func(t *turn) message.Problem {
		if m.All {
			answer.Results = t.electAll(m.Unclean)
			return message.Problem{}
		}
		for _, p := range m.Partitions {
			answer.Results = append(answer.Results, message.LeaderElected{NamedPartition: p, Problem: t.electNamed(p, m.Unclean)})
		}
		return message.Problem{}
	})
	return answer
}

func (t *turn) electAll(unclean bool) (results []message.LeaderElected) {
	for topic := range t.image().Topics() {
		for i := range topic.Partitions {
			problem := t.elect(topic, int32(i), unclean)
			if problem.Code != message.ElectionNotNeeded {
				results = append(results, message.LeaderElected{Problem: problem,
					NamedPartition: message.NamedPartition{Topic: topic.Name, Index: int32(i)}})
			}
		}
	}
	return results
}

func (t *turn) electNamed(n message.NamedPartition, unclean bool) message.Problem {
	topic, problem := t.named(n)
	if topic == nil {
		return problem
	}
	return t.elect(topic, n.Index, unclean)
}

// named finds the topic of a partition that there is.
func (t *turn) named(n message.NamedPartition) (*image.Topic, message.Problem) {
	topic := t.image().Topic(n.Topic)
	switch {
	case topic == nil:
		return nil, refuse(message.UnknownTopicOrPartition, "No such topic as %s", n.Topic)
	case topic.Partition(n.Index) == nil:
		return nil, refuse(message.UnknownTopicOrPartition, "No such partition as %s-%d", n.Topic, n.Index)
	}
	return topic, message.Problem{}
}

func (t *turn) elect(topic *image.Topic, index int32, unclean bool) message.Problem {
	r := t.revision(topic, index)
	problem := r.prefer()
	if unclean {
		problem = r.rescue()
	}
	if problem.Code == message.OK && r.settle() {
		t.note(r.next)
	}
	return problem
}

// prefer makes the preferred replica the leader.
func (r *revision) prefer() message.Problem {
	switch n := r.was.Preferred(); {
	case r.was.IsLeader(n):
		return refuse(message.ElectionNotNeeded, "Leader election not needed for topic partition.")
	case !r.may(n) || !r.was.InSync(n):
		return refuse(message.PreferredLeaderNotAvailable, "The preferred leader was not available.")
	default:
		r.next.Leader = n
	}
	return message.Problem{}
}

// rescue lets anybody lead who is there, where nobody does.
func (r *revision) rescue() message.Problem {
	if r.was.Leader != message.Nobody {
		return refuse(message.ElectionNotNeeded, "Leader election not needed for topic partition.")
	}
	if r.unclean = true; r.candidate() == message.Nobody {
		return refuse(message.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available.")
	}
	return message.Problem{}
}
