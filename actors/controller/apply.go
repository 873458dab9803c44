package controller

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// apply puts committed entries into the image and lets the broker know.
func (k *Controller) apply(c stage.Context, m *raftpb.Message) {
	changes := make([]image.Change, 0, len(m.GetEntries()))
	for _, e := range m.GetEntries() {
		change, err := k.applyEntry(e)
		if err != nil {
			c.Fail(fmt.Errorf("controller: %w", err))
		}
		changes = append(changes, change)
		k.growth.add(len(e.GetData()))
		k.risen = k.risen || k.isOpening(c, e)
	}
	k.tellBroker(c, changes)
	for _, r := range m.GetResponses() {
		k.deliver(c, r)
	}
	k.snapshotIfDue(c)
}

// isOpening says that an entry is the empty one with which this node began to lead: with it, everything that earlier
// leaders may have promised is applied.
func (k *Controller) isOpening(c stage.Context, e *raftpb.Entry) bool {
	s := k.raft.BasicStatus()
	return !k.leading && nodeID(s.Lead) == c.Self().Node && e.GetTerm() == s.GetTerm()
}

// lead begins to decide. The first leader ever founds the cluster.
func (k *Controller) lead(c stage.Context) {
	k.leading, k.tip = true, k.image
	if k.image.Cluster == "" {
		k.propose(c, k.brain.Found(k.tip, k.store.next()), request{})
	}
	k.unpark(c)
}

func (k *Controller) applyEntry(e *raftpb.Entry) (image.Change, error) {
	mine := k.proposed(e)
	switch {
	case mine != nil:
		k.image = mine.decision.Image.WithLeader(k.image.Leader)
		if !mine.request.caller.IsZero() {
			k.waiting = append(k.waiting, waiter{index: int64(e.GetIndex()), caller: mine.request.caller, reply: mine.decision.Reply})
		}
		for _, r := range mine.reads {
			k.waiting = append(k.waiting, waiter{index: int64(e.GetIndex()), caller: r.caller, reply: r.reply})
		}
		return mine.decision.Change, nil
	case e.GetType() != raftpb.EntryNormal:
		return k.applyVoters(e)
	}
	var records []message.MetadataRecord
	if len(e.GetData()) > 0 {
		var err error
		if records, err = message.DecodeMetadata(e.GetData()); err != nil {
			return image.Change{}, fmt.Errorf("entry %d of the metadata log: %w", e.GetIndex(), err)
		}
	}
	next, change, err := k.image.Apply(int64(e.GetIndex()), records...)
	if err == nil {
		k.image = next
	}
	return change, err
}

// proposed finds this node's own proposal behind an entry. Proposals in whose place another leader's entry was committed
// never will be: their requests begin anew.
func (k *Controller) proposed(e *raftpb.Entry) *proposal {
	for len(k.proposals) > 0 && k.proposals[0].index <= e.GetIndex() {
		p := k.proposals[0]
		k.proposals = k.proposals[1:]
		if p.index == e.GetIndex() && p.term == e.GetTerm() {
			return &p
		}
		if !p.request.caller.IsZero() {
			k.parked = append(k.parked, p.request)
		}
		for _, r := range p.reads {
			k.parked = append(k.parked, r.request)
		}
	}
	return nil
}

// applyVoters changes who votes.
func (k *Controller) applyVoters(e *raftpb.Entry) (change image.Change, err error) {
	var v2 raftpb.ConfChangeV2
	if e.GetType() == raftpb.EntryConfChange {
		var v1 raftpb.ConfChange
		if err = proto.Unmarshal(e.GetData(), &v1); err == nil {
			k.conf = k.raft.ApplyConfChange(&v1)
		}
	} else if err = proto.Unmarshal(e.GetData(), &v2); err == nil {
		k.conf = k.raft.ApplyConfChange(&v2)
	}
	if err != nil {
		return change, fmt.Errorf("entry %d of the metadata log, a change of voters: %w", e.GetIndex(), err)
	}
	k.image, change, err = k.image.Apply(int64(e.GetIndex()))
	return change, err
}

// tellBroker hands the image to this node's broker; changes nil says that it has to look at everything.
func (k *Controller) tellBroker(c stage.Context, changes []image.Change) {
	m := &message.ImageChanged{Index: k.image.Index, Image: k.image}
	if changes != nil {
		m.Changes = changes
	}
	c.Send(message.BrokerAt(c.Self().Node), m)
}
