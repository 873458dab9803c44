package message

import (
	"fmt"
	"slices"
)

// A word between nodes is its tag and then its fields in the order of the struct, in msgpack, one after the other. Record
// batches and raft's messages stand behind the last field as they are, up to the end.
//
//	byte 0   1 ...                               ... end
//	┌──────┬────────────────────────────────────┬──────────────────────────────────┐
//	│ tag  │ int, bool, nil | str, bin 16 (ids), │ raw bytes                        │
//	│      │ nil | array n, n times its fields  │ (Raft.Message, Pulled.Batches, …)│
//	└──────┴────────────────────────────────────┴──────────────────────────────────┘
//
// Fields have no names and no number of their own: a word that is to carry something else gets another tag.

// Word is a message that may cross between nodes. Every other message stays on the node where it was made.
type Word interface {
	word() tag
	spell(s *scribe) // names the fields in their order
}

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
	wordMend
	wordMended
	wordCramped
	wordNotLeading
	wordMark
	wordMarked
	wordEnlist
	wordEnlisted
	wordUncoordinated
	wordAssignNode
	wordNodeAssigned
	wordPulledGaps // Pulled where Gaps is set
)

func (*Raft) word() tag                { return wordRaft }
func (*Pull) word() tag                { return wordPull }
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
func (*Mend) word() tag                { return wordMend }
func (*Mended) word() tag              { return wordMended }
func (*Cramped) word() tag             { return wordCramped }
func (*NotLeading) word() tag          { return wordNotLeading }
func (*Mark) word() tag                { return wordMark }
func (*Marked) word() tag              { return wordMarked }
func (*Enlist) word() tag              { return wordEnlist }
func (*Enlisted) word() tag            { return wordEnlisted }
func (*Uncoordinated) word() tag       { return wordUncoordinated }
func (*AssignNode) word() tag          { return wordAssignNode }
func (*NodeAssigned) word() tag        { return wordNodeAssigned }

// Lane is the way that a word takes to another node, so that big ones do not hold up those that keep the cluster alive.
type Lane uint8

// The lanes. Order holds within each.
const (
	Control Lane = iota // raft, heartbeats, requests, pulls
	Bulk                // record batches and raft's snapshots
)

func (m *Pulled) word() tag {
	if m.Gaps {
		return wordPulledGaps
	}
	return wordPulled
}

// bulkMin is how long a message of raft's is that goes with the bulk, in bytes: snapshots, and entries that are as big. Raft
// bears words that overtake each other.
const bulkMin = 32 << 10

// LaneOf says which way a word takes; a letter without a word is Control.
func LaneOf(w Word) Lane {
	switch w := w.(type) {
	case *Pulled:
		if len(w.Batches) > 0 {
			return Bulk
		}
	case *Mended:
		if len(w.Batches) > 0 {
			return Bulk
		}
	case *Raft:
		if len(w.Message) >= bulkMin {
			return Bulk
		}
	}
	return Control
}

// words makes an empty word for each tag.
var words = [...]func() Word{
	wordRaft:                func() Word { return new(Raft) },
	wordPull:                func() Word { return new(Pull) },
	wordPulled:              func() Word { return new(Pulled) },
	wordBrokerHeartbeat:     func() Word { return new(BrokerHeartbeat) },
	wordBrokerAlive:         func() Word { return new(BrokerAlive) },
	wordAlterPartition:      func() Word { return new(AlterPartition) },
	wordPartitionsAltered:   func() Word { return new(PartitionsAltered) },
	wordCreateTopics:        func() Word { return new(CreateTopics) },
	wordTopicsCreated:       func() Word { return new(TopicsCreated) },
	wordDeleteTopics:        func() Word { return new(DeleteTopics) },
	wordTopicsDeleted:       func() Word { return new(TopicsDeleted) },
	wordCreatePartitions:    func() Word { return new(CreatePartitions) },
	wordAlterConfigs:        func() Word { return new(AlterConfigs) },
	wordElectLeaders:        func() Word { return new(ElectLeaders) },
	wordLeadersElected:      func() Word { return new(LeadersElected) },
	wordUpdateFeatures:      func() Word { return new(UpdateFeatures) },
	wordAllocateProducerIDs: func() Word { return new(AllocateProducerIDs) },
	wordProducerIDs:         func() Word { return new(ProducerIDs) },
	wordRegisterBroker:      func() Word { return new(RegisterBroker) },
	wordBrokerRegistered:    func() Word { return new(BrokerRegistered) },
	wordDescribeQuorum:      func() Word { return new(DescribeQuorum) },
	wordQuorumDescribed:     func() Word { return new(QuorumDescribed) },
	wordReassignPartitions:  func() Word { return new(ReassignPartitions) },
	wordUnregisterBroker:    func() Word { return new(UnregisterBroker) },
	wordResults:             func() Word { return new(Results) },
	wordMend:                func() Word { return new(Mend) },
	wordMended:              func() Word { return new(Mended) },
	wordCramped:             func() Word { return new(Cramped) },
	wordNotLeading:          func() Word { return new(NotLeading) },
	wordMark:                func() Word { return new(Mark) },
	wordMarked:              func() Word { return new(Marked) },
	wordEnlist:              func() Word { return new(Enlist) },
	wordEnlisted:            func() Word { return new(Enlisted) },
	wordUncoordinated:       func() Word { return new(Uncoordinated) },
	wordAssignNode:          func() Word { return new(AssignNode) },
	wordNodeAssigned:        func() Word { return new(NodeAssigned) },
	wordPulledGaps:          func() Word { return &Pulled{Gaps: true} },
}

// AppendWord appends a word's bytes to b. It fails only for nil.
func AppendWord(b []byte, w Word) ([]byte, error) {
	b, raw, err := AppendHead(b, w)
	return append(b, raw...), err
}

// AppendHead appends a word's bytes to b but for the raw ones at its end, which are the word's own and not copied. It fails only for nil.
func AppendHead(b []byte, w Word) (head, raw []byte, err error) {
	if w == nil {
		return b, nil, errNoWord
	}
	s := new(scribe)
	s.write(append(slices.Grow(b, headerRoom), byte(w.word())), w)
	if s.err != nil {
		return b, nil, fmt.Errorf("message: a %T cannot be written: %w", w, s.err)
	}
	return s.out, s.end, nil
}

// DecodeWord reads one word from b, which is to be the whole word and nothing else. The word belongs to the caller; its record
// bytes, or those of raft, are a part of b. What is not a word that this program knows is refused with a sentence.
func DecodeWord(b []byte) (Word, error) {
	if len(b) == 0 {
		return nil, errNoWord
	}
	if int(b[0]) >= len(words) || words[b[0]] == nil {
		return nil, fmt.Errorf("message: %d is the tag of no word that this program knows: start the newer program everywhere", b[0])
	}
	w := words[b[0]]()
	s := new(scribe)
	s.read(b[1:], w)
	if s.err != nil {
		return nil, fmt.Errorf("message: a %T cannot be read: %w", w, s.err)
	}
	return w, nil
}
