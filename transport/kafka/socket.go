package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/loan"
)

// socket is a client's TCP connection: a goroutine that cuts frames, and the Wire of its connection actor. While it waits
// for the client it holds no buffer.
type socket struct {
	l    *Listener
	conn net.Conn
	raw  syscall.RawConn // nil: not a plain socket
	at   message.Address
	ip   string
	host string
	port int32

	input  input
	output output

	mu      sync.Mutex
	change  sync.Cond // of what follows
	flying  int       // requests that are not answered
	bytes   int       // that they hold
	pending int       // answers that are not written
	over    bool
	settled bool // what was held is given back, whatever the actor still does
}

func newSocket(l *Listener, conn net.Conn) *socket {
	s := &socket{l: l, conn: conn}
	s.change.L = &s.mu
	if plain, ok := conn.(*net.TCPConn); ok {
		s.raw, _ = plain.SyscallConn()
	}
	s.ip, _, _ = net.SplitHostPort(conn.RemoteAddr().String())
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		s.host, s.port = local.IP.String(), int32(local.Port)
	}
	s.input.socket, s.output.socket = s, s
	return s
}

// Local is the address that the client used.
func (s *socket) Local() (host string, port int32) { return s.host, s.port }

// Remote is the client's address.
func (s *socket) Remote() string { return s.conn.RemoteAddr().String() }

// run cuts frames until the connection ends.
func (s *socket) run() {
	err := s.frames()
	s.input.release()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	s.l.stage.Send(s.at, &Closed{Err: err})
	s.settle()
	s.l.forget(s)
}

// settle gives back what the connection's requests hold: frames that were sent behind the actor's end nobody finishes.
func (s *socket) settle() {
	s.mu.Lock()
	s.settled = true
	held := s.bytes
	s.mu.Unlock()
	s.l.budget.give(int64(held))
}

func (s *socket) frames() error {
	for {
		size, err := s.input.head()
		if err != nil {
			return err
		}
		if size < 0 || size > s.l.limits.RequestBytes {
			return fmt.Errorf("a request of %d bytes, the largest allowed has %d (socket.request.max.bytes)", size, s.l.limits.RequestBytes)
		}
		if !s.admit(size) {
			return net.ErrClosed
		}
		body, err := s.input.body(size)
		if err != nil {
			s.land(size)
			s.l.budget.give(int64(s.input.charged))
			return err
		}
		s.l.stage.Deliver(s.at, &Frame{Bytes: body, Done: func(reusable bool) {
			if reusable {
				loan.GiveBack(body)
			}
			s.done(size)
		}})
	}
}

// entryBytes is what a request is charged before it arrives, in bytes; the rest is charged as it comes, or clients that
// announce much and send little would keep everybody else out.
const entryBytes = 16 << 10

// admit waits until one more request may be read; false when the connection is over.
func (s *socket) admit(size int) bool {
	s.mu.Lock()
	for !s.over && s.flying+s.pending > 0 && (s.flying+s.pending >= s.l.limits.ConnectionRequests || s.bytes+size > s.l.limits.ConnectionBytes) {
		s.change.Wait()
	}
	over := s.over
	if !over {
		s.flying++
		s.bytes += size
	}
	s.mu.Unlock()
	if over {
		return false
	}
	s.input.charged = min(size, entryBytes)
	if !s.l.budget.take(int64(s.input.charged), s.ended) {
		s.land(size)
		return false
	}
	return true
}

// done ends what admit began.
func (s *socket) done(size int) {
	if s.land(size) {
		s.l.budget.give(int64(size))
	}
}

// land forgets a request; false if what it held is given back already.
func (s *socket) land(size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
	s.bytes -= size
	s.change.Signal()
	return !s.settled
}

func (s *socket) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flying+s.pending > 0
}

func (s *socket) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// shut ends the connection at once.
func (s *socket) shut() {
	s.mu.Lock()
	s.over = true
	s.change.Broadcast()
	s.mu.Unlock()
	s.conn.Close()
	s.l.budget.wake()
}

// input is the reading half: a rented buffer, which is given back while there is nothing in it.
type input struct {
	*socket
	buffer []byte // what was read and not yet used
	rented []byte
	err    error
	due    time.Time // when the read deadline strikes

	charged int // bytes of the frame that is being read, to the budget
	trusted int // bytes of the largest frame that came whole
}

// inputBuffer is how much is read ahead, in bytes: many small requests at a time.
const inputBuffer = 16 << 10

// head reads a frame's length. Between two frames a client may be silent for as long as Idle, within one for Stall.
func (in *input) head() (int, error) {
	for len(in.buffer) < 4 {
		err := in.fill()
		if isTimeout(err) {
			if len(in.buffer) == 0 && in.busy() {
				continue
			}
			return 0, fmt.Errorf("it was silent for longer than connections.max.idle.ms allows (%v)", in.l.limits.Idle)
		}
		if err != nil {
			return 0, err
		}
	}
	size := int(int32(binary.BigEndian.Uint32(in.buffer)))
	in.buffer = in.buffer[4:]
	return size, nil
}

// fill reads what there is, and waits if there is nothing.
func (in *input) fill() error {
	if err := in.patience(in.l.limits.Idle); err != nil {
		return err
	}
	if len(in.buffer) == 0 && in.raw != nil {
		in.release()
		if err := in.raw.Read(in.try); err != nil {
			return err
		}
		return in.err
	}
	in.rent()
	copy(in.rented[:cap(in.rented)], in.buffer)
	n, err := in.conn.Read(in.rented[len(in.buffer):cap(in.rented)])
	in.buffer = in.rented[:len(in.buffer)+n]
	return err
}

// patience lets the next read fail after d. It is not set anew for every request.
func (in *input) patience(d time.Duration) error {
	if left := time.Until(in.due); left > d-d/4 && left <= d {
		return nil
	}
	return in.within(d)
}

// within lets reads fail after d.
func (in *input) within(d time.Duration) error {
	in.due = time.Now().Add(d)
	return in.conn.SetReadDeadline(in.due)
}

// try reads without waiting; false if there is nothing to read.
func (in *input) try(fd uintptr) bool {
	in.rent()
	n, err := syscall.Read(int(fd), in.rented[:cap(in.rented)])
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), in.rented[:cap(in.rented)])
	}
	if err == syscall.EAGAIN {
		in.release()
		return false
	}
	if in.err = err; err == nil && n == 0 {
		in.err = io.EOF
	}
	in.buffer = in.rented[:max(n, 0)]
	return true
}

func (in *input) rent() {
	if in.rented == nil {
		in.rented = loan.Lend(inputBuffer)[:inputBuffer]
	}
}

func (in *input) release() {
	if in.rented != nil {
		loan.GiveBack(in.rented)
		in.rented, in.buffer = nil, nil
	}
}

// charge counts what has arrived of a frame.
func (in *input) charge(arrived int) {
	if more := arrived - in.charged; more > 0 {
		in.l.budget.used.Add(int64(more))
		in.charged = arrived
	}
}

// A frame gets so much memory on its word, in bytes: at least the first, and as much as a frame had that the client has sent whole,
// at most the second. It gets more only as more arrives, which costs a copy.
const (
	trust     = 2 << 20
	trustMost = 16 << 20
)

// body reads the rest of a frame into memory of its own.
func (in *input) body(size int) ([]byte, error) {
	b := loan.Lend(min(size, max(trust, in.trusted)))
	n := min(size, len(in.buffer))
	b = append(b, in.buffer[:n]...)
	if in.buffer = in.buffer[n:]; len(b) == size {
		return b, nil
	}
	// At a megabyte a second and more a client is not stalling, whatever the size.
	if err := in.within(in.l.limits.Stall + time.Duration(size)*time.Microsecond); err != nil {
		return nil, err
	}
	for len(b) < size {
		if len(b) == cap(b) {
			more := append(loan.Lend(min(size, 2*cap(b))), b...)
			loan.GiveBack(b)
			b = more
		}
		n, err := in.conn.Read(b[len(b):min(size, cap(b))])
		b = b[:len(b)+n]
		if in.charge(len(b)); err != nil && len(b) < size {
			loan.GiveBack(b)
			return nil, fmt.Errorf("in the middle of a request of %d bytes: %w", size, err)
		}
	}
	in.trusted = max(in.trusted, min(size, trustMost))
	return b, nil
}

func isTimeout(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}
