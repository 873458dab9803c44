package mesh

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// outlet is the stream in which the bulk lane goes to a peer. It is opened when there is something to send, and closed with the session:
// behind a cut TCP would try again ever more seldom. Its fields are guarded by the peer's lock.
type outlet struct {
	wake chan struct{} // room for one
	door door          // the peer's; no address: it was not told
	conn net.Conn      // nil: it is not open
}

// close ends the stream, and a write that waits in it. The peer's lock is held, so it goes without TLS's farewell, which may have to wait.
func (o *outlet) close() {
	switch conn := o.conn.(type) {
	case nil:
		return
	case *tls.Conn:
		conn.NetConn().Close()
	default:
		conn.Close()
	}
	o.conn = nil
}

// sendBulk sends what is ready, until the mesh is closed.
func (p *peer) sendBulk() {
	var parcel link.Parcel
	for {
		select {
		case <-p.mesh.life.Done():
			return
		case <-p.out.wake:
		}
		for p.sendNext(&parcel) {
		}
	}
}

// sendNext sends the next frame; false if there is none, or nobody to send it to.
func (p *peer) sendNext(parcel *link.Parcel) bool {
	conn := p.packBulk(parcel)
	if conn == nil {
		return p.call()
	}
	size, pieces := parcel.Size(), net.Buffers(parcel.Pieces)
	_, err := pieces.WriteTo(conn)
	parcel.Sent()
	if err == nil {
		p.mesh.counts.sent(size)
		return true
	}
	p.change(func(k *link.Link) {
		if p.out.conn == conn { // else the link was reset meanwhile, which has closed it
			k.Reset("a frame could not be sent: " + err.Error())
			p.out.close()
		}
	})
	return true
}

// packBulk packs the next frame, and returns the stream that it is for; nil if there is none.
func (p *peer) packBulk(parcel *link.Parcel) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.conn == nil || !p.link.Pack(message.Bulk, time.Now(), parcel) {
		return nil
	}
	return p.out.conn
}

// call opens the stream if something waits for it and the door is known; true: there is one, or another door to try.
func (p *peer) call() bool {
	p.mu.Lock()
	at, waits := p.out.door, p.out.conn == nil && p.link.Waiting(message.Bulk)
	p.mu.Unlock()
	return waits && at.address != "" && p.dial(at)
}

// dial opens the stream.
func (p *peer) dial(at door) bool {
	ctx, cancel := context.WithTimeout(p.mesh.life, p.mesh.o.Limits.Silence)
	defer cancel()
	conn, err := p.mesh.dial(ctx, at.address)
	if err == nil {
		err = at.knock(conn)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mesh.life.Err() != nil || err != nil:
		if conn != nil {
			conn.Close()
		}
		p.mesh.notReached(p.node, at.address, err)
		return false
	case p.out.door != at: // it has another one meanwhile
		conn.Close()
		return true
	}
	p.out.conn = conn
	return true
}

func (m *Mesh) dial(ctx context.Context, address string) (net.Conn, error) {
	if m.o.TLS != nil {
		return (&tls.Dialer{Config: m.o.TLS}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// notReached logs, once a minute, that a node is there whose bulk lane cannot be entered.
func (m *Mesh) notReached(n message.NodeID, address string, err error) {
	if m.life.Err() == nil && m.counts.unreached.due(time.Now()) {
		m.o.Log.Warn("mesh: records cannot be sent to a node that is there: its bulk listener must be open to this one (cluster.bulk.listen)", "peer", n, "address", address, "err", err)
	}
}
