package metadata

import (
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// partitionsMax is how many partitions one request may make, as in Kafka: a bound on the size of one entry of the log.
const partitionsMax = 10_000

// createTopics checks and makes topics, each on its own (S100-S102).
func (t *turn) createTopics(m *message.CreateTopics) *message.TopicsCreated {
	answer := &message.TopicsCreated{Results: make([]message.TopicCreated, len(m.Topics))}
	count, room := countNames(m.Topics), partitionsMax
	for i := range m.Topics {
		n, r := &m.Topics[i], &answer.Results[i]
		r.Name = n.Name
		r.Problem = t.trial(!m.ValidateOnly, func(t *turn) message.Problem {
			if count[n.Name] > 1 {
				return refuse(message.InvalidRequest, "Duplicate topic name.")
			}
			return t.createTopic(n, r, &room)
		})
		if r.Code != message.OK {
			*r = message.TopicCreated{Problem: r.Problem, Name: n.Name, Partitions: -1, Replication: -1}
		} else if m.ValidateOnly {
			r.ID = message.TopicID{}
		}
	}
	return answer
}

func countNames(topics []message.NewTopic) map[string]int {
	count := make(map[string]int, len(topics))
	for i := range topics {
		count[topics[i].Name]++
	}
	return count
}

func (t *turn) createTopic(n *message.NewTopic, r *message.TopicCreated, room *int) message.Problem {
	if p := t.nameFree(n.Name); p.Code != message.OK {
		return p
	}
	if p := t.newConfigs(n.Configs); p.Code != message.OK {
		return p
	}
	placed, p := t.assign(n, room)
	if p.Code != message.OK {
		return p
	}
	r.ID, r.Partitions, r.Replication = t.newID(), int32(len(placed)), int16(len(placed[0]))
	t.note(&message.TopicRecord{Name: n.Name, ID: r.ID, Internal: internal(n.Name)})
	for i, replicas := range placed {
		t.note(t.newPartition(message.PartitionID{Topic: r.ID, Index: int32(i)}, replicas))
	}
	r.Configs = sorted(n.Configs)
	for _, c := range r.Configs {
		t.note(&message.ConfigRecord{Resource: message.Resource{Kind: message.ResourceTopic, Name: n.Name}, Key: c.Name, Value: c.Value})
	}
	return message.Problem{}
}

// nameFree refuses a name that is not legal, is taken, or cannot be told from another's in metrics (S44).
func (t *turn) nameFree(name string) message.Problem {
	if p := legal(name); p.Code != message.OK {
		return p
	}
	if t.image().Topic(name) != nil {
		return refuse(message.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if other, yes := t.image().Collides(name); yes {
		return refuse(message.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other)
	}
	return message.Problem{}
}

// newConfigs checks a new topic's overrides.
func (t *turn) newConfigs(configs []message.Setting) message.Problem {
	var null []string
	for _, c := range configs {
		if c.Value == nil {
			null = append(null, c.Name)
		}
	}
	if len(null) > 0 {
		return refuse(message.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(null, ","))
	}
	for _, c := range configs {
		s, err := setting.Known(setting.OfTopic, c.Name)
		if err == nil {
			err = s.Check(*c.Value)
		}
		if err != nil {
			return refuse(message.InvalidConfig, "%s", err)
		}
	}
	return message.Problem{}
}

// sorted puts overrides in the order of their names; of two with the same name the last one counts.
func sorted(configs []message.Setting) []message.Setting {
	last := make(map[string]int, len(configs))
	for i, c := range configs {
		last[c.Name] = i
	}
	kept := make([]message.Setting, 0, len(last))
	for i, c := range configs {
		if last[c.Name] == i {
			kept = append(kept, c)
		}
	}
	slices.SortFunc(kept, func(a, b message.Setting) int { return strings.Compare(a.Name, b.Name) })
	return kept
}

// assign says where a new topic's partitions go: where the request says, or where there is a place.
func (t *turn) assign(n *message.NewTopic, room *int) ([][]message.NodeID, message.Problem) {
	if len(n.Assignment) > 0 {
		return t.assignByHand(n, room)
	}
	partitions, replication := int(n.Partitions), int(n.Replication)
	if replication == 0 || replication < -1 {
		return nil, refuse(message.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if partitions == 0 || partitions < -1 {
		return nil, refuse(message.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if partitions == -1 {
		partitions = int(t.layers().Number("num.partitions"))
	}
	if replication == -1 {
		replication = int(t.layers().Number("default.replication.factor"))
	}
	if p := take(room, partitions); p.Code != message.OK {
		return nil, p
	}
	placed, err := t.place(partitions, replication)
	if err != nil {
		return nil, refuse(message.InvalidReplicationFactor, "%s", err)
	}
	return placed, message.Problem{}
}

// take counts new partitions against what one request may make.
func take(room *int, partitions int) message.Problem {
	if partitions > *room {
		return refuse(message.PolicyViolation, "Excessively large number of partitions per request.")
	}
	*room -= partitions
	return message.Problem{}
}

func (t *turn) assignByHand(n *message.NewTopic, room *int) ([][]message.NodeID, message.Problem) {
	if n.Replication != -1 {
		return nil, refuse(message.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if n.Partitions != -1 {
		return nil, refuse(message.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if p := take(room, len(n.Assignment)); p.Code != message.OK {
		return nil, p
	}
	byIndex := make(map[int32][]message.NodeID, len(n.Assignment))
	for _, a := range n.Assignment {
		if _, twice := byIndex[a.Partition]; twice {
			return nil, refuse(message.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		byIndex[a.Partition] = a.Replicas
	}
	placed := make([][]message.NodeID, len(n.Assignment))
	for i := range placed {
		replicas, found := byIndex[int32(i)]
		if !found {
			return nil, refuse(message.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		placed[i] = replicas
	}
	return placed, t.checkByHand(placed, 0, 0)
}

// checkByHand refuses replica lists that are empty, name a node twice, one that is not registered or one that is cordoned, are not all as long
// (as replication, if that is not 0), or have nobody active. first is the index of the first partition.
func (t *turn) checkByHand(placed [][]message.NodeID, first, replication int) message.Problem {
	for i, replicas := range placed {
		if replication == 0 {
			replication = len(replicas)
		}
		if p := t.checkReplicas(replicas, replication, nil); p.Code != message.OK {
			return p
		}
		if !slices.ContainsFunc(replicas, t.image().Active) {
			return refuse(message.InvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", first+i)
		}
	}
	return message.Problem{}
}

// checkReplicas is checkByHand for one list. Who has a replica already keeps it though it is cordoned.
func (t *turn) checkReplicas(replicas []message.NodeID, replication int, already []message.NodeID) message.Problem {
	const begin = "The manual partition assignment includes "
	if len(replicas) == 0 {
		return refuse(message.InvalidReplicaAssignment, begin+"an empty replica list.")
	}
	for i, n := range replicas {
		if t.image().Broker(n) == nil {
			return refuse(message.InvalidReplicaAssignment, begin+"broker %d, but no such broker is registered.", n)
		}
		if slices.Contains(replicas[:i], n) {
			return refuse(message.InvalidReplicaAssignment, begin+"the broker %d more than once.", n)
		}
		if t.cordoned(n) && !slices.Contains(already, n) {
			return refuse(message.InvalidReplicaAssignment, begin+"broker %d, but all its log directories are cordoned: it gets no new replicas.", n)
		}
	}
	if len(replicas) != replication {
		return refuse(message.InvalidReplicaAssignment, begin+"a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), replication)
	}
	return message.Problem{}
}
