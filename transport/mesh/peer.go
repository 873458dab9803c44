package mesh

import (
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// peer is another node: the link to it behind a lock.
type peer struct {
	mesh *Mesh
	node message.NodeID

	taking sync.Mutex // a frame of the bulk lane

	mu     sync.Mutex
	link   *link.Link
	out    outlet
	up     bool   // as it was logged
	broken bool   // the mesh has been asked to tell
	route  uint64 // the server's number of the route; 0: there is none
}

// state is where the link stands.
func (p *peer) state() link.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link.State()
}

// change does something to the link and then what follows from it: a broken link is told of, and senders with something to send are woken.
func (p *peer) change(do func(*link.Link)) {
	p.mu.Lock()
	do(p.link)
	p.notice()
	control, bulk := p.link.Waiting(message.Control), p.link.Waiting(message.Bulk)
	p.mu.Unlock()
	if control {
		rouse(p.mesh.control.wake)
	}
	if bulk {
		rouse(p.out.wake)
	}
}

// notice logs a link that came up or broke, and has those told who wait for the node. Each peer is in the channel at most once, so that there is
// always room in it.
func (p *peer) notice() {
	switch state := p.link.State(); {
	case state == link.Up && !p.up:
		p.up = true
		p.mesh.o.Log.Info("mesh: a node is linked", "peer", p.node)
	case state == link.Broken && !p.broken:
		if p.up {
			p.mesh.counts.resets.Add(1)
			p.mesh.o.Log.Warn("mesh: the link to a node is reset", "peer", p.node, "why", p.link.Why())
		}
		p.up, p.broken = false, true
		p.out.close()
		p.out.door = door{} // the next hello tells it; until then nobody may be there
		p.mesh.lost <- p
	}
}

// mend lets the next session begin.
func (p *peer) mend(now time.Time) {
	p.change(func(k *link.Link) {
		p.broken = false
		k.Mend(now)
	})
}

// take hands a frame of the control lane to the link and returns the letters that it completes. A hello says where the other's door is.
func (p *peer) take(f *link.Frame, now time.Time) (letters []link.Letter) {
	p.change(func(k *link.Link) {
		if letters = k.Take(f, now); f.Kind == link.Hello && k.Knows(f) {
			if door, ok := readDoor(f.Payload); ok {
				p.out.door = door
			}
		}
	})
	return letters
}

// pack makes a parcel of the link's next frame on the control lane.
func (p *peer) pack(now time.Time, parcel *link.Parcel) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link.Pack(message.Control, now, parcel)
}

// hangUp ends the stream to the peer.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.close()
}
