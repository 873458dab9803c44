package message

// Metadata records are what the controller decides and the metadata log keeps; package image says what each does to the
// image. The records of one decision are one entry of the log and apply together or not at all.

// MetadataRecord is one of the records below.
type MetadataRecord interface{ metadataRecord() recordTag }

// ClusterRecord names the cluster: the first record of every metadata log.
type ClusterRecord struct{ ID string }

// TopicRecord makes a topic, as yet without partitions.
type TopicRecord struct {
	Name     string
	ID       TopicID
	Internal bool
}

// PartitionRecord makes a partition (its index is the number of partitions so far), or says everything anew about one
// that there is.
type PartitionRecord struct {
	Partition      PartitionID
	Leader         NodeID
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []NodeID
	ISR            []NodeID
	ELR            []NodeID
	LastKnownELR   []NodeID
	Adding         []NodeID
	Removing       []NodeID
}

// TopicRemoved ends a topic, its partitions and its configs.
type TopicRemoved struct{ ID TopicID }

// ConfigRecord sets one config of a resource; a nil Value takes the override back.
type ConfigRecord struct {
	Resource
	Key   string
	Value *string
}

// BrokerRecord registers a node. If its incarnation is new, what it had not yet made durable may be gone: every partition
// that it leads gets the next leader epoch, and every partition of which it is a replica the next partition epoch, so that
// no leader takes it for as far as it was before.
type BrokerRecord struct {
	Node        NodeID
	Epoch       int64
	Incarnation TopicID
	Rack        string
	Fenced      bool
	Endpoints   []Endpoint
}

// FenceRecord changes whether a registered node takes part.
type FenceRecord struct {
	Node   NodeID
	Epoch  int64 // of the registration that it is about
	Fenced bool
}

// DrainRecord changes whether a registered node may lead and be in sync. It ends with the node's next registration.
type DrainRecord struct {
	Node     NodeID
	Epoch    int64 // of the registration that it is about
	Draining bool
}

// DirectoryRecord says which data directory a node is registered with (KIP-853): a node that lost its disk comes with another, and
// is another voter. It ends with the node's next registration.
type DirectoryRecord struct {
	Node      NodeID
	Epoch     int64 // of the registration that it is about
	Directory TopicID
}

// BrokerRemoved takes a node out of the cluster.
type BrokerRemoved struct{ Node NodeID }

// FeatureRecord finalizes a feature level (KIP-584). Level 0 is a level like any other, except with Gone.
type FeatureRecord struct {
	Name  string
	Level int16
	Gone  bool
}

// ProducerIDsRecord says that every producer id below Next is given out.
type ProducerIDsRecord struct{ Next int64 }

// NodeIDsRecord says that the controller gives no node a number below Next any more.
type NodeIDsRecord struct{ Next NodeID }

type recordTag uint8

const (
	tagCluster recordTag = iota + 1
	tagTopic
	tagPartition
	tagTopicRemoved
	tagConfig
	tagBroker
	tagFence
	tagBrokerRemoved
	tagFeature
	tagProducerIDs
	tagDrain
	tagDirectory
	tagNodeIDs
)

func (*ClusterRecord) metadataRecord() recordTag     { return tagCluster }
func (*TopicRecord) metadataRecord() recordTag       { return tagTopic }
func (*PartitionRecord) metadataRecord() recordTag   { return tagPartition }
func (*TopicRemoved) metadataRecord() recordTag      { return tagTopicRemoved }
func (*ConfigRecord) metadataRecord() recordTag      { return tagConfig }
func (*BrokerRecord) metadataRecord() recordTag      { return tagBroker }
func (*FenceRecord) metadataRecord() recordTag       { return tagFence }
func (*DrainRecord) metadataRecord() recordTag       { return tagDrain }
func (*DirectoryRecord) metadataRecord() recordTag   { return tagDirectory }
func (*BrokerRemoved) metadataRecord() recordTag     { return tagBrokerRemoved }
func (*FeatureRecord) metadataRecord() recordTag     { return tagFeature }
func (*ProducerIDsRecord) metadataRecord() recordTag { return tagProducerIDs }
func (*NodeIDsRecord) metadataRecord() recordTag     { return tagNodeIDs }
