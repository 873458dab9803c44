package message

import (
	"errors"
	"fmt"
)

// Word is a message that may cross between nodes. Every other message stays on the node where it was made.
type Word interface{ word() tag }

// tag is a word's number on the wire. It never changes its meaning.
type tag uint8

const (
	wordRaft tag = iota + 1
	wordPull
	wordPulled
	wordBrokerHeartbeat
	wordBrokerAlive
	wordAlterPartition
	wordPartitionsAltered
	wordCreateTopics
	wordTopicsCreated
	wordDeleteTopics
	wordTopicsDeleted
	wordCreatePartitions
	wordAlterConfigs
	wordElectLeaders
	wordLeadersElected
	wordUpdateFeatures
	wordAllocateProducerIDs
	wordProducerIDs
	wordRegisterBroker
	wordBrokerRegistered
	wordDescribeQuorum
	wordQuorumDescribed
	wordReassignPartitions
	wordUnregisterBroker
	wordResults
)

func (*Raft) word() tag                { return wordRaft }
func (*Pull) word() tag                { return wordPull }
func (*Pulled) word() tag              { return wordPulled }
func (*BrokerHeartbeat) word() tag     { return wordBrokerHeartbeat }
func (*BrokerAlive) word() tag         { return wordBrokerAlive }
func (*AlterPartition) word() tag      { return wordAlterPartition }
func (*PartitionsAltered) word() tag   { return wordPartitionsAltered }
func (*CreateTopics) word() tag        { return wordCreateTopics }
func (*TopicsCreated) word() tag       { return wordTopicsCreated }
func (*DeleteTopics) word() tag        { return wordDeleteTopics }
func (*TopicsDeleted) word() tag       { return wordTopicsDeleted }
func (*CreatePartitions) word() tag    { return wordCreatePartitions }
func (*AlterConfigs) word() tag        { return wordAlterConfigs }
func (*ElectLeaders) word() tag        { return wordElectLeaders }
func (*LeadersElected) word() tag      { return wordLeadersElected }
func (*UpdateFeatures) word() tag      { return wordUpdateFeatures }
func (*AllocateProducerIDs) word() tag { return wordAllocateProducerIDs }
func (*ProducerIDs) word() tag         { return wordProducerIDs }
func (*RegisterBroker) word() tag      { return wordRegisterBroker }
func (*BrokerRegistered) word() tag    { return wordBrokerRegistered }
func (*DescribeQuorum) word() tag      { return wordDescribeQuorum }
func (*QuorumDescribed) word() tag     { return wordQuorumDescribed }
func (*ReassignPartitions) word() tag  { return wordReassignPartitions }
func (*UnregisterBroker) word() tag    { return wordUnregisterBroker }
func (*Results) word() tag             { return wordResults }

// Lane is the way that a word takes to another node, so that big ones do not hold up those that keep the cluster alive.
type Lane uint8

// The lanes. Order holds within each.
const (
	Control Lane = iota // raft, heartbeats, requests, pulls
	Bulk                // record batches and raft's snapshots
)

// LaneOf says which way a word takes.
func LaneOf(w Word) Lane {
	switch w := w.(type) {
	case *Pulled:
		if len(w.Batches) > 0 {
			return Bulk
		}
	}
	return Control
}

// AppendWord appends a word's bytes to b.
func AppendWord(b []byte, w Word) ([]byte, error) {
	return b, fmt.Errorf("message: no encoding for %T", w)
}

// DecodeWord reads one word. It belongs to the caller, and record bytes within it are a part of b.
func DecodeWord(b []byte) (Word, error) {
	return nil, errors.New("message: no decoding")
}
