package check

import (
	"bytes"

	"github.com/troupe-broker/troupe/actors/message"
)

// Cluster is what an onlooker who sees into every node knows of a cluster.
type Cluster struct {
	history *History
	leaders map[term]message.NodeID
	marks   map[term]int64
	raft    map[uint64]message.NodeID // who leads the metadata quorum, by term
	images  map[int64]image
	disk    func(message.NodeID) message.TopicID // which one a node has now
	claims  map[copyOn]int64                     // the largest end that it has told another one is synced
}

// replica is one copy of a partition.
type replica struct {
	node      message.NodeID
	partition message.PartitionID
}

// copyOn is a copy of a partition on one disk.
type copyOn struct {
	replica
	disk message.TopicID
}

// term is a leader epoch of a partition.
type term struct {
	partition message.PartitionID
	epoch     int32
}

// image is the fingerprint of a metadata image, and where it was seen first.
type image struct {
	print uint64
	node  message.NodeID
}

// NewCluster is an onlooker who has seen nothing. What it finds wrong it tells the history. It asks for the id of the disk that a node has now: what
// was told of another holds for that one, which may come back.
func NewCluster(h *History, disk func(message.NodeID) message.TopicID) *Cluster {
	return &Cluster{history: h, leaders: map[term]message.NodeID{}, marks: map[term]int64{}, raft: map[uint64]message.NodeID{}, images: map[int64]image{},
		disk: disk, claims: map[copyOn]int64{}}
}

// Replica checks what a node's replica of a partition shows of itself.
func (c *Cluster) Replica(node message.NodeID, id message.PartitionID, of *Partition, b message.Bounds) {
	if b.HighWatermark > b.LogEnd {
		c.history.Fail(MarkWithinLog, "%s on node %d: its high watermark is %d and its log ends at %d.", of, node, b.HighWatermark, b.LogEnd)
	}
	if !b.IsLeader {
		return
	}
	t := term{id, b.LeaderEpoch}
	if other, led := c.leaders[t]; led && other != node {
		c.history.Fail(OneLeader, "%s: nodes %d and %d both lead in epoch %d.", of, other, node, b.LeaderEpoch)
	}
	if high := c.marks[t]; b.HighWatermark < high && of.Topic.Fsync {
		c.history.Fail(MarkPerEpoch, "%s on node %d: in epoch %d its high watermark was %d and is %d.", of, node, b.LeaderEpoch, high, b.HighWatermark)
	}
	c.leaders[t], c.marks[t] = node, b.HighWatermark
}

// Led notes that a node spoke as leader of the metadata quorum in a term of raft's.
func (c *Cluster) Led(node message.NodeID, term uint64) {
	if other, led := c.raft[term]; led && other != node {
		c.history.Fail(OneTermLeader, "Nodes %d and %d both lead in term %d.", other, node, term)
	}
	c.raft[term] = node
}

// Image checks the fingerprint of the metadata image that a node publishes for an index.
func (c *Cluster) Image(node message.NodeID, index int64, print uint64) {
	seen, known := c.images[index]
	if known && seen.print != print {
		c.history.Fail(ImagesAgree, "Nodes %d and %d have different images at index %d.", seen.node, node, index)
	}
	if !known {
		c.images[index] = image{print, node}
	}
}

// Replayed checks the fingerprint of the image that the entries of the log up to an index make, one by one.
func (c *Cluster) Replayed(index int64, print uint64) {
	if seen, known := c.images[index]; known && seen.print != print {
		c.history.Fail(ImageIsTheLog, "Node %d has another image at index %d than the log makes.", seen.node, index)
	}
}

// Reaches checks a leader's high watermark against the end of a log in sync.
func (c *Cluster) Reaches(of *Partition, leader, node message.NodeID, high, end int64) {
	if end < high && of.Topic.Fsync {
		c.history.Fail(MarkWithinSync, "%s: the high watermark of its leader, node %d, is %d, and the log of node %d, which is in sync, ends at %d.", of, leader, high, node, end)
	}
}

func (c *Cluster) copyOf(node message.NodeID, id message.PartitionID) copyOn {
	return copyOn{replica{node, id}, c.disk(node)}
}

// Claims checks what a follower tells its leader against what its disk has said.
func (c *Cluster) Claims(node message.NodeID, id message.PartitionID, synced, durable int64) {
	if synced > durable {
		c.history.Fail(ClaimIsSynced, "%s on node %d: it says that it is synced up to %d, and its disk has synced it up to %d.", id, node, synced, durable)
	}
	at := c.copyOf(node, id)
	c.claims[at] = max(c.claims[at], synced)
}

// Tells notes the high watermark that a leader sends: it has itself what it calls committed. A successor that knows of it need not
// wait to be told so once more.
func (c *Cluster) Tells(node message.NodeID, id message.PartitionID, high int64) {
	at := c.copyOf(node, id)
	c.claims[at] = max(c.claims[at], high)
}

// Claimed checks a leader's high watermark against what a follower in sync has told of itself.
func (c *Cluster) Claimed(of *Partition, leader, node message.NodeID, high int64) {
	if claimed := c.claims[c.copyOf(node, of.ID())]; claimed < high && node != leader && of.Topic.Fsync {
		c.history.Fail(MarkIsClaimed, "%s: the high watermark of its leader, node %d, is %d, and node %d, which is in sync, has said that it is synced up to %d.", of, leader, high, node, claimed)
	}
}

// Copy is one replica's log: its bytes from Start, which is the same for all, up to its high watermark.
type Copy struct {
	Node        message.NodeID
	Start, High int64
	Bytes       []byte
}

// Copies checks that replicas of a partition that have come to rest are the same.
func (c *Cluster) Copies(of *Partition, copies []Copy) {
	if of.Topic.Compacted {
		c.history.sameSifted(of, copies)
		return
	}
	for _, one := range copies[min(1, len(copies)):] {
		first := copies[0]
		if one.High != first.High || !bytes.Equal(one.Bytes, first.Bytes) {
			c.history.Fail(ReplicasAgree, "%s: node %d has %d bytes from %d to %d, and node %d has %d bytes from %d to %d.", of,
				first.Node, len(first.Bytes), first.Start, first.High, one.Node, len(one.Bytes), one.Start, one.High)
		}
	}
}

// lenient says that an answer may be of a node that does not know the newest yet: of several, and they have not come to rest.
func (h *History) lenient() bool { return h.Nodes > 1 && !h.Settled }

// lenientOf is lenient for what concerns a topic's records: where there is one copy nobody else answers.
func (h *History) lenientOf(t *Topic) bool { return h.lenient() && !t.Alone() }
