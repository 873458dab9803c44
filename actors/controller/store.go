package controller

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// store is what this node keeps of raft: the entries in a log of their own and, since the last snapshot, in memory; term
// and vote in a small file. Raft's storage writes come in as messages; what they promise goes out when they are durable,
// in the order in which they came.
type store struct {
	memory      *raft.MemoryStorage
	log         *log.Log
	incarnation uint64

	writes     []write // in order; the first ones are on their way to the disk
	unwritten  int     // how many at the end of writes are not in the log yet
	sent       int     // commits that the disk was sent
	synced     int     // commits that it has answered
	state      hardState
	saved      uint64 // the last number of a state that is durable
	saving     bool
	retrying   bool
	full       bool      // the disk took nothing when it was last tried,
	complained time.Time // and that was logged
	installing bool      // another voter's snapshot is being written
	cut        cut
}

// cut is a truncation that was written ahead: the disk is told of it first, and the log is cut when that is durable.
type cut struct {
	due   int // when so many commits are answered; 0: nothing is to be cut
	at    int64
	whole bool // nothing stays, the log begins anew there
}

// errCutting says that a cut is not durable yet, and what is behind it has to wait.
var errCutting = errors.New("the log is about to be cut")

// write is one of raft's storage writes.
type write struct {
	entries   []*raftpb.Entry
	snapshot  *raftpb.Snapshot // comes before the entries; nil once it is durable
	commits   int              // durable when so many commits are answered
	state     uint64           // and the state with this number is
	responses []*raftpb.Message
}

// hardState is term, vote and the index of the last change of members that was applied, numbered.
type hardState struct {
	number     uint64
	term, vote uint64
	members    uint64
}

// Messages to self.
type (
	// stateSaved says that a hard state is durable.
	stateSaved struct {
		number uint64
		err    error
	}
	// retryWrites: there may be room on the disk again.
	retryWrites struct{}
)

const (
	// retryAfter is how long a full disk is left alone.
	retryAfter = 250 * time.Millisecond
	// complainAgain is how often it is logged while that lasts.
	complainAgain = time.Minute
)

// next is the index of the next entry.
func (s *store) next() int64 {
	last, _ := s.memory.LastIndex() // it has no errors
	return int64(last) + 1
}

// write takes one of raft's storage writes.
func (k *Controller) write(c stage.Context, m *raftpb.Message) {
	s := &k.store
	w := write{entries: m.GetEntries(), responses: m.GetResponses(), state: s.state.number}
	if m.Term != nil && (m.GetTerm() != s.state.term || m.GetVote() != s.state.vote) {
		s.state = hardState{s.state.number + 1, m.GetTerm(), m.GetVote(), s.state.members}
		w.state = s.state.number
	}
	var err error
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		w.snapshot = snap
		err = s.memory.ApplySnapshot(snap)
	}
	if err = errors.Join(err, s.memory.Append(w.entries)); err != nil {
		c.Fail(fmt.Errorf("controller: keep raft's entries: %w", err))
	}
	s.writes = append(s.writes, w)
	s.unwritten++
	k.pump(c)
}

// pump writes what is not in the log yet, and lets go what is durable.
func (k *Controller) pump(c stage.Context) {
	s := &k.store
	for s.unwritten > 0 {
		w := &s.writes[len(s.writes)-s.unwritten]
		if w.snapshot != nil {
			k.install(c, w.snapshot)
			break
		}
		err := k.store.append(c, w)
		if errors.Is(err, errCutting) {
			break
		}
		if vfs.NoRoom(err) {
			k.retryLater(c, err)
			break
		}
		if err != nil {
			c.Fail(fmt.Errorf("controller: write the metadata log: %w", err))
		}
		s.unwritten--
	}
	k.saveState(c)
	k.settle(c)
	s.relieve(c)
}

func (k *Controller) retryLater(c stage.Context, err error) {
	s := &k.store
	if s.retrying {
		return
	}
	if !s.full || c.Now().Sub(s.complained) >= complainAgain {
		c.Log().Error("the disk takes nothing for the metadata log: nothing can be created or changed until it does", "err", err)
		s.complained = c.Now()
	}
	s.full, s.retrying = true, true
	c.After(retryAfter, &retryWrites{})
}

// relieve says that a full disk has taken everything.
func (s *store) relieve(c stage.Context) {
	if s.full && s.unwritten == 0 && s.saved == s.state.number {
		s.full = false
		c.Log().Info("the disk takes the metadata log again")
	}
}

func (k *Controller) retryWrites(c stage.Context) {
	k.store.retrying = false
	k.pump(c)
	k.advance(c)
}

// append writes entries to the log, and sends them to the disk to be made durable. What contradicts them is cut first.
func (s *store) append(c stage.Context, w *write) error {
	if err := s.cutIfDue(); err != nil {
		return err
	}
	for len(w.entries) > 0 {
		if at := int64(w.entries[0].GetIndex()); at < s.log.End() {
			s.announce(c, cut{at: at})
			return errCutting
		}
		if err := s.appendEntry(c, w.entries[0]); err != nil {
			return err
		}
		w.entries = w.entries[1:]
	}
	w.commits = s.sent
	return nil
}

// announce writes a cut ahead.
func (s *store) announce(c stage.Context, cut cut) {
	cut.due = s.sent + 1
	s.cut = cut
	s.commit(c, &message.Commit{Base: cut.at, Truncate: true, StartAt: cut.whole})
}

// cutIfDue cuts the log where that was announced. The files of the cut are synced with what comes behind it.
func (s *store) cutIfDue() error {
	switch {
	case s.cut.due == 0:
		return nil
	case s.synced < s.cut.due:
		return errCutting
	}
	shorten := s.log.Truncate
	if s.cut.whole {
		shorten = s.log.TruncateAll
	}
	if err := shorten(s.cut.at); err != nil {
		return err
	}
	s.cut = cut{}
	return nil
}

// appendEntry makes a batch of each entry: a log is cut between two batches, and the next leader may cut anywhere above what is committed.
func (s *store) appendEntry(c stage.Context, e *raftpb.Entry) error {
	b, err := encodeEntry(e, c.Now())
	if err != nil {
		return err
	}
	if err := s.log.Append(b, c.Now()); err != nil {
		return err
	}
	s.commit(c, &message.Commit{Base: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), Batch: b})
	return nil
}

func (s *store) commit(c stage.Context, m *message.Commit) {
	m.Partition, m.Incarnation = message.MetadataLog, s.incarnation
	if m.End = s.log.End(); s.cut.due > 0 {
		m.End = min(m.End, s.cut.at) // what is about to be cut must not be taken for durable once more
	}
	m.Files = append(m.Files, s.log.Dirty()...)
	c.Send(message.DiskAt(c.Self().Node), m)
	s.sent++
}

// encodeEntry makes a batch: the offset is the index, the leader epoch is the term, the record's value is the entry's type
// and then its data. The base sequence is the term once more, where the batch's checksum covers it.
func encodeEntry(e *raftpb.Entry, now time.Time) (record.Batch, error) {
	b := record.NewBuilder(int64(e.GetIndex()))
	b.LeaderEpoch = int32(e.GetTerm())
	b.BaseSequence = b.LeaderEpoch
	b.Add(now.UnixMilli(), nil, append([]byte{byte(e.GetType())}, e.GetData()...))
	return b.Build(nil)
}

// entryMax bounds what a batch of the metadata log may hold when it is decompressed; it is not compressed.
const entryMax = 1 << 30

// decodeEntries takes more than one entry of a batch, too: earlier programs wrote them so.
func decodeEntries(b record.Batch) ([]*raftpb.Entry, error) {
	if b.BaseSequence() != b.LeaderEpoch() {
		return nil, fmt.Errorf("the entry at %d says that it is of term %d, and was written in term %d", b.BaseOffset(), b.LeaderEpoch(), b.BaseSequence())
	}
	entries := make([]*raftpb.Entry, 0, b.Count())
	for r, err := range record.All(b, entryMax) {
		switch {
		case err != nil:
			return nil, err
		case len(r.Value) == 0:
			return nil, fmt.Errorf("the entry at %d is empty", b.BaseOffset()+int64(r.OffsetDelta))
		}
		entries = append(entries, &raftpb.Entry{
			Index: new(uint64(b.BaseOffset() + int64(r.OffsetDelta))),
			Term:  new(uint64(b.LeaderEpoch())),
			Type:  raftpb.EntryType(r.Value[0]).Enum(),
			Data:  append([]byte(nil), r.Value[1:]...),
		})
	}
	return entries, nil
}

// synced is the disk's word that the oldest commits are durable. They are counted: an end alone does not tell the entries
// that were cut from those in their place.
func (k *Controller) synced(c stage.Context, m *message.Synced) {
	if m.Incarnation != k.store.incarnation {
		return
	}
	k.store.synced += m.Commits
	if k.raft == nil {
		k.begin(c)
		return
	}
	if k.store.cut.due > 0 {
		k.pump(c)
	} else {
		k.settle(c)
	}
	k.advance(c)
}

// unsynced: what is in the page cache only must not be believed. The controller starts again from what is durable.
func (k *Controller) unsynced(c stage.Context, m *message.Unsynced) {
	if m.Incarnation == k.store.incarnation {
		c.Fail(fmt.Errorf("controller: the metadata log cannot be made durable: %w", m.Err))
	}
}

// settle lets the answers of durable writes go, in order.
func (k *Controller) settle(c stage.Context) {
	s := &k.store
	for len(s.writes) > s.unwritten && (s.writes[0].commits <= s.synced || planted.Is(planted.MetadataUnsynced)) && s.writes[0].state <= s.saved {
		responses := s.writes[0].responses
		s.writes = s.writes[1:]
		for _, r := range responses {
			k.deliver(c, r)
		}
	}
}

// saveState makes the newest term and vote durable, one write at a time.
func (k *Controller) saveState(c stage.Context) {
	s := &k.store
	if s.saving || s.saved == s.state.number {
		return
	}
	s.saving = true
	files, state := c.FS(), s.state
	c.Offload(syncCost, func() any { return &stateSaved{state.number, writeState(files, state)} })
}

func (k *Controller) stateSaved(c stage.Context, m *stateSaved) {
	s := &k.store
	s.saving = false
	switch {
	case vfs.NoRoom(m.err):
		k.retryLater(c, m.err)
		return
	case m.err != nil:
		c.Fail(fmt.Errorf("controller: write term and vote: %w", m.err))
	}
	s.saved = m.number
	k.saveState(c)
	k.settle(c)
	s.relieve(c)
	k.advance(c)
}

func (s *store) close(c stage.Context) {
	if s.log == nil {
		return
	}
	if err := s.log.Close(); err != nil {
		c.Log().Warn("the metadata log was not closed cleanly", "err", err)
	}
}
