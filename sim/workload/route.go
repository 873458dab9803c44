package workload

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// routes are a client's ways to the nodes of a cluster: a connection to each, and who is said to lead what.
type routes struct {
	to      map[message.NodeID]*link
	leaders map[*check.Partition]leader
	asking  bool // who leads
}

// leader is who was said to lead in the newest epoch that was heard of. What an older one says is not heeded: it may know less than
// was acknowledged since.
type leader struct {
	node  message.NodeID
	epoch int32
}

// Nodes are numbered from first on.
const first message.NodeID = 1

// alone says that there is one node, to which everything goes over one connection.
func (l *link) alone() bool { return l.world.Nodes() <= 1 }

// any is the way to some node.
func (l *link) any() *link {
	if l.alone() {
		return l
	}
	return l.via(first + message.NodeID(l.chance.IntN(l.world.Nodes())))
}

// leader is the way to a partition's leader, as far as the client knows. Where it does not it asks, and tries its luck.
func (l *link) leader(p *check.Partition) *link {
	if l.alone() {
		return l
	}
	if known, ok := l.routes.leaders[p]; ok {
		return l.via(known.node)
	}
	l.findLeaders()
	return l.any()
}

// misled asks again who leads: it was not who was thought to, or it is silent.
func (l *link) misled() {
	if !l.alone() {
		l.findLeaders()
	}
}

// via is the way to a node.
func (l *link) via(node message.NodeID) *link {
	if at := l.routes.to[node]; at != nil {
		return at
	}
	if l.routes.to == nil {
		l.routes.to = map[message.NodeID]*link{}
	}
	at := &link{world: l.world, history: l.history, name: l.name, chance: l.chance, node: node, stopped: l.stopped}
	l.routes.to[node] = at
	return at
}

// branches are the ways to nodes, in order.
func (l *link) branches() []*link {
	return slices.SortedFunc(maps.Values(l.routes.to), func(a, b *link) int { return cmp.Compare(a.node, b.node) })
}

const (
	findPatience    = 300 * time.Millisecond
	findAgainMillis = 20
)

// findLeaders asks some node who leads what.
func (l *link) findLeaders() {
	if l.routes.asking || l.stopped {
		return
	}
	l.routes.asking = true
	l.any().call(metadataRequest(), findPatience, func(r kmsg.Response, err error) {
		if err == nil {
			l.learnLeaders(r.(*kmsg.MetadataResponse))
		}
		l.later(l.pace(findAgainMillis), func() { l.routes.asking = false })
	})
}

func (l *link) learnLeaders(r *kmsg.MetadataResponse) {
	if l.routes.leaders == nil {
		l.routes.leaders = map[*check.Partition]leader{}
	}
	for _, told := range r.Topics {
		for _, t := range l.history.Topics {
			if told.Topic == nil || *told.Topic != t.Name || t.ID != [16]byte{} && t.ID != told.TopicID {
				continue
			}
			for _, p := range told.Partitions {
				if int(p.Partition) >= len(t.Partitions) || p.Leader < int32(first) || p.ErrorCode != 0 {
					continue
				}
				of := t.Partitions[p.Partition]
				if known, ok := l.routes.leaders[of]; !ok || p.LeaderEpoch >= known.epoch {
					l.routes.leaders[of] = leader{message.NodeID(p.Leader), p.LeaderEpoch}
				}
			}
		}
	}
}
