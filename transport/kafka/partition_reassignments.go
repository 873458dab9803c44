package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// alterPartitionReassignments moves replicas (KIP-455); v1 may forbid to change how many there are (KIP-860). It is answered
// when the move has begun; how far it is, ListPartitionReassignments says.
var alterPartitionReassignments = api{key: 45, min: 0, max: 1, shape: "4 1@1+ (s (4 [4]))", start: decoded(onAlterPartitionReassignments)}

func onAlterPartitionReassignments(c stage.Context, r *Request, q *kmsg.AlterPartitionAssignmentsRequest) {
	ask := &message.ReassignPartitions{KeepReplicationFactor: !q.AllowReplicationFactorChange}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			move := message.Reassignment{NamedPartition: message.NamedPartition{Topic: t.Topic, Index: p.Partition}}
			if p.Replicas != nil { // an empty list is not null: it is refused, where null cancels
				move.Replicas = nodes(p.Replicas)
			}
			ask.Partitions = append(ask.Partitions, move)
		}
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, results *message.Results, p message.Problem) {
		resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
		resp.AllowReplicationFactorChange = q.AllowReplicationFactorChange
		resp.ErrorCode, resp.ErrorMessage = int16(p.Code), note(p.Message)
		fates := problems(results, p, len(ask.Partitions))
		for _, t := range q.Topics {
			out := kmsg.AlterPartitionAssignmentsResponseTopic{Topic: t.Topic}
			for i, asked := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AlterPartitionAssignmentsResponseTopicPartition{Partition: asked.Partition,
					ErrorCode: int16(fates[i].Code), ErrorMessage: note(fates[i].Message)})
			}
			fates = fates[len(t.Partitions):]
			resp.Topics = append(resp.Topics, out)
		}
		r.Answer(c, resp)
	})
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
