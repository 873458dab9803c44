package message

// BrokerHeartbeat is a registered node's sign of life to the controller; BrokerAlive answers. A node that is silent for longer than
// broker.session.timeout.ms is fenced.
type BrokerHeartbeat struct {
	Node         NodeID
	Epoch        int64 // of its registration
	Applied      int64 // index of the image that is in effect there
	WantShutdown bool  // it asks to be relieved of its leaderships
}

// BrokerAlive answers BrokerHeartbeat.
type BrokerAlive struct {
	Code        Code // OK, StaleBrokerEpoch, BrokerIDNotRegistered
	Fenced      bool
	MayShutdown bool  // it leads nothing any more
	Index       int64 // of the image that was in effect at the controller; 0 where it does not say
}

// AlterPartition is a leader's wish to change who is in sync; PartitionsAltered answers (KIP-497, KIP-903).
type AlterPartition struct {
	Node       NodeID
	Epoch      int64 // of its registration
	Partitions []NewISR
}

// NewISR is one partition's in-sync set as its leader wants it. What the leader saw last of the partition stands beside it: with an older word nothing changes.
type NewISR struct {
	Partition      PartitionID
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []NodeID
}

// PartitionsAltered answers AlterPartition, in order. The change itself comes with the next image.
type PartitionsAltered struct{ Codes []Code }

// ReassignPartitions asks for other replicas; Results answers, one per partition (KIP-455).
type ReassignPartitions struct {
	Partitions []Reassignment
	// KeepReplicationFactor refuses a move that changes it.
	KeepReplicationFactor bool
}

// Reassignment is where one partition's replicas shall be, the preferred leader first; nil cancels a move that is under way.
type Reassignment struct {
	NamedPartition
	Replicas []NodeID
}

// UnregisterBroker takes a fenced node out of the cluster; Results answers.
type UnregisterBroker struct{ Node NodeID }

// NotLeading is the answer to a request that was passed on to a controller whose leader is the asker's own: it is for the asker to decide.
type NotLeading struct{}

// Withdraw asks a node's broker actor to have the node relieved before it stops: others lead and are in sync then. Withdrawn
// answers, at once where there is nobody else; how long that may take is the asker's patience.
type Withdraw struct{}

// Withdrawn answers Withdraw.
type Withdrawn struct{}
