package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// reassignPartitions begins, changes or cancels moves of replicas, each on its own (KIP-455). A move adds the new replicas
// to the old ones; it ends, with the old ones gone, when a leader says that all the new ones are in sync.
func (t *turn) reassignPartitions(m *message.ReassignPartitions) *message.Results {
	answer := &message.Results{Problems: make([]message.Problem, len(m.Partitions))}
	for i := range m.Partitions {
		answer.Problems[i] = t.trial(true, func(t *turn) message.Problem {
			return t.reassign(&m.Partitions[i], m.KeepReplicationFactor)
		})
	}
	return answer
}

func (t *turn) reassign(a *message.Reassignment, keep bool) message.Problem {
	topic, problem := t.named(a.NamedPartition)
	if topic == nil {
		return problem
	}
	r := t.revision(topic, a.Index)
	origin := except(r.was.Replicas, r.was.Adding...)
	target := a.Replicas
	switch {
	case a.Replicas == nil && !r.was.Reassigning():
		return refuse(message.NoReassignmentInProgress, "No partition reassignment is in progress.")
	case a.Replicas == nil:
		target = origin
	case keep && len(target) != len(origin):
		return refuse(message.InvalidReplicationFactor, "The replication factor is changed from %d to %d", len(origin), len(target))
	default:
		problem = t.checkReplicas(target, len(target), r.was.Replicas)
	}
	if problem.Code != message.OK {
		return problem
	}
	return r.move(origin, target)
}

// move sets out from one set of replicas to another. Replicas that an earlier move has added and this one does not want are
// gone at once.
func (r *revision) move(origin, target []message.NodeID) message.Problem {
	p := r.next
	p.Adding, p.Removing = except(target, origin...), except(origin, target...)
	p.Replicas = slices.Concat(target, p.Removing)
	p.ISR = only(p.ISR, p.Replicas)
	changed := r.settle()
	if len(p.ISR) == 0 || p.Leader == message.Nobody && r.was.Leader != message.Nobody {
		return refuse(message.InvalidReplicaAssignment, "Nobody could lead: of the replicas %v only %v are in sync, and none of those is among %v.",
			r.was.Replicas, r.was.ISR, p.Replicas)
	}
	if changed {
		r.note(p)
	}
	return message.Problem{}
}
