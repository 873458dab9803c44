package network

import (
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// pair names a link by its nodes.
type pair struct{ low, high message.NodeID }

// Link is what lies between two nodes. They are connected from when they have found each other until the link is reset.
type Link struct {
	mesh *Mesh
	pair
	chance     *rand.Rand
	ways       [2]way
	session    uint64 // numbers the connections: what belongs to an earlier one is lost
	up         bool
	connecting bool
	suspected  bool                    // nothing is heard, and a clock is running
	mourned    map[message.NodeID]bool // who will hear that the other is down
	unaware    *way                    // the connection is lost and who sends here does not know it yet
}

// from is the way from one of the nodes to the other.
func (l *Link) from(source message.NodeID) *way {
	if l.ways[0].source == source {
		return &l.ways[0]
	}
	return &l.ways[1]
}

// Other is the node at the other end.
func (l *Link) Other(node message.NodeID) message.NodeID { return l.from(node).target }

// Sever cuts both ways, until Heal.
func (l *Link) Sever() {
	l.Cut(l.low)
	l.Cut(l.high)
}

// Cut lets nothing through from a node to the other, until Heal: what is shorter than a peer's patience is only late.
func (l *Link) Cut(source message.NodeID) {
	l.note("is cut from node %d on", source)
	l.from(source).cut = true
	l.suspect()
}

// Clog lets no bulk through from a node to the other, until Heal.
func (l *Link) Clog(source message.NodeID) {
	l.note("is clogged from node %d on", source)
	l.from(source).lanes[message.Bulk].clogged = true
}

// Delay makes both ways that much longer, until Heal.
func (l *Link) Delay(d time.Duration) {
	l.note("takes %v longer", d)
	l.ways[0].delay, l.ways[1].delay = d, d
}

// Narrow lets that many bytes through in a second, until Heal.
func (l *Link) Narrow(bandwidth int64) {
	l.note("takes %d bytes a second", bandwidth)
	l.ways[0].bandwidth, l.ways[1].bandwidth = bandwidth, bandwidth
}

// Jitter makes both ways longer by up to that much, for each letter anew, until Heal. They still do not overtake each other.
func (l *Link) Jitter(d time.Duration) {
	l.note("takes up to %v longer", d)
	l.ways[0].jitter, l.ways[1].jitter = d, d
}

// Starve lets no credits come back to a node, until Heal.
func (l *Link) Starve(source message.NodeID) {
	l.note("gives no credits back to node %d", source)
	l.from(source).starved = true
}

// HalfOpen loses the connection, and only the node hears of it at once. The other sends into the void until it has heard nothing for too long.
func (l *Link) HalfOpen(node message.NodeID) {
	if !l.up || l.unaware != nil {
		return
	}
	l.lose("the connection is lost at node %d", node)
	l.mourn(node)
	l.unaware = l.from(l.Other(node))
	l.mesh.time.After(l.patience(), func() {
		l.unaware = nil
		l.mourn(l.Other(node))
		l.connectLater()
	})
}

// Reset loses what is under way; both nodes hear of it and find each other again.
func (l *Link) Reset() { l.reset("the connection is reset") }

// Heal takes back whatever was done to the link.
func (l *Link) Heal() {
	for i := range l.ways {
		w := &l.ways[i]
		w.cut, w.starved, w.delay, w.jitter, w.bandwidth = false, false, 0, 0, 0
		w.lanes[message.Bulk].clogged = false
	}
	l.flow()
	l.connectLater()
}

// stands says that what one node sends reaches the other, both ways.
func (l *Link) stands() bool { return !l.ways[0].stuck() && !l.ways[1].stuck() }

// suspect gives the link up if it does not stand when the patience for silence is over.
func (l *Link) suspect() {
	if l.suspected || !l.up {
		return
	}
	l.suspected = true
	session := l.session
	l.mesh.time.After(l.patience(), func() {
		if l.session != session {
			return
		}
		if l.suspected = false; !l.stands() {
			l.reset("nothing was heard for too long")
		}
	})
}

// patience is how long silence is borne.
func (l *Link) patience() time.Duration {
	o := l.mesh.opts
	return o.SilenceMin + time.Duration(l.chance.Int64N(int64(o.SilenceMax-o.SilenceMin)+1))
}

// reset ends the connection. What is under way is lost, both nodes hear of it, and then they look for each other again.
func (l *Link) reset(why string) {
	if !l.up {
		return
	}
	l.lose("is down: %s", why)
	l.mourn(l.low)
	l.mourn(l.high)
	l.connectLater()
}

// lose ends the connection with all that is under way.
func (l *Link) lose(format string, args ...any) {
	l.note(format, args...)
	l.up, l.suspected = false, false
	l.session++
	for i := range l.ways {
		l.ways[i].clear()
	}
}

// mourn lets a node hear soon that the other is down.
func (l *Link) mourn(who message.NodeID) {
	p := l.mesh.ports[who]
	if p == nil || l.mourned[who] {
		return
	}
	if l.mourned == nil {
		l.mourned = map[message.NodeID]bool{}
	}
	l.mourned[who] = true
	l.mesh.time.After(l.delay(), func() {
		l.mourned[who] = false
		if l.mesh.ports[who] == p {
			p.end.PeerDown(l.from(who).target)
		}
	})
}

func (l *Link) delay() time.Duration {
	o := l.mesh.opts
	return o.DelayMin + time.Duration(l.chance.Int64N(int64(o.DelayMax-o.DelayMin)+1))
}

const (
	connectMin    = time.Millisecond // and not before both nodes have heard of the connection's end
	connectSpread = 20 * time.Millisecond
)

// connectLater lets the nodes find each other, if they can by then.
func (l *Link) connectLater() {
	if l.up || l.connecting || l.unaware != nil {
		return
	}
	l.connecting = true
	o := l.mesh.opts
	l.mesh.time.After(max(connectMin, 2*o.DelayMax)+time.Duration(l.chance.Int64N(int64(connectSpread))), func() {
		l.connecting = false
		if !l.up && l.unaware == nil && l.stands() {
			l.up = true
			l.note("is up")
		}
	})
}

// flow lets through what had to wait.
func (l *Link) flow() {
	if !l.up {
		l.connectLater()
		return
	}
	for i := range l.ways {
		l.ways[i].flow()
	}
}

func (l *Link) note(format string, args ...any) {
	l.mesh.note("link-%d-%d "+format, append([]any{l.low, l.high}, args...)...)
}
