package controller

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
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

// snapshotIfDue writes the image whole, elsewhere, when the log has grown by enough.
func (k *Controller) snapshotIfDue(c stage.Context) {
	g := &k.growth
	if g.taking || g.entries < k.opts.SnapshotEntries && g.bytes < k.opts.SnapshotBytes {
		return
	}
	index := uint64(k.image.Index)
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

// snapshotTaken cuts the log at its head. Where others vote, half of what a snapshot costs stays for those who lag.
func (k *Controller) snapshotTaken(c stage.Context, m *snapshotTaken) {
	k.growth.taking = false
	if noRoom(m.err) {
		c.Log().Warn("there is no room for a snapshot of the metadata: the metadata log grows on", "err", m.err)
		return
	}
	if m.err != nil {
		c.Fail(fmt.Errorf("controller: write a snapshot: %w", m.err))
	}
	meta, keep := m.snapshot.GetMetadata(), uint64(0)
	if len(meta.GetConfState().GetVoters()) > 1 {
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
// wait.
func (k *Controller) install(c stage.Context, s *raftpb.Snapshot) {
	if k.store.installing {
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
// again.
func (k *Controller) installed(c stage.Context, m *installed) {
	s := &k.store
	s.installing = false
	if noRoom(m.err) {
		k.retryLater(c, m.err)
		return
	}
	w := &s.writes[len(s.writes)-s.unwritten]
	if m.err == nil {
		m.err = s.log.TruncateAll(m.image.Index + 1)
	}
	if m.err != nil {
		c.Fail(fmt.Errorf("controller: install the leader's snapshot: %w", m.err))
	}
	s.commit(c, &message.Commit{Base: s.log.End(), Truncate: true})
	k.image, k.conf, k.growth = m.image.WithLeader(k.image.Leader), w.snapshot.GetMetadata().GetConfState(), growth{}
	w.snapshot = nil
	k.tellBroker(c, nil)
	k.pump(c)
	k.advance(c)
}
