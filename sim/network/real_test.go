package network

import (
	"crypto/rand"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh"
)

// real is the mesh of real nodes, over NATS and TCP, with a relay in front of each so that the wire can be cut.
type real struct {
	t      *testing.T
	meshes [3]*mesh.Mesh
	relays [3]*relay // in front of the cluster's listener
	bulky  [3]*relay // in front of the bulk listener
	ears   [3]*ear
	listen [3]string
}

func newReal(t *testing.T) ways {
	w := &real{t: t, ears: [3]*ear{nil, {}, {}}}
	for n := 1; n <= 2; n++ {
		w.listen[n] = "127.0.0.1:0"
		w.relays[n], w.bulky[n] = newRelay(t), newRelay(t)
	}
	w.open(1)
	w.open(2)
	t.Cleanup(func() {
		w.hold(false)
		for n := 1; n <= 2; n++ {
			w.relays[n].close() // before the meshes: a server waits for its routes
			w.bulky[n].close()
		}
		for n := 1; n <= 2; n++ {
			w.meshes[n].Close()
		}
	})
	if !w.until(func() bool { return len(w.meshes[1].Peers()) == 1 && len(w.meshes[2].Peers()) == 1 }) {
		t.Fatal("the nodes do not find each other")
	}
	return w
}

func (w *real) open(n message.NodeID) {
	o := mesh.Options{Node: n, Cluster: "wire", Listen: w.listen[n], Advertise: w.relays[n].address(), Join: []string{w.relays[3-n].address()},
		Bulk:   mesh.Door{Advertise: w.bulky[n].address()},
		Secret: "between us", Receive: w.ears[n].Receive, PeerDown: w.ears[n].PeerDown,
		Limits: mesh.Limits{Window: [2]int{wireWindow, wireWindow}, Queue: [2]int{wireQueue, wireQueue}, Beat: wireSilence / 8, Silence: wireSilence}}
	_, _ = rand.Read(o.Incarnation[:])
	m, err := mesh.Open(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.meshes[n], w.listen[n] = m, m.Addr()
	w.relays[n].lead(m.Addr())
	w.bulky[n].lead(m.BulkAddr())
}

func (w *real) send(on message.Lane, number int64, bytes int) {
	w.meshes[1].Send(letterOf(on, number, bytes))
}
func (w *real) heard(node message.NodeID) *ear { return w.ears[node] }
func (w *real) leave()                         { w.meshes[2].Close() }
func (w *real) join()                          { w.open(2) }

// all are the relays of both lanes.
func (w *real) all() [][3]*relay { return [][3]*relay{w.relays, w.bulky} }

func (w *real) cut(from message.NodeID) {
	for _, relays := range w.all() {
		relays[from].gate(fromUpstream, false)
		relays[3-from].gate(fromClient, false)
	}
}

func (w *real) heal() {
	for _, relays := range w.all() {
		for _, r := range relays[1:] {
			r.gate(fromUpstream, true)
			r.gate(fromClient, true)
		}
	}
}

func (w *real) reset() {
	for _, relays := range w.all() {
		for _, r := range relays[1:] {
			r.drop()
		}
	}
}

func (w *real) hold(bulk bool) {
	e := w.ears[2]
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case bulk:
		e.held = make(chan struct{})
	case e.held != nil:
		close(e.held)
		e.held = nil
	}
}

func (w *real) until(ok func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// The directions of a relay.
const (
	fromClient = iota
	fromUpstream
)

// relay passes connections on to an address, and can stop doing so without a word.
type relay struct {
	door net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	to    string // empty: nobody listens there yet
	move  *sync.Cond
	open  [2]bool
	conns map[net.Conn]bool
	ended bool
}

func newRelay(t *testing.T) *relay {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{door: door, open: [2]bool{true, true}, conns: map[net.Conn]bool{}}
	r.move = sync.NewCond(&r.mu)
	r.done.Go(r.serve)
	return r
}

func (r *relay) address() string { return r.door.Addr().String() }

// lead says where connections are passed on to.
func (r *relay) lead(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

func (r *relay) upstream() (net.Conn, error) {
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	return net.Dial("tcp", to)
}

func (r *relay) serve() {
	for {
		client, err := r.door.Accept()
		if err != nil {
			return
		}
		upstream, err := r.upstream()
		if err != nil {
			client.Close()
			continue
		}
		r.done.Go(func() { r.pump(client, upstream, fromClient) })
		r.done.Go(func() { r.pump(upstream, client, fromUpstream) })
	}
}

// pump passes on what comes, while the direction is open.
func (r *relay) pump(from, to net.Conn, direction int) {
	r.keep(from)
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		for !r.open[direction] && !r.ended {
			r.move.Wait()
		}
		r.mu.Unlock()
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (r *relay) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns[c] = true; r.ended {
		c.Close()
	}
}

func (r *relay) gate(direction int, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[direction] = open
	r.move.Broadcast()
}

func (r *relay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
	clear(r.conns)
}

func (r *relay) close() {
	r.door.Close()
	r.mu.Lock()
	r.ended = true
	r.move.Broadcast()
	r.mu.Unlock()
	r.drop()
	r.done.Wait()
}
