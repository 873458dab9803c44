package wire

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// in runs a function on a thread that stands in a place's namespace: what sockets it opens stay there.
func in(t *testing.T, w *Wire, place int, do func()) {
	t.Helper()
	if place == Host {
		do()
		return
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/var/run/netns/"+w.Netns(place), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err == nil {
			do()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// ears are one socket for datagrams at each place.
func ears(t *testing.T, w *Wire, places int) (all []*net.UDPConn) {
	t.Helper()
	for place := range places {
		in(t, w, place, func() {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(w.Addr(place)), Port: 7000})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() })
			all = append(all, conn)
		})
	}
	if len(all) != places {
		t.FailNow()
	}
	return all
}

const deaf = 400 * time.Millisecond

// heard says after how long a datagram from one place arrives at another; deaf if it does not.
func heard(from, to *net.UDPConn) time.Duration {
	began := time.Now()
	from.WriteTo([]byte("hear"), to.LocalAddr())
	to.SetReadDeadline(began.Add(deaf))
	if _, _, err := to.ReadFrom(make([]byte, 100)); err != nil {
		return deaf
	}
	return time.Since(began)
}

// TestWeather sends datagrams through every kind of weather.
func TestWeather(t *testing.T) {
	w := New(t, 2)
	at := ears(t, w, 3)
	is := func(what string, from, to int, want bool) {
		t.Helper()
		if got := heard(at[from], at[to]) < deaf; got != want {
			t.Errorf("%s: %d hears %d: %v", what, to, from, got)
		}
	}
	is("calm", Host, 1, true)
	is("calm", 2, Host, true)
	is("calm", 1, 2, true)
	w.Between(1, 2, Weather{Cut: true})
	is("cut", 1, 2, false)
	is("cut", 2, 1, false)
	is("cut", 1, Host, true)
	w.Calm()
	w.Set(1, 2, Weather{Cut: true})
	is("cut one way", 1, 2, false)
	is("cut one way", 2, 1, true)
	w.Between(1, 2, Weather{Loss: 1})
	is("all lost", 2, 1, false)
	w.Between(1, 2, Weather{Delay: 100 * time.Millisecond, Jitter: 10 * time.Millisecond})
	if took := heard(at[1], at[2]); took < 100*time.Millisecond || took >= deaf {
		t.Errorf("a delay of 100 ms: %v", took)
	}
	w.Calm()
	is("healed", 1, 2, true)
}

// TestStream sends a stream through delay and loss: the kernels' TCP mends it.
func TestStream(t *testing.T) {
	w := New(t, 1)
	var l net.Listener
	in(t, w, 1, func() {
		var err error
		if l, err = net.Listen("tcp4", w.Addr(1)+":7000"); err != nil {
			t.Error(err)
		}
	})
	if l == nil {
		t.FailNow()
	}
	defer l.Close()
	w.Between(Host, 1, Weather{Delay: time.Millisecond, Loss: 0.02})
	sent, got := make([]byte, 200<<10), make(chan []byte, 1)
	rand.Read(sent)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(got)
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	conn, err := net.DialTimeout("tcp4", l.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write(sent)
	conn.Close()
	if !bytes.Equal(<-got, sent) {
		t.Error("what was sent is not what arrived")
	}
}
