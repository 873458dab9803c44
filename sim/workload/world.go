// Package workload are the simulator's clients: they speak real Kafka frames, lose connections, lose patience and try
// again as real clients do, and they tell a check.History what they sent, what they were answered and what they have read.
//
// A client knows nothing of the broker but the protocol, and nothing of the world but the interface World.
package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// World is where clients live.
type World interface {
	// Now is the time since the world began.
	Now() time.Duration
	// Millis is the clients' clock, in milliseconds since 1970.
	Millis() int64
	// After calls later, once.
	After(d time.Duration, do func())
	// Rand is a random stream of its own for each name.
	Rand(name string) *rand.Rand
	// Nodes is how many nodes the cluster has, numbered from 1 on.
	Nodes() int
	// Mended says that nothing goes wrong any more: who is slow makes haste.
	Mended() bool
	// Whole says that the cluster knows of every disk that was lost.
	Whole() bool
	// Dial connects to a node. It does not fail at once: h hears of it.
	Dial(client string, node message.NodeID, h Handler) Conn
	// Note writes a line into the trace, if there is one.
	Note(format string, args ...any)
}

// Conn is a connection as its client has it.
type Conn interface {
	// Send sends one request, without its length in front.
	Send(frame []byte)
	// Close hangs up; nothing is heard of the connection any more.
	Close()
}

// Handler hears of a connection.
type Handler interface {
	// Received is one answer, without its length in front. The bytes are the handler's.
	Received(frame []byte)
	// Closed is the end of the connection, by the other side.
	Closed()
}

// Client is one simulated client.
type Client interface {
	// Name is the client's, unique in its world.
	Name() string
	// Start sets it to work.
	Start()
	// Heal tells it that the faults are over: it has to come to an end.
	Heal()
	// Waiting says what it is still waiting for; empty when it is done.
	Waiting() string
	// Stop ends it and hangs up.
	Stop()
}

// Spec says what a client does. It is data, so that it can be stored, and shrunk.
type Spec struct {
	Name  string
	Kind  Kind
	Topic int    // which of the scenario's
	Lanes []int  `json:",omitempty"` // the partitions that it uses
	Group string `json:",omitempty"` // whose member it is; the name of its chain

	Modern    bool   `json:",omitempty"` // a member by KIP-848; of transactions, version 2 (KIP-890)
	Committed bool   `json:",omitempty"` // a consumer reads only what is committed
	Software  string `json:",omitempty"` // what it says that it is: it may be held accordingly; empty: nothing
	Static    bool   `json:",omitempty"` // with an instance of its own

	Acks       int16 `json:",omitempty"`
	Idempotent bool  `json:",omitempty"`
	InFlight   int   `json:",omitempty"` // batches of a partition
	Records    int   `json:",omitempty"` // of a batch, at most
	Bytes      int   `json:",omitempty"` // of a record's value, at most
	Codec      uint8 `json:",omitempty"`
	Stutter    bool  `json:",omitempty"` // now and then a request is sent twice, as retries that were too early are

	PaceMillis     int  `json:",omitempty"` // between two deeds, on average
	PatienceMillis int  `json:",omitempty"` // before a request is given up
	WaitMillis     int  `json:",omitempty"` // of a fetch
	MinBytes       int  `json:",omitempty"`
	MaxBytes       int  `json:",omitempty"`
	Session        bool `json:",omitempty"`
	Copies         int  `json:",omitempty"` // of the topics that an admin makes, all of which must be in sync for a write; 0 is 1
	Version        int16
}

// Kind is what a client is.
type Kind string

// The kinds.
const (
	Producing Kind = "producer"
	Consuming Kind = "consumer"
	Governing Kind = "admin"
	Attacking Kind = "hostile"
	Sharing   Kind = "member"
	Operating Kind = "operator" // of a cluster
	Marking   Kind = "marking"  // transactions without a coordinator
	Sourcing  Kind = "source"   // of a chain of transactions
	Copying   Kind = "link"     // of one
	Joining   Kind = "joiner"   // of one, whose links share partitions as members of a group
	Reading   Kind = "reader"   // of one
)

// New makes a client. topics are the scenario's.
func New(w World, h *check.History, s Spec, topics []*check.Topic) Client {
	switch s.Kind {
	case Producing:
		return newProducer(w, h, s, topics[s.Topic])
	case Consuming:
		return newConsumer(w, h, s, topics[s.Topic])
	case Governing:
		return newAdmin(w, h, s, topics)
	case Sharing:
		if s.Modern {
			return newSubscriber(w, h, s, topics[s.Topic])
		}
		return newMember(w, h, s, topics[s.Topic])
	case Operating:
		return newOperator(w, h, s, topics)
	case Marking:
		return newMarking(w, h, s, topics[s.Topic])
	case Sourcing:
		return newSource(w, h, s)
	case Copying:
		return newCopier(w, h, s)
	case Joining:
		if s.Modern {
			return newSharer(w, h, s)
		}
		return newJoiner(w, h, s)
	case Reading:
		return newReader(w, h, s)
	case Attacking:
		return newHostile(w, s)
	}
	panic(fmt.Sprintf("workload: there is no client kind %q", s.Kind))
}
