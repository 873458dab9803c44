package mesh

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// Options are what a mesh is opened with.
type Options struct {
	Node        message.NodeID
	Incarnation message.TopicID // of this process; it must never have been used before
	// Cluster is the cluster's id. Nodes of different clusters never form one mesh.
	Cluster string
	// Listen is where other nodes connect: "host:port", port 0 for a free one, no host for all addresses.
	Listen string
	// Advertise is how they reach it, if not as it listens.
	Advertise string
	// Bulk is where the bulk lane is entered. Others are told.
	Bulk Door
	// Join are some other nodes' addresses; one that lives is enough, the rest is told by it. They may be this node's too.
	Join []string
	// Secret is what every node of the cluster knows and nobody else. Without TLS it crosses the wire as it is.
	Secret string
	// TLS is how both ends of a connection between nodes prove themselves; nil for plain TCP. It serves both as server and as client.
	TLS *tls.Config
	// Log hears of links that come up and break, and of frames that are not ours; nil discards. With Debug enabled, NATS speaks too.
	Log *slog.Logger
	// Receive gets the letters of other nodes, on one goroutine for the control lane and one per peer for the bulk lane. It must not block
	// for long: nothing else is received there meanwhile.
	Receive func(stage.Letter)
	// PeerDown hears that a node was lost: what was sent to it, or came from it, may be lost too. No letter of the next session
	// is received or sent until it has returned.
	PeerDown func(message.NodeID)
	// Limits bound frames, letters and queues; zero values mean the defaults.
	Limits Limits
}

// Door is where something is entered.
type Door struct {
	Listen    string // "host:port", port 0 for a free one; empty: a free one at the host of the cluster's listener
	Advertise string // "host:port" by which others reach it; empty: the host by which they reach the cluster's listener, and the port
}

// Limits bound what a link may hold. Defaults: frames of 63 KiB on the control lane and a little above 1 MiB on the bulk lane, letters
// of 64 MiB; 1 MiB under way and 16 MiB waiting on the control lane, 8 MiB and 128 MiB on the bulk lane; a beat each 500 ms, silence
// after 2 s. With what is written around it a frame fits the 64 KiB that NATS's server reads at once, and a frame of the bulk lane what
// a follower pulls at once.
type Limits = link.Limits

var defaults = Limits{
	FrameBytes: [link.Lanes]int{63 << 10, 1<<20 + 64<<10}, LetterBytes: 64 << 20,
	Window: [link.Lanes]int{1 << 20, 8 << 20}, Queue: [link.Lanes]int{16 << 20, 128 << 20},
	Beat: 500 * time.Millisecond, Silence: 2 * time.Second,
	Lend: loan.Lend, GiveBack: loan.GiveBack,
}

func withDefaults(l Limits) Limits {
	or := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	or(&l.LetterBytes, defaults.LetterBytes)
	for i := range l.Window {
		or(&l.FrameBytes[i], defaults.FrameBytes[i])
		or(&l.Window[i], defaults.Window[i])
		or(&l.Queue[i], defaults.Queue[i])
	}
	if l.Beat <= 0 {
		l.Beat = defaults.Beat
	}
	if l.Silence <= 0 {
		l.Silence = defaults.Silence
	}
	if l.Lend == nil {
		l.Lend, l.GiveBack = defaults.Lend, defaults.GiveBack
	}
	return l
}

// clusterID is what may be a token of a subject: Kafka's ids are base64 of 16 bytes.
var clusterID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// check refuses what can not work, with the sentence that says what to do.
func (o *Options) check() error {
	switch {
	case o.Node < 0:
		return fmt.Errorf("node id %d is negative", o.Node)
	case o.Incarnation.IsZero():
		return errors.New("a mesh needs an incarnation that was never used before")
	case !clusterID.MatchString(o.Cluster):
		return fmt.Errorf("cluster id %q: write up to 64 letters, digits, - or _", o.Cluster)
	case o.Secret == "":
		return errors.New("a mesh needs a secret, the same on every node: whoever reaches its port could speak as a broker otherwise")
	case o.Receive == nil || o.PeerDown == nil:
		return errors.New("a mesh needs somebody who receives and who hears of lost peers")
	}
	return nil
}

// routes are the other nodes' addresses as NATS wants them.
func (o *Options) routes() ([]*url.URL, error) {
	var routes []*url.URL
	for _, address := range o.Join {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("join %q: %w: write HOST:PORT of another node's cluster listener", address, err)
		}
		routes = append(routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(user, o.Secret), Host: address})
	}
	return routes, nil
}

// listen is the address as host and port; NATS wants -1 for a free port.
func (o *Options) listen() (host string, port int, err error) {
	host, number, err := net.SplitHostPort(o.Listen)
	if err == nil {
		port, err = strconv.Atoi(number)
	}
	if err != nil {
		return "", 0, fmt.Errorf("cluster listener %q: %w: write HOST:PORT with an address of this machine", o.Listen, err)
	}
	if port == 0 {
		port = -1
	}
	return host, port, nil
}
