package kafka

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Metadata says which brokers and topics there are and who leads. v1 tells no topics from all topics, v4 may forbid to
// create topics, v7 has leader epochs, v8 authorised operations, v9 is flexible, v10 topic ids, v12 asks by id, v13 an error
// for the whole answer.
var metadataAPI = api{key: 3, min: 0, max: 13, start: decoded(onMetadata), shape: "( 16@10+ s ) 1@4+ 1@8-10 1@8+"}

// createPatience is how long a client's metadata waits for a topic that it brings about.
const createPatience = 5 * time.Second

const listenerNotFound message.Code = 72

// onMetadata answers from the image. A missing topic is created if it may be (S41); Kafka then tells the client to come
// back, we answer when the topic serves, and save it the way.
func onMetadata(c stage.Context, r *Request, q *kmsg.MetadataRequest) {
	if r.Version >= 12 && slices.ContainsFunc(q.Topics, byID) {
		q.Topics = slices.DeleteFunc(q.Topics, func(t kmsg.MetadataRequestTopic) bool { return !byID(t) }) // as Kafka does
	}
	missing := missingTopics(r, q)
	if len(missing) == 0 {
		r.Answer(c, metadata(r, q))
		return
	}
	r.Ask(c, message.ControllerAt(r.Node()), &message.CreateTopics{Topics: missing}, createPatience, func(c stage.Context, _ any) {
		r.Image = r.conn.latest(c, r.Image)
		r.Answer(c, metadata(r, q))
	})
}

// missingTopics are those that asking for brings about. They get the broker's defaults.
func missingTopics(r *Request, q *kmsg.MetadataRequest) (missing []message.NewTopic) {
	if r.Version >= 4 && !q.AllowAutoTopicCreation || !r.conn.resolve(r.Image).door.autoCreate {
		return nil
	}
	seen := map[string]bool{}
	for i := range q.Topics {
		name := q.Topics[i].Topic
		if name == nil || seen[*name] || q.Topics[i].TopicID != [16]byte{} || reserved(*name) {
			continue
		}
		seen[*name] = true
		if _, code := findTopic(r.Image, *name, message.TopicID{}, false); code == message.UnknownTopicOrPartition {
			missing = append(missing, message.NewTopic{Name: *name, Partitions: -1, Replication: -1})
		}
	}
	return missing
}

// reserved says that a name is an internal topic's, which only its coordinator may bring about.
func reserved(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}

func metadata(r *Request, q *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ClusterID = &r.Image.Cluster
	resp.ControllerID = int32(r.controller())
	for b := range r.Image.Brokers() {
		if host, port, ok := r.Endpoint(b); ok && !b.Fenced {
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: int32(b.ID), Host: host, Port: port, Rack: rack(b)})
		}
	}
	if q.Topics == nil || r.Version == 0 && len(q.Topics) == 0 {
		for t := range r.Image.Topics() {
			resp.Topics = append(resp.Topics, describeTopic(r, t))
		}
		authorize(q, resp)
		return resp
	}
	seen := map[kmsgTopic]bool{}
	for i := range q.Topics {
		if key := keyOf(&q.Topics[i]); !seen[key] {
			seen[key] = true
			resp.Topics = append(resp.Topics, askedTopic(r, &q.Topics[i]))
		}
	}
	authorize(q, resp)
	return resp
}

// authorize says what the client may do, where it asks (S45).
func authorize(q *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) {
	if q.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = everythingOnCluster
	}
	for i := range resp.Topics {
		if q.IncludeTopicAuthorizedOperations && resp.Topics[i].ErrorCode == 0 {
			resp.Topics[i].AuthorizedOperations = everythingOnTopic
		}
	}
}

// kmsgTopic tells topics of a request apart.
type kmsgTopic struct {
	name  string
	id    message.TopicID
	named bool
}

func keyOf(t *kmsg.MetadataRequestTopic) kmsgTopic {
	if t.Topic == nil {
		return kmsgTopic{id: t.TopicID}
	}
	return kmsgTopic{*t.Topic, t.TopicID, true}
}

// controller is who clients shall send their admin requests to: any broker passes them on (L10), so we take them.
func (r *Request) controller() message.NodeID {
	if r.Image.Alive(r.Node()) {
		return r.Node()
	}
	for b := range r.Image.Brokers() {
		if !b.Fenced {
			return b.ID
		}
	}
	return message.Nobody
}

func rack(b *image.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}

func byID(t kmsg.MetadataRequestTopic) bool { return t.TopicID != [16]byte{} }

// askedTopic describes a topic that was asked for, by name or, from version 12 on, by id (S43). The name beside an id means nothing.
func askedTopic(r *Request, q *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	name := ""
	if q.Topic != nil {
		name = *q.Topic
	}
	refused := kmsg.NewMetadataResponseTopic()
	refused.Topic, refused.TopicID = q.Topic, q.TopicID
	if r.Version < 12 && byID(*q) || q.Topic == nil && !byID(*q) {
		refused.ErrorCode, refused.Topic = int16(message.InvalidRequest), &name
		return refused
	}
	t, code := findTopic(r.Image, name, q.TopicID, byID(*q))
	if code != message.OK {
		if byID(*q) {
			refused.Topic = nil
		}
		refused.ErrorCode = int16(code)
		return refused
	}
	return describeTopic(r, t)
}

func describeTopic(r *Request, t *image.Topic) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.IsInternal = &t.Name, t.ID, t.Internal
	rt.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		rt.Partitions[i] = describePartition(r, &t.Partitions[i], int32(i))
	}
	return rt
}

func describePartition(r *Request, p *image.Partition, index int32) kmsg.MetadataResponseTopicPartition {
	rp := kmsg.NewMetadataResponseTopicPartition()
	rp.Partition, rp.Leader, rp.LeaderEpoch = index, int32(p.Leader), p.LeaderEpoch
	rp.Replicas, rp.ISR, rp.OfflineReplicas = numbers(p.Replicas), numbers(p.ISR), numbers(r.offline(p.Replicas))
	rp.ErrorCode = int16(r.leaderTrouble(p.Leader))
	if rp.ErrorCode != 0 {
		rp.Leader = -1
	}
	return rp
}

// offline are the replicas of a list that this client cannot reach: they do not take part, or not at its listener.
func (r *Request) offline(replicas []message.NodeID) (down []message.NodeID) {
	for _, n := range replicas {
		b := r.Image.Broker(n)
		if b == nil || b.Fenced {
			down = append(down, n)
		} else if _, _, ok := r.Endpoint(b); !ok {
			down = append(down, n)
		}
	}
	return down
}

// leaderTrouble says why a client cannot reach a leader: there is none, or none at this listener (S11).
func (r *Request) leaderTrouble(leader message.NodeID) message.Code {
	b := r.Image.Broker(leader)
	if b == nil || b.Fenced {
		return message.LeaderNotAvailable
	}
	if _, _, ok := r.Endpoint(b); ok {
		return message.OK
	}
	if r.Version >= 6 {
		return listenerNotFound
	}
	return message.LeaderNotAvailable
}
