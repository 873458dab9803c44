package controller

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// growth is what came into the log since the last snapshot.
type growth struct {
	entries int
	bytes   int64
	taking  bool // a snapshot is being written
}

func (g *growth) add(bytes int) {
	g.entries++
	g.bytes += int64(bytes)
}

// snapshotTaken says that the image at an index is durable as a snapshot.
type snapshotTaken struct {
	snapshot *raftpb.Snapshot
	err      error
}

func newSnapshot(index, term uint64, conf *raftpb.ConfState, data []byte) *raftpb.Snapshot {
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: conf}}
}

// A snapshot file holds raft's snapshot, whose data is the image as one entry of records.
const snapshotFormat = 1

func saveSnapshot(files vfs.FS, s *raftpb.Snapshot) error {
	b, err := proto.Marshal(s)
	if err != nil {
		return err
	}
	return snapshot.Save(files, snapshotFile, snapshotFormat, b)
}

func decodeSnapshot(b []byte) (*raftpb.Snapshot, error) {
	s := &raftpb.Snapshot{}
	if err := proto.Unmarshal(b, s); err != nil {
		return nil, err
	}
	if s.GetMetadata().GetIndex() == 0 || len(s.GetMetadata().GetConfState().GetVoters()) == 0 {
		return nil, errors.New("the snapshot names no index or no voters")
	}
	return s, nil
}

// storage is raft's view of the log in memory, with the snapshot that a member gets which is too far behind: as new as it can
// be, since it must know that the member belongs to the quorum.
type storage struct {
	*raft.MemoryStorage
	fresh func() (*raftpb.Snapshot, error)
}

func (s storage) Snapshot() (*raftpb.Snapshot, error) { return s.fresh() }

func (k *Controller) fresh() (*raftpb.Snapshot, error) {
	index := uint64(k.image.Index)
	term, err := k.store.memory.Term(index)
	if err != nil || k.conf == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return newSnapshot(index, term, proto.CloneOf(k.conf), message.EncodeMetadata(k.image.Records())), nil
}

// snapshotIfDue writes the image whole, elsewhere, when the log has grown by enough.
func (k *Controller) snapshotIfDue(c stage.Context) {
	g := &k.growth
	if g.taking || k.store.installing || g.entries < k.opts.SnapshotEntries && g.bytes < k.opts.SnapshotBytes {
		return
	}
	index := uint64(k.image.Index)
	if planted.Is(planted.SnapshotAhead) {
		index++
	}
	term, err := k.store.memory.Term(index)
	if err != nil {
		return // not in the log yet: with the next entry
	}
	*g = growth{taking: true}
	img, conf, files := k.image, proto.CloneOf(k.conf), c.FS()
	c.Offload(syncCost, func() any {
		s := newSnapshot(index, term, conf, message.EncodeMetadata(img.Records()))
		return &snapshotTaken{s, saveSnapshot(files, s)}
	})
}

// snapshotTaken cuts the log at its head. Where there are other members, half of what a snapshot costs stays for those who lag.
func (k *Controller) snapshotTaken(c stage.Context, m *snapshotTaken) {
	k.growth.taking = false
	switch {
	case vfs.NoRoom(m.err):
		c.Log().Warn("there is no room for a snapshot of the metadata: the metadata log grows on", "err", m.err)
	case m.err != nil:
		c.Fail(fmt.Errorf("controller: write a snapshot: %w", m.err))
	default:
		k.shorten(c, m)
	}
	k.pump(c) // another voter's snapshot may have waited for this one
	k.advance(c)
}

func (k *Controller) shorten(c stage.Context, m *snapshotTaken) {
	meta, keep := m.snapshot.GetMetadata(), uint64(0)
	if conf := meta.GetConfState(); len(conf.GetVoters())+len(conf.GetLearners()) > 1 {
		keep = uint64(k.opts.SnapshotEntries / 2)
	}
	s := &k.store
	_, err := s.memory.CreateSnapshot(meta.GetIndex(), meta.GetConfState(), m.snapshot.GetData())
	if err == nil && meta.GetIndex() > keep {
		err = s.memory.Compact(meta.GetIndex() - keep)
	}
	if err != nil && !errors.Is(err, raft.ErrCompacted) && !errors.Is(err, raft.ErrSnapOutOfDate) {
		c.Fail(fmt.Errorf("controller: cut the metadata log: %w", err))
	}
	if err := s.behead(c, int64(meta.GetIndex()-min(keep, meta.GetIndex()))+1); err != nil {
		c.Fail(fmt.Errorf("controller: cut the metadata log: %w", err))
	}
}

// behead removes the log's files below an index.
func (s *store) behead(c stage.Context, first int64) error {
	s.log.SetStart(first)
	if _, err := s.log.DeleteOld(log.Retention{Age: -1, Bytes: -1, Below: first}, c.Now()); err != nil {
		return err
	}
	s.commit(c, &message.Commit{Base: s.log.Start(), StartAt: true})
	return nil
}

// installed says that another voter's snapshot is durable here.
type installed struct {
	image *image.Image
	err   error
}

// install writes a snapshot that the leader sent, because its log no longer has what is missing here. The writes behind it
// wait. It waits for a snapshot of this node's own, which is older and must not take its place.
func (k *Controller) install(c stage.Context, s *raftpb.Snapshot) {
	if k.store.installing || k.growth.taking {
		return
	}
	k.store.installing = true
	files := c.FS()
	c.Offload(syncCost, func() any {
		img, err := imageOf(s)
		if err == nil {
			err = saveSnapshot(files, s)
		}
		return &installed{img, err}
	})
}

// installed lets the log begin behind the snapshot. Should the power go before that is on disk, the next start does it
// again; what the log then has behind the snapshot, though the leader had not, the leader's next entries replace.
func (k *Controller) installed(c stage.Context, m *installed) {
	s := &k.store
	s.installing = false
	if vfs.NoRoom(m.err) {
		k.retryLater(c, m.err)
		return
	}
	if m.err != nil {
		c.Fail(fmt.Errorf("controller: install the leader's snapshot: %w", m.err))
	}
	w := &s.writes[len(s.writes)-s.unwritten]
	meta := w.snapshot.GetMetadata()
	s.announce(c, cut{at: m.image.Index + 1, whole: true})
	k.image, k.conf, k.growth = m.image.WithLeader(k.image.Leader), meta.GetConfState(), growth{}
	w.snapshot = nil
	k.abandon(meta.GetIndex(), meta.GetTerm())
	k.checkCluster(c)
	k.tellBroker(c, nil)
	k.pump(c)
	k.advance(c)
}
