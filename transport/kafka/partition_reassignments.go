package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// alterPartitionReassignments moves replicas (KIP-455). One node has nowhere to move them to: the set that a partition has is
// accepted and done (S136), a cancellation finds nothing to cancel (S111).
var alterPartitionReassignments = api{key: 45, min: 0, max: 1, shape: "4 1@1+ (s (4 [4]))", start: decoded(onAlterPartitionReassignments)}

func onAlterPartitionReassignments(c stage.Context, r *Request, q *kmsg.AlterPartitionAssignmentsRequest) {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = q.AllowReplicationFactorChange
	for _, t := range q.Topics {
		out := kmsg.AlterPartitionAssignmentsResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			problem := reassign(r, t.Topic, p.Partition, p.Replicas)
			out.Partitions = append(out.Partitions, kmsg.AlterPartitionAssignmentsResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(problem.Code), ErrorMessage: note(problem.Message)})
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Answer(c, resp)
}

func reassign(r *Request, topic string, index int32, to []int32) message.Problem {
	t := r.Image.Topic(topic)
	switch {
	case t == nil || index < 0 || int(index) >= len(t.Partitions):
		return message.Problem{Code: message.UnknownTopicOrPartition, Message: "Unable to find the partition."}
	case to == nil:
		return message.Problem{Code: message.NoReassignmentInProgress, Message: "There is no reassignment to cancel."}
	case slices.Equal(numbers(t.Partitions[index].Replicas), to):
		return message.Problem{}
	}
	return message.Problem{Code: message.InvalidReplicaAssignment,
		Message: fmt.Sprintf("The partition's replicas are %v; this cluster cannot move them to %v.", t.Partitions[index].Replicas, to)}
}

// listPartitionReassignments shows what is moving.
var listPartitionReassignments = api{key: 46, min: 0, max: 0, shape: "4 (s [4])", start: decoded(onListPartitionReassignments)}

func onListPartitionReassignments(c stage.Context, r *Request, q *kmsg.ListPartitionReassignmentsRequest) {
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	list := func(t *image.Topic, only []int32) {
		out := kmsg.ListPartitionReassignmentsResponseTopic{Topic: t.Name}
		for i, p := range t.Partitions {
			if len(p.Adding)+len(p.Removing) > 0 && (only == nil || slices.Contains(only, int32(i))) {
				out.Partitions = append(out.Partitions, kmsg.ListPartitionReassignmentsResponseTopicPartition{Partition: int32(i),
					Replicas: numbers(p.Replicas), AddingReplicas: numbers(p.Adding), RemovingReplicas: numbers(p.Removing)})
			}
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	for _, t := range q.Topics {
		if found := r.Image.Topic(t.Topic); found != nil {
			list(found, append([]int32{}, t.Partitions...))
		}
	}
	if q.Topics == nil {
		for t := range r.Image.Topics() {
			list(t, nil)
		}
	}
	r.Answer(c, resp)
}
