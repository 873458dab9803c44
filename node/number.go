package node

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/transport/mesh"
)

// unnumbered is a node that has no number before the cluster that it joins has given it one.
const unnumbered message.NodeID = -1

const (
	numberPatience = 10 * time.Second // how long one member is waited for, which has its controller to ask
	passersBy      = 1 << 30          // numbers from here on are nobody's: who asks for one is called so meanwhile
)

// takeNumber reads the node's number. Who joins a cluster and says none is given one.
func (c *Config) takeNumber() error {
	given := false
	for _, name := range []string{"node.id", "broker.id"} {
		_, says := c.Values.Get(name)
		given = given || says
	}
	joins := len(c.Cluster.Join) > 0 && c.Cluster.Expect == 0 && c.Cluster.Voters == nil
	switch c.ID = message.NodeID(c.Layers().Number("node.id")); {
	case !given && joins:
		c.ID = unnumbered
	case c.ID < unnumbered:
		return fmt.Errorf("broker.id=%d: give the broker a number of its own, 0 or more", c.ID)
	case c.ID == unnumbered && !joins:
		return fmt.Errorf("node.id=%d: a node is given its number by the cluster that it joins: name nodes of that in --join, or give this one a number, 0 or more", c.ID)
	}
	return nil
}

// numbered is the configuration of the node with that number.
func (c *Config) numbered(id message.NodeID) *Config {
	next := *c
	next.ID = id
	for _, name := range []string{"node.id", "broker.id"} {
		if _, given := c.Values.Get(name); given || name == "node.id" {
			next.Values = next.Values.With(name, strconv.Itoa(int(id)))
		}
	}
	return &next
}

// number gives the node its number, if it has none: the one that its directory says, or a new one of the cluster's controller. One that is
// given and not used, because the node dies before it has written it down, is given to nobody else.
func (n *Node) number(files vfs.FS) error {
	if n.config.ID != unnumbered {
		return nil
	}
	f, err := ReadFormat(files)
	if errors.Is(err, fs.ErrNotExist) {
		if err = refuseStrangers(files); err == nil {
			f.Node, err = n.askForNumber(files)
		}
	}
	if err == nil {
		n.config = n.config.numbered(f.Node)
	}
	return err
}

// askForNumber asks the nodes that this one is to join, in turn, until one knows.
func (n *Node) askForNumber(files vfs.FS) (message.NodeID, error) {
	secret, err := n.secret(files)
	if err != nil {
		return 0, err
	}
	told := time.Now()
	for ; ; time.Sleep(askEvery) {
		for _, address := range n.config.Cluster.Join {
			one, err := probe(address, n.config.Cluster.TLS)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", address, err)
			}
			if one == nil {
				continue
			}
			id, err := n.askMember(one, secret)
			if err != nil || id != unnumbered {
				return id, err
			}
			n.log.Warn("a node of the cluster has given this one no number: it looks again", "node", one.node, "at", address)
		}
		if time.Since(told) > tellEvery {
			told = time.Now()
			n.log.Info("waiting for a node of the cluster, to be given a number", "at", n.config.Cluster.Join)
		}
	}
}

// askMember takes part in the mesh under nobody's number for as long as it takes to ask one question; unnumbered: there was no answer.
func (n *Node) askMember(one *member, secret string) (message.NodeID, error) {
	if secret == "" {
		secret = derived(one.cluster)
	}
	given := make(chan message.NodeID, 1)
	m := n.config.Cluster
	o := mesh.Options{Node: passerBy(), Cluster: one.cluster, Listen: m.Listen, Advertise: m.Advertise, Join: m.Join, Secret: secret, TLS: m.TLS, Bulk: m.Bulk,
		Receive: func(l stage.Letter) {
			if a, ok := l.Word.(*message.NodeAssigned); ok && len(given) == 0 {
				given <- a.Node
			}
		},
		PeerDown: func(message.NodeID) {}}
	_, _ = rand.Read(o.Incarnation[:]) // it never fails (crypto/rand)
	way, err := mesh.Open(o)
	if err != nil {
		return 0, err
	}
	defer way.Close()
	return askOnce(way, one.node, o.Node, given), nil
}

// askOnce asks when the way to the member is open.
func askOnce(way *mesh.Mesh, to, self message.NodeID, given <-chan message.NodeID) message.NodeID {
	soon := time.NewTicker(askSoon)
	defer soon.Stop()
	late := time.After(numberPatience)
	for asked := false; ; {
		select {
		case id := <-given:
			return id
		case <-late:
			return unnumbered
		case <-soon.C:
			if !asked && slices.Contains(way.Peers(), to) {
				asked = true
				way.Send(stage.Letter{From: message.BrokerAt(self), To: message.ControllerAt(to), Kind: stage.LetterWord, Request: 1, Word: &message.AssignNode{}})
			}
		}
	}
}

func passerBy() message.NodeID {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return passersBy + message.NodeID(binary.BigEndian.Uint32(b[:])%passersBy)
}
