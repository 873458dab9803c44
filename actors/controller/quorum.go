package controller

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// leader is who leads as far as is known here.
func (k *Controller) leader() message.NodeID {
	if k.raft == nil {
		return message.Nobody
	}
	return nodeID(k.raft.BasicStatus().Lead)
}

// advance carries out what raft wants until it wants nothing more. It is the only place where raft's wishes become
// effects.
func (k *Controller) advance(c stage.Context) {
	for k.raft.HasReady() {
		ready := k.raft.Ready()
		if ready.SoftState != nil {
			k.roleChanged(c, ready.SoftState)
		}
		for _, m := range ready.Messages {
			k.deliver(c, m)
		}
		for _, s := range ready.ReadStates {
			k.confirmed(c, s)
		}
	}
	switch {
	case k.risen:
		k.risen = false
		k.lead(c)
	case len(k.parked) > 0 && (k.leading || k.follows(c)):
		k.unpark(c)
	}
	if k.leading {
		k.enlist(c)
	}
}

// follows says that another node leads.
func (k *Controller) follows(c stage.Context) bool {
	leader := k.leader()
	return leader != message.Nobody && leader != c.Self().Node
}

func (k *Controller) deliver(c stage.Context, m *raftpb.Message) {
	switch m.GetTo() {
	case raft.LocalAppendThread:
		k.write(c, m)
	case raft.LocalApplyThread:
		k.apply(c, m)
	case k.id:
		k.stepLocal(c, m)
	default:
		k.post(c, m)
	}
}

func (k *Controller) stepLocal(c stage.Context, m *raftpb.Message) {
	if err := k.raft.Step(m); err != nil {
		c.Fail(fmt.Errorf("controller: raft refuses its own message %s: %w", m.GetType(), err))
	}
}

// post sends a word to another member. A lost one is raft's to repeat, but for snapshots: behind one, raft waits until it is
// told what became of it.
func (k *Controller) post(c stage.Context, m *raftpb.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		c.Fail(fmt.Errorf("controller: encode a raft message: %w", err))
	}
	to := message.ControllerAt(nodeID(m.GetTo()))
	if m.GetType() == raftpb.MsgSnap {
		k.sent[c.Ask(to, &message.Raft{Message: b}, snapshotPatience)] = m.GetTo()
		return
	}
	c.Send(to, &message.Raft{Message: b})
}

// raftWord takes a word from another member. One that awaits an answer, a snapshot, gets an empty one.
func (k *Controller) raftWord(c stage.Context, m *message.Raft) {
	if k.snapshotSent(c, m) {
		return
	}
	k.heard(c)
	if k.raft != nil {
		k.step(c, m)
	}
	c.Answer(c.Caller(), &message.Raft{})
}

func (k *Controller) step(c stage.Context, m *message.Raft) {
	var word raftpb.Message
	if err := proto.Unmarshal(m.Message, &word); err != nil {
		c.Log().Warn("a raft message cannot be read and is dropped", "from", c.Caller().Address, "err", err)
		return
	}
	if word.GetTo() != k.id { // it is for the directory that this node had before: what that promised nobody knows here
		return
	}
	k.attend(word.GetFrom())
	if err := k.raft.Step(&word); err != nil {
		c.Log().Warn("a raft message is refused", "from", c.Caller().Address, "type", word.GetType(), "err", err)
	}
	k.advance(c)
}

// snapshotSent tells raft that it may go on, if this is the answer to a snapshot. Whether the member has it, raft finds out by
// asking it for more.
func (k *Controller) snapshotSent(c stage.Context, answer any) bool {
	to, ours := k.sent[c.Answers()]
	if !ours {
		return false
	}
	delete(k.sent, c.Answers())
	status := raft.SnapshotFinish
	if _, taken := answer.(*message.Raft); !taken {
		status = raft.SnapshotFailure
	}
	k.raft.ReportSnapshot(to, status)
	k.advance(c)
	return true
}

// roleChanged: a new leader decides only when everything of its predecessors is applied (see apply); one that leads no
// more forgets what it wanted.
func (k *Controller) roleChanged(c stage.Context, s *raft.SoftState) {
	if s.RaftState != raft.StateLeader {
		k.leading, k.risen, k.tip, k.changing = false, false, nil, 0
		k.parked, k.leavers = append(k.parked, k.leavers...), nil
		for _, u := range k.unproved {
			k.parked = append(k.parked, u.request)
		}
		k.unproved = nil
	}
	k.image = k.image.WithLeader(nodeID(s.Lead))
	k.tellBroker(c, []image.Change{})
}

func (k *Controller) tick(c stage.Context) {
	k.ticking = false
	k.sessions.clock++
	k.raft.Tick()
	k.advance(c)
	k.readAgain()
	if k.leader() != message.Nobody {
		k.led = k.sessions.clock
	}
	if k.leading {
		k.listen()
		k.expire(c)
		k.rebalance(c)
	} else if !k.isMember(k.id) || k.forsaken() {
		k.unpark(c)
	}
	k.advance(c)
	k.wind(c)
}

// wind keeps raft's clock going where there is anybody to time. A sole member has nobody to wait for: an idle node does not
// wake up.
func (k *Controller) wind(c stage.Context) {
	if !k.ticking && k.raft != nil && !k.alone() {
		k.ticking = true
		c.After(tickEvery, &tick{})
	}
}

// describeQuorum is answered by the leader, who alone knows how far the others are, or by whoever was asked while there
// is none.
func (k *Controller) describeQuorum(c stage.Context) {
	if k.follows(c) {
		k.request(c, request{c.Caller(), c.Message()})
		return
	}
	c.Answer(c.Caller(), k.describe(c))
}

// describe says how the quorum stands. Offsets are the metadata log's: raft's indexes.
func (k *Controller) describe(c stage.Context) *message.QuorumDescribed {
	if k.raft == nil {
		return &message.QuorumDescribed{Leader: message.Nobody}
	}
	s := k.raft.Status()
	d := &message.QuorumDescribed{Leader: nodeID(s.Lead), Term: int64(s.GetTerm()), HighWatermark: int64(s.GetCommit()) + 1}
	for _, id := range k.conf.GetVoters() {
		d.Voters = append(d.Voters, k.member(c, s, id))
	}
	for _, id := range k.conf.GetLearners() {
		d.Observers = append(d.Observers, k.member(c, s, id))
	}
	return d
}

func (k *Controller) member(c stage.Context, s raft.Status, id uint64) message.QuorumMember {
	m := message.QuorumMember{Node: nodeID(id), LogEnd: -1, LastFetch: -1, LastCaughtUp: -1}
	if p, known := s.Progress[id]; known {
		m.LogEnd = int64(p.Match) + 1
	}
	if b := k.image.Broker(m.Node); b != nil && memberOf(b) == id {
		m.DirectoryID = b.Directory
	}
	if id == k.id {
		m.DirectoryID, m.LogEnd, m.LastFetch, m.LastCaughtUp = k.opts.Directory, k.store.next(), c.Now().UnixMilli(), c.Now().UnixMilli()
	}
	return m
}
