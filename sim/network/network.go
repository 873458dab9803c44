// Package network is the simulator's model of what lies between Kafka clients and a node: ordered streams of frames in both
// directions with delays of their own, connections that are reset with all that is under way, clients that read slowly,
// and nodes that are gone without a word.
//
// It stands in for sockets alone. Behind it are the real connection actors, which get the real frames.
package network

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka"
)

// Handler is a client's side of a connection. Its methods are called on the goroutine that steps the world.
type Handler interface {
	// Received is an answer, without its length in front. The bytes are the handler's.
	Received(frame []byte)
	// Closed is the end of the connection by the other side; nothing is heard of it any more.
	Closed()
}

// Options are how the network behaves. The zero value of a field is its default.
type Options struct {
	// DelayMin and DelayMax bound how long a frame is under way (50 us to 500 us).
	DelayMin, DelayMax time.Duration
	// Reset is how often, from 0 to 1, a frame meets a reset of its connection: half of it was under way, and it is lost with
	// everything behind it.
	Reset float64
	// SlowReader is how often, from 0 to 1, a client is one that reads a hundred times slower.
	SlowReader float64
}

func (o Options) withDefaults() Options {
	if o.DelayMin <= 0 {
		o.DelayMin = 50 * time.Microsecond
	}
	if o.DelayMax < o.DelayMin {
		o.DelayMax = o.DelayMin + 450*time.Microsecond
	}
	return o
}

// Network connects clients with nodes.
type Network struct {
	time  *stage.Scheduler
	seed  uint64
	opts  Options
	doors map[message.NodeID]*door
}

// door is where a node's clients come in.
type door struct {
	node   message.NodeID
	stage  stage.Stage
	opts   kafka.Options
	limits kafka.Limits
	last   uint64
	conns  []*Conn
}

// New makes a network whose chance depends on seed.
func New(time *stage.Scheduler, seed uint64, o Options) *Network {
	return &Network{time: time, seed: seed, opts: o.withDefaults(), doors: map[message.NodeID]*door{}}
}

// SetOptions changes how the network behaves from now on.
func (n *Network) SetOptions(o Options) { n.opts = o.withDefaults() }

// Open lets clients in to the node of a stage.
func (n *Network) Open(s stage.Stage, o kafka.Options, l kafka.Limits) {
	n.doors[s.Node()] = &door{node: s.Node(), stage: s, opts: o, limits: withDefaults(l)}
}

// Close shuts a node's door for good. Its clients hear of it, unless it is silent, as a machine is that has lost power: then
// their connections just go quiet.
func (n *Network) Close(node message.NodeID, silent bool) {
	d := n.doors[node]
	if d == nil {
		return
	}
	delete(n.doors, node)
	for _, c := range slices.Clone(d.conns) {
		c.end(errReset)
		if !silent {
			c.hangUp()
		}
	}
}

// Cut resets every connection of a node; both sides hear of it.
func (n *Network) Cut(node message.NodeID) {
	d := n.doors[node]
	if d == nil {
		return
	}
	for _, c := range slices.Clone(d.conns) {
		c.reset()
	}
}

// Connections is how many of a node's there are.
func (n *Network) Connections(node message.NodeID) int {
	if d := n.doors[node]; d != nil {
		return len(d.conns)
	}
	return 0
}

// Dial connects a client to a node. It does not fail at once: h is told. number tells the client's connections apart, and
// with its name makes their random streams.
func (n *Network) Dial(client string, node message.NodeID, h Handler) *Conn {
	c := &Conn{net: n, client: client, handler: h, chance: n.stream(client)}
	c.slow = 1
	if c.one(n.opts.SlowReader) {
		c.slow = 100
	}
	n.time.After(c.delay(), func() { c.arrive(node) })
	return c
}

// Hurry lets no connection that is made from now on be a slow one.
func (n *Network) Hurry() { n.opts.SlowReader = 0 }

func (n *Network) stream(client string) *rand.Rand {
	return stage.Stream(n.seed, "connection of "+client+" at "+n.time.Now().String())
}

func withDefaults(l kafka.Limits) kafka.Limits {
	if l.RequestBytes == 0 {
		l.RequestBytes = 100 << 20
	}
	if l.ConnectionRequests == 0 {
		l.ConnectionRequests = 64
	}
	return l
}
