// Package segment reads the files of a stopped data directory as they are. It changes nothing, not even what recovery
// would: it shows bytes, and says which of them cannot be what was written.
package segment

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Partition is one partition's folder and its segments in order.
type Partition struct {
	Topic    string // the topic's id
	Index    string
	Segments []Segment
}

// Name is "topic-id/0".
func (p Partition) Name() string { return p.Topic + "/" + p.Index }

// Segment is one file of batches.
type Segment struct {
	Path string `json:"path"`
	Base int64  `json:"base_offset"`
	Size int64  `json:"bytes"`
	Last bool   `json:"active"` // the partition's last one
}

// Partitions are all that there are in a data directory, of one topic if one is named.
func Partitions(files vfs.FS, topic string) ([]Partition, error) {
	topics, err := list(files, "topics")
	if err != nil {
		return nil, err
	}
	var all []Partition
	for _, t := range topics {
		if topic != "" && t != topic {
			continue
		}
		indexes, err := list(files, path.Join("topics", t))
		if err != nil {
			return nil, err
		}
		for _, i := range indexes {
			p := Partition{Topic: t, Index: i}
			if p.Segments, err = In(files, path.Join("topics", t, i)); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// list is a folder's entries; none if it is not there.
func list(files vfs.FS, folder string) ([]string, error) {
	if _, err := files.Stat(folder); err != nil {
		return nil, nil
	}
	return files.List(folder)
}

// In are the segments in a folder, in order; none if it is not there.
func In(files vfs.FS, folder string) ([]Segment, error) {
	names, err := list(files, folder)
	if err != nil {
		return nil, err
	}
	var all []Segment
	for _, name := range names {
		stem, isLog := strings.CutSuffix(name, ".log")
		base, err := strconv.ParseInt(stem, 10, 64)
		if !isLog || err != nil {
			continue
		}
		s := Segment{Path: path.Join(folder, name), Base: base}
		info, err := files.Stat(s.Path)
		if err != nil {
			return nil, err
		}
		s.Size = info.Size()
		all = append(all, s)
	}
	if len(all) > 0 {
		all[len(all)-1].Last = true
	}
	return all, nil
}

// Flaw is a place in a segment where something else stands than what belongs there.
type Flaw struct {
	At  int64  // byte
	Why string // a sentence
}

// Error names the place.
func (f *Flaw) Error() string { return fmt.Sprintf("byte %d: %s", f.At, f.Why) }

// Walk calls with each batch of a segment, checked in full, in order. It stops with a *Flaw at the first place that is no
// batch, or not the one that belongs there. The batch is valid during the call.
func (s Segment) Walk(files vfs.FS, each func(at int64, b record.Batch) error) error {
	file, err := files.Open(s.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := walk{file: file, next: s.Base, epoch: -1, size: s.Size}
	for w.at < w.size {
		b, err := w.batch()
		if err != nil {
			return err
		}
		if err := each(w.at, b); err != nil {
			return err
		}
		w.at, w.next, w.epoch = w.at+int64(len(b)), b.NextOffset(), b.LeaderEpoch()
	}
	return nil
}

type walk struct {
	file  io.ReaderAt
	at    int64
	size  int64
	next  int64 // least offset that may come
	epoch int32 // least epoch that may come
	buf   []byte
}

// batch reads the batch at the walk's position.
func (w *walk) batch() (record.Batch, error) {
	if w.size-w.at < record.HeaderSize {
		return nil, w.flaw("the file ends within a batch's header")
	}
	head, err := w.read(record.HeaderSize)
	if err != nil {
		return nil, err
	}
	size := int64(record.Batch(head).Size())
	if size < record.HeaderSize || size > w.size-w.at {
		return nil, w.flaw("a batch says that it has %d bytes, and the file has %d from there on", size, w.size-w.at)
	}
	whole, err := w.read(size)
	if err != nil {
		return nil, err
	}
	b, err := record.Check(whole)
	switch {
	case err != nil:
		return nil, w.flaw("%v", err)
	case b.BaseOffset() < w.next:
		return nil, w.flaw("the batch begins at offset %d, and the one before it ends at %d", b.BaseOffset(), w.next)
	case b.LeaderEpoch() < w.epoch:
		return nil, w.flaw("the batch has leader epoch %d, and the one before it has %d", b.LeaderEpoch(), w.epoch)
	}
	return b, nil
}

func (w *walk) flaw(why string, args ...any) error { return &Flaw{w.at, fmt.Sprintf(why, args...)} }

func (w *walk) read(n int64) ([]byte, error) {
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	w.buf = w.buf[:n]
	if _, err := w.file.ReadAt(w.buf, w.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.buf, nil
}
