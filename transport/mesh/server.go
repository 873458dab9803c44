package mesh

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// user is who a route and a lane's connection say they are.
const user = "troupe"

// noPort is a client port that can not be listened on. With DontListen the server would never start its routes either (v2.15.2: they wait
// for a listener that does not come, and Shutdown waits for them); a client listener that fails is not waited for.
const noPort = 1 << 16

// startPatience is how long a server may take to listen.
const startPatience = 10 * time.Second

// pendingBytesMax is what the server may hold for the connection of the control lane, far above what all credits together let come.
const pendingBytesMax = 1 << 30

// newServer starts the embedded server: routes, and no way in but in-process.
func newServer(o *Options) (*server.Server, error) {
	routes, err := o.routes()
	if err != nil {
		return nil, err
	}
	host, port, err := o.listen()
	if err != nil {
		return nil, err
	}
	if err := probe(o.Listen); err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: serverName(o.Node, o.Incarnation),
		Port:       noPort,
		NoSigs:     true, NoLog: true, NoSystemAccount: true,
		MaxPayload: int32(o.Limits.FrameBytes[message.Control] + link.HeaderMax),
		MaxPending: pendingBytesMax,
		// A lane that was not read from for longer, because the process stood still, would be closed for good.
		WriteDeadline: math.MaxInt64 / 4,
		Routes:        routes,
		Cluster: server.ClusterOpts{
			Name: o.Cluster, Host: host, Port: port, Advertise: o.Advertise,
			Username: user, Password: o.Secret, TLSConfig: o.TLS,
			// A node that was told of by another is sought for ever, as those in Join are: else a cut that outlasts the tries would never heal.
			ConnectRetries: math.MaxInt32,
			// A route over which nothing comes is given up a little after the link: behind a cut TCP would try again ever more seldom, for as
			// long again as the cut has lasted.
			PingInterval: o.Limits.Silence / 2, MaxPingsOut: 2,
			WriteDeadline: server.DEFAULT_FLUSH_DEADLINE,
			PoolSize:      1,
			Compression:   server.CompressionOpts{Mode: server.CompressionOff},
		},
	}
	return start(opts, o)
}

// doorman lets the control lane's connection in. Nobody else can come: it is a pipe of this process, and there is no client listener. A
// password would only have NATS warn, at every start, that it is kept as it is.
type doorman struct{ server *server.Server }

// Check is part of server.Authentication.
func (d *doorman) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT || c.GetOpts().Username != user {
		return false
	}
	c.RegisterUser(&server.User{Username: user, Account: d.server.GlobalAccount()})
	return true
}

func start(opts *server.Options, o *Options) (*server.Server, error) {
	d := &doorman{}
	opts.CustomClientAuthentication = d
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	d.server = s
	s.SetLoggerV2(&natsLog{log: o.Log}, false, false, false)
	s.Start()
	for end := time.Now().Add(startPatience); s.ClusterAddr() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.Shutdown()
			s.WaitForShutdown()
			return nil, fmt.Errorf("cluster listener %s: not open after %v", o.Listen, startPatience)
		}
	}
	return s, nil
}

// probe says at once what the server would say only by not becoming ready.
func probe(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cluster listener %s: %w: another process listens there, or it is no address of this machine", address, err)
	}
	return l.Close()
}

// serverName tells one life of a node from every other: NATS refuses two servers of one name.
func serverName(n message.NodeID, incarnation message.TopicID) string {
	return fmt.Sprintf("troupe-%d-%s", n, incarnation)
}

// nodeOf is the node whose server has the name.
func nodeOf(name string) (message.NodeID, bool) {
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "troupe-"), "-")
	n, err := strconv.ParseInt(number, 10, 32)
	return message.NodeID(n), err == nil && n >= 0
}

// subject is where a node hears the control lane.
func subject(cluster string, n message.NodeID) string {
	return fmt.Sprintf("troupe.%s.%d", cluster, n)
}
