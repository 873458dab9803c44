package controller

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller/metadata"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Where the files are, below the data directory.
const (
	logDir       = "metadata/log"
	stateFile    = "metadata/state"
	snapshotFile = "metadata/snapshot"
)

const (
	recoverPatience = 5 * time.Minute
	loadCost        = 2 * time.Millisecond
	syncCost        = time.Millisecond
)

// start asks the disk what it knows before the log is touched.
func (k *Controller) start(c stage.Context) {
	k.store.incarnation = c.Rand().Uint64()
	k.id = Voter{c.Self().Node, k.opts.Directory}.RaftID()
	k.brain = metadata.Brain{Node: c.Self().Node, Static: k.opts.Static, Draw: c.Rand().Uint64}
	c.Ask(message.DiskAt(c.Self().Node), &message.Recover{Partition: message.MetadataLog}, recoverPatience)
}

// load reads everything elsewhere; loaded comes back.
func (k *Controller) load(c stage.Context, m *message.Recovered) {
	if m.Err != nil {
		c.Fail(fmt.Errorf("controller: the journal cannot be read: %w", m.Err))
	}
	files, now := c.FS(), c.Now()
	o := log.Options{FS: files, Dir: logDir, RecoveryPoint: m.RecoveryPoint, LogStart: m.LogStart, Suspect: m.Suspect,
		Config: log.Config{SegmentBytes: k.opts.SegmentBytes}}
	c.Offload(loadCost, func() any {
		l := &loaded{redone: len(m.Entries) > 0}
		if l.err = l.read(o, m.Entries, now); l.err != nil && l.log != nil {
			l.err = errors.Join(l.err, l.log.Close())
		}
		return l
	})
}

// retryLoad, to self: the disk may take something again.
type retryLoad struct{}

// loaded is what the files hold.
type loaded struct {
	snapshot *raftpb.Snapshot
	image    *image.Image
	state    hardState
	log      *log.Log
	entries  []*raftpb.Entry // behind the snapshot
	recovery log.Recovery
	dirty    []message.Syncer // has to be synced before raft may rest on the log
	redone   bool
	err      error
}

func (l *loaded) read(o log.Options, redo []message.Redo, now time.Time) (err error) {
	if err = l.readSnapshot(o.FS); err != nil {
		return err
	}
	if l.state, err = readState(o.FS); err != nil {
		return err
	}
	if err = o.FS.SyncDir(path.Dir(stateFile)); err != nil { // who saved them may have ended before their names were durable
		return err
	}
	first := int64(l.snapshot.GetMetadata().GetIndex()) + 1
	o.LogStart = max(o.LogStart, first)
	if l.log, l.recovery, err = log.Open(o, now); err != nil {
		return fmt.Errorf("open the metadata log: %w", err)
	}
	if err = l.log.Redo(above(redo, first), now); err != nil {
		return fmt.Errorf("replay the journal over the metadata log: %w", err)
	}
	if l.log.End() < first {
		if err = l.log.TruncateAll(first); err != nil {
			return fmt.Errorf("begin the metadata log behind its snapshot: %w", err)
		}
	}
	l.dirty = append(l.recovery.Dirty, l.log.Dirty()...)
	return l.readEntries(first)
}

// above are the journal's entries for a log that begins at first, behind a snapshot. A cut that was further down leaves
// nothing of the log and must not move its beginning: what came back there is in the snapshot, and perhaps only there.
func above(redo []message.Redo, first int64) []message.Redo {
	redo = slices.Clone(redo)
	for i := range redo {
		if r := &redo[i]; r.Batch == nil {
			r.Base = max(r.Base, first)
		}
	}
	return redo
}

// readSnapshot reads the snapshot. Who is not among the founders has none until the leader sends one.
func (l *loaded) readSnapshot(files vfs.FS) error {
	b, err := loadFile(files, snapshotFile, snapshotFormat)
	if errors.Is(err, snapshot.ErrMissing) {
		l.image, l.snapshot = image.Empty(), &raftpb.Snapshot{}
		return files.MkdirAll(path.Dir(snapshotFile))
	}
	if err != nil {
		return err
	}
	if l.snapshot, err = decodeSnapshot(b); err != nil {
		return fmt.Errorf("%s: %w", snapshotFile, err)
	}
	l.image, err = imageOf(l.snapshot)
	return err
}

// imageOf rebuilds the image that a snapshot holds.
func imageOf(s *raftpb.Snapshot) (*image.Image, error) {
	records, err := message.DecodeMetadata(s.GetData())
	if err != nil {
		return nil, err
	}
	i, _, err := image.Empty().Apply(int64(s.GetMetadata().GetIndex()), records...)
	return i, err
}

func (l *loaded) readEntries(first int64) error {
	var failed error
	next := first
	err := l.log.Scan(first, func(b record.Batch) bool {
		var entries []*raftpb.Entry
		if entries, failed = decodeEntries(b); failed != nil {
			return false
		}
		for _, e := range entries {
			if int64(e.GetIndex()) == next {
				l.entries = append(l.entries, e)
				next++
			}
		}
		return true
	})
	if err = errors.Join(err, failed); err == nil && next != l.log.End() {
		err = fmt.Errorf("entry %d is missing, the log ends at %d", next, l.log.End())
	}
	if err != nil {
		return fmt.Errorf("read the metadata log: %w: restore %s from a copy", err, l.fileOf(next))
	}
	return nil
}

// fileOf is the file that should hold an entry.
func (l *loaded) fileOf(index int64) string {
	segments, err := l.log.Segments()
	for _, s := range segments {
		if err == nil && s.Base <= index && index < s.Next {
			return s.File
		}
	}
	return logDir
}

// loaded takes the files over. Raft begins once it is certain that the log is on disk.
func (k *Controller) loaded(c stage.Context, l *loaded) {
	if vfs.NoRoom(l.err) {
		c.Log().Error("the metadata log cannot be opened until the disk takes something", "err", l.err)
		c.After(retryAfter, &retryLoad{})
		return
	}
	if l.err != nil {
		c.Fail(fmt.Errorf("controller: %w", l.err))
	}
	if l.recovery.Cut > 0 {
		c.Log().Info("an unsynced tail of the metadata log was cut", "bytes", l.recovery.Cut, "end", l.log.End())
	}
	s := &k.store
	s.log, s.state, s.saved = l.log, l.state, l.state.number
	s.memory = raft.NewMemoryStorage()
	k.image, k.conf = l.image, l.snapshot.GetMetadata().GetConfState()
	var err error
	if !raft.IsEmptySnap(l.snapshot) {
		err = s.memory.ApplySnapshot(l.snapshot)
	}
	if err = errors.Join(err, s.memory.Append(l.entries), s.memory.SetHardState(l.hardState())); err != nil {
		c.Fail(fmt.Errorf("controller: hand the metadata log to raft: %w", err))
	}
	k.checkCluster(c)
	for _, e := range l.entries {
		k.growth.add(len(e.GetData()))
	}
	if l.redone {
		c.Send(message.DiskAt(c.Self().Node), &message.Replayed{Partition: message.MetadataLog, End: s.log.End(), Files: l.dirty})
	}
	if len(l.dirty) > 0 {
		s.commit(c, &message.Commit{Base: s.log.End(), Files: l.dirty})
		return
	}
	k.begin(c)
}

// hardState is what raft starts from. The commit index is not kept on disk: a leader tells it, or is one.
func (l *loaded) hardState() *raftpb.HardState {
	meta, s := l.snapshot.GetMetadata(), l.state
	if s.term < meta.GetTerm() {
		s.term, s.vote = meta.GetTerm(), raft.None
	}
	return &raftpb.HardState{Term: new(s.term), Vote: new(s.vote), Commit: new(l.committed())}
}

// committed is up to where the entries are committed for certain: up to the last change of members that was applied, if that came
// to be saved, and else up to the last but one in the log, since a leader proposes none before it has applied the one before.
// Raft then counts votes by members that differ by one at most from those that are in force elsewhere, and two such majorities
// have a node in common.
func (l *loaded) committed() uint64 {
	known, last := l.snapshot.GetMetadata().GetIndex(), uint64(0)
	for _, e := range l.entries {
		if e.GetType() != raftpb.EntryNormal {
			known, last = max(known, last), e.GetIndex()
		}
	}
	if last == l.state.members {
		known = max(known, last)
	}
	return known
}

// begin starts raft. Who votes alone does not wait for silence to pass before it stands for election.
func (k *Controller) begin(c stage.Context) {
	if k.store.synced < k.store.sent {
		return
	}
	node, err := raft.NewRawNode(&raft.Config{
		ID: k.id, Storage: storage{k.store.memory, k.fresh}, Applied: uint64(k.image.Index),
		ElectionTick: electionTicks, HeartbeatTick: beatTicks, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 64,
		PreVote: true, CheckQuorum: true, AsyncStorageWrites: true, DisableProposalForwarding: true, Logger: raftLog{c.Log()},
	})
	if err != nil {
		c.Fail(fmt.Errorf("controller: start raft: %w", err))
	}
	k.raft = node
	k.advance(c)
	if k.alone() {
		if err := k.raft.Campaign(); err != nil {
			c.Fail(fmt.Errorf("controller: stand for election: %w", err))
		}
		k.advance(c)
	} else {
		k.standSoon(c, startTries) // no silence need have lasted: others that hear a leader say so (PreVote)
	}
	k.wind(c)
}

// The state file is a msgpack array: number, term, vote and, where the members have ever changed, the index of that change.
const stateFormat = 1

func writeState(files vfs.FS, s hardState) error {
	fields := []uint64{s.number, s.term, s.vote}
	if planted.Is(planted.TermForgotten) {
		fields = []uint64{s.number, 0, 0}
	}
	if s.members > 0 {
		fields = append(fields, s.members)
	}
	b, err := msgpack.Marshal(fields)
	if err != nil {
		return err
	}
	return snapshot.Save(files, stateFile, stateFormat, b)
}

func readState(files vfs.FS) (hardState, error) {
	b, err := loadFile(files, stateFile, stateFormat)
	if errors.Is(err, snapshot.ErrMissing) {
		return hardState{}, nil
	}
	var fields []uint64
	if err == nil {
		err = msgpack.Unmarshal(b, &fields)
	}
	if err == nil && len(fields) != 3 && len(fields) != 4 {
		err = fmt.Errorf("it has %d fields instead of 3 or 4", len(fields))
	}
	if err != nil {
		return hardState{}, fmt.Errorf("%s: %w", stateFile, err)
	}
	fields = append(fields, 0)
	return hardState{number: fields[0], term: fields[1], vote: fields[2], members: fields[3]}, nil
}

// loadFile reads a file of a format that this program knows.
func loadFile(files vfs.FS, name string, format uint16) ([]byte, error) {
	version, b, err := snapshot.Load(files, name)
	if err == nil && version != format {
		err = fmt.Errorf("%s has format %d and this program reads only format %d: start the newer program that wrote it", name, version, format)
	}
	return b, err
}
