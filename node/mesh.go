package node

import (
	"crypto/rand"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh"
)

// openMesh begins to look for the other nodes. What they say waits until this node's actors are there: see raise.
func (n *Node) openMesh(s *settled) error {
	if s.listen == "" {
		return nil
	}
	o := mesh.Options{Node: n.config.ID, Cluster: s.Cluster, Listen: s.listen, Advertise: n.config.Cluster.Advertise, Join: s.join, Secret: s.secret, Bulk: n.config.Cluster.Bulk,
		TLS: n.config.Cluster.TLS, Log: n.log}
	_, _ = rand.Read(o.Incarnation[:]) // it never fails (crypto/rand)
	o.Receive = func(l stage.Letter) {
		<-n.housed
		n.stage.Receive(l)
	}
	o.PeerDown = func(peer message.NodeID) {
		<-n.housed
		n.stage.PeerDown(peer)
	}
	var err error
	n.mesh, err = mesh.Open(o)
	return err
}

// closeMesh leaves the others; it is the last of what closes, so that they hear everything that ends here.
func (n *Node) closeMesh() error {
	if n.mesh == nil {
		return nil
	}
	return n.mesh.Close()
}
