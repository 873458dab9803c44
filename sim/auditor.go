package sim

import (
	"slices"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// auditor keeps the metadata log as the quorum's leaders send it, applies it entry by entry on its own, and asks of every entry
// whether it may follow from what was before. Nodes that apply several at once, or begin with a snapshot, have to end
// with the same image.
type auditor struct {
	trial   *trial
	cluster *check.Cluster
	entries map[int64]sentEntry // not applied yet
	image   *image.Image
}

// sentEntry is an entry as the leader of the latest term sent it: once it is committed, later leaders have the same.
type sentEntry struct {
	by   uint64
	data []byte // nil: no records
}

func newAuditor(t *trial, c *check.Cluster) *auditor {
	return &auditor{trial: t, cluster: c, entries: map[int64]sentEntry{}, image: image.Empty()}
}

// sent takes the entries of a letter from a leader.
func (a *auditor) sent(m *raftpb.Message) {
	for _, e := range m.GetEntries() {
		at := int64(e.GetIndex())
		if known, ok := a.entries[at]; at <= a.image.Index || ok && known.by > m.GetTerm() {
			continue
		}
		s := sentEntry{by: m.GetTerm()}
		if e.GetType() == raftpb.EntryNormal {
			s.data = e.GetData()
		}
		a.entries[at] = s
	}
}

// shown brings the auditor up to an image that a node shows, so that everything in it is committed, and compares the two.
func (a *auditor) shown(img *image.Image) {
	for a.image.Index < img.Index {
		at := a.image.Index + 1
		e, known := a.entries[at]
		next, ok := a.apply(at, e.data)
		if !known || !ok {
			a.image = img
			return
		}
		delete(a.entries, at)
		a.judge(a.image, next)
		a.image = next
	}
	if a.image.Index == img.Index {
		a.cluster.Replayed(a.image.Index, xxhash.Sum64(message.EncodeMetadata(a.image.Records())))
	}
}

func (a *auditor) apply(at int64, data []byte) (*image.Image, bool) {
	var records []message.MetadataRecord
	if len(data) > 0 {
		var err error
		if records, err = message.DecodeMetadata(data); err != nil {
			return nil, false
		}
	}
	next, _, err := a.image.Apply(at, records...)
	return next, err == nil
}

// judge looks at every partition that an entry has changed.
func (a *auditor) judge(before, after *image.Image) {
	for t := range after.Topics() {
		old := before.TopicByID(t.ID)
		if old == t {
			continue
		}
		for i := range t.Partitions {
			p, was := &t.Partitions[i], &image.Partition{Leader: message.Nobody, LeaderEpoch: -1, PartitionEpoch: -1}
			if old != nil && old.Partition(int32(i)) != nil {
				was = old.Partition(int32(i))
			}
			if p.PartitionEpoch != was.PartitionEpoch || p.LeaderEpoch != was.LeaderEpoch {
				a.trial.Note("%s/%d at %d: %+v", t.Name, i, after.Index, *p)
				a.revised(before, after, t, i, was, p)
				a.placed(before, t, i, was, p)
			}
		}
	}
}

// wiped says that a node has registered with another data directory.
func wiped(was, is *image.Broker) bool {
	return was != nil && is != nil && was.Directory != is.Directory
}

// placed looks for new replicas on nodes that were cordoned.
func (a *auditor) placed(before *image.Image, t *image.Topic, index int, was, p *image.Partition) {
	for _, n := range p.Replicas {
		if before.Cordoned(n) && !was.IsReplica(n) {
			a.trial.history.Fail(check.CordonHolds, "%s/%d at %d: node %d gets a replica.", t.Name, index, before.Index+1, n)
		}
	}
}

// revised holds what became of one partition against what it was. Who comes with another disk in the same step has nothing of what it was in sync with.
func (a *auditor) revised(before, img *image.Image, t *image.Topic, index int, was, p *image.Partition) {
	h := a.trial.history
	outside := func(n message.NodeID) bool { return !p.IsReplica(n) }
	led := p.Leader != message.Nobody
	switch {
	case slices.ContainsFunc(p.ISR, outside), slices.ContainsFunc(p.ELR, outside), slices.ContainsFunc(p.ELR, p.InSync), led && !p.InSync(p.Leader):
		h.Fail(check.InSyncReplicas, "%s/%d at %d: of the replicas %v, %v are in sync, %v eligible, and %d leads.", t.Name, index, img.Index, p.Replicas, p.ISR, p.ELR, p.Leader)
	case p.PartitionEpoch <= was.PartitionEpoch, p.LeaderEpoch < was.LeaderEpoch, led && p.Leader != was.Leader && p.LeaderEpoch == was.LeaderEpoch:
		h.Fail(check.EpochsOnlyRise, "%s/%d at %d: %d led in epoch %d/%d, now %d does in %d/%d.", t.Name, index, img.Index,
			was.Leader, was.LeaderEpoch, was.PartitionEpoch, p.Leader, p.LeaderEpoch, p.PartitionEpoch)
	case led && p.Leader != was.Leader && !img.Active(p.Leader):
		h.Fail(check.FencedIsIdle, "%s/%d at %d: node %d was elected, and it is fenced or about to go.", t.Name, index, img.Index, p.Leader)
	case led && p.Leader != was.Leader && was.LeaderEpoch >= 0 && !slices.ContainsFunc(p.ISR, func(n message.NodeID) bool {
		moved := !p.Reassigning() && slices.Contains(was.Adding, n) // its leader has said that it is in sync, and with that the move is over
		return (was.InSync(n) || slices.Contains(was.ELR, n) || moved) && !wiped(before.Broker(n), img.Broker(n))
	}):
		a.trial.Note("%s/%d: an unclean election makes node %d the leader", t.Name, index, p.Leader)
		h.Unclean(t.ID, index)
	}
	if len(p.Adding) > len(was.Adding) {
		a.trial.nemesis.cue(adding, p.Leader)
	}
	if led && p.Leader != was.Leader {
		a.trial.nemesis.cue(leads, p.Leader)
	}
}
