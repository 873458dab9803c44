package workload

import (
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// admin governs: it makes and ends topics of its own, changes configs, deletes records, and asks whether the broker
// remembers. It does one thing at a time.
type admin struct {
	link
	spec    Spec
	topics  []*check.Topic
	peek    *peek
	own     *check.Topic // that it has made last
	tries   map[string]*tries
	made    int
	build   builder
	healing bool
	proven  bool // something was answered since the faults were over
}

func newAdmin(w World, h *check.History, s Spec, topics []*check.Topic) *admin {
	return &admin{link: newLink(w, h, s.Name), spec: s, tries: map[string]*tries{}, topics: topics, peek: newPeek(w, h, s.Name+"-peek")}
}

// Start is part of Client.
func (a *admin) Start() { a.later(a.pace(a.spec.PaceMillis), a.tick) }

func (a *admin) next() { a.later(a.pace(a.spec.PaceMillis), a.tick) }

func (a *admin) tick() {
	if a.healing {
		a.describe()
		return
	}
	topic := a.topics[a.chance.IntN(len(a.topics))]
	switch a.chance.IntN(10) {
	case 0, 1, 2:
		a.churn()
	case 3:
		a.alter(topic)
	case 4, 5:
		a.deleteRecords(topic)
	case 6:
		a.describe()
	case 7:
		a.configs(topic)
	case 8:
		a.look()
	default:
		a.grow()
	}
}

func (a *admin) ask(req kmsg.Request, then func(kmsg.Response)) { a.askOf(a.any(), req, then) }

func (a *admin) askOf(to *link, req kmsg.Request, then func(kmsg.Response)) {
	to.call(req, time.Duration(a.spec.PatienceMillis)*time.Millisecond, func(r kmsg.Response, err error) { a.answered(req, r, err, then) })
}

func (a *admin) answered(req kmsg.Request, r kmsg.Response, err error, then func(kmsg.Response)) {
	if err != nil {
		a.world.Note("%s: %s: %v", a.name, kmsg.NameForKey(req.Key()), err)
		a.later(a.pace(30), a.tick)
		return
	}
	then(r)
}

// change is ask for what changes metadata. Every other time it is watched meanwhile.
func (a *admin) change(req kmsg.Request, then func(kmsg.Response)) {
	if !a.one(2) {
		a.ask(req, then)
		return
	}
	a.peek.begin()
	a.any().call(req, time.Duration(a.spec.PatienceMillis)*time.Millisecond, func(r kmsg.Response, err error) {
		a.peek.end()
		a.answered(req, r, err, then)
	})
}

// Stop is part of Client.
func (a *admin) Stop() {
	a.link.Stop()
	a.peek.Stop()
}

// churn makes a topic, writes to it, and ends it, one step each time.
func (a *admin) churn() {
	switch t := a.own; {
	case t == nil || t.State == check.Ended:
		a.made++
		a.own = a.history.NewTopic(fmt.Sprintf("%s-%d", a.name, a.made%2), 1+a.chance.IntN(2))
		if n := a.spec.Copies; n > 1 {
			a.own.Replicas, a.own.MinInSync, a.own.Configs["min.insync.replicas"] = n, n, strconv.Itoa(n)
		}
		a.create(a.own)
	case t.State == check.Wanted:
		a.create(t)
	case t.State == check.Unwanted || a.one(2):
		a.end(t)
	default:
		a.write(t)
	}
}

func (a *admin) create(t *check.Topic) {
	k := a.triesOf(t)
	k.unanswered++
	a.change(createRequest(t), func(r kmsg.Response) {
		k.unanswered--
		if k.haunted && refusedAsThere(r.(*kmsg.CreateTopicsResponse)) {
			a.end(t)
			return
		}
		if created(a.history, t, r.(*kmsg.CreateTopicsResponse)) {
			a.world.Note("%s made %s", a.name, t.Name)
		}
		a.next()
	})
}

// tries are the creations of topics of one name.
type tries struct {
	of         *check.Topic // the last of them
	unanswered int
	// haunted: one that was for an earlier topic was never answered. It may wait at a node that is cut off, and come true when that topic has
	// ended: who finds a topic there then need not have found the one that it wants.
	haunted bool
}

func (a *admin) triesOf(t *check.Topic) *tries {
	k := a.tries[t.Name]
	if k == nil {
		k = &tries{}
		a.tries[t.Name] = k
	}
	if k.of != t {
		k.of, k.haunted = t, k.haunted || k.unanswered > 0
	}
	return k
}

// refusedAsThere says that there is a topic of that name.
func refusedAsThere(r *kmsg.CreateTopicsResponse) bool {
	return len(r.Topics) == 1 && message.Code(r.Topics[0].ErrorCode) == message.TopicAlreadyExists
}

func createRequest(t *check.Topic) kmsg.Request {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	req.TimeoutMillis = 1000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = t.Name, int32(len(t.Partitions)), int16(max(t.Replicas, 1))
	for _, name := range sorted(t.Configs) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, kmsg.StringPtr(t.Configs[name])
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// created notes the answer to the creation of one topic. One that is there already was made by an earlier try, and its id
// is found later.
func created(h *check.History, t *check.Topic, r *kmsg.CreateTopicsResponse) bool {
	for _, one := range r.Topics {
		switch message.Code(one.ErrorCode) {
		case message.OK:
			h.Became(t, check.Exists)
			t.ID = one.TopicID
			return true
		case message.TopicAlreadyExists:
			h.Became(t, check.Exists)
			return true
		}
	}
	return false
}

func (a *admin) end(t *check.Topic) {
	t.State = check.Unwanted
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	req.TimeoutMillis = 1000
	topic := kmsg.NewDeleteTopicsRequestTopic()
	if topic.Topic = kmsg.StringPtr(t.Name); !a.alone() && t.ID != [16]byte{} { // said late it must not end another of its name
		topic.Topic, topic.TopicID = nil, t.ID
	}
	req.Topics = append(req.Topics, topic)
	a.change(req, func(r kmsg.Response) {
		for _, one := range r.(*kmsg.DeleteTopicsResponse).Topics {
			switch message.Code(one.ErrorCode) {
			case message.OK, message.UnknownTopicOrPartition, message.UnknownTopicID:
				a.history.Became(t, check.Ended)
			}
		}
		a.next()
	})
}

// write produces one batch to a topic of its own, by its id: a node that is cut off may still have an earlier one of that name.
func (a *admin) write(t *check.Topic) {
	p := t.Partitions[a.chance.IntN(len(t.Partitions))]
	s := a.build.build(a.history, check.Batch{Client: a.name, Partition: p, Count: 1, Time: a.world.Millis(), Producer: -1, Epoch: -1, Sequence: -1}, 20, 0)
	req := kmsg.NewPtrProduceRequest()
	req.Version = 13
	req.Acks = -1
	req.TimeoutMillis = 1000
	topic := kmsg.NewProduceRequestTopic()
	topic.TopicID = t.ID
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = p.Index, s.bytes
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	a.askOf(a.leader(p), req, func(r kmsg.Response) {
		if code, base := result(r.(*kmsg.ProduceResponse), p.Index); code == message.OK {
			a.history.Acked(s.Batch, base)
		} else {
			a.misled()
		}
		a.next()
	})
}

// grow gives a topic of its own another partition.
func (a *admin) grow() {
	t := a.own
	if t == nil || t.State != check.Exists || len(t.Partitions) > 4 {
		a.describe()
		return
	}
	count := len(t.Partitions) + 1
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version = 2
	req.TimeoutMillis = 1000
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = t.Name, int32(count)
	req.Topics = append(req.Topics, topic)
	a.change(req, func(r kmsg.Response) {
		for _, one := range r.(*kmsg.CreatePartitionsResponse).Topics {
			if one.ErrorCode == 0 {
				a.history.Grew(t, count)
			}
		}
		a.next()
	})
}

// alterations are configs that may change under load without breaking a promise.
var alterations = []struct{ name, value string }{
	{"segment.bytes", "2048"}, {"segment.bytes", "65536"}, {"segment.ms", "300"}, {"index.interval.bytes", "64"},
	{"index.interval.bytes", "4096"}, {"flush.messages", "3"}, {"file.delete.delay.ms", "0"}, {"max.message.bytes", "100000"},
}

func (a *admin) alter(t *check.Topic) {
	change := alterations[a.chance.IntN(len(alterations))]
	a.history.Configure(t, change.name)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, t.Name
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = change.name, kmsg.StringPtr(change.value)
	res.Configs = append(res.Configs, c)
	req.Resources = append(req.Resources, res)
	a.ask(req, func(r kmsg.Response) {
		for _, one := range r.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if one.ErrorCode == 0 {
				a.history.Configured(t, change.name, change.value)
			}
		}
		a.next()
	})
}

// deleteRecords moves a log start up, to somewhere below what is known to be committed, or to the high watermark.
func (a *admin) deleteRecords(t *check.Topic) {
	p := t.Partitions[a.chance.IntN(len(t.Partitions))]
	target := int64(-1)
	if high := p.High(); high > 0 && !a.one(4) {
		target = a.chance.Int64N(high + 1)
	}
	if target < 0 && !a.one(3) {
		a.describe()
		return
	}
	if p.Asked(target); target < 0 {
		p.AskedForAll()
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version = 2
	req.TimeoutMillis = 1000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = t.Name
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = p.Index, target
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	floor := a.history.Floor(p)
	a.askOf(a.leader(p), req, func(r kmsg.Response) {
		for _, t := range r.(*kmsg.DeleteRecordsResponse).Topics {
			for _, one := range t.Partitions {
				if one.ErrorCode != 0 {
					a.misled()
				} else {
					a.history.Deleted(p, max(target, one.LowWatermark))
					a.history.Marks(p, floor, -1, one.LowWatermark)
				}
			}
		}
		a.next()
	})
}

// describe asks for everything that there is.
func (a *admin) describe() {
	wanted, floors := a.history.Expect()
	a.ask(metadataRequest(), func(r kmsg.Response) {
		a.proven = true
		a.history.Described(wanted, floors, describedTopics(r.(*kmsg.MetadataResponse)))
		a.next()
	})
}

func metadataRequest() kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	return req
}

func describedTopics(r *kmsg.MetadataResponse) []check.Described {
	var all []check.Described
	for _, t := range r.Topics {
		if t.Topic == nil {
			continue
		}
		d := check.Described{Name: *t.Topic, ID: t.TopicID, Code: int(t.ErrorCode)}
		for _, p := range t.Partitions {
			d.Epochs = append(d.Epochs, p.LeaderEpoch)
		}
		all = append(all, d)
	}
	return all
}

// configs asks for a topic's configs.
func (a *admin) configs(t *check.Topic) {
	want := map[string]string{}
	for name, value := range t.Configs {
		want[name] = value
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, t.Name
	req.Resources = append(req.Resources, res)
	a.ask(req, func(r kmsg.Response) {
		for _, one := range r.(*kmsg.DescribeConfigsResponse).Resources {
			if one.ErrorCode == 0 {
				checkConfigs(a.history, t, want, one.Configs)
			}
		}
		a.next()
	})
}

func checkConfigs(h *check.History, t *check.Topic, want map[string]string, got []kmsg.DescribeConfigsResponseResourceConfig) {
	have := map[string]string{}
	for _, c := range got {
		if c.Value != nil {
			have[c.Name] = *c.Value
		}
	}
	for _, name := range sorted(want) {
		if have[name] != want[name] && (h.Nodes <= 1 || h.Settled) {
			h.Fail(check.ConfigIsKept, "%s: %s was set to %s and is %s.", t.Name, name, want[name], strconv.Quote(have[name]))
		}
	}
}

// look asks what nobody depends on, for the way of it.
func (a *admin) look() {
	var req kmsg.Request
	switch a.chance.IntN(5) {
	case 0:
		req = kmsg.NewPtrDescribeClusterRequest()
	case 1:
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.Version = 2
		req = q
	case 2:
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version = 3
		q.ClientSoftwareName, q.ClientSoftwareVersion = "sim", "1"
		req = q
	case 3:
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey = "group"
		req = q
	default:
		t := a.topics[a.chance.IntN(len(a.topics))]
		q := kmsg.NewPtrDescribeProducersRequest()
		topic := kmsg.NewDescribeProducersRequestTopic()
		topic.Topic, topic.Partitions = t.Name, []int32{0}
		q.Topics = append(q.Topics, topic)
		req = q
	}
	a.ask(req, func(kmsg.Response) { a.next() })
}

// Heal is part of Client.
func (a *admin) Heal() { a.healing, a.proven = true, false }

// Waiting is part of Client.
func (a *admin) Waiting() string {
	if a.proven {
		return ""
	}
	return a.name + " has not been answered"
}
