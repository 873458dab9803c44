package sim

import (
	"fmt"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/sim/check"
)

// onlooker sees into all nodes of a cluster, between two steps and at their letters.
type onlooker struct {
	trial   *trial
	cluster *check.Cluster
	images  map[message.NodeID]*image.Image // as they were seen last
	quorum  message.NodeID                  // who led the metadata quorum last
	term    uint64
}

func newOnlooker(t *trial) *onlooker {
	return &onlooker{trial: t, cluster: check.NewCluster(t.history), images: map[message.NodeID]*image.Image{}, quorum: 1}
}

// letter hears of every letter that a node sends.
func (t *trial) letter(l stage.Letter) {
	if r, ok := l.Word.(*message.Raft); ok {
		t.onlooker.raft(l.From.Node, r)
	}
}

// raft looks for what only a leader says.
func (o *onlooker) raft(node message.NodeID, r *message.Raft) {
	var m raftpb.Message
	if proto.Unmarshal(r.Message, &m) != nil {
		return
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		o.cluster.Led(node, m.GetTerm())
		if m.GetTerm() > o.term {
			o.trial.Note("node %d leads the metadata quorum in term %d", node, m.GetTerm())
			o.quorum, o.term = node, m.GetTerm()
		}
	}
}

// look compares the images that are new.
func (o *onlooker) look() {
	for _, h := range o.trial.hosts {
		img := h.Image()
		if img == nil || o.images[h.ID] == img {
			continue
		}
		if last := o.images[h.ID]; last == nil || last.Index != img.Index {
			o.cluster.Image(h.ID, img.Index, xxhash.Sum64(message.EncodeMetadata(img.Records())))
		}
		o.images[h.ID] = img
	}
}

// leader is who leads the first partition of the first topic, as far as the newest image says; 1 if none does.
func (o *onlooker) leader() message.NodeID {
	var newest *image.Image
	for _, h := range o.trial.hosts {
		if img := h.Image(); img != nil && (newest == nil || img.Index > newest.Index) {
			newest = img
		}
	}
	if newest == nil || len(o.trial.topics) == 0 {
		return 1
	}
	if _, p := newest.Partition(o.trial.topics[0].Partitions[0].ID()); p != nil && p.Leader > 0 {
		return p.Leader
	}
	return 1
}

// settleBound is how long nodes may take to know and to have the same when nothing happens any more.
const settleBound = 30 * time.Second

// settle waits until every node of a cluster has the same metadata, and every replica the same records.
func (t *trial) settle() {
	if t.onlooker == nil || t.ended() {
		return
	}
	t.history.Settled = false
	what := ""
	if !t.until(settleBound, func() bool { what = t.onlooker.unsettled(); return what == "" }) {
		t.fail(check.NodesCatchUp, "After %v %s.", settleBound, what)
		return
	}
	t.history.Settled = true
	t.onlooker.compare()
}

// unsettled says what is not the same yet; empty if everything is.
func (o *onlooker) unsettled() string {
	first := o.trial.hosts[0].Image()
	for _, h := range o.trial.hosts {
		img := h.Image()
		switch {
		case !h.Serving() || img == nil || first == nil:
			return fmt.Sprintf("node %d does not serve", h.ID)
		case img.Index != first.Index:
			return fmt.Sprintf("node %d has metadata up to %d and node 1 up to %d", h.ID, img.Index, first.Index)
		}
	}
	for _, t := range o.trial.history.Topics {
		for _, p := range t.Partitions {
			if what := o.behind(first, p); what != "" {
				return what
			}
		}
	}
	return ""
}

// behind says which replica of a partition is not as far as its leader.
func (o *onlooker) behind(img *image.Image, of *check.Partition) string {
	_, p := img.Partition(of.ID())
	if p == nil || of.Topic.State != check.Exists {
		return ""
	}
	if p.Leader < 1 {
		return fmt.Sprintf("%s has no leader", of)
	}
	leader := o.bounds(p.Leader, of)
	for _, node := range p.Replicas {
		b := o.bounds(node, of)
		sameStart := b.LogStart == leader.LogStart || !of.Topic.Endless() // each retains for itself
		if b.LogEnd != leader.LogEnd || b.HighWatermark != leader.LogEnd || !sameStart {
			return fmt.Sprintf("%s on node %d goes from %d to %d with a high watermark of %d, and its leader %d has it from %d to %d",
				of, node, b.LogStart, b.LogEnd, b.HighWatermark, p.Leader, leader.LogStart, leader.LogEnd)
		}
	}
	if len(p.ISR) < len(p.Replicas) {
		return fmt.Sprintf("of %s only %v of %v are in sync", of, p.ISR, p.Replicas)
	}
	return ""
}

// bounds are a replica's; where it shows none it is nowhere.
func (o *onlooker) bounds(node message.NodeID, of *check.Partition) message.Bounds {
	if view := o.trial.hosts[node-1].View(of.ID()); view != nil {
		return view.Bounds()
	}
	return message.Bounds{LogStart: -1, LogEnd: -1, HighWatermark: -1}
}

// compare reads every copy of every partition.
func (o *onlooker) compare() {
	img := o.trial.hosts[0].Image()
	for _, t := range o.trial.history.Topics {
		for _, of := range t.Partitions {
			_, p := img.Partition(of.ID())
			if p == nil || len(p.Replicas) < 2 || t.State != check.Exists {
				continue
			}
			o.cluster.Copies(of, o.copies(p.Replicas, of))
		}
	}
}

// copies reads what the copies of a partition have in common.
func (o *onlooker) copies(nodes []message.NodeID, of *check.Partition) (all []check.Copy) {
	start := int64(0)
	for _, node := range nodes {
		start = max(start, o.bounds(node, of).LogStart)
	}
	for _, node := range nodes {
		if c, whole := o.read(node, of, start); whole {
			all = append(all, c)
		}
	}
	return all
}

// read reads a copy past its owner; whole is false if it cannot be read, which others find out.
func (o *onlooker) read(node message.NodeID, of *check.Partition, start int64) (c check.Copy, whole bool) {
	view := o.trial.hosts[node-1].View(of.ID())
	if view == nil {
		return c, false
	}
	b := view.Bounds()
	c = check.Copy{Node: node, Start: start, High: b.HighWatermark}
	for at := start; at < b.HighWatermark; {
		s, err := view.Read(at, b.HighWatermark, 1<<30, true)
		if err != nil || s.Bytes == 0 {
			return c, false
		}
		chunk := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(chunk, s.At); err != nil && err != io.EOF {
			return c, false
		}
		c.Bytes = append(c.Bytes, chunk...)
		at = s.Next
	}
	return c, true
}
