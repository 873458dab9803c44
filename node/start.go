package node

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/transport/http"
	"github.com/troupe-broker/troupe/transport/kafka"
	"github.com/troupe-broker/troupe/transport/mesh"
)

// Node is a running broker.
type Node struct {
	config *Config
	log    *slog.Logger
	lock   io.Closer
	mesh   *mesh.Mesh // nil: the node is alone
	stage  *stage.Real
	housed chan struct{} // closed when the stage has actors, or never will
	raised bool          // it has
	traces *http.Traces

	failed  chan struct{}
	closing atomic.Bool
	closed  chan struct{} // when it begins to close

	counters *http.Counters
	doors    []*kafka.Listener
	http     *http.Server // nil: switched off
}

// readyPatience is how long a start may take before it has failed: replaying a full journal is the longest of it.
const readyPatience = 2 * time.Minute

// Start takes the data directory, raises the actors, opens the doors, and returns when the node serves. What the node has
// to say while it runs goes to the log.
func Start(c *Config, logs io.Writer) (*Node, error) {
	n := &Node{config: c, log: logger(c, logs), failed: make(chan struct{}), housed: make(chan struct{}), closed: make(chan struct{})}
	if err := n.start(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start() error {
	for _, note := range n.config.Notes {
		n.log.Warn(note)
	}
	l := n.config.Layers()
	limitMemory(l.Number("memory.limit.bytes"))
	files, format, err := n.takeDirectory()
	if err != nil {
		return err
	}
	place, err := n.settle(files, format)
	if err != nil {
		return err
	}
	if n.traces, err = http.Trace(l.Text("otel.endpoint"), l.Fraction("otel.sample.ratio"), n.config.ID); err != nil {
		return err
	}
	if err := n.openMesh(place); err != nil {
		return err
	}
	o := stage.Options{Node: n.config.ID, FS: vfs.Cached(files, openFilesMax(l.Number("files.open.max"))), Log: n.log, Seed: seed()}
	if n.mesh != nil {
		o.Post = n.mesh
	}
	n.stage = stage.NewReal(o)
	// Doors come first: an address that is taken is found before anything is written, and who comes early waits.
	if err := n.openDoors(); err != nil {
		return err
	}
	if n.mesh == nil {
		if err := n.found(place, files); err != nil {
			return err
		}
	}
	n.raise(place)
	if err := n.awaitReady(); err != nil {
		return err
	}
	if err := n.noteCluster(files, place.Format); err != nil {
		return err
	}
	if n.http != nil {
		n.http.Ready()
	}
	return nil
}

func (n *Node) raise(s *settled) {
	parts := Parts{Config: n.config, Cluster: s.Cluster, Contacts: s.Founders, Directory: s.Directory}
	if n.mesh != nil {
		parts.Config = n.advertised()
	}
	if n.traces != nil {
		parts.Spans = n.traces.Within
	}
	Raise(n.stage, parts)
	n.raised = true
	close(n.housed)
	n.watchDisk()
	go n.giveBack()
}

func (n *Node) takeDirectory() (vfs.FS, Format, error) {
	files, lock, err := OpenDirectory(n.config.Data)
	if err != nil {
		return nil, Format{}, err
	}
	n.lock = lock
	if err := refuseFull(files); err != nil {
		return nil, Format{}, unusable(n.config.Data, err)
	}
	if err := n.number(files); err != nil {
		return nil, Format{}, unusable(n.config.Data, err)
	}
	cluster := ""
	if n.config.Cluster.Listen == "" {
		cluster = newClusterID() // of one's own; where there are others, they are asked
	}
	f, err := claim(files, n.config.ID, cluster, newDirectoryID())
	if err != nil {
		return nil, f, unusable(n.config.Data, err)
	}
	return files, f, nil
}

// advertised is the configuration with an address of this node's own for each listener: who is alone may tell a client to go on with
// the address that it used, but in a cluster that is another node's more often than not.
func (n *Node) advertised() *Config {
	c := *n.config
	c.Listeners = slices.Clone(c.Listeners)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Advertised.Port == 0 {
			l.Advertised.Port = int32(n.doors[i].Addr().(*net.TCPAddr).Port)
		}
		for _, address := range []string{l.Address, c.Cluster.Advertise, c.Cluster.Listen} {
			if host, _, _ := hostPort(address); l.Advertised.Host == "" && !unspecified(host) {
				l.Advertised.Host = host
			}
		}
	}
	return &c
}

// noteCluster writes into the format of a directory that is older than that line the cluster's id, which is known only now, so that
// the node may be joined by others.
func (n *Node) noteCluster(files vfs.FS, f Format) error {
	img, _ := n.stage.Published(message.BrokerAt(n.config.ID)).(*image.Image)
	if f.Cluster != "" || img == nil {
		return nil
	}
	f.Cluster = img.Cluster
	return f.write(files)
}

// openDoors opens the door for operators first: they may want to watch a long start.
func (n *Node) openDoors() error {
	n.counters = http.NewCounters(func(key int16) string { return kmsg.NameForKey(key) })
	if n.config.HTTP != "" {
		var err error
		if n.http, err = http.Listen(n.config.HTTP, n.registry(), n.config.Profile); err != nil {
			return err
		}
	}
	sessions := kafka.NewSessions(int(n.config.Layers().Number("max.incremental.fetch.session.cache.slots")))
	for i, one := range n.config.Listeners {
		door, err := kafka.Listen(one.Address, n.stage, n.doorOptions(i, sessions), n.config.limits())
		if err != nil {
			return err
		}
		n.doors = append(n.doors, door)
	}
	return nil
}

func (n *Node) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(n.counters, http.Logs{Node: n.config.ID, Views: n.stage}, disks{n.config.ID, n.stage},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if n.mesh != nil {
		r.MustRegister(ways{n.mesh})
	}
	return r
}

func (n *Node) doorOptions(i int, sessions *kafka.Sessions) kafka.Options {
	o := kafka.Options{Node: n.config.ID, Index: uint16(i), Listener: n.config.Listeners[i].Name, Static: n.config.Values, Sessions: sessions, Metrics: n.counters, Log: n.log}
	if n.traces != nil {
		o.Tracer = n.traces
	}
	return o
}

// limits are what clients may cost. A negative or huge number of Kafka's stands for no limit.
func (c *Config) limits() kafka.Limits {
	l := c.Layers()
	idle := l.Millis("connections.max.idle.ms")
	if idle < 0 {
		idle = 1<<63 - 1
	}
	return kafka.Limits{
		RequestBytes: int(l.Number("socket.request.max.bytes")),
		QueuedBytes:  max(0, l.Number("queued.max.request.bytes")),
		Idle:         idle,
	}
}

// lookEvery is how often a start looks for another process that has its number, and looksPerQuestion how seldom it asks whether the
// metadata can be read.
const (
	lookEvery        = 100 * time.Millisecond
	looksPerQuestion = 10
)

// awaitReady returns when the broker is registered and its partitions serve, or when that cannot be any more.
func (n *Node) awaitReady() error {
	began := make(chan any, 1)
	n.stage.Ask(message.BrokerAt(n.config.ID), &message.AwaitServing{}, readyPatience, func(a any) { began <- a })
	looks := time.NewTicker(lookEvery)
	defer looks.Stop()
	for look := 1; ; look++ {
		select {
		case answer := <-began:
			if s, ok := answer.(*message.Serving); ok {
				return refusal(s.Problem)
			}
			return fmt.Errorf("the broker was not ready within %s: its log lines say what it is waiting for", readyPatience)
		case <-n.failed:
			return errors.New(diskFailed)
		case <-looks.C:
			if n.mesh != nil && n.mesh.Twin() != "" {
				return twin(n.config.ID, n.mesh.Twin())
			}
			if look%looksPerQuestion != 0 {
				continue
			}
			if _, down := ask(n.stage, message.ControllerAt(n.config.ID), &message.DescribeQuorum{}, time.Second).(*stage.Down); down {
				return errors.New("the metadata cannot be read: the log lines above say why")
			}
		}
	}
}

func refusal(p message.Problem) error {
	if p.Code == message.OK {
		return nil
	}
	return errors.New(p.Message)
}

// Ready is the line that tells scripts that the node serves: "ready kafka=ADDR http=ADDR pid=N".
func (n *Node) Ready() string {
	operators := "off"
	if n.http != nil {
		operators = n.http.Address()
	}
	return fmt.Sprintf("ready kafka=%s http=%s pid=%d", n.Kafka(), operators, os.Getpid())
}

// Kafka is where the first listener listens.
func (n *Node) Kafka() string { return n.doors[0].Addr().String() }

func logger(c *Config, to io.Writer) *slog.Logger {
	l := c.Layers()
	o := &slog.HandlerOptions{}
	var level slog.Level
	if level.UnmarshalText([]byte(l.Text("log.level"))) == nil {
		o.Level = level
	}
	if l.Text("log.format") == "json" {
		return slog.New(slog.NewJSONHandler(to, o))
	}
	return slog.New(slog.NewTextHandler(to, o))
}

// seed is another number at every start.
func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}
