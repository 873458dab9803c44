// Package mesh carries letters between the nodes of a cluster over embedded NATS servers that are routed to each other, and what is
// bulky over streams beside them.
//
//	stage ─Send─▶ link (cuts frames) ─▶ control lane ─▶ nats ══ route ══▶ nats ─▶ link (checks, puts together) ─Receive─▶ stage
//	                                └─▶ bulk lane: outlet ══ TCP stream ══▶ inlet ─┘
//
// NATS brings what it has: servers that find each other by gossip, that prove themselves by a secret and by TLS, that come back to each
// other. It does not promise to deliver: who falls too far behind loses messages and nobody is told. So each pair of nodes has a link
// (package link) with sequences and credits of its own, and what can not be delivered ends in a reset of the link, of which PeerDown
// tells, never in silence.
//
// The bulk lane takes a stream of its own in each direction, opened at a door that the control lane tells (door): what replicas copy is
// most of all bytes in a cluster, and through NATS each of them was copied four times more than it needs to be.
//
// The mesh refuses: a client (there is no listener for any), a node without the secret or of another cluster, a frame that is too large,
// damaged, or of a version it does not know. Such frames are counted, logged once a minute and dropped.
//
// Measured with two nodes in one process on two cores that had other work too (load 2.5): a Pull and its answer 42 us there and back,
// 0.9 million Pulls a second and 650 MB/s of 256 KiB batches in one direction (BenchmarkRoundTrip, Pulls, Bulk; 350 MB/s at load 5). A
// gigabyte takes 1.3 to 1.5 seconds of the processor on both ends together; most of it are copies in NATS and in the kernel.
package mesh

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// Mesh is a node's place among the others. It is a stage.Post.
type Mesh struct {
	o       Options
	server  *server.Server
	control *control
	inlets  *inlets
	counts  counts

	mu     sync.RWMutex
	peers  map[message.NodeID]*peer
	list   []*peer // the same, never changed in place
	closed bool

	twin atomic.Pointer[string] // where another process listens that has this node's number; nil: none was met

	lost chan *peer // their links broke, and PeerDown is to be called
	life context.Context
	end  context.CancelFunc
	done sync.WaitGroup
}

var _ stage.Post = (*Mesh)(nil)

// peersMax bounds the nodes that are known; those above it are not heard.
const peersMax = 1024

// Open starts the embedded server and begins to look for the other nodes. It does not wait for them.
func Open(o Options) (*Mesh, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = withDefaults(o.Limits)
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := newServer(&o)
	if err != nil {
		return nil, err
	}
	m := &Mesh{o: o, server: s, peers: map[message.NodeID]*peer{}, lost: make(chan *peer, peersMax)}
	m.life, m.end = context.WithCancel(context.Background())
	if err := m.openLanes(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.done.Go(m.control.send)
	m.done.Go(m.inlets.accept)
	m.done.Go(m.tell)
	m.done.Go(m.watch)
	return m, nil
}

// openLanes opens the ways in; the control lane receives last, since what it receives may wake the other.
func (m *Mesh) openLanes() (err error) {
	if m.inlets, err = openInlets(m); err != nil {
		return err
	}
	if m.control, err = openControl(m); err != nil {
		return err
	}
	return m.control.listen()
}

// Addr is where other nodes connect, "host:port".
func (m *Mesh) Addr() string { return m.server.ClusterAddr().String() }

// BulkAddr is where their streams of the bulk lane come in, "host:port".
func (m *Mesh) BulkAddr() string { return m.inlets.listener.Addr().String() }

// Peers are the nodes whose links are up, in order.
func (m *Mesh) Peers() []message.NodeID {
	var up []message.NodeID
	for _, p := range m.all() {
		if p.state() == link.Up {
			up = append(up, p.node)
		}
	}
	slices.Sort(up)
	return up
}

// Close leaves the mesh and returns when nothing of it runs any more. What waits to be sent is dropped; PeerDown is not called.
func (m *Mesh) Close() error {
	m.mu.Lock()
	closed := m.closed
	m.closed = true
	m.mu.Unlock()
	if closed {
		return nil
	}
	m.end()
	if m.inlets != nil {
		m.inlets.close()
	}
	if m.control != nil {
		m.control.conn.Close()
	}
	for _, p := range m.all() {
		p.hangUp()
	}
	m.done.Wait()
	m.server.Shutdown()
	m.server.WaitForShutdown()
	return nil
}

// Send lets a letter wait for its turn, as stage.Post says. What can not be sent is dropped, and PeerDown follows.
func (m *Mesh) Send(l stage.Letter) {
	if l.To.Node < 0 || l.To.Node == m.o.Node {
		return
	}
	p := m.peer(l.To.Node)
	if p == nil {
		return
	}
	on := message.LaneOf(l.Word)
	letter, err := newLetter(&l)
	if err != nil {
		m.o.Log.Error("mesh: a letter can not be written", "to", l.To.String(), "err", err)
		p.change(func(k *link.Link) { k.Reset("a letter could not be written") })
		return
	}
	p.change(func(k *link.Link) { k.Push(on, letter) })
}

// peer is the node's, made when it is first spoken of; nil when there are too many, or the mesh is closed.
func (m *Mesh) peer(n message.NodeID) *peer {
	m.mu.RLock()
	p := m.peers[n]
	m.mu.RUnlock()
	if p != nil {
		return p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[n]; p != nil || m.closed || len(m.peers) >= peersMax {
		return p
	}
	p = &peer{mesh: m, node: n, out: outlet{wake: make(chan struct{}, 1)},
		link: link.New(link.Self{Cluster: m.o.Cluster, Node: m.o.Node, Incarnation: m.o.Incarnation, Greeting: m.inlets.door.greeting()}, m.o.Limits)}
	m.done.Go(p.sendBulk)
	m.peers[n] = p
	m.list = append(slices.Clip(m.list), p)
	return p
}

// all is every peer.
func (m *Mesh) all() []*peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.list
}

// tell calls PeerDown for each link that broke, and lets it begin anew.
func (m *Mesh) tell() {
	for {
		select {
		case <-m.life.Done():
			return
		case p := <-m.lost:
			m.o.PeerDown(p.node)
			p.mend(time.Now())
		}
	}
}
