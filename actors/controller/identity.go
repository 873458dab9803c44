package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Voter is who votes on the metadata: a node with the data directory in which it remembers for whom (KIP-853). A node that lost its
// disk has another directory, and must not vote as the one that has promised.
type Voter struct {
	Node      message.NodeID
	Directory message.TopicID // zero: it is older than these
}

// RaftID is a voter's number among raft's, where 0 is nobody: the node in the lower half, the beginning of the directory in the upper.
func (v Voter) RaftID() uint64 {
	if planted.Is(planted.WipedVotes) {
		return uint64(uint32(v.Node) + 1)
	}
	return uint64(binary.BigEndian.Uint32(v.Directory[:]))<<32 | uint64(uint32(v.Node)+1)
}

// nodeID is the node of a number among raft's.
func nodeID(id uint64) message.NodeID { return message.NodeID(uint32(id)) - 1 }

// Found makes an empty data directory one of a founder's: it writes a snapshot of nothing at the index that comes before the first
// entry of every metadata log, with the same voters at each. To found is no part of a start: who has lost what it had must not do it
// again. It has no effect where there is metadata.
func Found(files vfs.FS, voters []Voter) error {
	if len(voters) == 0 || len(voters) > votersMax {
		return fmt.Errorf("controller: %d nodes cannot found a metadata quorum: name 1 to %d", len(voters), votersMax)
	}
	if _, _, err := snapshot.Load(files, snapshotFile); !errors.Is(err, snapshot.ErrMissing) {
		return err
	}
	if err := files.MkdirAll(path.Dir(snapshotFile)); err != nil {
		return err
	}
	conf := &raftpb.ConfState{}
	for _, v := range voters {
		conf.Voters = append(conf.Voters, v.RaftID())
	}
	return saveSnapshot(files, newSnapshot(1, 1, conf, message.EncodeMetadata(nil)))
}

// Founded says that a data directory has the metadata of a quorum.
func Founded(files vfs.FS) (bool, error) {
	_, _, err := snapshot.Load(files, snapshotFile)
	if errors.Is(err, snapshot.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}
