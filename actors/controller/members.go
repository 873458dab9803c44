package controller

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

const (
	// votersMax is how many nodes vote; all others only learn.
	votersMax = 5
	// lagMax is how many entries a learner may lack that becomes a voter.
	lagMax = 64
)

// alone says that this node is the only member there is.
func (k *Controller) alone(c stage.Context) bool {
	v := k.conf.GetVoters()
	return len(v) == 1 && v[0] == raftID(c.Self().Node) && len(k.conf.GetLearners()) == 0
}

// votes says that this node is a voter.
func (k *Controller) votes(c stage.Context) bool {
	return slices.Contains(k.conf.GetVoters(), raftID(c.Self().Node))
}

// isMember says that a node has the metadata log, as a voter or a learner.
func (k *Controller) isMember(n message.NodeID) bool {
	id := raftID(n)
	return slices.Contains(k.conf.GetVoters(), id) || slices.Contains(k.conf.GetLearners(), id)
}

// enlist brings the members in line with who is registered, one change at a time: who leaves the cluster leaves the quorum
// first, a new node learns, and one that has learnt votes.
func (k *Controller) enlist(c stage.Context) {
	if k.changing > uint64(k.image.Index) {
		return
	}
	k.changing = 0
	k.dismiss(c)
	if change, id := k.nextChange(); id != raft.None {
		k.change(c, change, id)
	}
}

// dismiss decides on those who leave and are no members any more.
func (k *Controller) dismiss(c stage.Context) {
	for len(k.leavers) > 0 && !k.isMember(leaver(k.leavers[0])) {
		r := k.leavers[0]
		k.leavers = k.leavers[1:]
		k.decide(c, r)
	}
}

func leaver(r request) message.NodeID { return r.ask.(*message.UnregisterBroker).Node }

// nextChange is what should become of whom; nobody if all is as it should be.
func (k *Controller) nextChange() (change raftpb.ConfChangeType, id uint64) {
	if len(k.leavers) > 0 {
		return raftpb.ConfChangeRemoveNode, raftID(leaver(k.leavers[0]))
	}
	for b := range k.tip.Brokers() {
		if !k.isMember(b.ID) {
			return raftpb.ConfChangeAddLearnerNode, raftID(b.ID)
		}
	}
	if len(k.conf.GetVoters()) >= votersMax || len(k.conf.GetLearners()) == 0 {
		return change, raft.None
	}
	s := k.raft.Status()
	for _, id := range k.conf.GetLearners() {
		if p := s.Progress[id]; p.RecentActive && p.State == tracker.StateReplicate && p.Match+lagMax >= s.GetCommit() {
			return raftpb.ConfChangeAddNode, id
		}
	}
	return change, raft.None
}

// change proposes a change of members. One that is not taken is tried again.
func (k *Controller) change(c stage.Context, change raftpb.ConfChangeType, id uint64) {
	index := uint64(k.store.next())
	err := k.raft.ProposeConfChange(&raftpb.ConfChange{Type: change.Enum(), NodeId: new(id)})
	if errors.Is(err, raft.ErrProposalDropped) {
		return
	}
	if err != nil {
		c.Fail(fmt.Errorf("controller: propose a change of members: %w", err))
	}
	k.changing = index
	k.advance(c)
}
