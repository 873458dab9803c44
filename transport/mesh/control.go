package mesh

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// control is the way of the control lane: a connection into the embedded server, with one goroutine that sends and one that receives.
type control struct {
	mesh *Mesh
	conn *nats.Conn
	wake chan struct{} // room for one
}

// openControl connects.
func openControl(m *Mesh) (*control, error) {
	conn, err := nats.Connect("", nats.InProcessServer(m.server), nats.Name(user), nats.UserInfo(user, ""), nats.NoReconnect(), nats.Timeout(startPatience))
	return &control{mesh: m, conn: conn, wake: make(chan struct{}, 1)}, err
}

// listen begins to receive. Nothing is dropped on the way in: credits bound what can come.
func (l *control) listen() error {
	l.mesh.done.Add(1)
	sub, err := l.conn.Subscribe(subject(l.mesh.o.Cluster, l.mesh.o.Node), func(m *nats.Msg) { l.receive(m.Data) })
	if err != nil {
		l.mesh.done.Done()
		return err
	}
	sub.SetClosedHandler(func(string) { // behind the last call of receive
		defer l.mesh.done.Done()
		if l.mesh.life.Err() == nil {
			l.mesh.o.Log.Error("mesh: the control lane has ended", "err", l.conn.LastError())
		}
	})
	return sub.SetPendingLimits(-1, -1)
}

// rouse has a lane's sender look for something to send.
func rouse(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// send sends what is ready, a frame for each peer in turn, until the mesh is closed.
func (l *control) send() {
	var parcel link.Parcel
	var buffer []byte
	subjects := map[message.NodeID]string{}
	for {
		select {
		case <-l.mesh.life.Done():
			return
		case <-l.wake:
		}
		for more := true; more; {
			more = false
			for _, p := range l.mesh.all() {
				if !p.pack(time.Now(), &parcel) {
					continue
				}
				buffer = parcel.Append(buffer[:0])
				parcel.Sent()
				if subjects[p.node] == "" {
					subjects[p.node] = subject(l.mesh.o.Cluster, p.node)
				}
				more = l.publish(p, subjects[p.node], buffer) || more
			}
		}
	}
}

// publish sends a frame; false if the connection is closed.
func (l *control) publish(p *peer, to string, b []byte) bool {
	if err := l.conn.Publish(to, b); err != nil {
		p.change(func(k *link.Link) { k.Reset("the frame could not be sent: " + err.Error()) })
		return !l.conn.IsClosed()
	}
	l.mesh.counts.sent(len(b))
	return true
}

// receive takes what came on the lane's subject.
func (l *control) receive(b []byte) {
	f, why := l.mesh.frame(b, message.Control)
	if why != nil {
		l.mesh.complain(why, len(b), time.Now())
		return
	}
	if p := l.mesh.peer(f.Node); p != nil {
		l.mesh.receive(p, p.take(&f, time.Now()), &f, nil)
	}
}
