package workload

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/sim/check"
)

// operate does to a cluster what its operators do: replicas are moved, moves called off, leaders elected, replication throttled. Nobody
// who reads or writes may notice.
func (a *admin) operate(t *check.Topic) {
	p := t.Partitions[a.chance.IntN(len(t.Partitions))]
	switch a.chance.IntN(6) {
	case 0, 1:
		a.move(p, a.somewhere(max(t.Replicas, 1)))
	case 2:
		a.move(p, nil)
	case 3:
		a.elect()
	default:
		a.throttle(t)
	}
}

// somewhere is a list of so many nodes.
func (a *admin) somewhere(count int) (nodes []int32) {
	for _, n := range a.chance.Perm(a.world.Nodes())[:min(count, a.world.Nodes())] {
		nodes = append(nodes, int32(n+1))
	}
	return nodes
}

// move puts a partition's replicas elsewhere, or calls a move off if it is told no place.
func (a *admin) move(p *check.Partition, to []int32) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = 1000
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	topic.Topic = p.Topic.Name
	part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	part.Partition, part.Replicas = p.Index, to
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	a.ask(req, func(kmsg.Response) {
		a.world.Note("%s: %s/%d to %v", a.name, p.Topic.Name, p.Index, to)
		a.next()
	})
}

func (a *admin) elect() {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 1
	req.TimeoutMillis = 1000
	a.ask(req, func(kmsg.Response) { a.next() })
}

// throttle lets a topic's replicas copy slowly, or not any more, on some nodes.
func (a *admin) throttle(t *check.Topic) {
	which, rate := "*", strconv.Itoa(20_000*(1+a.chance.IntN(10)))
	if a.one(2) {
		which = ""
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	req.Resources = append(req.Resources, configs(kmsg.ConfigResourceTypeTopic, t.Name, which,
		"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"))
	for _, n := range a.somewhere(2) {
		req.Resources = append(req.Resources, configs(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(n)), rate,
			"leader.replication.throttled.rate", "follower.replication.throttled.rate"))
	}
	a.ask(req, func(kmsg.Response) { a.next() })
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
