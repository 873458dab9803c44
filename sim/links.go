package sim

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/network"
)

// Who a fault is done to, where that is not always the same node.
const (
	// LeaderOfFirst is who leads the first partition of the first topic, QuorumLeader who leads the metadata quorum.
	LeaderOfFirst = "leader"
	QuorumLeader  = "quorum"
	// OfMoment is whose moment it was that the fault has waited for: who becomes the leader, sends the snapshot, cuts its log.
	OfMoment = "moment"
)

// victim is the node that a fault is done to.
func (n *nemesis) victim(f Fault) *host {
	hosts := n.trial.hosts
	switch f.Who {
	case LeaderOfFirst:
		return hosts[n.trial.onlooker.leader()-1]
	case QuorumLeader:
		return hosts[n.trial.onlooker.quorum-1]
	}
	return hosts[max(int(f.Node), 1)-1]
}

// breakLinks does a fault to the links of a node.
func (n *nemesis) breakLinks(h *host, f Fault, lasting time.Duration) {
	if f.Kind == Swizzle {
		n.swizzle(h, lasting)
		return
	}
	for _, l := range n.links(h, f) {
		breakLink(l, h.ID, f)
		n.later(lasting, l.Heal)
	}
}

func breakLink(l *network.Link, node message.NodeID, f Fault) {
	switch f.Kind {
	case Sever, Isolate, Halves, Ring, Bridge:
		l.Sever()
	case OneWay, Mute:
		l.Cut(node)
	case Deafen:
		l.Cut(l.Other(node))
	case Lag:
		l.Delay(time.Duration(f.Amount) * time.Millisecond)
	case Jitter:
		l.Jitter(time.Duration(f.Amount) * time.Millisecond)
	case Narrow:
		l.Narrow(int64(f.Amount))
	case Clog:
		l.Clog(node)
	case Starve:
		l.Starve(node)
	case Unlink:
		l.Reset()
	case HalfOpen:
		l.HalfOpen(node)
	}
}

// swizzle cuts a node's links one after the other, and heals them in another order, as FoundationDB's simulator does: it finds what rests
// on the order in which connections come and go.
func (n *nemesis) swizzle(h *host, lasting time.Duration) {
	all := n.links(h, Fault{Kind: Swizzle})
	r := n.trial.Rand("swizzle")
	step := lasting / time.Duration(2*len(all))
	for i, at := range r.Perm(len(all)) {
		n.later(time.Duration(i)*step, all[at].Sever)
	}
	for i, at := range r.Perm(len(all)) {
		n.later(lasting/2+time.Duration(i+1)*step, all[at].Heal)
	}
}

// links are those that a fault is done to: of a node to one other or to every other, or between nodes that it parts from each other.
func (n *nemesis) links(h *host, f Fault) (all []*network.Link) {
	hosts := n.trial.hosts
	for i, one := range hosts {
		for j, other := range hosts[i+1:] {
			if f.meets(h.ID, one.ID, other.ID, j+1 == 1 || j+1 == len(hosts)-1) {
				all = append(all, n.trial.Mesh.Link(one.ID, other.ID))
			}
		}
	}
	return all
}

// meets says that a fault of node h is done to the link between two nodes, who may be neighbours in the ring of all.
func (f Fault) meets(h, one, other message.NodeID, neighbours bool) bool {
	ours := one == h || other == h
	switch f.Kind {
	case Sever, OneWay, Unlink, HalfOpen:
		return ours && (one == f.Peer || other == f.Peer)
	case Halves:
		return f.isUpper(one) != f.isUpper(other)
	case Bridge:
		return !ours && f.isUpper(one) != f.isUpper(other)
	case Ring:
		return !neighbours
	}
	return ours
}

// isUpper says in which half a node is: the bits of Amount say so.
func (f Fault) isUpper(node message.NodeID) bool { return f.Amount>>uint(node-1)&1 != 0 }
