package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/cmd/troupe/segment"
	"github.com/troupe-broker/troupe/node"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// plainMax bounds what one batch may be when it is decompressed.
const plainMax = 1 << 30

func newLog() *cobra.Command {
	return group("log", "Look into the data directory of a stopped broker", `  troupe log verify --data troupe-data
  troupe log segments --data troupe-data --json`,
		newLogSegments(), newLogVerify(), newLogDump())
}

// directory are the flags that say which files to look at.
type directory struct{ data, topic string }

func (d *directory) flag(c *cobra.Command) {
	c.Flags().StringVar(&d.data, "data", "troupe-data", "the data `directory`")
	c.Flags().StringVar(&d.topic, "topic", "", "only the topic with this `id`, as 'troupe topic list --json' shows it")
}

// open calls with the directory's partitions.
func (d *directory) open(do func(files vfs.FS, all []segment.Partition) error) error {
	return d.files(func(files vfs.FS) error {
		all, err := segment.Partitions(files, d.topic)
		if err != nil {
			return err
		}
		return do(files, all)
	})
}

// files calls with the directory. It keeps a broker out meanwhile.
func (d *directory) files(do func(files vfs.FS) error) error {
	path, err := filepath.Abs(d.data)
	if err != nil {
		return err
	}
	files, err := vfs.OS(path)
	if err == nil {
		_, err = node.ReadFormat(files)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no data directory of Troupe: name one with --data", path)
	}
	if err != nil {
		return fmt.Errorf("the data directory %s: %w", path, err)
	}
	lock, err := node.Lock(files)
	if err != nil {
		return fmt.Errorf("the data directory %s: %w", path, err)
	}
	defer lock.Close()
	return do(files)
}

func newLogSegments() *cobra.Command {
	var d directory
	var p printer
	c := &cobra.Command{
		Use: "segments", Short: "List the files of every partition", Args: cobra.NoArgs,
		Example: "  troupe log segments --data troupe-data",
		RunE: func(c *cobra.Command, _ []string) error {
			return d.open(func(_ vfs.FS, all []segment.Partition) error {
				rows := []segment.Segment{}
				for _, one := range all {
					rows = append(rows, one.Segments...)
				}
				return p.print(c.OutOrStdout(), rows, "FILE BASE BYTES", func(row func(...any)) {
					for _, s := range rows {
						row(s.Path, s.Base, s.Size)
					}
				})
			})
		},
	}
	d.flag(c)
	p.flag(c)
	return c
}

func newLogVerify() *cobra.Command {
	var d directory
	var p printer
	c := &cobra.Command{
		Use: "verify", Short: "Check every batch and every record", Args: cobra.NoArgs,
		Long: `Check every batch and every record. It fails if there is damage.

What follows the last good batch of a partition is not damage: it was never acknowledged, or the journal has it, and
the broker puts it right when it starts.`,
		Example: "  troupe log verify --data troupe-data --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return d.open(func(files vfs.FS, all []segment.Partition) error {
				reports, damaged, err := verifyAll(files, all)
				if err != nil {
					return err
				}
				err = p.print(c.OutOrStdout(), reports, "PARTITION SEGMENTS BATCHES RECORDS BYTES FIRST NEXT", func(row func(...any)) {
					for _, r := range reports {
						row(r.Partition, r.Segments, r.Batches, r.Records, r.Bytes, r.First, r.Next)
					}
				})
				if !p.json {
					tellDamage(c.ErrOrStderr(), reports)
				}
				if damaged && err == nil {
					return errReported
				}
				return err
			})
		},
	}
	d.flag(c)
	p.flag(c)
	return c
}

func verifyAll(files vfs.FS, all []segment.Partition) (reports []segment.Report, damaged bool, err error) {
	reports = []segment.Report{}
	for _, one := range all {
		r, err := segment.Verify(files, one, plainMax)
		if err != nil {
			return nil, false, err
		}
		damaged = damaged || len(r.Damage) > 0
		reports = append(reports, r)
	}
	return reports, damaged, nil
}

func tellDamage(to io.Writer, reports []segment.Report) {
	for _, r := range reports {
		for _, d := range r.Damage {
			fmt.Fprintf(to, "damaged: %s\n", d)
		}
		if r.Tail != "" {
			fmt.Fprintf(to, "unfinished: %s\n", r.Tail)
		}
	}
}

// dumpedBatch is a batch's header as JSON, and its records if they were asked for.
type dumpedBatch struct {
	Partition  string         `json:"partition"`
	At         int64          `json:"at"`
	Base       int64          `json:"base_offset"`
	Last       int64          `json:"last_offset"`
	Epoch      int32          `json:"leader_epoch"`
	Count      int32          `json:"count"`
	Bytes      int            `json:"bytes"`
	Codec      string         `json:"codec"`
	Attributes uint16         `json:"attributes"`
	MaxTime    string         `json:"max_timestamp"`
	Producer   int64          `json:"producer_id"`
	ProdEpoch  int16          `json:"producer_epoch"`
	Sequence   int32          `json:"base_sequence"`
	Txn        string         `json:"transaction,omitempty"` // part: it is of one; commit, abort: the marker of one
	Records    []dumpedRecord `json:"records,omitempty"`
}

type dumpedRecord struct {
	Offset    int64   `json:"offset"`
	Timestamp int64   `json:"timestamp"`
	Key       *string `json:"key"`
	KeyB64    string  `json:"key_base64,omitempty"`
	Value     *string `json:"value"`
	ValueB64  string  `json:"value_base64,omitempty"`
}

func newLogDump() *cobra.Command {
	var d directory
	var records bool
	c := &cobra.Command{
		Use: "dump", Short: "Write every batch as a line of JSON", Args: cobra.NoArgs,
		Example: "  troupe log dump --records --topic 5b5ef9a0-6c4e-4cf7-9f50-1f2f2f0a8b11 | jq .records",
		RunE: func(c *cobra.Command, _ []string) error {
			return d.open(func(files vfs.FS, all []segment.Partition) error {
				for _, p := range all {
					if err := dumpAll(c, files, p, records); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	d.flag(c)
	c.Flags().BoolVar(&records, "records", false, "write keys and values too")
	return c
}

// dumpAll writes a partition's batches, and tells where its segments cannot be read.
func dumpAll(c *cobra.Command, files vfs.FS, p segment.Partition, records bool) error {
	out := json.NewEncoder(c.OutOrStdout())
	for _, s := range p.Segments {
		err := s.Walk(files, func(at int64, b record.Batch) error {
			line, err := dump(p.Name(), at, b, records)
			return errors.Join(err, out.Encode(line))
		})
		if flaw, ok := errors.AsType[*segment.Flaw](err); ok {
			fmt.Fprintf(c.ErrOrStderr(), "%s: %v\n", s.Path, flaw)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func dump(partition string, at int64, b record.Batch, records bool) (dumpedBatch, error) {
	d := dumpedBatch{Partition: partition, At: at, Base: b.BaseOffset(), Last: b.LastOffset(), Epoch: b.LeaderEpoch(), Count: b.Count(), Bytes: len(b),
		Codec: b.Attributes().Codec().String(), Attributes: uint16(b.Attributes()), MaxTime: time.UnixMilli(b.MaxTimestamp()).UTC().Format(time.RFC3339Nano),
		Producer: b.ProducerID(), ProdEpoch: b.ProducerEpoch(), Sequence: b.BaseSequence(), Txn: transaction(b)}
	if !records {
		return d, nil
	}
	plain, err := b.Plain(nil, plainMax)
	if err != nil {
		return d, err
	}
	var rec record.Record
	reader := record.NewReader(b, plain)
	for reader.Next(&rec) {
		r := dumpedRecord{Offset: b.BaseOffset() + int64(rec.OffsetDelta), Timestamp: rec.Timestamp}
		r.Key, r.KeyB64 = text(rec.Key)
		r.Value, r.ValueB64 = text(rec.Value)
		d.Records = append(d.Records, r)
	}
	return d, reader.Err()
}

// transaction is what a batch is of a transaction.
func transaction(b record.Batch) string {
	switch a := b.Attributes(); {
	case !a.Has(record.Transactional):
		return ""
	case !a.Has(record.Control):
		return "part"
	}
	if m, err := record.ParseControl(b); err == nil && m.Type == record.Commit {
		return "commit"
	}
	return "abort"
}
