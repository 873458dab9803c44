package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/cmd/troupe/segment"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func newMetadata() *cobra.Command {
	return group("metadata", "Look into the metadata of a stopped broker", "  troupe metadata dump --data troupe-data", newMetadataDump())
}

func newMetadataDump() *cobra.Command {
	var d directory
	c := &cobra.Command{
		Use: "dump", Short: "Write the metadata's snapshot and log as lines of JSON", Args: cobra.NoArgs,
		Long: `Write the metadata's snapshot and then its log as lines of JSON, one for each record: where it stands, its kind, and what it says.

Entries of the log without records are raft's own. What a broker that was killed had only in its journal is not shown: it puts
that into the log when it starts.`,
		Example: "  troupe metadata dump --data troupe-data | jq -c 'select(.kind == \"Partition\")'",
		RunE: func(c *cobra.Command, _ []string) error {
			return d.files(func(files vfs.FS) error { return dumpMetadata(files, c.OutOrStdout(), c.ErrOrStderr()) })
		},
	}
	c.Flags().StringVar(&d.data, "data", "troupe-data", "the data `directory`")
	return c
}

// dumpedMetadata is one record of the metadata, or one of raft's entries.
type dumpedMetadata struct {
	From  string `json:"from"` // snapshot or log
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Kind  string `json:"kind"`
	Value any    `json:"value,omitempty"`
}

// Where the controller keeps them, below the data directory.
const (
	metadataSnapshot = "metadata/snapshot"
	metadataLog      = "metadata/log"
)

func dumpMetadata(files vfs.FS, out, problems io.Writer) error {
	lines := json.NewEncoder(out)
	if err := dumpSnapshot(files, lines); err != nil {
		return fmt.Errorf("%s: %w", metadataSnapshot, err)
	}
	segments, err := segment.In(files, metadataLog)
	if err != nil {
		return err
	}
	failed := false
	for _, s := range segments {
		err := s.Walk(files, func(_ int64, b record.Batch) error { return dumpEntries(b, lines) })
		if flaw, ok := errors.AsType[*segment.Flaw](err); ok {
			failed = failed || !s.Last // behind the last batch may be what a crash left unfinished
			fmt.Fprintf(problems, "%s: %v\n", s.Path, flaw)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Path, err)
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func dumpSnapshot(files vfs.FS, lines *json.Encoder) error {
	_, b, err := snapshot.Load(files, metadataSnapshot)
	if errors.Is(err, snapshot.ErrMissing) {
		return nil
	}
	s := &raftpb.Snapshot{}
	if err == nil {
		err = proto.Unmarshal(b, s)
	}
	if err != nil {
		return err
	}
	meta := s.GetMetadata()
	line := dumpedMetadata{From: "snapshot", Index: meta.GetIndex(), Term: meta.GetTerm(), Kind: "Members",
		Value: map[string][]int64{"voters": nodesOf(meta.GetConfState().GetVoters()), "learners": nodesOf(meta.GetConfState().GetLearners())}}
	if err := lines.Encode(line); err != nil {
		return err
	}
	return dumpRecords(s.GetData(), line, lines)
}

// dumpEntries writes raft's entries in one batch of the log: offset is index, leader epoch is term, and a value is the entry's
// type and then its data.
func dumpEntries(b record.Batch, lines *json.Encoder) error {
	for r, err := range record.All(b, plainMax) {
		if err != nil {
			return err
		}
		line := dumpedMetadata{From: "log", Index: uint64(b.BaseOffset() + int64(r.OffsetDelta)), Term: uint64(b.LeaderEpoch())}
		if len(r.Value) == 0 {
			return fmt.Errorf("the entry at %d is empty", line.Index)
		}
		if err := dumpEntry(raftpb.EntryType(r.Value[0]), r.Value[1:], line, lines); err != nil {
			return err
		}
	}
	return nil
}

func dumpEntry(kind raftpb.EntryType, data []byte, line dumpedMetadata, lines *json.Encoder) error {
	if line.Kind = kind.String(); kind == raftpb.EntryNormal && len(data) > 0 {
		return dumpRecords(data, line, lines)
	}
	if kind == raftpb.EntryConfChange {
		var change raftpb.ConfChange
		if err := proto.Unmarshal(data, &change); err != nil {
			return fmt.Errorf("the change of members at %d: %w", line.Index, err)
		}
		line.Value = map[string]any{"change": change.GetType().String(), "node": nodesOf([]uint64{change.GetNodeId()})[0]}
	}
	return lines.Encode(line)
}

// nodesOf are the nodes behind raft's ids: the lower half, which begins at 1 where nodes begin at 0; above it is the directory's.
func nodesOf(ids []uint64) []int64 {
	nodes := make([]int64, len(ids))
	for i, id := range ids {
		nodes[i] = int64(uint32(id)) - 1
	}
	return nodes
}

func dumpRecords(data []byte, line dumpedMetadata, lines *json.Encoder) error {
	records, err := message.DecodeMetadata(data)
	if err != nil {
		return fmt.Errorf("the records at %d: %w", line.Index, err)
	}
	for _, r := range records {
		line.Kind, line.Value = strings.TrimSuffix(reflect.TypeOf(r).Elem().Name(), "Record"), plain(reflect.ValueOf(r).Elem())
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// plain is a record as JSON should show it: ids as they are written elsewhere, not as bytes.
func plain(v reflect.Value) any {
	switch at := v.Interface().(type) {
	case message.TopicID:
		return at.String()
	case message.PartitionID:
		return at.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		fields := map[string]any{}
		for i := range v.NumField() {
			fields[v.Type().Field(i).Name] = plain(v.Field(i))
		}
		return fields
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
}
