package mesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// pipe is the bulk lane's connection into the embedded server, in the protocol of NATS's clients, of which it needs little:
//
//	server: INFO {…}                                         pipe: CONNECT {…}, PING
//	server: PONG, or -ERR 'why'                              pipe: SUB subject 1
//	server: MSG subject 1 size, size bytes; PING             pipe: PUB subject size, size bytes; PONG
//
// each line, and the bytes, with CR LF behind (docs.nats.io/reference/reference-protocols/nats-protocol). It is not nats.go's connection
// because every byte of what is copied goes through it twice: what comes is read in place and not copied twice more, what is sent is one
// write from where it is, and no goroutine stands between. That is a fifth of what the mesh takes of the processor.
// One goroutine writes and one reads.
type pipe struct {
	conn   net.Conn
	ask    atomic.Bool // the server has asked whether it is heard, and the writer is to answer
	closed atomic.Bool

	buffer     []byte
	begin, end int // in buffer, of what was read and not yet taken

	out []byte // lines that wait for the next write
}

const (
	pipeBuffer = 256 << 10 // for several frames, so that the rest of the last one is seldom moved
	lineMax    = 64 << 10  // of the server's INFO, which names all others
	messageMax = 64 << 20  // that NATS would ever carry
	pubRoom    = 192       // in front of a frame for PONG, PUB, a subject and a size
	sid        = "1"       // of the one subscription that a lane has
)

var crlf = []byte("\r\n")

// errPipe is what the server never says.
var errPipe = errors.New("the embedded server says what is not understood")

// greet makes a pipe of a connection that is new, in the name of a user.
func greet(conn net.Conn, user string, patience time.Duration) (*pipe, error) {
	p := &pipe{conn: conn, buffer: make([]byte, pipeBuffer)}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	hello, err := json.Marshal(map[string]any{"verbose": false, "pedantic": false, "user": user, "name": user, "protocol": 1, "lang": "go"})
	if err != nil {
		return nil, err
	}
	if line, err := p.line(); err != nil || !bytes.HasPrefix(line, []byte("INFO ")) {
		return nil, errors.Join(errPipe, err)
	}
	if _, err := conn.Write(fmt.Appendf(nil, "CONNECT %s\r\nPING\r\n", hello)); err != nil {
		return nil, err
	}
	for {
		switch line, err := p.line(); {
		case err != nil:
			return nil, err
		case string(line) == "PONG":
			return p, conn.SetDeadline(time.Time{})
		case bytes.HasPrefix(line, []byte("-ERR")):
			return nil, fmt.Errorf("the embedded server refuses the lane: %s", line)
		}
	}
}

// listen is part of wire.
func (p *pipe) listen(subject string, each func([]byte), rouse func(), ended func(error)) error {
	go func() { ended(p.read(each, rouse)) }()
	_, err := p.conn.Write(fmt.Appendf(nil, "SUB %s %s\r\n", subject, sid))
	return err
}

// publish is part of wire. An answer that the server waits for goes with it.
func (p *pipe) publish(subject string, b []byte) error {
	size := len(b) - pubRoom
	p.out = p.out[:0]
	if p.ask.Swap(false) {
		p.out = append(p.out, "PONG\r\n"...)
	}
	p.out = append(append(append(p.out, "PUB "...), subject...), ' ')
	p.out = append(strconv.AppendInt(p.out, int64(size), 10), crlf...)
	at := pubRoom - len(p.out)
	if at < 0 {
		return fmt.Errorf("no room for the subject %s", subject)
	}
	copy(b[at:], p.out)
	_, err := p.conn.Write(append(b, crlf...)[at:])
	return err
}

// answer is part of wire: it tells the server that it is heard, if it asked.
func (p *pipe) answer() error {
	if !p.ask.Swap(false) {
		return nil
	}
	_, err := p.conn.Write([]byte("PONG\r\n"))
	return err
}

// read hands out each message until the connection ends.
func (p *pipe) read(each func([]byte), rouse func()) error {
	defer p.close()
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			body, err := p.body(line)
			if err != nil {
				return err
			}
			each(body)
		case string(line) == "PING":
			p.ask.Store(true)
			rouse()
		case string(line) == "PONG", string(line) == "+OK", bytes.HasPrefix(line, []byte("INFO ")):
		default:
			return fmt.Errorf("%w: %.80q", errPipe, line)
		}
	}
}

// body takes the bytes behind a line that announces them.
func (p *pipe) body(line []byte) ([]byte, error) {
	size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
	if err != nil || size < 0 || size > messageMax {
		return nil, fmt.Errorf("%w: %.80q", errPipe, line)
	}
	b, err := p.next(size + len(crlf))
	if err == nil && !bytes.HasSuffix(b, crlf) {
		err = fmt.Errorf("%w: more than the %d bytes that were announced", errPipe, size)
	}
	return b[:min(size, len(b))], err
}

// line takes the next line, without its end.
func (p *pipe) line() ([]byte, error) {
	for from := 0; from <= lineMax; {
		if i := bytes.Index(p.buffer[p.begin+from:p.end], crlf); i >= 0 && from+i <= lineMax {
			line, err := p.next(from + i + len(crlf)) // which is there
			return line[:from+i], err
		}
		have := p.end - p.begin
		if from = max(0, have-1); from > lineMax {
			break
		}
		if err := p.fill(have + 1); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: a line of more than %d bytes", errPipe, lineMax)
}

// next takes the next n bytes.
func (p *pipe) next(n int) ([]byte, error) {
	if err := p.fill(n); err != nil {
		return nil, err
	}
	b := p.buffer[p.begin : p.begin+n]
	p.begin += n
	return b, nil
}

// fill reads until n bytes are there.
func (p *pipe) fill(n int) error {
	if p.begin == p.end {
		p.begin, p.end = 0, 0
	}
	if p.begin+n > len(p.buffer) {
		to := p.buffer
		if n > len(to) { // a node that was told to make larger frames
			to = make([]byte, n)
		}
		p.begin, p.end, p.buffer = 0, copy(to, p.buffer[p.begin:p.end]), to
	}
	for p.end-p.begin < n {
		got, err := p.conn.Read(p.buffer[p.end:])
		p.end += got
		if err != nil && p.end-p.begin < n {
			if err == io.EOF && p.end > p.begin {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (p *pipe) isClosed() bool { return p.closed.Load() }

func (p *pipe) close() {
	p.closed.Store(true)
	p.conn.Close()
}
