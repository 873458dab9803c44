package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// served is a connection that brings what is written here, at most so many bytes at a time, and keeps what is sent.
type served struct {
	net.Conn
	from io.Reader
	most int
	sent bytes.Buffer
}

func (s *served) Read(b []byte) (int, error)  { return s.from.Read(b[:min(len(b), s.most)]) }
func (s *served) Write(b []byte) (int, error) { return s.sent.Write(b) }
func (s *served) SetDeadline(time.Time) error { return nil }
func (s *served) Close() error                { return nil }
func serve(from string, most int) *served     { return &served{from: strings.NewReader(from), most: most} }
func message64(n int) (body, line string) {
	body = strings.Repeat("x\r\nPING\r\n", n/9+1)[:n]
	return body, fmt.Sprintf("MSG a.b 1 %d\r\n%s\r\n", n, body)
}
func heard(p *pipe) (all []string, err error) {
	err = p.read(func(b []byte) { all = append(all, string(b)) }, func() {})
	return all, err
}

const welcome = "INFO {}\r\nPONG\r\n"

func TestThePipeReadsWhatComesInPieces(t *testing.T) {
	var want []string
	script := welcome
	for _, n := range []int{0, 1, 100, 63 << 10, 200 << 10, 3, 300 << 10} { // the last is more than the buffer holds
		body, line := message64(n)
		want = append(want, body)
		script += line + "+OK\r\nINFO {}\r\n"
	}
	for _, most := range []int{7, 4096, 1 << 20} {
		p, err := greet(serve(script, most), "bulk", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := heard(p); !slices.Equal(got, want) || err != io.EOF {
			t.Errorf("%d bytes at a time: %d messages, %v", most, len(got), err)
		}
	}
}

func TestThePipeAnswersAndPublishes(t *testing.T) {
	s := serve(welcome+"PING\r\n", 100)
	p, err := greet(s, "bulk", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	if err := p.read(nil, func() { asked = true }); err != io.EOF || !asked || !p.closed.Load() {
		t.Fatalf("%v, asked %v", err, asked)
	}
	s.sent.Reset()
	for _, body := range []string{"frame", ""} {
		if err := p.publish("a.b", append(make([]byte, pubRoom), body...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.answer(); err != nil {
		t.Fatal(err)
	}
	if got := s.sent.String(); got != "PONG\r\nPUB a.b 5\r\nframe\r\nPUB a.b 0\r\n\r\n" {
		t.Errorf("%q was sent", got)
	}
	if err := p.publish(strings.Repeat("long", 50), make([]byte, pubRoom)); err == nil {
		t.Error("there is room for any subject")
	}
}

func TestThePipeRefuses(t *testing.T) {
	for _, script := range []string{"", "HELLO\r\n", "INFO {}\r\n-ERR 'Authorization Violation'\r\n", "INFO {}\r\nPON", strings.Repeat("INFO", lineMax)} {
		if _, err := greet(serve(script, 100), "bulk", time.Minute); err == nil {
			t.Errorf("%.40q is a welcome", script)
		}
	}
	for _, script := range []string{"MSG a 1 x\r\n", "MSG a 1 -1\r\n", "MSG a 1 2\r\nabc\r\n", "MSG a 1 99999999999\r\n", "-ERR 'Slow'\r\n", "MSG"} {
		p, err := greet(serve(welcome+script, 100), "bulk", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := heard(p); len(all) > 0 || err == nil || err == io.EOF {
			t.Errorf("%q is read as %q, %v", script, all, err)
		}
	}
}

// FuzzPipe reads whatever comes the same way, in one piece and in many.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("MSG a 1 5\r\nhello\r\nPING\r\nMSG a 1 0\r\n\r\n"), 3)
	f.Add([]byte("MSG a 1 2\r\nhello\r\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		read := func(most int) ([]string, error) {
			p := &pipe{conn: serve(string(b), most), buffer: make([]byte, 16)}
			return heard(p)
		}
		whole, why := read(len(b) + 1)
		pieces, also := read(max(1, most))
		if !slices.Equal(whole, pieces) || errors.Is(why, errPipe) != errors.Is(also, errPipe) {
			t.Fatalf("%q is read as %q, %v, and in pieces as %q, %v", b, whole, why, pieces, also)
		}
	})
}
