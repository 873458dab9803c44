// Package image is the cluster's metadata as every node sees it: an immutable value, made from the one before by applying
// one committed record. Readers load it from what the broker actor publishes and keep it as long as they like.
//
// It decides nothing and knows no controller; two images that applied the same records are equal.
package image

import (
	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/message"
)

// Image is the metadata at one index of the metadata log.
type Image struct {
	Cluster string         // the cluster id: 22 characters of url-safe base64, as Kafka's
	Index   int64          // of the last record applied; also the finalized features' epoch
	Leader  message.NodeID // of the metadata quorum, as this node last heard

	topics   *btree.Map[string, *Topic] // by name; copied on write
	ids      *btree.Map[string, *Topic] // by id's bytes
	brokers  *btree.Map[message.NodeID, *Broker]
	configs  *btree.Map[string, map[string]string] // by kind and name
	features *btree.Map[string, int16]

	nextProducerID int64
	partitions     int // in all topics
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
	Rack        string // empty: none
	Fenced      bool
	Endpoints   []message.Endpoint
}
