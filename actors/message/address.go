// Package message holds every word that one actor may say to another, and the values those words carry.
//
// Words are plain data. The package imports nothing of ours but record: it knows no clock, no disk, no stage, and it
// decides nothing. A word is immutable once it is sent; bytes inside it belong to its receiver until the receiver
// answers.
package message

import (
	"encoding/hex"
	"fmt"
)

// NodeID is a broker's number in its cluster, Kafka's node.id. It is never negative; -1 means nobody.
type NodeID int32

// Nobody stands where a leader or a broker could be and is not.
const Nobody NodeID = -1

// TopicID is a topic's identity, a random version 4 UUID that a re-created topic does not get again (KIP-516).
type TopicID [16]byte

// String is the UUID in its usual hexadecimal form.
func (t TopicID) String() string {
	b := make([]byte, 0, 36)
	for i, n := 0, 0; n < 16; n++ {
		if i = n; i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, t[n:n+1])
	}
	return string(b)
}

// IsZero says that no topic is named.
func (t TopicID) IsZero() bool { return t == TopicID{} }

// PartitionID names one partition of one topic in the whole cluster.
type PartitionID struct {
	Topic TopicID
	Index int32
}

// String is "uuid/index".
func (p PartitionID) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Index) }

// MetadataLog is the pseudo-partition under which the controller keeps its raft log; no client can name it.
var MetadataLog = PartitionID{Topic: TopicID{15: 1}}

// Kind says what an address leads to.
type Kind uint8

// The kinds of actors.
const (
	KindNone        Kind = iota
	KindPartition        // one replica of a partition; Partition is set
	KindDisk             // one per data directory; Number is its index
	KindController       // the metadata quorum's local member
	KindBroker           // this node's place in the cluster
	KindConnection       // one Kafka client's connection; Number is its number
	KindOther            // tests and tools
	KindOutside          // the stage itself, when it asks for somebody who is no actor
	KindCoordinator      // who keeps state in a partition of an internal topic, beside the replica that leads it; Partition is set
)

var kindNames = [...]string{"none", "partition", "disk", "controller", "broker", "connection", "other", "outside", "coordinator"}

// String is the kind's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind-%d", k)
}

// Address says where an actor is. It is a plain comparable value that anybody can compute from the cluster's metadata;
// the zero Address is nobody's.
type Address struct {
	Node      NodeID
	Kind      Kind
	Number    uint64
	Partition PartitionID
}

// IsZero says that the address is nobody's.
func (a Address) IsZero() bool { return a.Kind == KindNone }

// String is for logs and traces: "n1/partition/uuid/0".
func (a Address) String() string {
	if a.Kind == KindPartition || a.Kind == KindCoordinator {
		return fmt.Sprintf("n%d/%s/%s", a.Node, a.Kind, a.Partition)
	}
	return fmt.Sprintf("n%d/%s/%d", a.Node, a.Kind, a.Number)
}

// PartitionAt is the address of a partition's replica on a node.
func PartitionAt(n NodeID, p PartitionID) Address {
	return Address{Node: n, Kind: KindPartition, Partition: p}
}

// CoordinatorAt is the address of the coordinator that keeps its state in a partition of an internal topic.
func CoordinatorAt(n NodeID, p PartitionID) Address {
	return Address{Node: n, Kind: KindCoordinator, Partition: p}
}

// DiskAt is the address of a node's data directory.
func DiskAt(n NodeID) Address { return Address{Node: n, Kind: KindDisk} }

// ControllerAt is the address of a node's member of the metadata quorum.
func ControllerAt(n NodeID) Address { return Address{Node: n, Kind: KindController} }

// BrokerAt is the address of a node's broker actor, which also publishes the metadata image.
func BrokerAt(n NodeID) Address { return Address{Node: n, Kind: KindBroker} }

// ConnectionAt is the address of a client's connection actor.
func ConnectionAt(n NodeID, number uint64) Address {
	return Address{Node: n, Kind: KindConnection, Number: number}
}
