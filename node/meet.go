package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	askSoon      = 10 * time.Millisecond  // how soon another node is asked again how far it is,
	lonePatience = 3 * time.Second / 2    // how long a lone founder listens: who knows it from before looks for it every second
	askEvery     = 100 * time.Millisecond // and how often once it has taken a while
	wordPatience = time.Second            // how long one word of another may take
	tellEvery    = 10 * time.Second       // how often the log says for whom the meeting waits
	guestsMax    = 64                     // connections at a time
)

// gate is where a meeting is held: it listens where the mesh will, and asks at every address it knows.
type gate struct {
	log    *slog.Logger
	door   net.Listener
	tls    *tls.Config // nil: plain TCP; else as the mesh's, whose place this is
	secret string
	keep   func(*promise) error // writes a promise down
	lone   bool                 // the node was told of nobody, and founds unless somebody looks for it

	mu      sync.Mutex // guards what follows: connections are served beside the asking
	meeting *meeting
	known   []string // addresses of others, each once
	sought  string   // by whom, of a cluster that runs; empty: by nobody

	guests  chan struct{}
	serving sync.WaitGroup
}

// meet returns when the node knows which cluster it is of: either it founds the promised one, or it joins one that runs. The
// context ends it too.
func (g *gate) meet(ctx context.Context) (v verdict, err error) {
	g.guests = make(chan struct{}, guestsMax)
	g.serving.Go(g.serve)
	defer func() {
		err = errors.Join(err, g.door.Close())
		g.serving.Wait()
	}()
	began := time.Now()
	told := began
	for {
		if err := g.askAll(); err != nil {
			return verdict{}, err
		}
		if g.lone && time.Since(began) < lonePatience {
			if err := g.refuseSought(); err != nil {
				return verdict{}, err
			}
		} else if v, err := g.decide(); err != nil || v.founds || v.joins != "" {
			return v, err
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			g.log.Info("waiting for the nodes of the cluster", "for", g.missing())
		}
		select {
		case <-ctx.Done():
			return verdict{}, fmt.Errorf("the cluster was not found: %s: %w", g.missing(), context.Cause(ctx))
		case <-time.After(min(askEvery, askSoon+time.Since(began)/10)):
		}
	}
}

// refuseSought refuses to found a cluster a second time: a directory that was lost does not say that there was one, but its members do.
func (g *gate) refuseSought() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sought == "" {
		return nil
	}
	return fmt.Errorf("a node at %s is of a cluster that runs and looks for this one here, which has no data any more: name nodes of that cluster in --join, and it joins them; "+
		"to found another cluster all the same, say --bootstrap-expect 1", g.sought)
}

// decide carries out verdicts until there is nothing to do but wait, or the meeting is over.
func (g *gate) decide() (verdict, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		v, err := g.meeting.next()
		if err != nil || v.promise == nil {
			return v, err
		}
		if err := g.keep(v.promise); err != nil {
			return verdict{}, err
		}
		g.meeting.promise(v.promise)
	}
}

func (g *gate) missing() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.meeting.missing()
}

// hello is what is said now.
func (g *gate) hello() hello {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.meeting.self
	h.Known = slices.Clone(g.known)
	return h
}

// hear takes a hello, and remembers where more nodes may be.
func (g *gate) hear(h *hello) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.meeting.heard(h, time.Now()); err != nil {
		return err
	}
	for _, address := range append([]string{h.Address}, h.Known...) {
		if len(g.known) < guestsMax && address != g.meeting.self.Address && !slices.Contains(g.known, address) && dialable(address) == nil {
			g.known = append(g.known, address)
		}
	}
	return nil
}

// askAll asks everywhere at once. Who does not answer may come later; who refuses, or is not who it should be, ends the meeting.
func (g *gate) askAll() error {
	addresses := g.hello().Known
	failed := make([]error, len(addresses))
	var asked sync.WaitGroup
	for i, address := range addresses {
		asked.Go(func() { failed[i] = g.ask(address) })
	}
	asked.Wait()
	return errors.Join(failed...)
}

func (g *gate) ask(address string) error {
	conn, err := dial(address, g.tls)
	if err != nil || conn == nil {
		return err
	}
	defer conn.Close()
	answer, one, err := g.converse(conn)
	switch {
	case errors.Is(err, io.EOF), isNet(err):
		return nil // it went away
	case err != nil:
		return fmt.Errorf("%s: %w", address, err)
	case one != nil:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.meeting.ran(address, one)
	}
	return g.hear(answer)
}

// dial connects to where a node may be; nil: there is none yet. Routes speak TLS from the first byte, and so does the meeting.
func dial(address string, secure *tls.Config) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, wordPatience)
	if err != nil {
		return nil, nil
	}
	if secure == nil {
		return conn, nil
	}
	secure = secure.Clone()
	secure.ServerName, _, _ = net.SplitHostPort(address)
	over := tls.Client(conn, secure)
	err = errors.Join(conn.SetDeadline(time.Now().Add(wordPatience)), over.Handshake())
	if err == nil {
		return over, nil
	}
	conn.Close()
	if errors.Is(err, io.EOF) || isNet(err) {
		return nil, nil // it went away, or refuses this node, which it says in its own log
	}
	return nil, fmt.Errorf("%s: %w: give all nodes certificates of the same authority (%s), or none", address, err, tlsAuthority)
}

func isNet(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}

// converse is the asking side of a conversation.
func (g *gate) converse(conn net.Conn) (*hello, *member, error) {
	in, err := readerOf(conn)
	if err != nil {
		return nil, nil, err
	}
	first, err := readLine(in)
	if err != nil {
		return nil, nil, err
	}
	nonce, one, err := greeting(first)
	if err != nil || one != nil {
		return nil, one, err
	}
	h := g.hello()
	line, err := h.seal(g.secret, nonce, asking)
	if err != nil {
		return nil, nil, err
	}
	if _, err := io.WriteString(conn, line); err != nil {
		return nil, nil, err
	}
	if line, err = readLine(in); err != nil {
		return nil, nil, err
	}
	if why, refused := strings.CutPrefix(line, "REFUSED "); refused {
		return nil, nil, fmt.Errorf("it refuses this node: %.500s", strings.TrimSpace(why))
	}
	answer, err := unseal(line, g.secret, nonce, answering)
	return answer, nil, err
}

// probe says which cluster's member listens at an address; nil: none, or none of a cluster that runs.
func probe(address string, secure *tls.Config) (*member, error) {
	conn, err := dial(address, secure)
	if err != nil || conn == nil {
		return nil, err
	}
	defer conn.Close()
	in, err := readerOf(conn)
	if err != nil {
		return nil, err
	}
	line, err := readLine(in)
	if err != nil {
		return nil, nil // it went away
	}
	_, one, err := greeting(line)
	return one, err
}

// serve answers whoever comes, until the door is closed.
func (g *gate) serve() {
	for {
		conn, err := g.door.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(askEvery) // out of descriptors, most likely
			continue
		}
		g.guests <- struct{}{}
		g.serving.Go(func() {
			defer func() { <-g.guests }()
			defer conn.Close()
			if err := g.answer(conn); err != nil {
				g.log.Debug("somebody came who was not understood", "from", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// answer is the answering side of a conversation.
func (g *gate) answer(conn net.Conn) error {
	in, err := readerOf(conn)
	if err != nil {
		return err
	}
	nonce := rand.Text()
	if _, err := fmt.Fprintf(conn, "TROUPE %d %s\n", helloVersion, nonce); err != nil {
		return err
	}
	line, err := readLine(in)
	if err != nil {
		return err
	}
	if strings.HasPrefix(line, "CONNECT ") { // NATS says so: it is of a member, which looks for a member
		g.mu.Lock()
		g.sought, _, _ = net.SplitHostPort(conn.RemoteAddr().String())
		g.mu.Unlock()
		return errHello
	}
	h, err := unseal(line, g.secret, nonce, asking)
	if err == nil {
		err = g.hear(h)
	}
	if errors.Is(err, errHello) {
		return err
	}
	if err != nil {
		g.log.Warn("a node that wants to be of the cluster is refused", "from", conn.RemoteAddr(), "why", err)
		_, err = fmt.Fprintf(conn, "REFUSED %v\n", err)
		return err
	}
	mine := g.hello()
	if line, err = mine.seal(g.secret, nonce, answering); err == nil {
		_, err = io.WriteString(conn, line)
	}
	return err
}

// readerOf reads a conversation that has to be over soon.
func readerOf(conn net.Conn) (*bufio.Reader, error) {
	return bufio.NewReaderSize(conn, helloBytesMax), conn.SetDeadline(time.Now().Add(wordPatience))
}

// readLine refuses lines that are longer than the reader's buffer.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return string(line), err
}
