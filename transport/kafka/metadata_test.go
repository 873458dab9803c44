package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

func metadataOf(names ...string) *kmsg.MetadataRequest {
	q := kmsg.NewPtrMetadataRequest()
	q.Topics = []kmsg.MetadataRequestTopic{}
	for _, n := range names {
		q.Topics = append(q.Topics, kmsg.MetadataRequestTopic{Topic: &n})
	}
	return q
}

// S11: "Each listener answers Metadata with the advertised address of the listener the request arrived on; a broker lacking
// that listener is omitted from brokers and partitions get LISTENER_NOT_FOUND (>=v6) / LEADER_NOT_AVAILABLE (<=v5)." What is
// not configured is the address that the client used.
func TestBrokersAreNamedByTheClientsListener(t *testing.T) {
	more := []message.MetadataRecord{
		&message.BrokerRecord{Node: 2, Rack: "r2", Endpoints: []message.Endpoint{{Listener: "PLAINTEXT", Host: "two", Port: 9}}},
		&message.BrokerRecord{Node: 3, Endpoints: []message.Endpoint{{Listener: "OTHER", Host: "three", Port: 9}}},
		&message.PartitionRecord{Partition: at("t", 1), Leader: 3, LeaderEpoch: 1, Replicas: []message.NodeID{3, 1}, ISR: []message.NodeID{3}},
		&message.PartitionRecord{Partition: at("t", 2), Leader: -1, LeaderEpoch: 1, Replicas: []message.NodeID{4}, ISR: []message.NodeID{4}},
	}
	for version := int16(0); version <= 13; version++ {
		h := newHouse(t, cluster(map[string]int{"t": 1}, more...))
		r := call(h, metadataOf("t"), kmsg.NewPtrMetadataResponse(), version)
		if len(r.Brokers) != 2 || r.Brokers[0].Host != "192.0.2.1" || r.Brokers[0].Port != 19092 || r.Brokers[1].Host != "two" || r.Brokers[1].Port != 9 {
			t.Errorf("version %d: brokers %+v", version, r.Brokers)
		}
		if version >= 1 && (*r.Brokers[1].Rack != "r2" || r.Brokers[0].Rack != nil || r.ControllerID != 1) {
			t.Errorf("version %d: racks or controller of %+v", version, r)
		}
		if version >= 2 && (r.ClusterID == nil || *r.ClusterID != "tqdkGlfpTdelqaeL-1Jqhw") {
			t.Errorf("version %d: cluster id %v", version, r.ClusterID)
		}
		lost := int16(72)
		if version < 6 {
			lost = 5
		}
		ps := r.Topics[0].Partitions
		if ps[0].ErrorCode != 0 || ps[0].Leader != 1 || ps[1].ErrorCode != lost || ps[2].ErrorCode != 5 || ps[2].Leader != -1 {
			t.Errorf("version %d: %+v", version, ps)
		}
		if version >= 5 && len(ps[2].OfflineReplicas) != 1 {
			t.Errorf("version %d: offline replicas %+v", version, ps)
		}
		if version >= 7 && ps[0].LeaderEpoch != epoch || version >= 10 && r.Topics[0].TopicID != idOf("t") {
			t.Errorf("version %d: %+v", version, r.Topics[0])
		}
	}
}

// S42: "topics null = all; [] = none (v1+), v0 [] = all."
func TestAllTopicsOrNone(t *testing.T) {
	for version := int16(0); version <= 13; version++ {
		h := newHouse(t, cluster(map[string]int{"b": 1, "a": 2}))
		none := len(call(h, metadataOf(), kmsg.NewPtrMetadataResponse(), version).Topics)
		if want := map[bool]int{true: 2, false: 0}[version == 0]; none != want {
			t.Errorf("version %d: [] gets %d topics", version, none)
		}
		if version == 0 {
			continue
		}
		q := kmsg.NewPtrMetadataRequest()
		if r := call(h, q, kmsg.NewPtrMetadataResponse(), version); len(r.Topics) != 2 || *r.Topics[0].Topic != "a" {
			t.Errorf("version %d: null gets %+v", version, r.Topics)
		}
	}
}

// S41: "Auto-create iff auto.create.topics.enable and request.allow_auto_topic_creation (v4+; implicit true before) and
// topics explicitly listed." Ours answers when the topic serves; without an answer in time the client comes back.
func TestAskingForATopicCreatesIt(t *testing.T) {
	h := newHouse(t, cluster(nil))
	h.plays = func(to message.Address, what any) any {
		q := what.(*message.CreateTopics)
		if to != message.ControllerAt(me) || len(q.Topics) != 1 || q.Topics[0].Name != "new" || q.Topics[0].Partitions != -1 || q.Topics[0].Replication != -1 {
			t.Errorf("%v was asked for %+v", to, q)
		}
		h.views[message.BrokerAt(me)] = with(h.views[message.BrokerAt(me)].(*image.Image), &message.TopicRecord{Name: "new", ID: idOf("new")},
			&message.PartitionRecord{Partition: at("new", 0), Leader: me, LeaderEpoch: 1, Replicas: []message.NodeID{me}, ISR: []message.NodeID{me}})
		return &message.TopicsCreated{}
	}
	if r := call(h, metadataOf("new", "new"), kmsg.NewPtrMetadataResponse(), 1); len(r.Topics) != 1 || r.Topics[0].ErrorCode != 0 || len(r.Topics[0].Partitions) != 1 {
		t.Errorf("the answer is %+v", r.Topics)
	}
	h.plays = func(message.Address, any) any { return &stage.TimedOut{} }
	if r := call(h, metadataOf("slow"), kmsg.NewPtrMetadataResponse(), 1); r.Topics[0].ErrorCode != 3 {
		t.Errorf("the answer is %+v", r.Topics)
	}
}

func TestWhatIsNotCreated(t *testing.T) {
	off := &message.ConfigRecord{Resource: message.Resource{Kind: message.ResourceBroker}, Key: "auto.create.topics.enable", Value: note("false")}
	for _, c := range []struct {
		claim   string
		version int16
		q       func() *kmsg.MetadataRequest
		more    []message.MetadataRecord
		code    int16
	}{
		{"S41: request.allow_auto_topic_creation", 4, func() *kmsg.MetadataRequest { return metadataOf("new") }, nil, 3},
		{"S41: auto.create.topics.enable", 1, func() *kmsg.MetadataRequest { return metadataOf("new") }, []message.MetadataRecord{off}, 3},
		{"S44: illegal names", 1, func() *kmsg.MetadataRequest { return metadataOf("a b") }, nil, 17},
		{"internal topics are their coordinators' to create", 1, func() *kmsg.MetadataRequest { return metadataOf("__consumer_offsets") }, nil, 3},
		{"S43: Unknown id -> UNKNOWN_TOPIC_ID with null name", 12, func() *kmsg.MetadataRequest {
			q := metadataOf()
			name := "t"
			q.Topics = []kmsg.MetadataRequestTopic{{Topic: &name, TopicID: idOf("x")}}
			return q
		}, nil, 100},
		{"S43: name null before v12 -> INVALID_REQUEST", 11, func() *kmsg.MetadataRequest {
			q := metadataOf()
			q.Topics = []kmsg.MetadataRequestTopic{{TopicID: idOf("x")}}
			return q
		}, nil, 42},
	} {
		h := newHouse(t, cluster(nil, c.more...))
		r := call(h, c.q(), kmsg.NewPtrMetadataResponse(), c.version)
		if len(h.asks) > 0 || len(r.Topics) != 1 || r.Topics[0].ErrorCode != c.code || c.code == 100 && r.Topics[0].Topic != nil {
			t.Errorf("%s: asked %v, %+v", c.claim, h.asks, r.Topics)
		}
	}
}

// S43: "Topic by id in request only v12+." S45: "authorized_operations = Int.MIN when not requested."
func TestTopicsAreFoundByID(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}))
	empty, other := "", "other"
	for _, name := range []*string{nil, &empty, &other} { // Java's admin client sends an empty name: the id alone counts
		q := metadataOf()
		q.Topics = []kmsg.MetadataRequestTopic{{Topic: name, TopicID: idOf("t")}, {Topic: &other}}
		r := call(h, q, kmsg.NewPtrMetadataResponse(), 12)
		if len(h.asks) > 0 || len(r.Topics) != 1 || r.Topics[0].Topic == nil || *r.Topics[0].Topic != "t" || r.Topics[0].AuthorizedOperations != -1<<31 {
			t.Errorf("asked by id and %v: the answer is %+v", name, r.Topics)
		}
	}
}
