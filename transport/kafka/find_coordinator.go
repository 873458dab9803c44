package kafka

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// FindCoordinator names the broker that coordinates a group or a transactional id: the one that leads its partition of the internal topic,
// which is made if it is not there (S47). v1 has transactions, v3 is flexible, v4 asks for many at once (KIP-699), v6 has share groups
// (KIP-932), which have no coordinators yet: their clients are told to try again.
var findCoordinatorAPI = api{key: 10, min: 0, max: 6, start: decoded(onFindCoordinator), shape: "s@0-3 1@1+ [s]@4+"}

// What a client looks for a coordinator of.
const (
	coordinatorOfGroup int8 = iota
	coordinatorOfTxn
	coordinatorOfShare // v6
)

func onFindCoordinator(c stage.Context, r *Request, q *kmsg.FindCoordinatorRequest) {
	r.bringAbout(c, stateTopic(r, q.CoordinatorType))
	resp := kmsg.NewPtrFindCoordinatorResponse()
	if r.Version < 4 {
		at := findCoordinator(r, q.CoordinatorType, q.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = at.ErrorCode, at.ErrorMessage, at.NodeID, at.Host, at.Port
		r.Answer(c, resp)
		return
	}
	for _, key := range q.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, findCoordinator(r, q.CoordinatorType, key))
	}
	r.Answer(c, resp)
}

// findCoordinator finds who coordinates a key, under the address of the listener that the client used (S11).
func findCoordinator(r *Request, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	b, host, port, problem := coordinatorBroker(r, kind, key)
	if problem.Code != message.OK {
		return kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: -1, Port: -1, ErrorCode: int16(problem.Code), ErrorMessage: note(problem.Message)}
	}
	return kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: int32(b.ID), Host: host, Port: port}
}

func coordinatorBroker(r *Request, kind int8, key string) (b *image.Broker, host string, port int32, p message.Problem) {
	none := message.Problem{Code: message.CoordinatorNotAvailable, Message: "The coordinator is not available."}
	switch {
	case kind == coordinatorOfShare && r.Version >= 6:
		return nil, "", 0, none
	case kind != coordinatorOfGroup && kind != coordinatorOfTxn:
		return nil, "", 0, message.Problem{Code: message.InvalidRequest, Message: "Nothing of key type " + strconv.Itoa(int(kind)) + " has a coordinator in this version."}
	}
	_, leader, code := coordinatorIn(r.Image, [...]string{groupTopic, txnTopic}[kind], key)
	if code != message.OK || r.leaderTrouble(leader) != message.OK {
		return nil, "", 0, none
	}
	b = r.Image.Broker(leader)
	host, port, _ = r.Endpoint(b)
	return b, host, port, message.Problem{}
}

// stateTopic is the internal topic of a kind of coordinator, as Kafka makes it; its replication is what the brokers that are not cordoned
// can bear, so that one node is enough.
func stateTopic(r *Request, kind int8) *message.NewTopic {
	names := [...]struct{ topic, settings string }{{groupTopic, "offsets.topic"}, {txnTopic, "transaction.state.log"}}
	if kind < 0 || int(kind) >= len(names) {
		return nil
	}
	at, layers := names[kind], r.Layers()
	replication := min(layers.Number(at.settings+".replication.factor"), max(1, int64(r.Image.Hosts())))
	compact, segment := "compact", strconv.FormatInt(layers.Number(at.settings+".segment.bytes"), 10)
	t := &message.NewTopic{Name: at.topic, Partitions: int32(layers.Number(at.settings + ".num.partitions")), Replication: int16(replication),
		Configs: []message.Setting{{Name: "cleanup.policy", Value: &compact}, {Name: "segment.bytes", Value: &segment}}}
	if kind == coordinatorOfTxn {
		unclean, insync := "false", strconv.FormatInt(min(layers.Number(at.settings+".min.isr"), replication), 10)
		t.Configs = append(t.Configs, message.Setting{Name: "unclean.leader.election.enable", Value: &unclean}, message.Setting{Name: "min.insync.replicas", Value: &insync})
	}
	return t
}

// bringAbout has a topic made that is not there; nobody waits for it.
func (r *Request) bringAbout(c stage.Context, t *message.NewTopic) {
	if t != nil && r.Image.Topic(t.Name) == nil {
		c.Send(message.ControllerAt(r.Node()), &message.CreateTopics{Topics: []message.NewTopic{*t}})
	}
}
