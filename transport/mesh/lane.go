package mesh

import (
	"bytes"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// lane is a connection into the embedded server with one goroutine that sends and one that receives.
type lane struct {
	mesh *Mesh
	lane message.Lane
	wire wire
	wake chan struct{} // room for one
}

// openLane connects.
func (m *Mesh) openLane(on message.Lane) (*lane, error) {
	wire, err := connect(m.server, on)
	if err != nil {
		return nil, err
	}
	return &lane{mesh: m, lane: on, wire: wire, wake: make(chan struct{}, 1)}, nil
}

// listen begins to receive.
func (l *lane) listen() error {
	l.mesh.done.Add(1)
	return l.wire.listen(subject(l.mesh.o.Cluster, l.mesh.o.Node, l.lane), l.receive, l.rouse, func(err error) {
		defer l.mesh.done.Done()
		select {
		case <-l.mesh.stop:
		default:
			l.mesh.o.Log.Error("mesh: a lane has ended", "lane", laneNames[l.lane], "err", err)
		}
	})
}

// rouse has the sender look for something to send.
func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// send sends what is ready, a frame for each peer in turn, until the mesh is closed.
func (l *lane) send() {
	buffer := make([]byte, pubRoom, pubRoom+l.mesh.o.Limits.FrameBytes+link.HeaderMax+len(crlf))
	subjects := map[message.NodeID]string{}
	for {
		select {
		case <-l.mesh.stop:
			return
		case <-l.wake:
		}
		_ = l.wire.answer() // where that fails, the next frame does, too
		for more := true; more; {
			more = false
			for _, p := range l.mesh.all() {
				if buffer = p.next(l.lane, time.Now(), buffer[:pubRoom]); len(buffer) == pubRoom {
					continue
				}
				if subjects[p.node] == "" {
					subjects[p.node] = subject(l.mesh.o.Cluster, p.node, l.lane)
				}
				more = l.publish(p, subjects[p.node], buffer) || more
			}
		}
	}
}

// publish sends the frame that stands behind pubRoom bytes; false if the connection is closed.
func (l *lane) publish(p *peer, to string, b []byte) bool {
	if err := l.wire.publish(to, b); err != nil {
		p.change(func(k *link.Link) { k.Reset("the frame could not be sent: " + err.Error()) })
		return !l.wire.isClosed()
	}
	l.mesh.counts.framesOut.Add(1)
	l.mesh.counts.bytesOut.Add(uint64(len(b) - pubRoom))
	return true
}

// receive takes what came on the lane's subject. Letters are delivered in order, and the room they took is given back.
func (l *lane) receive(b []byte) {
	now := time.Now()
	f, why := l.mesh.frame(b, l.lane)
	if why != nil {
		l.mesh.complain(why, len(b), now)
		return
	}
	p := l.mesh.peer(f.Node)
	if p == nil {
		return
	}
	l.mesh.counts.framesIn.Add(1)
	l.mesh.counts.bytesIn.Add(uint64(len(b)))
	for _, letter := range p.take(&f, now) {
		l.deliver(p, letter)
	}
	if len(f.Payload) > 0 {
		p.change(func(k *link.Link) { k.Consumed(&f) })
	}
}

// keep makes a letter of its own of one that lies in the wire's memory.
func (l *lane) keep(b []byte) link.Letter {
	if l.lane == message.Control {
		return link.Letter{Body: bytes.Clone(b)}
	}
	own := append(l.mesh.o.Limits.Lend(len(b)), b...)
	return link.Letter{Body: own, Lent: own}
}

// deliver hands a letter to the stage. Where its word is unknown, who waits for it or for its answer is told that there will be none.
func (l *lane) deliver(p *peer, came link.Letter) {
	if came.Lent == nil {
		came = l.keep(came.Body)
	}
	letter, known, err := readLetter(came.Body)
	if err == nil && (letter.From.Node != p.node || letter.To.Node != l.mesh.o.Node) {
		known, err = false, errLetter
	}
	if err == nil {
		if w, ok := letter.Word.(*message.Pulled); ok {
			w.Lent = came.Lent
		}
		l.mesh.o.Receive(letter)
		return
	}
	l.mesh.complain(err, len(came.Body), time.Now())
	switch {
	case !known:
		p.change(func(k *link.Link) { k.Reset("a letter could not be read: " + err.Error()) })
	case letter.Kind == stage.LetterAnswer:
		l.mesh.o.Receive(stage.Letter{From: letter.From, To: letter.To, Kind: stage.LetterDown, Request: letter.Request})
	case letter.Request != 0:
		l.mesh.Send(stage.Letter{From: letter.To, To: letter.From, Kind: stage.LetterDown, Request: letter.Request})
	}
}
