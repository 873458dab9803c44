package node

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/transport/mesh"
)

// votersMax is how many nodes may vote on the metadata; the rest learn.
const votersMax = 5

// Cluster is how a node meets the others. The zero value is a node that is alone.
type Cluster struct {
	Listen    string      // "host:port" for other nodes; port 0 is a free one; empty: there are none
	Advertise string      // "host:port" that others are told; empty: Listen
	Join      []string    // "host:port" of nodes that may be there
	Secret    string      // what members prove to each other; empty: not given here
	Expect    int         // so many new nodes found the cluster; 0: not said
	Voters    []Voter     // these nodes found the cluster, by ascending number; nil: not said
	Bulk      mesh.Door   // where records from other nodes come in
	TLS       *tls.Config // how nodes prove themselves to each other beside the secret; nil: plain TCP
}

// Voter is a node that founds the cluster.
type Voter struct {
	Node    message.NodeID
	Address string // "host:port" of its mesh
}

// takeCluster reads what was said of other nodes. Without an address to listen on there are none, and what needs one is refused,
// but for controller.quorum.voters: that stands in many a server.properties of Kafka's.
func (c *Config) takeCluster(l setting.Layers) (err error) {
	m := &c.Cluster
	m.Listen, m.Advertise, m.Secret = l.Text("cluster.listen"), l.Text("cluster.advertise"), l.Text("cluster.secret")
	m.Bulk = mesh.Door{Listen: l.Text("cluster.bulk.listen"), Advertise: l.Text("cluster.bulk.advertise")}
	m.Expect = int(l.Number("bootstrap.expect"))
	for _, one := range l.Strings("cluster.join") {
		m.Join = append(m.Join, strings.TrimPrefix(one, "nats://"))
	}
	if m.Listen == "" {
		return c.refuseDeaf(l)
	}
	if m.Voters, err = voters(l.Strings("controller.quorum.voters")); err != nil {
		return err
	}
	if m.TLS, err = clusterTLS(l); err != nil {
		return err
	}
	return m.check()
}

// refuseDeaf refuses what means nothing to a node that listens to no other.
func (c *Config) refuseDeaf(l setting.Layers) error {
	for _, name := range []string{"cluster.advertise", "cluster.bulk.listen", "cluster.bulk.advertise", "cluster.join", "bootstrap.expect", tlsCertificate, tlsKey, tlsAuthority} {
		if v, given := c.Values.Get(name); given && v != "" && v != "0" {
			return fmt.Errorf("%s=%s: say where this node listens for others too, as in --cluster 127.0.0.1:6222", name, v)
		}
	}
	if l.Text("controller.quorum.voters") != "" {
		c.Notes = append(c.Notes, "controller.quorum.voters is not heeded: without cluster.listen this node is alone")
	}
	c.Cluster = Cluster{}
	return nil
}

func (m *Cluster) check() error {
	for _, one := range []struct{ name, address string }{{"cluster.listen", m.Listen}, {"cluster.advertise", m.Advertise},
		{"cluster.bulk.listen", m.Bulk.Listen}, {"cluster.bulk.advertise", m.Bulk.Advertise}} {
		if _, _, err := hostPort(one.address); one.address != "" && err != nil {
			return fmt.Errorf("%s=%s: %w", one.name, one.address, err)
		}
	}
	for _, address := range m.Join {
		if err := dialable(address); err != nil {
			return fmt.Errorf("cluster.join=%s: %w", address, err)
		}
	}
	if err := reachable("cluster.listen", m.Listen, "cluster.advertise", m.Advertise); err != nil {
		return err
	}
	if m.Bulk.Listen != "" || m.Bulk.Advertise != "" {
		if err := reachable("cluster.bulk.listen", m.Bulk.Listen, "cluster.bulk.advertise", cmp.Or(m.Bulk.Advertise, m.Advertise)); err != nil {
			return err
		}
	}
	if m.Voters != nil && m.Expect != 0 && m.Expect != len(m.Voters) {
		return fmt.Errorf("bootstrap.expect=%d, and controller.quorum.voters names %d nodes: leave one of the two out", m.Expect, len(m.Voters))
	}
	return nil
}

// Addresses are where other nodes may be, each once.
func (m *Cluster) Addresses() []string {
	all := slices.Clone(m.Join)
	for _, v := range m.Voters {
		if !slices.Contains(all, v.Address) {
			all = append(all, v.Address)
		}
	}
	return all
}

// founders says how many nodes found the cluster: 0 if this one joins what it finds, or is alone.
func (m *Cluster) founders(self message.NodeID) int {
	if m.Voters == nil {
		return m.Expect
	}
	if slices.ContainsFunc(m.Voters, func(v Voter) bool { return v.Node == self }) {
		return len(m.Voters)
	}
	return 0
}

// Loopback says that only this machine can reach the address.
func (m *Cluster) Loopback() bool {
	host, _, err := hostPort(m.Listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// voters reads ID@HOST:PORT as Kafka writes it.
func voters(elements []string) ([]Voter, error) {
	var all []Voter
	for _, e := range elements {
		id, address, _ := strings.Cut(e, "@")
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 || dialable(address) != nil {
			return nil, fmt.Errorf("controller.quorum.voters: %q is not like ID@HOST:PORT, as in 1@127.0.0.1:6222", e)
		}
		if slices.ContainsFunc(all, func(v Voter) bool { return v.Node == message.NodeID(n) }) {
			return nil, fmt.Errorf("controller.quorum.voters names node %d twice", n)
		}
		all = append(all, Voter{message.NodeID(n), address})
	}
	if len(all) > votersMax {
		return nil, fmt.Errorf("controller.quorum.voters names %d nodes: name %d at most, the others join them", len(all), votersMax)
	}
	slices.SortFunc(all, func(a, b Voter) int { return int(a.Node) - int(b.Node) })
	return all, nil
}

func hostPort(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	n, wrong := strconv.ParseUint(text, 10, 16)
	if err != nil || wrong != nil {
		return "", 0, fmt.Errorf("write HOST:PORT, as in 127.0.0.1:6222")
	}
	return host, uint16(n), nil
}

// reachable refuses a listener that others cannot be told how to reach.
func reachable(listens, listen, advertises, advertise string) error {
	if advertise != "" {
		if err := dialable(advertise); err != nil {
			return fmt.Errorf("%s=%s: %w", advertises, advertise, err)
		}
	} else if host, _, _ := hostPort(listen); unspecified(host) {
		return fmt.Errorf("%s=%s is every address of this machine: say in %s which one others shall use", listens, listen, advertises)
	}
	return nil
}

// dialable refuses what nobody can connect to.
func dialable(address string) error {
	host, port, err := hostPort(address)
	if err == nil && (unspecified(host) || port == 0) {
		err = fmt.Errorf("nobody can connect to that: name a host and a port")
	}
	return err
}

func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
