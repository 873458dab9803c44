package controller

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/troupe-broker/troupe/actors/broker/image"
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
func (k *Controller) alone() bool {
	v := k.conf.GetVoters()
	return len(v) == 1 && v[0] == k.id && len(k.conf.GetLearners()) == 0
}

// votes says that this node is a voter.
func (k *Controller) votes() bool { return slices.Contains(k.conf.GetVoters(), k.id) }

// isMember says that somebody has the metadata log, as a voter or a learner.
func (k *Controller) isMember(id uint64) bool {
	return slices.Contains(k.conf.GetVoters(), id) || slices.Contains(k.conf.GetLearners(), id)
}

// membersOf are a node's members: more than one while it has a new directory and the old one's is not removed.
func (k *Controller) membersOf(n message.NodeID) (ids []uint64) {
	for _, list := range [][]uint64{k.conf.GetVoters(), k.conf.GetLearners()} {
		for _, id := range list {
			if nodeID(id) == n {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// enlist brings the members in line with who is registered, one change at a time: who leaves the cluster leaves the quorum
// first, a new node or a new directory learns, and one that has learnt votes.
func (k *Controller) enlist(c stage.Context) {
	if k.changing > uint64(k.image.Index) {
		return
	}
	k.changing = 0
	k.dismiss(c)
	if !k.isHeard() {
		return
	}
	if change, id := k.nextChange(); id != raft.None {
		k.change(c, change, id)
	}
}

// dismiss decides on those who leave and are no members any more.
func (k *Controller) dismiss(c stage.Context) {
	for len(k.leavers) > 0 && len(k.membersOf(leaver(k.leavers[0]))) == 0 {
		r := k.leavers[0]
		k.leavers = k.leavers[1:]
		k.decide(c, r)
	}
}

func leaver(r request) message.NodeID { return r.ask.(*message.UnregisterBroker).Node }

// nextChange is what should become of whom; nobody if all is as it should be.
func (k *Controller) nextChange() (change raftpb.ConfChangeType, id uint64) {
	if len(k.leavers) > 0 {
		return raftpb.ConfChangeRemoveNode, k.membersOf(leaver(k.leavers[0]))[0]
	}
	if id = k.forgotten(); id != raft.None {
		return raftpb.ConfChangeRemoveNode, id
	}
	for b := range k.tip.Brokers() {
		if id = memberOf(b); !k.isMember(id) {
			return raftpb.ConfChangeAddLearnerNode, id
		}
	}
	if id = k.dispensable(); id != raft.None {
		return raftpb.ConfChangeAddLearnerNode, id
	}
	if len(k.conf.GetVoters()) < votersMax {
		return raftpb.ConfChangeAddNode, k.learned()
	}
	return change, raft.None
}

func memberOf(b *image.Broker) uint64 { return Voter{b.ID, b.Directory}.RaftID() }

// forgotten is a member whose node is registered with another directory: the disk is lost on which it remembered its votes and its
// entries. It can be there no more, and without it a majority is found no less easily.
func (k *Controller) forgotten() uint64 {
	for _, list := range [][]uint64{k.conf.GetVoters(), k.conf.GetLearners()} {
		for _, id := range list {
			if b := k.tip.Broker(nodeID(id)); b != nil && memberOf(b) != id {
				return id
			}
		}
	}
	return raft.None
}

// learned is a learner that has what is committed, and is there: it was heard since the last tick that looked, or it would be given up at once.
func (k *Controller) learned() uint64 {
	if len(k.conf.GetLearners()) == 0 {
		return raft.None
	}
	s := k.raft.Status()
	for _, id := range k.conf.GetLearners() {
		if p := s.Progress[id]; p.RecentActive && !k.isMute(id) && p.State == tracker.StateReplicate && p.Match+lagMax >= s.GetCommit() {
			return id
		}
	}
	return raft.None
}

// dispensable is a voter that has been silent for long, and that had better learn: where a learner can take its place, or where
// the others without it can do with one vote less. So a fourth is given up and a fifth is not, but both are when both are silent.
func (k *Controller) dispensable() uint64 {
	voters := k.conf.GetVoters()
	silent := slices.DeleteFunc(slices.Clone(voters), func(id uint64) bool { return !k.isMute(id) })
	if len(silent) == 0 {
		return raft.None
	}
	if majority(len(voters)-len(silent)) < majority(len(voters)) || len(voters) >= votersMax && k.learned() != raft.None {
		return silent[0]
	}
	return raft.None
}

func majority(voters int) int { return voters/2 + 1 }

// attend notes that a member was heard, where this node leads.
func (k *Controller) attend(id uint64) {
	if k.leading {
		k.attended[id] = k.sessions.clock
	}
}

// listen has those who were not heard yet begin to be silent now: a majority of them has just voted for this node.
func (k *Controller) listen() {
	k.raft.WithProgress(func(id uint64, _ raft.ProgressType, _ tracker.Progress) {
		if _, known := k.attended[id]; !known {
			k.attended[id] = k.sessions.clock
		}
	})
}

// isHeard says that a majority of the voters was heard just now. Only then are members changed: a leader that is cut off takes for silent
// who is not, and what it has proposed stays in its log. When it is back that is committed, though those who voted then are those who are needed now.
func (k *Controller) isHeard() bool {
	voters, heard := k.conf.GetVoters(), 0
	for _, id := range voters {
		if at, known := k.attended[id]; id == k.id || known && k.sessions.clock-at <= graceTicks {
			heard++
		}
	}
	return heard >= majority(len(voters))
}

// isMute says that a member was not heard for so long that it may lose its vote.
func (k *Controller) isMute(id uint64) bool {
	at, known := k.attended[id]
	return known && id != k.id && k.sessions.clock-at >= k.sessions.mute
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
	c.Log().Info("the metadata quorum changes", "change", changes[change], "node", nodeID(id))
	k.changing = index
	k.advance(c)
}

var changes = map[raftpb.ConfChangeType]string{raftpb.ConfChangeAddNode: "votes", raftpb.ConfChangeAddLearnerNode: "learns", raftpb.ConfChangeRemoveNode: "is removed"}

// bereft is the refusal of a registration when nobody can ever lead again: so many voters have come back with empty disks that what
// they promised, and what is committed, may be nowhere. Nil: that is not so, or not known.
func (k *Controller) bereft(m *message.RegisterBroker) *message.BrokerRegistered {
	if k.raft == nil || k.leader() != message.Nobody || !k.votes() {
		return nil
	}
	k.directories[m.Node] = m.Directory
	var lost []message.NodeID
	for _, id := range k.conf.GetVoters() {
		n := nodeID(id)
		if d, told := k.directories[n]; told && (Voter{n, d}).RaftID() != id {
			lost = append(lost, n)
		}
	}
	if n := len(k.conf.GetVoters()); n-len(lost) >= majority(n) {
		return nil
	}
	return &message.BrokerRegistered{Problem: message.Problem{Code: message.InconsistentVoterSet, Message: fmt.Sprintf(
		"the metadata quorum has lost its majority: of its %d voters the nodes %d have come back with empty disks, and what was decided may be nowhere else: "+
			"stop them and restore their data directories, or found a new cluster with empty ones", len(k.conf.GetVoters()), lost)}}
}
