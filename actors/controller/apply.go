package controller

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller/metadata"
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
	k.checkCluster(c)
	k.tellBroker(c, changes)
	for _, r := range m.GetResponses() {
		k.deliver(c, r)
	}
	k.snapshotIfDue(c)
	k.saveState(c)
	k.wind(c)
}

// isOpening says that an entry is the empty one with which this node began to lead: with it, everything that earlier
// leaders may have promised is applied.
func (k *Controller) isOpening(c stage.Context, e *raftpb.Entry) bool {
	s := k.raft.BasicStatus()
	return !k.leading && nodeID(s.Lead) == c.Self().Node && e.GetTerm() == s.GetTerm()
}

// lead begins to decide. The first leader ever founds the cluster.
func (k *Controller) lead(c stage.Context) {
	k.leading, k.tip, k.attended = true, k.image, map[uint64]uint64{}
	k.sessions.begin(k.image.Layers(c.Self().Node, k.opts.Static))
	for _, p := range k.peers {
		p.since = k.sessions.clock // followers do not talk to each other: what was lost may be there again
	}
	if k.image.Cluster == "" {
		k.propose(c, k.found(c), request{})
	}
	k.unpark(c)
}

// found is the decision that makes the cluster.
func (k *Controller) found(c stage.Context) metadata.Decision {
	d := k.brain.Found(k.tip, k.store.next())
	if k.opts.Cluster == "" {
		return d
	}
	for i, r := range d.Records {
		if _, names := r.(*message.ClusterRecord); names {
			d.Records[i] = &message.ClusterRecord{ID: k.opts.Cluster}
		}
	}
	var err error
	if d.Image, d.Change, err = k.tip.Apply(k.store.next(), d.Records...); err != nil {
		c.Fail(fmt.Errorf("controller: found the cluster: %w", err))
	}
	return d
}

// checkCluster refuses a data directory, or a quorum, of another cluster than the one that the node is meant for.
func (k *Controller) checkCluster(c stage.Context) {
	if is, want := k.image.Cluster, k.opts.Cluster; want != "" && is != "" && is != want {
		c.Fail(fmt.Errorf("controller: the metadata here is of the cluster %s, and this node is meant for the cluster %s: "+
			"start it with another data directory, or join it to its own cluster", is, want))
	}
}

func (k *Controller) applyEntry(e *raftpb.Entry) (image.Change, error) {
	mine := k.proposed(e)
	switch {
	case mine != nil:
		k.image = mine.decision.Image.WithLeader(k.image.Leader)
		if !mine.request.caller.IsZero() {
			k.await(waiter{index: int64(e.GetIndex()), caller: mine.request.caller, reply: mine.decision.Reply})
		}
		k.proveReads(mine.reads)
		return mine.decision.Change, nil
	case e.GetType() != raftpb.EntryNormal:
		return k.applyMembers(e)
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

// proposed finds this node's own proposal behind an entry.
func (k *Controller) proposed(e *raftpb.Entry) *proposal {
	if len(k.proposals) == 0 {
		return nil
	}
	var mine *proposal
	if p := k.proposals[0]; p.index == e.GetIndex() && p.term == e.GetTerm() {
		mine, k.proposals = &p, k.proposals[1:]
	}
	k.abandon(e.GetIndex(), e.GetTerm())
	return mine
}

// abandon lets requests begin anew whose proposals will not be committed any more, now that an entry of a term is known to be
// at an index: those in whose place another leader's entry was committed, and, since terms do not fall, all of earlier terms.
func (k *Controller) abandon(index, term uint64) {
	for len(k.proposals) > 0 && (k.proposals[0].index <= index || k.proposals[0].term < term) {
		p := k.proposals[0]
		k.proposals = k.proposals[1:]
		if !p.request.caller.IsZero() {
			k.parked = append(k.parked, p.request)
		}
		for _, r := range p.reads {
			k.parked = append(k.parked, r.request)
		}
	}
}

// applyMembers changes who belongs to the quorum.
func (k *Controller) applyMembers(e *raftpb.Entry) (change image.Change, err error) {
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
		return change, fmt.Errorf("entry %d of the metadata log, a change of members: %w", e.GetIndex(), err)
	}
	if s := &k.store.state; s.members < e.GetIndex() {
		s.number, s.members = s.number+1, e.GetIndex()
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
