// Package world is a made-up world that a broker can live in: one or more nodes with simulated stages and disks in
// memory, a network between them and their clients, time that passes when somebody says so, and chance that is a function of
// the seed.
//
// It knows how to harm a node and not when: schedules, clients and what must be true are the packages above it.
package world

import (
	cryptorand "crypto/rand"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/sim/network"
)

// Options make a world. Only the seed is needed.
type Options struct {
	Seed    uint64
	Network network.Options
	// Cluster is how many nodes there will be, numbered from 1 on; the first up to five vote on the metadata. 0 and 1 are one node
	// that knows no others.
	Cluster int
	Mesh    network.MeshOptions
	// Log gets what the nodes log; nil discards. A trace writes it between the steps.
	Log *slog.Logger
	// Trace, if set, is called before every step.
	Trace func(stage.Step)
}

// Start is when every world begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World holds nodes and their clients. All of it is for one goroutine, and there is one world at a time in a process:
// raft's chance comes from crypto/rand, which the world replaces.
type World struct {
	Time *stage.Scheduler
	Net  *network.Network
	Mesh *network.Mesh

	opts    Options
	nodes   []*Node
	streams map[string]*rand.Rand
	real    io.Reader
}

var inhabited atomic.Bool

// New makes a world. Close it.
func New(o Options) *World {
	if !inhabited.CompareAndSwap(false, true) {
		panic("world: there is one already in this process: close it first")
	}
	w := &World{Time: stage.NewScheduler(o.Seed, Start), opts: o, streams: map[string]*rand.Rand{}, real: cryptorand.Reader}
	w.Time.Trace = o.Trace
	w.Net = network.New(w.Time, o.Seed, o.Network)
	w.Mesh = network.NewMesh(w.Time, o.Seed, o.Mesh)
	cryptorand.Reader = chance{stage.Stream(o.Seed, "crypto/rand")}
	return w
}

// votersMax is how many nodes vote on the metadata; the rest learn.
const votersMax = 5

// contacts are who founds the metadata quorum; nil in a world of one node.
func (w *World) contacts() []message.NodeID {
	if w.opts.Cluster <= 1 {
		return nil
	}
	var all []message.NodeID
	for id := 1; id <= min(w.opts.Cluster, votersMax); id++ {
		all = append(all, message.NodeID(id))
	}
	return all
}

// voters are who founds, each with its first disk; nil if a node is not among them.
func (w *World) voters(n *Node) (all []controller.Voter) {
	if w.opts.Cluster <= 1 {
		return []controller.Voter{{Node: n.ID, Directory: n.Directory()}}
	}
	contacts := w.contacts()
	if !slices.Contains(contacts, n.ID) {
		return nil
	}
	for _, id := range contacts {
		all = append(all, controller.Voter{Node: id, Directory: directory(id, 0)})
	}
	return all
}

// Close gives the process's chance back. Nothing is told to the nodes.
func (w *World) Close() {
	cryptorand.Reader = w.real
	inhabited.Store(false)
}

// chance is what stands in for the machine's.
type chance struct{ *rand.Rand }

// Read is part of io.Reader; it never fails.
func (c chance) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(c.Uint32())
	}
	return len(b), nil
}

// Now is the time since the world began.
func (w *World) Now() time.Duration { return w.Time.Elapsed() }

// Millis is the clients' clock, in milliseconds since 1970.
func (w *World) Millis() int64 { return w.Time.Now().UnixMilli() }

// After lets something happen once, when d has passed.
func (w *World) After(d time.Duration, do func()) { w.Time.After(d, do) }

// Rand is the random stream of that name: the same one at every call. What it draws depends on the seed, the name and what
// was drawn from it before.
func (w *World) Rand(name string) *rand.Rand {
	r := w.streams[name]
	if r == nil {
		r = stage.Stream(w.opts.Seed, name)
		w.streams[name] = r
	}
	return r
}

// Dial connects a client to a node.
func (w *World) Dial(client string, node message.NodeID, h network.Handler) *network.Conn {
	return w.Net.Dial(client, node, h)
}

// RunFor lets the world go on for d, but no more than that many steps; false if it used them up.
func (w *World) RunFor(d time.Duration, stepsMax uint64) bool {
	return w.RunUntil(func() bool { return false }, d, stepsMax) || w.Time.Steps() < stepsMax
}

// RunUntil lets the world go on until done says so; false if that has not come about when d has passed or the world has made
// stepsMax steps since it began.
func (w *World) RunUntil(done func() bool, d time.Duration, stepsMax uint64) bool {
	end := w.Now() + d
	for !done() {
		if w.Time.Steps() >= stepsMax || !w.Time.StepBefore(end) {
			return done()
		}
	}
	return true
}

// Hash sums up everything that has happened.
func (w *World) Hash() uint64 { return w.Time.Hash() }
