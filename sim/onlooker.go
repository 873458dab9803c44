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
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
)

// onlooker sees into all nodes of a cluster, between two steps and at their letters.
type onlooker struct {
	trial   *trial
	cluster *check.Cluster
	auditor *auditor
	images  map[message.NodeID]*image.Image // as they were seen last
	quorum  message.NodeID                  // who led the metadata quorum last
	term    uint64
	newest  *image.Image                     // that anybody has shown
	idle    map[message.NodeID]time.Duration // since when a node knows that it is fenced
	rotten  message.NodeID                   // whose disk has damaged something; 0: none
	whole   map[copyOf]bool                  // since the world was to settle, of those that were damaged
}

func newOnlooker(t *trial) *onlooker {
	c := check.NewCluster(t.history, func(n message.NodeID) message.TopicID { return t.hosts[n-1].Directory() })
	return &onlooker{trial: t, cluster: c, auditor: newAuditor(t, c), images: map[message.NodeID]*image.Image{}, quorum: 1, newest: image.Empty(),
		idle: map[message.NodeID]time.Duration{}}
}

// letter hears of every letter that a node sends.
func (t *trial) letter(l stage.Letter) {
	switch w := l.Word.(type) {
	case *message.Raft:
		t.onlooker.raft(l.From.Node, w)
	case *message.Pull:
		t.onlooker.pulls(l, w)
	case *message.Pulled:
		t.onlooker.cluster.Tells(l.From.Node, l.From.Partition, w.HighWatermark)
	case *message.AlterPartition:
		t.nemesis.cue(changing, w.Node)
	}
}

// pulls looks at what a follower says of its log.
func (o *onlooker) pulls(l stage.Letter, p *message.Pull) {
	if f, ok := o.trial.hosts[l.From.Node-1].Stage.Actor(l.From).(interface{ Durable() int64 }); ok {
		o.cluster.Claims(l.From.Node, l.From.Partition, p.Synced, f.Durable())
	}
}

// raft looks for what only a leader says.
func (o *onlooker) raft(node message.NodeID, r *message.Raft) {
	var m raftpb.Message
	if proto.Unmarshal(r.Message, &m) != nil {
		return
	}
	o.auditor.sent(&m)
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetType() == raftpb.MsgSnap {
			o.trial.nemesis.cue(snapshots, node)
		}
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
		if img.Index > o.newest.Index {
			o.newest = img
			o.auditor.shown(img)
		}
		o.fenced(h, img)
	}
}

// fenced notes since when a node's own image says that it is fenced.
func (o *onlooker) fenced(h *host, img *image.Image) {
	if me := img.Broker(h.ID); me == nil || !me.Fenced {
		delete(o.idle, h.ID)
	} else if _, known := o.idle[h.ID]; !known {
		o.idle[h.ID] = o.trial.Now()
	}
}

// idlePatience is how long a node that knows that it is fenced may take until all its replicas know: their disk may be slow.
const idlePatience = 3 * time.Second

// shows checks what a replica shows of itself against what is known of the others.
func (o *onlooker) shows(h *host, of *check.Partition, b message.Bounds) {
	o.cluster.Replica(h.ID, of.ID(), of, b)
	if !b.IsLeader {
		return
	}
	if since, fenced := o.idle[h.ID]; fenced && h.Up() && o.trial.Now()-since > idlePatience {
		o.trial.history.Fail(check.FencedIsIdle, "%s: node %d has known for %v that it is fenced, and leads.", of, h.ID, o.trial.Now()-since)
	}
	_, p := o.newest.Partition(of.ID())
	if p == nil || p.LeaderEpoch != b.LeaderEpoch {
		return
	}
	for _, n := range p.ISR {
		if !o.sameDisk(o.newest.Broker(n)) {
			continue // what it was known to have is lost, and the quorum has yet to hear of it
		}
		if end := o.reach(n, of); end >= 0 {
			o.cluster.Reaches(of, h.ID, n, b.HighWatermark, end)
		}
		o.cluster.Claimed(of, h.ID, n, b.HighWatermark)
	}
}

// reach is where a node's log of a partition ends; -1 where that cannot be seen now.
func (o *onlooker) reach(node message.NodeID, of *check.Partition) int64 {
	h := o.trial.hosts[node-1]
	if !h.Up() {
		return -1
	}
	if p, ok := h.Stage.Actor(message.PartitionAt(node, of.ID())).(interface{ Reach() int64 }); ok {
		return p.Reach()
	}
	return -1
}

// acked asks, when a client hears that a batch is on enough copies, whether it is: what cannot be seen counts as one.
func (o *onlooker) acked(b *check.Batch, base int64) {
	of := b.Partition
	o.look() // who has a copy may have changed since the world was looked at last
	_, p := o.newest.Partition(of.ID())
	if p == nil || base < 0 || b.Weak || !of.Topic.Fsync || of.Topic.State != check.Exists {
		return
	}
	have := 0
	for _, n := range p.Replicas {
		if end := o.reach(n, of); end < 0 || end >= base+int64(b.Count) {
			have++
		}
	}
	if want := min(of.Topic.MinInSync, len(p.Replicas)); have < want {
		o.trial.history.Fail(check.AckedByEnough, "%s: %v was acknowledged at offset %d, %d of the replicas %v have it, and %d have to.", of, b, base, have, p.Replicas, want)
	}
}

// leader is who leads the first partition of the first topic, as far as the newest image says; 1 if none does.
func (o *onlooker) leader() message.NodeID {
	if len(o.trial.topics) == 0 {
		return 1
	}
	if _, p := o.newest.Partition(o.trial.topics[0].Partitions[0].ID()); p != nil && p.Leader > 0 {
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
	t.onlooker.whole = map[copyOf]bool{}
	what := ""
	if !t.until(settleBound, func() bool { what = t.waitsFor(what, t.onlooker.unsettled()); return what == "" }) {
		for topic, i := range t.onlooker.newest.Reassigning() {
			t.fail(check.NothingStuck, "After %v %s/%d is still on its way to other replicas: %+v, and %s.", settleBound, topic.Name, i, topic.Partitions[i], what)
		}
		t.fail(check.NodesCatchUp, "After %v %s.", settleBound, what)
		return
	}
	t.history.Settled = true
	t.onlooker.compare()
}

// waitsFor notes for what the world waits, where that is something else than before.
func (t *trial) waitsFor(was, what string) string {
	if what != was && what != "" {
		t.Note("not settled: %s", what)
	}
	return what
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
	if what := o.unmended(p, of); what != "" {
		return what
	}
	if what := o.strays(p, of); what != "" {
		return what
	}
	leader := o.bounds(p.Leader, of)
	for _, node := range p.Replicas {
		b := o.bounds(node, of)
		sameStart := b.LogStart == leader.LogStart || !of.Topic.Endless() || of.MayStart(b.LogStart) && of.MayStart(leader.LogStart) // each retains for itself
		if b.LogEnd != leader.LogEnd || b.HighWatermark != leader.LogEnd || !sameStart {
			o.rouse(node, of, b)
			o.rouse(p.Leader, of, leader)
			return fmt.Sprintf("%s on node %d goes from %d to %d with a high watermark of %d, and its leader %d has it from %d to %d",
				of, node, b.LogStart, b.LogEnd, b.HighWatermark, p.Leader, leader.LogStart, leader.LogEnd)
		}
	}
	if p.Reassigning() {
		return fmt.Sprintf("%s is on its way to other replicas: adding %v, removing %v", of, p.Adding, p.Removing)
	}
	if len(p.ISR) < len(p.Replicas) {
		return fmt.Sprintf("of %s only %v of %v are in sync", of, p.ISR, p.Replicas)
	}
	return ""
}

// rouse has a log opened that is at rest, as a reader would: some rest where others do not, since each compacts for itself.
func (o *onlooker) rouse(node message.NodeID, of *check.Partition, b message.Bounds) {
	if h := o.trial.hosts[node-1]; b.LogEnd < 0 && h.Up() {
		h.Stage.Send(message.PartitionAt(node, of.ID()), &message.Await{HighWatermark: -1})
	}
}

// strays says which node has files of a replica that went elsewhere.
func (o *onlooker) strays(p *image.Partition, of *check.Partition) string {
	id := of.ID()
	for _, h := range o.trial.hosts {
		if _, err := h.Disk.Stat(fmt.Sprintf("topics/%s/%d", id.Topic, id.Index)); err == nil && !p.IsReplica(h.ID) {
			return fmt.Sprintf("%s is on the nodes %v, and node %d has files of it", of, p.Replicas, h.ID)
		}
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
		o.epochs(of, node, view, record.Batch(chunk))
		c.Bytes = append(c.Bytes, chunk...)
		at = s.Next
	}
	return c, true
}

// epochs asks of every batch whether the log's memory of its leader epoch ends behind it. Where a disk has damaged some of the log an epoch may
// have rotted, which no checksum covers: it is not compared then.
func (o *onlooker) epochs(of *check.Partition, node message.NodeID, view message.View, bytes record.Batch) {
	for len(bytes) >= record.HeaderSize && bytes.Size() > 0 && bytes.Size() <= len(bytes) {
		b := bytes[:bytes.Size()]
		bytes = bytes[len(b):]
		if of.HasDamage() {
			b.SetLeaderEpoch(0)
			continue
		}
		if epoch, end := view.EpochEnd(b.LeaderEpoch()); epoch != b.LeaderEpoch() || end < b.NextOffset() {
			o.trial.history.Fail(check.EpochsOfLog, "%s on node %d: the batch from %d to %d has leader epoch %d, and is said to be of %d, which ends at %d.",
				of, node, b.BaseOffset(), b.NextOffset()-1, b.LeaderEpoch(), epoch, end)
		}
	}
}
