package kafka

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Limits bound what clients may cost. The zero value of a field is its default.
type Limits struct {
	// RequestBytes is the largest request (socket.request.max.bytes, 100 MiB).
	RequestBytes int
	// QueuedBytes is how much of requests all connections of the listener may hold in memory (queued.max.request.bytes;
	// 256 MiB). While it is more, no further request is read. One is always let in.
	QueuedBytes int64
	// ConnectionBytes is how much of requests one connection may hold (64 MiB). One request is always let in.
	ConnectionBytes int
	// ConnectionRequests is how many requests of one connection may be unanswered, answers that the client does not read
	// included (64).
	ConnectionRequests int
	// Idle is how long a connection may be silent (connections.max.idle.ms, 10 minutes).
	Idle time.Duration
	// Stall is how long a client may take over the body of a request, beyond what it takes at a megabyte a second, and how
	// long it may read nothing of its answers (30 seconds).
	Stall time.Duration
}

func (l Limits) withDefaults() Limits {
	preset(&l.RequestBytes, 100<<20)
	preset(&l.QueuedBytes, 256<<20)
	preset(&l.ConnectionBytes, 64<<20)
	preset(&l.ConnectionRequests, 64)
	preset(&l.Idle, 10*time.Minute)
	preset(&l.Stall, 30*time.Second)
	return l
}

func preset[T int | int64 | time.Duration](v *T, standard T) {
	if *v == 0 {
		*v = standard
	}
}

// Listener accepts Kafka clients and gives each a connection actor. How many there may be is said by settings that can change
// while it runs: who comes when there are max.connections waits, and who is one more than max.connections.per.ip from one
// address is hung up on. 0 is any number.
type Listener struct {
	stage  stage.Stage
	opts   Options
	limits Limits
	listen net.Listener
	budget *budget

	mu      sync.Mutex
	room    sync.Cond // a connection went, or it is time to look again
	sockets map[*socket]struct{}
	perIP   map[string]int
	last    uint64
	closed  bool
	running sync.WaitGroup
}

// Listen begins to accept at address ("host:port"; port 0 is any free one).
func Listen(address string, st stage.Stage, opts Options, limits Limits) (*Listener, error) {
	listen, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another address in listeners", address, err)
	}
	limits = limits.withDefaults()
	l := &Listener{stage: st, opts: opts.withDefaults(), limits: limits, listen: listen, budget: newBudget(limits.QueuedBytes),
		sockets: map[*socket]struct{}{}, perIP: map[string]int{}, last: uint64(opts.Index) << 48}
	l.room.L = &l.mu
	l.running.Go(l.accept)
	return l, nil
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.listen.Addr() }

// Close stops to accept, hangs up on everybody, and returns when all that has ended.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	err := l.listen.Close()
	for s := range l.sockets {
		s.shut()
	}
	l.room.Broadcast()
	l.mu.Unlock()
	l.running.Wait()
	return err
}

func (l *Listener) accept() {
	for {
		conn, err := l.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // of descriptors, mostly
			l.opts.Log.Warn("a connection could not be accepted", "listener", l.opts.Listener, "why", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		l.awaitRoom()
		l.admit(conn)
	}
}

// lookAgain is how often a listener that is full looks whether more are allowed.
const lookAgain = time.Second

// awaitRoom waits until one more connection is allowed, or the listener is closed.
func (l *Listener) awaitRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.reached(len(l.sockets), "max.connections") {
		again := time.AfterFunc(lookAgain, l.room.Broadcast)
		l.room.Wait()
		again.Stop()
	}
}

// reached says that there are as many as a setting allows now.
func (l *Listener) reached(n int, name string) bool {
	layers := setting.Layers{Static: l.opts.Static}
	if img, ok := l.stage.Published(message.BrokerAt(l.opts.Node)).(*image.Image); ok {
		layers = img.Layers(l.opts.Node, l.opts.Static)
	}
	most := layers.Number(name)
	return most > 0 && int64(n) >= most
}

// admit gives a connection its actor and its reader.
func (l *Listener) admit(conn net.Conn) {
	s := newSocket(l, conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.reached(l.perIP[s.ip], "max.connections.per.ip") {
		conn.Close()
		return
	}
	l.last++
	s.at = message.ConnectionAt(l.opts.Node, l.last)
	l.sockets[s] = struct{}{}
	l.perIP[s.ip]++
	l.opts.Metrics.Connections(1)
	l.stage.Spawn(s.at, NewConnection(s, l.opts))
	l.running.Go(s.run)
}

func (l *Listener) forget(s *socket) {
	l.mu.Lock()
	delete(l.sockets, s)
	if l.perIP[s.ip]--; l.perIP[s.ip] == 0 {
		delete(l.perIP, s.ip)
	}
	l.room.Broadcast()
	l.mu.Unlock()
	l.opts.Metrics.Connections(-1)
}
