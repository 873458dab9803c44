// Package mesh carries letters between the nodes of a cluster over embedded NATS servers that are routed to each other.
//
//	stage ─Send─▶ link (cuts frames) ─▶ sender of the lane ─▶ nats ══ route ══▶ nats ─▶ link (checks, puts together) ─Receive─▶ stage
//
// NATS brings what it has: servers that find each other by gossip, that prove themselves by a secret and by TLS, that come back to each
// other. It does not promise to deliver: who falls too far behind loses messages and nobody is told. So each pair of nodes has a link
// (package link) with sequences and credits of its own, and what can not be delivered ends in a reset of the link, of which PeerDown
// tells, never in silence.
//
// The mesh refuses: a client (there is no listener for any), a node without the secret or of another cluster, a frame that is too large,
// damaged, or of a version it does not know. Such frames are counted, logged once a minute and dropped.
//
// Measured with two nodes in one process on two cores that had other work too (load 2.5): a Pull and its answer 42 us there and back,
// 0.9 million Pulls a second and 650 MB/s of 256 KiB batches in one direction (BenchmarkRoundTrip, Pulls, Bulk; 350 MB/s at load 5). A
// gigabyte takes 1.3 to 1.5 seconds of the processor on both ends together; most of it are copies in NATS and in the kernel.
package mesh

import (
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
	o      Options
	server *server.Server
	lanes  [link.Lanes]*lane
	counts counts

	mu     sync.RWMutex
	peers  map[message.NodeID]*peer
	list   []*peer // the same, never changed in place
	closed bool

	twin atomic.Pointer[string] // where another process listens that has this node's number; nil: none was met

	lost chan *peer // their links broke, and PeerDown is to be called
	stop chan struct{}
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
	m := &Mesh{o: o, server: s, peers: map[message.NodeID]*peer{}, lost: make(chan *peer, peersMax), stop: make(chan struct{})}
	if err := m.openLanes(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	for _, lane := range m.lanes {
		m.done.Go(lane.send)
	}
	m.done.Go(m.tell)
	m.done.Go(m.watch)
	return m, nil
}

// openLanes connects all lanes before the first receives, since what one receives may wake another.
func (m *Mesh) openLanes() (err error) {
	for i := range m.lanes {
		if m.lanes[i], err = m.openLane(message.Lane(i)); err != nil {
			return err
		}
	}
	for _, lane := range m.lanes {
		if err := lane.listen(); err != nil {
			return err
		}
	}
	return nil
}

// Addr is where other nodes connect, "host:port".
func (m *Mesh) Addr() string { return m.server.ClusterAddr().String() }

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
	close(m.stop)
	for _, lane := range m.lanes {
		if lane != nil {
			lane.wire.close()
		}
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

// peer is the node's, made when it is first spoken of; nil when there are too many.
func (m *Mesh) peer(n message.NodeID) *peer {
	m.mu.RLock()
	p := m.peers[n]
	m.mu.RUnlock()
	if p != nil {
		return p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[n]; p != nil || len(m.peers) >= peersMax {
		return p
	}
	p = &peer{mesh: m, node: n, link: link.New(m.o.Cluster, m.o.Node, m.o.Incarnation, m.o.Limits)}
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
		case <-m.stop:
			return
		case p := <-m.lost:
			m.o.PeerDown(p.node)
			p.mend(time.Now())
		}
	}
}
