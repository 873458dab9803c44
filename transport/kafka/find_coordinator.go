package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// FindCoordinator names the broker that coordinates a group or a transactional id. There are no coordinators yet: clients
// are told to try again (S47). v1 has transactions, v4 asks for many at once (KIP-699), v6 has share groups.
var findCoordinatorAPI = api{key: 10, min: 0, max: 6, start: decoded(onFindCoordinator), shape: "s@0-3 1@1+ [s]@4+"}

const noCoordinator = "The coordinator is not available."

func onFindCoordinator(c stage.Context, r *Request, q *kmsg.FindCoordinatorRequest) {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	text := noCoordinator
	if r.Version < 4 {
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Port = int16(message.CoordinatorNotAvailable), &text, -1, -1
		r.Answer(c, resp)
		return
	}
	for _, key := range q.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, kmsg.FindCoordinatorResponseCoordinator{
			Key: key, NodeID: -1, Port: -1, ErrorCode: int16(message.CoordinatorNotAvailable), ErrorMessage: &text})
	}
	r.Answer(c, resp)
}
