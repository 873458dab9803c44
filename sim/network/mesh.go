package network

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// MeshOptions are how the ways between nodes behave. The zero value of a field is its default.
type MeshOptions struct {
	// DelayMin and DelayMax bound how long a letter is under way (30 us to 300 us).
	DelayMin, DelayMax time.Duration
	// Bandwidth is how many bytes a way takes in a second (500 MB).
	Bandwidth int64
	// Credits are how many bytes of a lane may be under way to a peer (1 MiB), Queue how many more may wait for that: beyond it
	// the peer is reset (8 MiB).
	Credits, Queue int
	// SilenceMin and SilenceMax bound how long a peer may be silent before it is given up (200 ms to 600 ms).
	SilenceMin, SilenceMax time.Duration
	// Observe, if set, is called with every letter as it is sent.
	Observe func(stage.Letter)
	// Trace, if set, gets a line for everything that happens to a link.
	Trace func(format string, args ...any)
}

func (o MeshOptions) withDefaults() MeshOptions {
	o.DelayMin = orElse(o.DelayMin, 30*time.Microsecond)
	o.DelayMax = max(orElse(o.DelayMax, 300*time.Microsecond), o.DelayMin)
	o.Bandwidth = orElse(o.Bandwidth, 500<<20)
	o.Credits = orElse(o.Credits, 1<<20)
	o.Queue = orElse(o.Queue, 8<<20)
	o.SilenceMin = orElse(o.SilenceMin, 200*time.Millisecond)
	o.SilenceMax = max(orElse(o.SilenceMax, 600*time.Millisecond), o.SilenceMin)
	return o
}

func orElse[T int | int64 | time.Duration](n, other T) T {
	if n <= 0 {
		return other
	}
	return n
}

// Mesh is the model of transport/mesh: what lies between nodes. Each pair has one link with two ways, each way two lanes. A lane
// keeps its order and loses nothing, but with a reset of the link, of which both nodes hear by PeerDown. Every word is
// encoded where it is sent and decoded where it arrives.
type Mesh struct {
	time  *stage.Scheduler
	seed  uint64
	opts  MeshOptions
	ports map[message.NodeID]*Port
	links map[pair]*Link
	order []*Link // as they were made
}

// End is a node as the mesh sees it: a stage.
type End interface {
	Receive(l stage.Letter)
	PeerDown(n message.NodeID)
}

// Port is one incarnation's way into the mesh. It implements stage.Post.
type Port struct {
	mesh   *Mesh
	node   message.NodeID
	end    End
	stuck  bool // its process is stopped
	silent bool // it is gone, and has told nobody
}

// NewMesh makes a mesh whose chance depends on seed.
func NewMesh(time *stage.Scheduler, seed uint64, o MeshOptions) *Mesh {
	return &Mesh{time: time, seed: seed, opts: o.withDefaults(), ports: map[message.NodeID]*Port{}, links: map[pair]*Link{}}
}

// Port makes the way in of a node's next incarnation, which leads nowhere until Join.
func (m *Mesh) Port(node message.NodeID) *Port { return &Port{mesh: m, node: node} }

// Join connects an incarnation with every node that is there. What an earlier one had to do with them is over.
func (p *Port) Join(end End) {
	m := p.mesh
	m.leave(p.node)
	p.end = end
	m.ports[p.node] = p
	for node := message.NodeID(0); node <= m.last(); node++ {
		if node != p.node && m.ports[node] != nil {
			m.Link(p.node, node).connectLater()
		}
	}
}

// last is the largest number of a node that ever joined.
func (m *Mesh) last() (last message.NodeID) {
	for node := range m.ports {
		last = max(last, node)
	}
	return last
}

// leave resets the links of an incarnation that is gone.
func (m *Mesh) leave(node message.NodeID) {
	delete(m.ports, node)
	for _, l := range m.order {
		if l.low == node || l.high == node {
			l.reset(fmt.Sprintf("node %d is gone", node))
		}
	}
}

// Leave ends an incarnation. Its peers hear of it at once, unless it is silent, as a machine is that has lost power: then they
// give it up when it has been silent for too long.
func (m *Mesh) Leave(node message.NodeID, silent bool) {
	p := m.ports[node]
	switch {
	case p == nil:
	case silent:
		p.silent = true
		m.suspect(node)
	default:
		m.leave(node)
	}
}

// Stop and its opposite stop a node's process: nothing that is sent to it arrives meanwhile.
func (m *Mesh) Stop(node message.NodeID, stopped bool) {
	p := m.ports[node]
	if p == nil {
		return
	}
	p.stuck = stopped
	if stopped {
		m.suspect(node)
		return
	}
	for _, l := range m.order {
		l.flow()
	}
}

func (m *Mesh) suspect(node message.NodeID) {
	for _, l := range m.order {
		if l.low == node || l.high == node {
			l.suspect()
		}
	}
}

// Send is part of stage.Post.
func (p *Port) Send(l stage.Letter) {
	m := p.mesh
	if m.ports[p.node] != p || p.silent {
		return
	}
	if m.opts.Observe != nil {
		m.opts.Observe(l)
	}
	m.Link(p.node, l.To.Node).from(p.node).send(l)
}

// Link is what lies between two nodes.
func (m *Mesh) Link(a, b message.NodeID) *Link {
	key := pair{min(a, b), max(a, b)}
	l := m.links[key]
	if l == nil {
		l = &Link{mesh: m, pair: key, chance: stage.Stream(m.seed, fmt.Sprintf("link %d-%d", key.low, key.high))}
		l.ways[0] = way{link: l, source: key.low, target: key.high}
		l.ways[1] = way{link: l, source: key.high, target: key.low}
		m.links[key] = l
		m.order = append(m.order, l)
	}
	return l
}

// Heal takes back whatever was done to links.
func (m *Mesh) Heal() {
	for _, l := range m.order {
		l.Heal()
	}
}

func (m *Mesh) note(format string, args ...any) {
	if m.opts.Trace != nil {
		m.opts.Trace(format, args...)
	}
}
