package kafka

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// FindCoordinator names the broker that coordinates a group or a transactional id. There are no coordinators yet: clients
// are told to try again, and the internal topic that the coordinator will keep its state in is made (S47). v1 has transactions, v4 asks for many at once (KIP-699), v6 has share groups.
var findCoordinatorAPI = api{key: 10, min: 0, max: 6, start: decoded(onFindCoordinator), shape: "s@0-3 1@1+ [s]@4+"}

const noCoordinator = "The coordinator is not available."

func onFindCoordinator(c stage.Context, r *Request, q *kmsg.FindCoordinatorRequest) {
	r.bringAbout(c, stateTopic(r, q.CoordinatorType))
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

// stateTopic is the internal topic of a kind of coordinator, as Kafka makes it; its replication is what the live brokers
// can bear, so that one node is enough.
func stateTopic(r *Request, kind int8) *message.NewTopic {
	names := [...]struct{ topic, settings string }{{"__consumer_offsets", "offsets.topic"}, {"__transaction_state", "transaction.state.log"}}
	if kind < 0 || int(kind) >= len(names) {
		return nil
	}
	at, layers := names[kind], r.Layers()
	replication := min(layers.Number(at.settings+".replication.factor"), int64(r.Image.BrokerCount()))
	compact, segment := "compact", strconv.FormatInt(layers.Number(at.settings+".segment.bytes"), 10)
	return &message.NewTopic{Name: at.topic, Partitions: int32(layers.Number(at.settings + ".num.partitions")), Replication: int16(replication),
		Configs: []message.Setting{{Name: "cleanup.policy", Value: &compact}, {Name: "segment.bytes", Value: &segment}}}
}

// bringAbout has a topic made that is not there; nobody waits for it.
func (r *Request) bringAbout(c stage.Context, t *message.NewTopic) {
	if t != nil && r.Image.Topic(t.Name) == nil {
		c.Send(message.ControllerAt(r.Node()), &message.CreateTopics{Topics: []message.NewTopic{*t}})
	}
}
