// Package wire is a network of a test's own: a namespace for each node with a single interface, whose other end this
// process holds. It passes the packets on, and can cut each direction between any two, delay, and lose, whatever modules the
// kernel has for that. The kernels' own TCP runs at both ends. It needs Linux, root, ip and /dev/net/tun, and says so.
//
// Nothing of it outlives the process but the namespaces' names, which the test's end removes, or the next test's start.
package wire

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/tests/broker"
)

// Host is the place of the test itself, and of clients that it runs; 1 and what follows are nodes.
const Host = 0

// Weather is what one direction between two places does to packets.
type Weather struct {
	Cut    bool
	Delay  time.Duration
	Jitter time.Duration // up to this is added to the delay; packets keep their order
	Loss   float64       // 0 to 1: how many packets are lost
}

// Wire is the network.
type Wire struct {
	t     *testing.T
	ports []*os.File // by place
	links [][]*link  // from, to
}

// mtu is Ethernet's.
const mtu = 1500

// New makes a network of so many nodes, and removes it when the test ends.
func New(t *testing.T, nodes int) *Wire {
	t.Helper()
	_, err := exec.LookPath("ip")
	broker.Need(t, err != nil, "nodes get networks of their own with ip: install iproute2")
	broker.Need(t, os.Geteuid() != 0, "only root may make network namespaces: run the test as root")
	sweep()
	w := &Wire{t: t}
	t.Cleanup(w.remove)
	for place := range nodes + 1 {
		port, err := open(name(place))
		broker.Need(t, err != nil, fmt.Sprintf("an interface cannot be made from /dev/net/tun (%v): run the test where tun devices and network namespaces may be made", err))
		w.ports = append(w.ports, port)
		w.connect(place)
	}
	for from := range w.ports {
		w.links = append(w.links, nil)
		for _, to := range w.ports {
			l := &link{to: to, queue: make(chan packet, 4096)}
			w.links[from] = append(w.links[from], l)
			go l.pass()
		}
		go w.read(from)
	}
	return w
}

// Netns is the name of a node's network namespace.
func (w *Wire) Netns(place int) string { return name(place) }

// Addr is a place's address.
func (w *Wire) Addr(place int) string { return fmt.Sprintf("198.18.%d.%d", os.Getpid()%256, place+1) }

func name(place int) string { return fmt.Sprintf("trp%d-%d", os.Getpid(), place) }

// open makes an interface that lasts as long as the file.
func open(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// connect puts a place's interface where it belongs and gives it its address.
func (w *Wire) connect(place int) {
	dev, in := name(place), []string{}
	if place != Host {
		w.ip("netns", "add", dev)
		w.ip("link", "set", dev, "netns", dev)
		in = []string{"-n", dev}
		w.ip(append(in, "link", "set", "lo", "up")...)
	}
	w.ip(append(in, "addr", "add", w.Addr(place)+"/24", "dev", dev)...)
	w.ip(append(in, "link", "set", dev, "mtu", fmt.Sprint(mtu), "up")...)
}

func (w *Wire) ip(args ...string) {
	w.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	broker.Need(w.t, err != nil, fmt.Sprintf("ip %s fails (%v, %s): run the test where network namespaces may be made", strings.Join(args, " "), err, strings.TrimSpace(string(out))))
}

// Run runs a command in a node's namespace, as a fault that the kernel of that node makes.
func (w *Wire) Run(place int, command ...string) error {
	out, err := exec.Command("ip", append([]string{"netns", "exec", name(place)}, command...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}

// Set changes the weather from one place to another.
func (w *Wire) Set(from, to int, weather Weather) {
	l := w.links[from][to]
	l.mu.Lock()
	l.weather = weather
	l.mu.Unlock()
}

// Between changes the weather between two places, both ways.
func (w *Wire) Between(a, b int, weather Weather) {
	w.Set(a, b, weather)
	w.Set(b, a, weather)
}

// Calm heals everything.
func (w *Wire) Calm() {
	for from := range w.links {
		for to := range w.links {
			w.Set(from, to, Weather{})
		}
	}
}

// read takes what a place sends and gives it to the link that it goes by, until the interface is closed.
func (w *Wire) read(from int) {
	defer func() {
		for _, l := range w.links[from] {
			close(l.queue)
		}
	}()
	for buf := make([]byte, 1<<16); ; {
		n, err := w.ports[from].Read(buf)
		if err != nil {
			return
		}
		const destination = 16 // where IPv4's header has it
		if n < destination+4 || buf[0]>>4 != 4 {
			continue
		}
		if to := int(buf[destination+3]) - 1; to >= 0 && to < len(w.links[from]) {
			w.links[from][to].send(buf[:n])
		}
	}
}

// remove closes the interfaces, which end with that, and takes the namespaces away.
func (w *Wire) remove() {
	for place, port := range w.ports {
		port.Close()
		if place != Host {
			exec.Command("ip", "netns", "del", name(place)).Run()
		}
	}
}

// sweep removes namespaces of tests that were killed.
func sweep() {
	left, _ := filepath.Glob("/var/run/netns/trp*-*")
	for _, path := range left {
		var pid, place int
		if _, err := fmt.Sscanf(filepath.Base(path), "trp%d-%d", &pid, &place); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			exec.Command("ip", "netns", "del", filepath.Base(path)).Run()
		}
	}
}

// link is one direction between two places.
type link struct {
	to    *os.File
	queue chan packet

	mu      sync.Mutex
	weather Weather
	last    time.Time // when the last packet is due
}

type packet struct {
	due   time.Time // zero: at once
	bytes []byte
}

// send takes a packet unless the weather or a full queue swallows it.
func (l *link) send(bytes []byte) {
	l.mu.Lock()
	w := l.weather
	p := packet{bytes: append([]byte(nil), bytes...)}
	if w.Delay > 0 || w.Jitter > 0 {
		p.due = time.Now().Add(w.Delay + time.Duration(rand.Float64()*float64(w.Jitter)))
		if p.due.Before(l.last) {
			p.due = l.last
		}
		l.last = p.due
	}
	l.mu.Unlock()
	if w.Cut || rand.Float64() < w.Loss {
		return
	}
	select {
	case l.queue <- p:
	default:
	}
}

// pass delivers what is due, if the link was not cut meanwhile.
func (l *link) pass() {
	for p := range l.queue {
		if !p.due.IsZero() {
			time.Sleep(time.Until(p.due))
		}
		l.mu.Lock()
		cut := l.weather.Cut
		l.mu.Unlock()
		if !cut {
			l.to.Write(p.bytes) // what cannot be written is lost, as on any wire
		}
	}
}
