package message

// The controller's words. Every request is answered by the value named in its comment, on any node: a node that does
// not lead the quorum passes the request on. Names, counts and configs are checked by the controller, which knows them best.

// Problem is a refusal in Kafka's terms; the zero Problem is success.
type Problem struct {
	Code    Code
	Message string
}

// Setting is one configuration entry; a nil Value is Kafka's null.
type Setting struct {
	Name  string
	Value *string
}

// CreateTopics is answered by TopicsCreated, one result per topic in order. The answer leaves when this node's partitions of
// the new topics serve.
type CreateTopics struct {
	Topics       []NewTopic
	ValidateOnly bool
}

// NewTopic is a topic to be made. Partitions and Replication are -1 for the broker's default, and both -1 when
// Assignment is given.
type NewTopic struct {
	Name        string
	Partitions  int32
	Replication int16
	Assignment  []Assignment
	Configs     []Setting
}

// Assignment puts a partition's replicas on nodes, the preferred leader first.
type Assignment struct {
	Partition int32
	Replicas  []NodeID
}

// TopicsCreated answers CreateTopics.
type TopicsCreated struct{ Results []TopicCreated }

// TopicCreated is the fate of one new topic.
type TopicCreated struct {
	Problem
	Name        string
	ID          TopicID
	Partitions  int32
	Replication int16
	// Configs are the new topic's overrides; what else is effective the asker resolves itself.
	Configs []Setting
}

// DeleteTopics is answered by TopicsDeleted. Each topic is named by name or, where that is empty, by id.
type DeleteTopics struct{ Topics []TopicRef }

// TopicRef names a topic by name or id.
type TopicRef struct {
	Name string
	ID   TopicID
}

// TopicsDeleted answers DeleteTopics, in order; name and id are both filled where the topic was found.
type TopicsDeleted struct{ Results []TopicDeleted }

// TopicDeleted is the fate of one topic.
type TopicDeleted struct {
	Problem
	TopicRef
}

// CreatePartitions is answered by Results, in order.
type CreatePartitions struct {
	Topics       []MorePartitions
	ValidateOnly bool
}

// MorePartitions raises a topic's partitions to Count.
type MorePartitions struct {
	Name       string
	Count      int32
	Assignment [][]NodeID // of the new ones only; empty: the controller places them
}

// Results answers several requests: one Problem per asked item, in order.
type Results struct{ Problems []Problem }

// ResourceKind is Kafka's config resource type.
type ResourceKind int8

// Config resources.
const (
	ResourceTopic         ResourceKind = 2
	ResourceBroker        ResourceKind = 4 // name "" is the cluster's default
	ResourceBrokerLogger  ResourceKind = 8
	ResourceClientMetrics ResourceKind = 16
	ResourceGroup         ResourceKind = 32
)

// Resource names something that has configs.
type Resource struct {
	Kind ResourceKind
	Name string
}

// AlterConfigs is answered by Results, one per resource. With Replace (the legacy API) each resource's overrides become
// exactly its Sets.
type AlterConfigs struct {
	Resources    []AlterResource
	Replace      bool
	ValidateOnly bool
}

// AlterResource changes one resource's overrides, all or nothing.
type AlterResource struct {
	Resource
	Ops []ConfigOp
}

// ConfigOp is one change: Kafka's op types 0 set, 1 delete, 2 append, 3 subtract.
type ConfigOp struct {
	Name  string
	Op    int8
	Value *string
}

// ElectLeaders is answered by LeadersElected. All: every partition there is.
type ElectLeaders struct {
	Unclean    bool
	All        bool
	Partitions []NamedPartition
}

// NamedPartition is a partition as clients name it.
type NamedPartition struct {
	Topic string
	Index int32
}

// LeadersElected answers ElectLeaders.
type LeadersElected struct{ Results []LeaderElected }

// LeaderElected is the fate of one election.
type LeaderElected struct {
	Problem
	NamedPartition
}

// UpdateFeatures is answered by Results, one per update.
type UpdateFeatures struct {
	Updates      []FeatureUpdate
	ValidateOnly bool
}

// FeatureUpdate sets a feature's level; 0 removes it. Upgrade 1, safe downgrade 2, unsafe downgrade 3.
type FeatureUpdate struct {
	Name  string
	Level int16
	Type  int8
}

// AllocateProducerIDs asks the controller for a block of producer ids for one broker; ProducerIDs answers.
type AllocateProducerIDs struct {
	Broker NodeID
	Epoch  int64
}

// ProducerIDs is a block of ids nobody else was or will be given.
type ProducerIDs struct {
	Code  Code
	First int64
	Count int32
}

// AssignNode asks the controller for the number of a node that is to join and has none; NodeAssigned answers. It may be asked by one that is
// no node yet.
type AssignNode struct{}

// NodeAssigned is a number that no node has and that nobody else was or will be given; a zero one is of no controller.
type NodeAssigned struct{ Node NodeID }

// NewProducerID asks this node's broker actor for one producer id; ProducerID answers.
type NewProducerID struct{}

// ProducerID answers NewProducerID.
type ProducerID struct {
	Code Code
	ID   int64
}

// DescribeQuorum is answered by QuorumDescribed.
type DescribeQuorum struct{}

// QuorumDescribed says how the metadata quorum stands.
type QuorumDescribed struct {
	Leader        NodeID
	Term          int64
	HighWatermark int64
	Voters        []QuorumMember
	Observers     []QuorumMember
}

// QuorumMember is one replica of the metadata log. Times are milliseconds since 1970, -1 unknown.
type QuorumMember struct {
	Node         NodeID
	DirectoryID  TopicID
	LogEnd       int64
	LastFetch    int64
	LastCaughtUp int64
}

// RegisterBroker announces a node to the controller; BrokerRegistered answers.
type RegisterBroker struct {
	Node        NodeID
	Incarnation TopicID // a new UUID every time the process starts
	Directory   TopicID // of the data directory: with another than before, whatever the node held is lost; zero: it is older than these
	Rack        string
	Endpoints   []Endpoint
}

// Endpoint is one advertised listener.
type Endpoint struct {
	Listener string // "PLAINTEXT"
	Host     string // empty: the address that the client used
	Port     int32  // 0: the port that the client used
	Protocol string // "PLAINTEXT"
}

// BrokerRegistered answers RegisterBroker.
type BrokerRegistered struct {
	Problem
	Epoch int64
}

// Confirm asks a node's own controller to answer, by Confirmed, when this node's published image holds everything that was decided before the
// question, by whoever led the metadata quorum. While nobody leads it, nobody is answered.
type Confirm struct{}

// Confirmed answers Confirm.
type Confirmed struct{}

// ImageApplied is the broker actor's word to its node's controller: the published image has this index and its
// partitions serve.
type ImageApplied struct{ Index int64 }

// ImageChanged is the controller's word to its node's broker actor: there is a newer image. The broker publishes it,
// starts, tells and stops partitions, and answers ImageApplied.
type ImageChanged struct {
	Index int64
	Image any // *image.Image
	// Changes are what is new, oldest first ([]image.Change); nil says nothing about it: everything has to be looked at.
	Changes any
}

// Raft is a word between two members of the metadata quorum, as raft encodes it. It may be lost.
type Raft struct{ Message []byte }

// AwaitServing asks a node's broker actor to be told, with Serving, when every partition of the node is started.
type AwaitServing struct{}

// Serving answers AwaitServing: all serves, or never will unless somebody mends the problem.
type Serving struct{ Problem }
