package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/persistence/record"
)

// open listens with a street behind it, whose partitions append at once.
func open(t *testing.T, limits Limits, move func(h *house)) (*Listener, *street) {
	t.Helper()
	return openWith(t, setting.Values{}, limits, move)
}

// openWith is a listener of a node that was started with settings.
func openWith(t *testing.T, static setting.Values, limits Limits, move func(h *house)) (*Listener, *street) {
	t.Helper()
	s := newStreet(t, func(h *house) {
		h.views[message.BrokerAt(me)] = cluster(map[string]int{"t": 1})
		h.plays = func(_ message.Address, what any) any {
			if a, ok := what.(*message.Append); ok {
				if _, err := record.Check(a.Batch); err != nil {
					t.Errorf("a batch was changed on its way: %v", err)
				}
				return &message.Appended{BaseOffset: int64(len(a.Batch))}
			}
			return nil
		}
		if move != nil {
			move(h)
		}
	})
	l, err := Listen("127.0.0.1:0", s, Options{Node: me, Static: static}, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		if used := l.budget.used.Load(); used != 0 {
			t.Errorf("%d bytes of requests are still held", used)
		}
	})
	return l, s
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func framed(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

// receive reads an answer from a socket and decodes it.
func receive[R kmsg.Response](t *testing.T, conn net.Conn, r R, version int16, correlation int32) R {
	t.Helper()
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return read(&house{t: t, wire: &wire{answers: [][]byte{body}}}, r, version, correlation)
}

// hungUp waits until the other side closes.
func hungUp(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is open")
	}
}

// Requests of all sizes, many at once and byte by byte, are answered in order.
func TestRequestsOverTCP(t *testing.T) {
	l, _ := open(t, Limits{}, nil)
	conn := dial(t, l)
	var all []byte
	sizes := []int{1, 10, 1000, 1500, 20_000, 100_000, 700_000}
	for i, n := range sizes {
		all = append(all, framed(request(produceOf(-1, "t", batch(n)), 9, int32(i)))...)
	}
	for len(all) > 0 {
		n := min(len(all), 7+len(all)/3)
		if _, err := conn.Write(all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
		time.Sleep(time.Millisecond)
	}
	for i, n := range sizes {
		r := receive(t, conn, kmsg.NewPtrProduceResponse(), 9, int32(i))
		if got := r.Topics[0].Partitions[0]; got.ErrorCode != 0 || got.BaseOffset != int64(len(batch(n))) {
			t.Errorf("batch of %d: %+v", n, got)
		}
	}
}

// Slices of log files go from the file to the socket, whether by copy or by the kernel, large and small ones mixed.
func TestFilesAreSentOverTCP(t *testing.T) {
	content := newLog(1, 5, 20_000, 3, 200_000)
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, content.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, f := range map[string]io.ReaderAt{"sendfile": sendable{file}, "copy": file} {
		t.Run(name, func(t *testing.T) {
			l, _ := open(t, Limits{}, func(h *house) { h.views[address("t", 0)] = &onDisk{content, f} })
			conn := dial(t, l)
			for i, offset := range []int64{0, 1, 6, 20_006, 20_009, 0} {
				q := fetchOf(0, 1, "t", 0)
				q.MaxBytes, q.Topics[0].Partitions[0].PartitionMaxBytes, q.Topics[0].Partitions[0].FetchOffset = 1<<30, 1<<30, offset
				if _, err := conn.Write(framed(request(q, 12, int32(i)))); err != nil {
					t.Fatal(err)
				}
				p := receive(t, conn, kmsg.NewPtrFetchResponse(), 12, int32(i)).Topics[0].Partitions[0]
				want := content.bytes[content.at[indexOf(content.starts, offset)]:]
				if !bytes.Equal(p.RecordBatches, want) {
					t.Errorf("offset %d: %d bytes, want %d", offset, len(p.RecordBatches), len(want))
				}
			}
		})
	}
}

// sendable is a vfs.Sender.
type sendable struct{ *os.File }

func (s sendable) Fd(use func(fd uintptr) error) error { return use(s.File.Fd()) }

// onDisk is a log whose bytes are in a file.
type onDisk struct {
	*log
	file io.ReaderAt
}

func (d *onDisk) Read(offset, limit int64, maxBytes int, oneAtLeast bool) (message.Slice, error) {
	s, err := d.log.Read(offset, limit, maxBytes, oneAtLeast)
	if s.Bytes > 0 {
		s.File = d.file
	}
	return s, err
}

func indexOf(starts []int64, offset int64) int {
	for i, s := range starts {
		if s == offset {
			return i
		}
	}
	return -1
}

// S9: "Frame length <= socket.request.max.bytes else connection closed; negative size closed."
func TestFramesAreBounded(t *testing.T) {
	for _, head := range []string{"\x00\x00\x10\x01", "\xff\xff\xff\xff", "\x7f\xff\xff\xff"} {
		l, _ := open(t, Limits{RequestBytes: 4096}, nil)
		conn := dial(t, l)
		io.WriteString(conn, head)
		hungUp(t, conn)
	}
}

// A frame gets memory as its bytes arrive, not on its word.
func TestMemoryIsNotGivenOnAWord(t *testing.T) {
	l, _ := open(t, Limits{Stall: 50 * time.Millisecond}, nil)
	conn := dial(t, l)
	io.WriteString(conn, "\x00\x10\x00\x00abc")
	hungUp(t, conn)
}

// Clients that announce much and send little keep nobody out.
func TestAnnouncementsStarveNobody(t *testing.T) {
	l, _ := open(t, Limits{QueuedBytes: 4 << 20}, nil)
	for range 50 {
		io.WriteString(dial(t, l), "\x06\x00\x00\x00abc")
	}
	time.Sleep(50 * time.Millisecond)
	conn := dial(t, l)
	conn.Write(framed(request(kmsg.NewPtrApiVersionsRequest(), 0, 1)))
	receive(t, conn, kmsg.NewPtrApiVersionsResponse(), 0, 1)
}

// S10: "connections.max.idle.ms closes idle connections silently", but not one that waits for an answer.
func TestIdleConnectionsAreClosed(t *testing.T) {
	l, _ := open(t, Limits{Idle: 60 * time.Millisecond}, func(h *house) { h.views[address("t", 0)] = newLog() })
	idle, waiting := dial(t, l), dial(t, l)
	waiting.Write(framed(request(fetchOf(500, 1, "t", 0), 12, 1)))
	hungUp(t, idle)
	time.Sleep(100 * time.Millisecond)
	waiting.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection with a parked fetch was closed: %v", err)
	}
}

// max.connections.per.ip: who is one too many is hung up on. max.connections: who is one too many waits.
func TestConnectionsAreCounted(t *testing.T) {
	l, _ := openWith(t, setting.NewValues(map[string]string{"max.connections.per.ip": "2"}), Limits{}, nil)
	first, _, third := dial(t, l), dial(t, l), dial(t, l)
	hungUp(t, third)
	first.Close()
	for deadline := time.Now().Add(5 * time.Second); ; {
		conn := dial(t, l)
		conn.Write(framed(request(kmsg.NewPtrApiVersionsRequest(), 0, 1)))
		if n, _ := conn.Read(make([]byte, 1)); n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not given to the next")
		}
	}

	l, _ = openWith(t, setting.NewValues(map[string]string{"max.connections": "1"}), Limits{}, nil)
	first, second := dial(t, l), dial(t, l)
	first.Write(framed(request(kmsg.NewPtrApiVersionsRequest(), 0, 1)))
	receive(t, first, kmsg.NewPtrApiVersionsResponse(), 0, 1)
	second.Write(framed(request(kmsg.NewPtrApiVersionsRequest(), 0, 1)))
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the second connection was let in: %v", err)
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(5 * time.Second))
	receive(t, second, kmsg.NewPtrApiVersionsResponse(), 0, 1)
}

// A client that sends and does not read, or whose appends are not answered, is read no further.
func TestASlowClientIsBounded(t *testing.T) {
	l, s := open(t, Limits{ConnectionRequests: 5}, func(h *house) { h.plays = nil })
	conn := dial(t, l)
	for i := range int32(100) {
		conn.Write(framed(request(produceOf(-1, "t", batch(1)), 9, i)))
	}
	time.Sleep(100 * time.Millisecond)
	s.mu.Lock()
	r := s.all[0]
	s.mu.Unlock()
	r.home.Lock()
	defer r.home.Unlock()
	if n := len(r.asks); n != 5 {
		t.Errorf("%d appends are under way, the bound is 5", n)
	}
	if used := l.budget.used.Load(); used > 5*200 {
		t.Errorf("%d bytes are held", used)
	}
}

// What all connections hold is bounded too, and is given back when they end, answered or not.
func TestTheBudgetIsShared(t *testing.T) {
	one := int64(len(request(produceOf(-1, "t", batch(100)), 9, 0)))
	l, s := open(t, Limits{QueuedBytes: 3 * one}, func(h *house) { h.plays = nil })
	var conns []net.Conn
	for i := range 5 {
		conns = append(conns, dial(t, l))
		conns[i].Write(framed(request(produceOf(-1, "t", batch(100)), 9, 0)))
	}
	time.Sleep(100 * time.Millisecond)
	if n := busyHouses(s); n != 3 {
		t.Errorf("%d requests were let in, the bound is 3", n)
	}
	for range 3 { // those who are in leave, whoever they are
		for _, c := range conns {
			c.Close()
		}
	}
	for deadline := time.Now().Add(5 * time.Second); l.budget.used.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are still held", l.budget.used.Load())
		}
	}
}

func busyHouses(s *street) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		r.home.Lock()
		n += min(1, len(r.asks))
		r.home.Unlock()
	}
	return n
}

// A client that does not read its answers is hung up on, and its answers are forgotten.
func TestAStuckClientIsHungUpOn(t *testing.T) {
	big := newLog(400_000)
	l, _ := open(t, Limits{Stall: 100 * time.Millisecond}, func(h *house) { h.views[address("t", 0)] = big })
	conn := dial(t, l)
	q := fetchOf(0, 1, "t", 0)
	q.MaxBytes, q.Topics[0].Partitions[0].PartitionMaxBytes = 1<<30, 1<<30
	for i := range int32(40) {
		conn.Write(framed(request(q, 12, i)))
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		n := len(l.sockets)
		l.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the connection is open")
		}
	}
}

// A port in use is a sentence with the name and the remedy.
func TestAPortInUse(t *testing.T) {
	l, s := open(t, Limits{}, nil)
	_, err := Listen(l.Addr().String(), s, Options{}, Limits{})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "listeners") {
		t.Errorf("the error is %v", err)
	}
}
