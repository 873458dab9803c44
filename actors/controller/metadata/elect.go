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
	topic := t.image().Topic(n.Topic)
	if topic == nil {
		return refuse(message.UnknownTopicOrPartition, "No such topic as %s", n.Topic)
	}
	if topic.Partition(n.Index) == nil {
		return refuse(message.UnknownTopicOrPartition, "No such partition as %s-%d", n.Topic, n.Index)
	}
	return t.elect(topic, n.Index, unclean)
}

func (t *turn) elect(topic *image.Topic, index int32, unclean bool) message.Problem {
	p := topic.Partition(index)
	leader, problem := t.preferred(p)
	if unclean {
		leader, problem = t.anybody(p)
	}
	if problem.Code != message.OK {
		return problem
	}
	r := p.Record(topic.At(index))
	if r.Leader = leader; !p.InSync(leader) {
		r.ISR = []message.NodeID{leader}
	}
	r.LeaderEpoch++
	r.PartitionEpoch++
	t.note(r)
	return message.Problem{}
}

func (t *turn) preferred(p *image.Partition) (message.NodeID, message.Problem) {
	n := p.Preferred()
	switch {
	case p.IsLeader(n):
		return n, refuse(message.ElectionNotNeeded, "Leader election not needed for topic partition.")
	case !t.image().Alive(n) || !p.InSync(n):
		return n, refuse(message.PreferredLeaderNotAvailable, "The preferred leader was not available.")
	}
	return n, message.Problem{}
}

func (t *turn) anybody(p *image.Partition) (message.NodeID, message.Problem) {
	if p.Leader != message.Nobody {
		return p.Leader, refuse(message.ElectionNotNeeded, "Leader election not needed for topic partition.")
	}
	for _, list := range [][]message.NodeID{p.ISR, p.ELR, p.Replicas} {
		for _, n := range list {
			if t.image().Alive(n) {
				return n, message.Problem{}
			}
		}
	}
	return message.Nobody, refuse(message.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available.")
}
