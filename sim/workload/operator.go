package workload

import (
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/sim/check"
)

// operator runs a cluster while others work: it moves replicas, calls moves off, drains a node and takes it into use again, has leaders
// elected, throttles replication, and changes how many copies an acknowledgement needs. It does one thing at a time and does not mind a refusal; nobody
// who reads or writes may notice.
type operator struct {
	link
	spec    Spec
	topics  []*check.Topic
	healing bool
	proven  bool           // nothing is throttled any more, and that was answered
	drained message.NodeID // 0: none
}

func newOperator(w World, h *check.History, s Spec, topics []*check.Topic) *operator {
	return &operator{link: newLink(w, h, s.Name), spec: s, topics: topics}
}

// Start is part of Client.
func (o *operator) Start() { o.next() }

func (o *operator) next() { o.later(o.pace(o.spec.PaceMillis), o.tick) }

func (o *operator) tick() {
	t := o.topics[o.chance.IntN(len(o.topics))]
	p := t.Partitions[o.chance.IntN(len(t.Partitions))]
	switch n := o.chance.IntN(12); {
	case o.healing:
		o.unthrottle()
	case n < 4:
		o.move(p, o.nodes(max(t.Replicas, 1), 0))
	case n < 5:
		o.move(p, nil)
	case n < 6:
		o.drainOrUndrain()
	case n < 8:
		o.elect(p)
	case n < 10:
		o.promise(t)
	default:
		o.throttle(t)
	}
}

func (o *operator) ask(req kmsg.Request, then func(kmsg.Response)) {
	o.any().call(req, o.patience(), func(r kmsg.Response, err error) {
		if err == nil && then != nil {
			then(r)
		}
		o.next()
	})
}

func (o *operator) patience() time.Duration {
	return time.Duration(o.spec.PatienceMillis) * time.Millisecond
}

// nodes draws different nodes, without one; as many as there are, if more are asked for.
func (o *operator) nodes(count int, without message.NodeID) (drawn []int32) {
	for _, i := range o.chance.Perm(o.world.Nodes()) {
		if n := first + message.NodeID(i); n != without && len(drawn) < count {
			drawn = append(drawn, int32(n))
		}
	}
	return drawn
}

// reassigned is a wish for another place.
func reassigned(p *check.Partition, to []int32) kmsg.AlterPartitionAssignmentsRequestTopic {
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	part.Partition, part.Replicas = p.Index, to
	topic.Topic, topic.Partitions = p.Topic.Name, append(topic.Partitions, part)
	return topic
}

func reassignment(wishes ...kmsg.AlterPartitionAssignmentsRequestTopic) *kmsg.AlterPartitionAssignmentsRequest {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis, req.Topics = 1000, wishes
	return req
}

// move puts a partition's replicas elsewhere, or calls a move off if it is told no place.
func (o *operator) move(p *check.Partition, to []int32) {
	o.world.Note("%s: %s to %v", o.name, p, to)
	o.ask(reassignment(reassigned(p, to)), nil)
}

// drainOrUndrain empties a node as troupe node drain does: it is cordoned, and then everything moves to the others in one request. The
// next time, it is taken into use again.
func (o *operator) drainOrUndrain() {
	if node := o.drained; node != 0 {
		o.drained = 0
		o.world.Note("%s: node %d is used again", o.name, node)
		o.ask(alteration(cordon(node, kmsg.IncrementalAlterConfigOpDelete)), nil)
		return
	}
	node := first + message.NodeID(o.chance.IntN(o.world.Nodes()))
	o.drained = node
	o.world.Note("%s: node %d is drained", o.name, node)
	o.any().call(alteration(cordon(node, kmsg.IncrementalAlterConfigOpSet)), o.patience(), func(_ kmsg.Response, err error) {
		if err != nil || o.healing {
			o.next()
			return
		}
		var wishes []kmsg.AlterPartitionAssignmentsRequestTopic
		for _, t := range o.topics {
			for _, p := range t.Partitions {
				if to := o.nodes(max(t.Replicas, 1), node); len(to) == max(t.Replicas, 1) { // else it has nowhere to go
					wishes = append(wishes, reassigned(p, to))
				}
			}
		}
		o.ask(reassignment(wishes...), nil)
	})
}

func cordon(node message.NodeID, op kmsg.IncrementalAlterConfigOp) kmsg.IncrementalAlterConfigsRequestResource {
	res := configs(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(node)), "*", setting.CordonedDirs)
	if res.Configs[0].Op = op; op == kmsg.IncrementalAlterConfigOpDelete {
		res.Configs[0].Value = nil
	}
	return res
}

// elect has the preferred leader elected, or, where the topic may lose something, anybody who is there.
func (o *operator) elect(p *check.Partition) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	req.TimeoutMillis = 1000
	if p.Topic.MayLose && o.one(2) {
		req.ElectionType = 1
	}
	topic := kmsg.NewElectLeadersRequestTopic()
	topic.Topic, topic.Partitions = p.Topic.Name, []int32{p.Index}
	req.Topics = append(req.Topics, topic)
	o.ask(req, nil)
}

// promise changes how many copies an acknowledgement needs. What counts from then on is the smallest that was ever asked for: the
// moment of the change is nobody's to know. It asks for no fewer while a disk is lost that the cluster still counts on: who has only one copy then,
// and has said that one is enough, was promised nothing.
func (o *operator) promise(t *check.Topic) {
	const name = "min.insync.replicas"
	least := 1 + o.chance.IntN(min(max(t.Replicas, 1), 2))
	if least < t.MinInSync && !o.world.Whole() {
		o.next()
		return
	}
	t.MinInSync = min(t.MinInSync, least)
	o.history.Configure(t, name)
	req := alteration(configs(kmsg.ConfigResourceTypeTopic, t.Name, strconv.Itoa(least), name))
	o.ask(req, func(r kmsg.Response) {
		for _, one := range r.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if one.ErrorCode == 0 {
				o.history.Configured(t, name, strconv.Itoa(least))
			}
		}
	})
}

// throttle lets a topic's replicas copy slowly, or not any more, on some nodes.
func (o *operator) throttle(t *check.Topic) {
	which, rate := "*", strconv.Itoa(20_000*(1+o.chance.IntN(10)))
	if o.one(2) {
		which = ""
	}
	req := alteration(configs(kmsg.ConfigResourceTypeTopic, t.Name, which, "leader.replication.throttled.replicas", "follower.replication.throttled.replicas"))
	for _, n := range o.nodes(2, 0) {
		req.Resources = append(req.Resources, configs(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(n)), rate,
			"leader.replication.throttled.rate", "follower.replication.throttled.rate"))
	}
	o.ask(req, nil)
}

// unthrottle lets everything copy as fast as it can: what was begun has to come to an end.
func (o *operator) unthrottle() {
	req := alteration()
	for _, t := range o.topics {
		req.Resources = append(req.Resources, configs(kmsg.ConfigResourceTypeTopic, t.Name, "", "leader.replication.throttled.replicas", "follower.replication.throttled.replicas"))
	}
	o.ask(req, func(r kmsg.Response) {
		refused := func(one kmsg.IncrementalAlterConfigsResponseResource) bool { return one.ErrorCode != 0 }
		o.proven = o.proven || !slices.ContainsFunc(r.(*kmsg.IncrementalAlterConfigsResponse).Resources, refused)
	})
}

func alteration(of ...kmsg.IncrementalAlterConfigsRequestResource) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	req.Resources = of
	return req
}

// configs sets some of a resource's configs to the same value.
func configs(kind kmsg.ConfigResourceType, of, value string, names ...string) kmsg.IncrementalAlterConfigsRequestResource {
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kind, of
	for _, name := range names {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, kmsg.StringPtr(value)
		res.Configs = append(res.Configs, c)
	}
	return res
}

// Heal is part of Client: it lifts the throttles and leaves the cluster alone then. What it has begun has to come to an end.
func (o *operator) Heal() { o.healing, o.proven = true, false }

// Waiting is part of Client.
func (o *operator) Waiting() string {
	if o.proven {
		return ""
	}
	return o.name + " cannot lift the throttles"
}
