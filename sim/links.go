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
	for _, l := range n.links(h, f) {
		switch f.Kind {
		case Sever, Isolate, Halves:
			l.Sever()
		case OneWay, Mute:
			l.Cut(h.ID)
		case Deafen:
			l.Cut(l.Other(h.ID))
		case Lag:
			l.Delay(time.Duration(f.Amount) * time.Millisecond)
		case Narrow:
			l.Narrow(int64(f.Amount))
		case Clog:
			l.Clog(h.ID)
		case Unlink:
			l.Reset()
		}
		n.later(lasting, l.Heal)
	}
}

// links are those that a fault is done to: of a node to one other, to every other, or between two halves, of which h is in one.
func (n *nemesis) links(h *host, f Fault) (all []*network.Link) {
	t := n.trial
	for _, other := range t.hosts {
		if other == h {
			continue
		}
		switch f.Kind {
		case Sever, OneWay, Unlink:
			if other.ID == f.Peer {
				all = append(all, t.Mesh.Link(h.ID, other.ID))
			}
		case Halves:
		default:
			all = append(all, t.Mesh.Link(h.ID, other.ID))
		}
	}
	if f.Kind != Halves {
		return all
	}
	for i, one := range t.hosts {
		for _, other := range t.hosts[i+1:] {
			if f.isUpper(one.ID) != f.isUpper(other.ID) {
				all = append(all, t.Mesh.Link(one.ID, other.ID))
			}
		}
	}
	return all
}

// isUpper says in which half a node is: the bits of Amount say so.
func (f Fault) isUpper(node message.NodeID) bool { return f.Amount>>uint(node-1)&1 != 0 }
