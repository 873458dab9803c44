// Package controller is a node's member of the metadata quorum: etcd's raft inside an actor.
//
// A request is decided by the brain on the tip (what is committed and what is proposed), proposed as one entry, written to
// the metadata log, made durable by the disk actor together with everybody else's bytes, committed, applied to the image
// and, once the node's broker has put the new image into effect, answered. Many proposals are on their way at once.
//
// It starts no partition and knows no client. A node that does not lead passes requests on to the one that does.
package controller

import (
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller/metadata"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Options are what a controller has to be told. Zero numbers are the defaults.
type Options struct {
	// Directory is the data directory's id (KIP-853): the same as long as what is in there, and another on a new disk.
	Directory message.TopicID
	// Contacts are nodes of the quorum that a node which is no member asks to let it join.
	Contacts []message.NodeID
	// Cluster is the id of the cluster that this node is meant for: a new one gets it, and another is refused. Empty: any, and a
	// new one draws its own.
	Cluster string
	// Static is what the node was started with.
	Static setting.Values
	// SnapshotEntries and SnapshotBytes say how much the log may grow before the image is written whole and the log is cut
	// at its head: 8192 entries, 4 MiB.
	SnapshotEntries int
	SnapshotBytes   int64
	// SegmentBytes is the size of the log's files: 4 MiB.
	SegmentBytes int64
}

func (o Options) withDefaults() Options {
	if o.SnapshotEntries == 0 {
		o.SnapshotEntries = 8192
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 4 << 20
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 4 << 20
	}
	return o
}

const (
	tickEvery     = 100 * time.Millisecond
	electionTicks = 10
	beatTicks     = 3 // three are heard before a follower gives its leader up: each costs every node a dozen wake-ups
	// passPatience bounds how long a request that was passed on may take.
	passPatience = 30 * time.Second
	// parkedMax bounds the requests that wait for a leader.
	parkedMax = 10_000
)

// Controller is a member of the metadata quorum.
//
//	request ─▶ brain ─▶ raft ─▶ log ─▶ disk ─▶ Synced ─▶ raft ─▶ image ─▶ broker ─▶ ImageApplied ─▶ answer
type Controller struct {
	opts Options

	id    uint64 // among raft's
	brain metadata.Brain
	raft  *raft.RawNode // nil until the log is read
	store store
	conf  *raftpb.ConfState

	image     *image.Image // everything committed and applied
	tip       *image.Image // and everything proposed
	leading   bool         // and everything of earlier leaders is applied: it may decide
	risen     bool         // it is about to
	proposals []proposal   // not yet committed, by ascending index
	waiting   []waiter     // committed, not yet in effect at the broker, by ascending index
	parked    []request    // until somebody leads
	passed    map[stage.RequestID]request
	brought   []brought  // by ascending number
	unproved  []unproved // by ascending number; none unless this node leads
	asked     uint64     // the number of the last of both
	shown     int64      // index of the image that is in effect at the broker
	growth    growth

	sent     map[stage.RequestID]uint64 // snapshots on their way, by whom they are for
	peers    map[message.NodeID]*peer
	sessions sessions
	ticking  bool
	changing uint64    // index of the change of members that is under way
	leavers  []request // to take a node out of the cluster, until it is no member of the quorum any more
	turn     int       // of the contacts, whom a node asks that is no member
	led      uint64    // the tick at which a leader was known last

	attended    map[uint64]uint64                  // while it leads: the tick at which a member was heard last
	directories map[message.NodeID]message.TopicID // with which nodes wanted to register while nobody led
}

// request is somebody's word to the controller.
type request struct {
	caller stage.Caller
	ask    any
}

// proposal is a decision that was handed to raft.
type proposal struct {
	index, term uint64
	decision    metadata.Decision
	request     request
	reads       []read
}

// read is a request that changed nothing. Its answer rests on a proposal, and must not be heard before that is committed.
type read struct {
	request
	reply any
}

// waiter is owed an answer when the broker has applied the image of an index.
type waiter struct {
	index  int64
	caller stage.Caller
	reply  any
}

// Messages to self.
type tick struct{} // raft's clock; a sole member needs none

// New makes a controller that has yet to read its log.
func New(o Options) *Controller {
	return &Controller{opts: o.withDefaults(), image: image.Empty(), passed: map[stage.RequestID]request{},
		sent: map[stage.RequestID]uint64{}, peers: map[message.NodeID]*peer{}, directories: map[message.NodeID]message.TopicID{}}
}

// Receive is the table of contents.
func (k *Controller) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
		k.start(c)
	case *message.Recovered:
		k.load(c, m)
	case *loaded:
		k.loaded(c, m)
	case *message.Synced:
		k.synced(c, m)
	case *message.Unsynced:
		k.unsynced(c, m)
	case *stateSaved:
		k.stateSaved(c, m)
	case *retryWrites:
		k.retryWrites(c)
	case *retryLoad:
		k.start(c)
	case *snapshotTaken:
		k.snapshotTaken(c, m)
	case *installed:
		k.installed(c, m)
	case *tick:
		k.tick(c)
	case *stand:
		k.stand(c, m)
	case *message.Raft:
		k.raftWord(c, m)
	case *stage.Gone:
		k.gone(c, m)
	case *message.ImageApplied:
		k.imageApplied(c, m)
	case *message.Confirm:
		k.confirm(c)
	case *message.DescribeQuorum:
		k.describeQuorum(c)
	case *stage.Stopping:
		k.store.close(c)
	default:
		k.otherwise(c, m)
	}
}

// otherwise takes requests, and the answers to those that were passed on.
func (k *Controller) otherwise(c stage.Context, m any) {
	if r, ours := k.passed[c.Answers()]; ours {
		delete(k.passed, c.Answers())
		k.passedBack(c, r, m)
		return
	}
	if k.snapshotSent(c, m) {
		return
	}
	switch m.(type) {
	case *message.CreateTopics, *message.DeleteTopics, *message.CreatePartitions, *message.AlterConfigs, *message.ElectLeaders,
		*message.UpdateFeatures, *message.AllocateProducerIDs, *message.AssignNode, *message.RegisterBroker, *message.ReassignPartitions, *message.UnregisterBroker,
		*message.AlterPartition, *message.BrokerHeartbeat:
		k.request(c, request{c.Caller(), m})
	case *stage.TimedOut, *stage.Down:
		if k.raft == nil {
			c.Fail(fmt.Errorf("controller: %s does not say what it knows of the metadata log", message.DiskAt(c.Self().Node)))
		}
	default:
		c.Unhandled()
	}
}

// Voters are the numbers among raft's of those who vote, as far as this node knows: for those who look on.
func (k *Controller) Voters() []uint64 { return k.conf.GetVoters() }

// Parked is how many requests wait here for a leader, for a commit, or for an image to be in effect: for those who look on.
func (k *Controller) Parked() int {
	return len(k.proposals) + len(k.waiting) + len(k.parked) + len(k.passed) + len(k.brought) + len(k.unproved) + len(k.leavers)
}
