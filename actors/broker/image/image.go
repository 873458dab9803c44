// Package image is the cluster's metadata as every node sees it: an immutable value, made from the one before by applying
// committed records. Readers load it from what the broker actor publishes and keep it as long as they like.
//
// It decides nothing and knows no controller; two images that applied the same records are equal.
package image

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Image is the metadata at one index of the metadata log.
type Image struct {
	Cluster string         // the cluster id: 22 characters of url-safe base64, as Kafka's
	Index   int64          // of the last record applied; also the finalized features' epoch
	Leader  message.NodeID // of the metadata quorum, as this node last heard; it comes from no record
	Stale   bool           // the controller was silent, or this is behind what it has, for so long that others may lead what this node led; it comes from no record

	topics   *btree.Map[string, *Topic] // by name; copied on write
	ids      *btree.Map[string, *Topic] // by id's bytes
	folded   *btree.Map[string, string] // names with a dot or an underscore, by their folded form
	brokers  *btree.Map[message.NodeID, *Broker]
	configs  *btree.Map[string, Overrides] // by kind and name
	features *btree.Map[string, int16]
	removed  *btree.Map[int64, message.TopicID] // the last topics that were removed, in order

	nextProducerID int64
	nextNode       message.NodeID // the controller gives no smaller number to a node any more
	partitions     int            // in all topics
}

// Topic is one topic. It is never changed once an image holds it.
type Topic struct {
	Name       string
	ID         message.TopicID
	Internal   bool
	Partitions []Partition // by index
}

// Partition is one partition's place in the cluster.
type Partition struct {
	Leader         message.NodeID // Nobody while there is none
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []message.NodeID
	ISR            []message.NodeID
	ELR            []message.NodeID // eligible leader replicas (KIP-966)
	LastKnownELR   []message.NodeID
	Adding         []message.NodeID
	Removing       []message.NodeID
}

// Broker is one registered node.
type Broker struct {
	ID          message.NodeID
	Epoch       int64
	Incarnation message.TopicID
	Directory   message.TopicID // of its data; zero: none was told
	Rack        string          // empty: none
	Fenced      bool
	Draining    bool // it may neither lead nor be in sync, because it is about to go
	Endpoints   []message.Endpoint
}

// Feature is a finalized feature level (KIP-584).
type Feature struct {
	Name  string
	Level int16
}

// Empty is the image of a metadata log without records: no cluster id, no topics, nobody leads.
func Empty() *Image {
	return &Image{
		Leader:   message.Nobody,
		topics:   btree.NewMap[string, *Topic](0),
		ids:      btree.NewMap[string, *Topic](0),
		folded:   btree.NewMap[string, string](0),
		brokers:  btree.NewMap[message.NodeID, *Broker](0),
		configs:  btree.NewMap[string, Overrides](0),
		features: btree.NewMap[string, int16](0),
		removed:  btree.NewMap[int64, message.TopicID](0),
	}
}

// Topic finds a topic by name, nil if there is none.
func (i *Image) Topic(name string) *Topic {
	t, _ := i.topics.Get(name)
	return t
}

// TopicByID finds a topic by id, nil if there is none.
func (i *Image) TopicByID(id message.TopicID) *Topic {
	t, _ := i.ids.Get(string(id[:]))
	return t
}

// Topics are all topics in the order of their names.
func (i *Image) Topics() iter.Seq[*Topic] { return i.TopicsFrom("") }

// TopicsFrom are the topics whose names are not below name, in order.
func (i *Image) TopicsFrom(name string) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		i.topics.Ascend(name, func(_ string, t *Topic) bool { return yield(t) })
	}
}

// TopicCount is how many topics there are.
func (i *Image) TopicCount() int { return i.topics.Len() }

// PartitionCount is how many partitions all topics have together.
func (i *Image) PartitionCount() int { return i.partitions }

// Removed are the ids of the topics that were removed last, oldest first. What a node finds of them in its data directory
// is garbage for certain; of a topic that is neither here nor there nobody can know.
func (i *Image) Removed() iter.Seq[message.TopicID] {
	return func(yield func(message.TopicID) bool) {
		i.removed.Scan(func(_ int64, id message.TopicID) bool { return yield(id) })
	}
}

// Partition finds a partition and its topic, nil where there is none.
func (i *Image) Partition(id message.PartitionID) (*Topic, *Partition) {
	t := i.TopicByID(id.Topic)
	if t == nil {
		return nil, nil
	}
	return t, t.Partition(id.Index)
}

// Collides finds a topic other than name whose name cannot be told from it in metrics: a dot and an underscore are the
// same there.
func (i *Image) Collides(name string) (other string, yes bool) {
	other, yes = i.folded.Get(fold(name))
	return other, yes && other != name
}

// fold maps names that collide to the same string.
func fold(name string) string { return strings.ReplaceAll(name, ".", "_") }

// foldable says that another name may fold to the same string.
func foldable(name string) bool { return strings.ContainsAny(name, "._") }

// Brokers are the registered nodes in the order of their ids, fenced ones included.
func (i *Image) Brokers() iter.Seq[*Broker] {
	return func(yield func(*Broker) bool) {
		i.brokers.Scan(func(_ message.NodeID, b *Broker) bool { return yield(b) })
	}
}

// Broker finds a registered node, nil if it is not registered.
func (i *Image) Broker(id message.NodeID) *Broker {
	b, _ := i.brokers.Get(id)
	return b
}

// BrokerCount is how many nodes are registered.
func (i *Image) BrokerCount() int { return i.brokers.Len() }

// Alive says that a node is registered and not fenced.
func (i *Image) Alive(id message.NodeID) bool {
	b := i.Broker(id)
	return b != nil && !b.Fenced
}

// Active says that a node may lead and be in sync: it is alive, and not about to go (KIP-841).
func (i *Image) Active(id message.NodeID) bool {
	b := i.Broker(id)
	return b != nil && !b.Fenced && !b.Draining
}

// Hosts is how many registered nodes may get new replicas.
func (i *Image) Hosts() (n int) {
	for b := range i.Brokers() {
		if !i.Cordoned(b.ID) {
			n++
		}
	}
	return n
}

// Cordoned says that a node gets no new replicas: it is drained, or about to be (KIP-1066).
func (i *Image) Cordoned(id message.NodeID) bool {
	return i.Config(message.ResourceBroker, BrokerName(id))[setting.CordonedDirs] != ""
}

// LiveBrokers are the registered nodes that are not fenced, in the order of their ids.
func (i *Image) LiveBrokers() iter.Seq[*Broker] {
	return func(yield func(*Broker) bool) {
		i.brokers.Scan(func(_ message.NodeID, b *Broker) bool { return b.Fenced || yield(b) })
	}
}

// Eligible says that a node could lead the partition now without loss: it is active, and in sync or an eligible leader
// replica (KIP-966).
func (i *Image) Eligible(p *Partition, n message.NodeID) bool {
	return i.Active(n) && (p.InSync(n) || slices.Contains(p.ELR, n))
}

// Reassigning are the partitions whose replicas are being moved, with their topics, in order (KIP-455).
func (i *Image) Reassigning() iter.Seq2[*Topic, int32] {
	return func(yield func(*Topic, int32) bool) {
		for t := range i.Topics() {
			for n := range t.Partitions {
				if t.Partitions[n].Reassigning() && !yield(t, int32(n)) {
					return
				}
			}
		}
	}
}

// Offline are the nodes of a list that are not alive.
func (i *Image) Offline(nodes []message.NodeID) []message.NodeID {
	var down []message.NodeID
	for _, n := range nodes {
		if !i.Alive(n) {
			down = append(down, n)
		}
	}
	return down
}

// Config are a resource's overrides; nil if it has none. A broker with the empty name is
// the cluster-wide default of all brokers.
func (i *Image) Config(kind message.ResourceKind, name string) Overrides {
	o, _ := i.configs.Get(configKey(kind, name))
	return o
}

// Configured are the names of the resources of a kind that have overrides, in order.
func (i *Image) Configured(kind message.ResourceKind) iter.Seq2[string, Overrides] {
	prefix := configKey(kind, "")
	return func(yield func(string, Overrides) bool) {
		i.configs.Ascend(prefix, func(key string, o Overrides) bool {
			return strings.HasPrefix(key, prefix) && yield(key[len(prefix):], o)
		})
	}
}

// BrokerName is how the configs of a node are named: its number in decimal.
func BrokerName(n message.NodeID) string { return strconv.Itoa(int(n)) }

func configKey(kind message.ResourceKind, name string) string {
	return string([]byte{byte(kind)}) + name
}

// Features are the finalized features in the order of their names.
func (i *Image) Features() []Feature {
	list := make([]Feature, 0, i.features.Len())
	i.features.Scan(func(name string, level int16) bool {
		list = append(list, Feature{name, level})
		return true
	})
	return list
}

// Feature is a feature's finalized level, 0 if it is not finalized.
func (i *Image) Feature(name string) int16 {
	level, _ := i.features.Get(name)
	return level
}

// NextProducerID is the first producer id of the next block that will be handed out.
func (i *Image) NextProducerID() int64 { return i.nextProducerID }

// NextNode is the number for the next node that has none: larger than any there is, or was given.
func (i *Image) NextNode() message.NodeID {
	next := max(i.nextNode, 1)
	for b := range i.Brokers() {
		next = max(next, b.ID+1)
	}
	return next
}

// WithLeader is the same image with another leader of the quorum. Index and records stay.
func (i *Image) WithLeader(n message.NodeID) *Image {
	next := *i
	next.Leader = n
	return &next
}

// Partition is the partition with this index, nil if the topic has none.
func (t *Topic) Partition(index int32) *Partition {
	if index < 0 || int(index) >= len(t.Partitions) {
		return nil
	}
	return &t.Partitions[index]
}

// At is the identity of the topic's partition with this index.
func (t *Topic) At(index int32) message.PartitionID {
	return message.PartitionID{Topic: t.ID, Index: index}
}

// Replication is the number of replicas of the topic's first partition, as CreateTopics counts it.
func (t *Topic) Replication() int16 {
	if len(t.Partitions) == 0 {
		return 0
	}
	return int16(len(t.Partitions[0].Replicas))
}

// IsLeader says that the node leads the partition.
func (p *Partition) IsLeader(n message.NodeID) bool { return p.Leader == n && n != message.Nobody }

// IsReplica says that the node keeps, or is getting, a copy.
func (p *Partition) IsReplica(n message.NodeID) bool { return slices.Contains(p.Replicas, n) }

// InSync says that the node is in the in-sync set.
func (p *Partition) InSync(n message.NodeID) bool { return slices.Contains(p.ISR, n) }

// Reassigning says that the partition's replicas are being moved.
func (p *Partition) Reassigning() bool { return len(p.Adding)+len(p.Removing) > 0 }

// Preferred is the replica that should lead, Nobody if there are no replicas.
func (p *Partition) Preferred() message.NodeID {
	if len(p.Replicas) == 0 {
		return message.Nobody
	}
	return p.Replicas[0]
}
