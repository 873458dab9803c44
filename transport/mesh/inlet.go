package mesh

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// inlets are the streams of the bulk lane that come from other nodes: from each one in which it sends. NATS would carry these bytes, too,
// but each of them through four more sockets and pipes, and read and written by two more goroutines.
type inlets struct {
	mesh     *Mesh
	listener net.Listener
	door     *door
	strange  chan struct{} // one for each who has not knocked yet

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

const (
	strangersMax = 64
	inletBuffer  = 16 << 10             // what is larger is read to where it stays
	acceptPause  = 5 * time.Millisecond // when there are too many files open
)

func openInlets(m *Mesh) (*inlets, error) {
	listener, door, err := openDoor(&m.o)
	if err != nil {
		return nil, err
	}
	return &inlets{mesh: m, listener: listener, door: door, strange: make(chan struct{}, strangersMax), conns: map[net.Conn]bool{}}, nil
}

// accept lets others in until the mesh is closed.
func (s *inlets) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
			continue
		}
		select {
		case s.strange <- struct{}{}:
			s.keep(conn)
		default:
			conn.Close()
		}
	}
}

// keep serves a connection that is new.
func (s *inlets) keep(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.conns[conn] = true
	s.mesh.done.Go(func() {
		s.serve(conn)
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	})
}

func (s *inlets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
}

// serve reads a stream to its end.
func (s *inlets) serve(conn net.Conn) {
	from := conn
	if s.mesh.o.TLS != nil {
		conn = tls.Server(conn, s.mesh.o.TLS)
	}
	err := s.admit(conn)
	<-s.strange
	in := &inlet{mesh: s.mesh, in: bufio.NewReaderSize(conn, inletBuffer)}
	admitted := err == nil
	if admitted {
		err = in.read()
	}
	switch {
	case s.mesh.life.Err() != nil: // it ended because the mesh has
	case admitted:
		in.ended(from, err)
	default:
		s.mesh.complain(err, knockSize, time.Now())
	}
}

func (s *inlets) admit(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(s.mesh.o.Limits.Silence)); err != nil {
		return err
	}
	if err := s.door.answer(conn); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// inlet is one stream.
type inlet struct {
	mesh    *Mesh
	in      *bufio.Reader
	peer    *peer  // nil: no frame has come
	session uint64 // of the link here that its frames were last heard in; 0: none
}

// read takes frames until the stream ends or something comes that is no frame of ours: where the next one begins is not known then.
func (in *inlet) read() error {
	limits := &in.mesh.o.Limits
	for {
		header, err := in.in.Peek(link.HeaderMin)
		if err != nil {
			return err
		}
		size, why := link.FrameSize(header)
		if why == nil && size > limits.FrameBytes[message.Bulk]+link.HeaderMax {
			why = errTooLarge
		}
		if why != nil {
			in.mesh.complain(why, len(header), time.Now())
			return why
		}
		memory := limits.Lend(size)[:size]
		if _, err := io.ReadFull(in.in, memory); err != nil {
			return err
		}
		if why := in.take(memory); why != nil {
			in.mesh.complain(why, size, time.Now())
			return why
		}
	}
}

// take takes a frame, when all of the peer's earlier ones are delivered: a stream may be new while the one before is still held up here.
func (in *inlet) take(memory []byte) error {
	f, why := in.mesh.frame(memory, message.Bulk)
	switch {
	case why != nil:
		return why
	case in.peer == nil:
		if in.peer = in.mesh.peer(f.Node); in.peer == nil {
			return errPeers
		}
	case in.peer.node != f.Node:
		return errSender
	}
	in.peer.taking.Lock()
	defer in.peer.taking.Unlock()
	var letters []link.Letter
	in.peer.change(func(k *link.Link) {
		letters = k.Take(&f, time.Now())
		if k.Addressed(&f) {
			in.session = k.Session()
		}
	})
	in.mesh.receive(in.peer, letters, &f, memory)
	return nil
}

// ended resets the link if the stream was that of its session.
func (in *inlet) ended(conn net.Conn, why error) {
	if in.peer == nil {
		return
	}
	in.peer.change(func(k *link.Link) {
		if in.session == k.Session() {
			k.Reset("its stream from " + conn.RemoteAddr().String() + " has ended: " + why.Error())
		}
	})
}
