package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/loan"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// output is the writing half. What fits into the socket at once is written where it is answered; for the rest, and for
// what has to be read from files, a goroutine lives as long as there is something to write.
type output struct {
	*socket
	queue   []*Answer
	writing bool // the goroutine lives
	closing bool
	failed  bool
	sent    int // bytes of the first answer that are on their way
	small   []byte
	n       int
}

const (
	// inlineBytes is the largest answer that is written without a goroutine.
	inlineBytes = 64 << 10
	// copyBytes is the largest slice of a log that is copied into a common write, rather than sent by the kernel.
	copyBytes = 16 << 10
	// gatherBytes is how much is gathered for a common write.
	gatherBytes = 256 << 10
)

// Answer writes an answer behind those before it.
func (s *socket) Answer(a *Answer) {
	o := &s.output
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.failed || s.over {
		a.Finish()
		return
	}
	s.pending++
	o.queue = append(o.queue, a)
	if o.writing || len(o.queue) == 1 && o.inline(a) {
		return
	}
	o.writing = true
	go o.write()
}

// inline writes an answer if the socket takes it at once.
func (o *output) inline(a *Answer) bool {
	if o.raw == nil || len(a.Cuts) > 0 || len(a.Bytes) > inlineBytes {
		return false
	}
	o.small = a.Bytes
	if o.raw.Write(o.try) != nil {
		return false // the goroutine will meet the error
	}
	if o.sent = o.n; o.sent < len(a.Bytes) {
		return false
	}
	o.queue, o.sent = o.queue[:0], 0
	o.pending--
	a.Finish()
	return true
}

// try writes without waiting.
func (o *output) try(fd uintptr) bool {
	n, err := syscall.Write(int(fd), o.small)
	for err == syscall.EINTR {
		n, err = syscall.Write(int(fd), o.small)
	}
	o.n = max(n, 0)
	return true
}

// Close ends the connection when everything that was answered is written.
func (s *socket) Close() {
	s.mu.Lock()
	s.output.closing = true
	idle := !s.output.writing
	s.mu.Unlock()
	if idle {
		s.shut()
	}
}

// write writes answers until there are none.
func (o *output) write() {
	for batch := o.next(nil); batch != nil; batch = o.next(batch) {
		if err := o.send(batch); err != nil {
			o.fail(batch, err)
			return
		}
	}
}

// next takes over what has to be written, when what was taken over before is; nil if there is nothing.
func (o *output) next(written []*Answer) []*Answer {
	for _, a := range written {
		a.Finish()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending -= len(written); len(written) > 0 {
		o.change.Signal()
	}
	if len(o.queue) == 0 {
		o.writing = false
		if o.closing {
			go o.shut()
		}
		return nil
	}
	batch := o.queue
	o.queue = nil
	return batch
}

// fail gives up: what was not written is forgotten and the connection is ended.
func (o *output) fail(batch []*Answer, err error) {
	o.mu.Lock()
	rest := o.queue
	o.queue, o.failed, o.writing, o.pending = nil, true, false, 0
	o.mu.Unlock()
	for _, a := range append(batch, rest...) {
		a.Finish()
	}
	o.shut()
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		o.l.opts.Log.Info("answers could not be written", "remote", o.Remote(), "why", err)
	}
}

// send writes a batch of answers: bytes and small slices together, large slices by the kernel.
func (o *output) send(batch []*Answer) error {
	g := pieces{o: o}
	defer g.recycle()
	for _, a := range batch {
		at := o.sent
		o.sent = 0
		for i := range a.Cuts {
			cut := &a.Cuts[i]
			if err := g.add(a.Bytes[at:cut.At]); err != nil {
				return err
			}
			if at = cut.At; cut.Slice.Bytes <= copyBytes {
				if err := g.copy(&cut.Slice); err != nil {
					return err
				}
				continue
			}
			if err := g.flush(); err != nil {
				return err
			}
			if err := o.sendSlice(&cut.Slice); err != nil {
				return err
			}
		}
		if err := g.add(a.Bytes[at:]); err != nil {
			return err
		}
	}
	return g.flush()
}

// pieces gathers bytes for one vectored write.
type pieces struct {
	o      *output
	list   net.Buffers
	bytes  int
	copies [][]byte
}

func (g *pieces) add(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	g.list = append(g.list, b)
	if g.bytes += len(b); g.bytes >= gatherBytes {
		return g.flush()
	}
	return nil
}

// copy reads a slice into memory.
func (g *pieces) copy(s *message.Slice) error {
	b := loan.Lend(s.Bytes)[:s.Bytes]
	g.copies = append(g.copies, b)
	if _, err := readFull(s.File, b, s.At); err != nil {
		return err
	}
	return g.add(b)
}

func (g *pieces) flush() error {
	if g.bytes == 0 {
		return nil
	}
	if err := g.o.patience(); err != nil {
		return err
	}
	list := g.list
	_, err := list.WriteTo(g.o.conn)
	g.recycle()
	return err
}

func (g *pieces) recycle() {
	for _, b := range g.copies {
		loan.GiveBack(b)
	}
	clear(g.list)
	g.list, g.copies, g.bytes = g.list[:0], g.copies[:0], 0
}

// patience lets the next write fail if the client takes nothing for long.
func (o *output) patience() error {
	return o.conn.SetWriteDeadline(time.Now().Add(o.l.limits.Stall))
}

// sendSlice sends a range of a file, without a copy where there is a way.
func (o *output) sendSlice(s *message.Slice) error {
	if file, ok := s.File.(vfs.Sender); ok && o.raw != nil {
		sent, err := o.sendFile(file, s.At, s.Bytes)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		s = &message.Slice{File: s.File, At: s.At + int64(sent), Bytes: s.Bytes - sent}
	}
	b := loan.Lend(gatherBytes)
	defer loan.GiveBack(b)
	for at := 0; at < s.Bytes; {
		chunk := b[:min(gatherBytes, s.Bytes-at)]
		if _, err := readFull(s.File, chunk, s.At+int64(at)); err != nil {
			return err
		}
		if err := o.patience(); err != nil {
			return err
		}
		n, err := o.conn.Write(chunk)
		if at += n; err != nil {
			return err
		}
	}
	return nil
}

func readFull(f io.ReaderAt, b []byte, at int64) (int, error) {
	n, err := f.ReadAt(b, at)
	if n < len(b) {
		return n, fmt.Errorf("a log file ends %d bytes too early at %d: %w", len(b)-n, at, err)
	}
	return n, nil
}
