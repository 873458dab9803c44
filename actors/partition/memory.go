package partition

import (
	"errors"
	"io/fs"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/partition/producers"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// A partition's picture of its producers is one small file beside the segments, written whole and never synced: if it is
// lost or torn the log is read from its start instead. It may be ahead of what is durable. If a crash leaves the log
// ending before the picture's offset, the picture is removed for good before anything else is appended.
const (
	pictureName = "producers.snapshot"
	newPicture  = "producers.snapshot.new"
	// pictureEvery is how many bytes may be appended before a new picture is due, which is also what opening has to read.
	pictureEvery = 16 << 20
)

// saveProducersAfter writes a picture once enough was appended. Many producers make it dearer, and it is then due more
// rarely.
func (p *Partition) saveProducersAfter(c stage.Context, bytes int) {
	p.unsaved += int64(bytes)
	if p.unsaved >= pictureEvery+int64(p.producers.Len())*1024 {
		p.saveProducers(c)
	}
}

// saveProducers writes a picture if the last one is old. A failure costs time at the next start. It comes before records are
// deleted: a producer that does not know yet that they were written would be refused when it repeats them.
func (p *Partition) saveProducers(c stage.Context) {
	if p.unsaved == 0 || p.blind {
		return
	}
	if err := savePicture(c.FS(), dir(p.post.ID), p.producers.Snapshot(p.log.End())); err != nil {
		c.Log().Warn("the picture of producers was not written", "err", err)
	}
	p.unsaved = 0
}

func savePicture(files vfs.FS, dir string, picture []byte) error {
	f, err := files.Create(dir + "/" + newPicture)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(picture, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return files.Rename(dir+"/"+newPicture, dir+"/"+pictureName)
}

// loadProducers rebuilds who has written what from the picture, if it fits the log, and the log behind it.
//
// Markers that the log's index of aborted transactions lacks are learnt on the way.
func loadProducers(files vfs.FS, dir string, l *log.Log, now time.Time) (k known, err error) {
	p, from, err := loadPicture(files, dir, l)
	if err != nil {
		return k, err
	}
	k.producers = p
	var aborted []message.Aborted
	if from = max(from, l.Start()); from < l.End() {
		err = l.Scan(from, func(b record.Batch) bool {
			if a, aborts := k.producers.Aborts(b); aborts && l.Unproven() {
				aborted = append(aborted, a)
			}
			k.producers.Append(b, now)
			k.scanned += int64(len(b))
			return true
		})
	}
	// Damage was reported when the log was opened; all but the damaged was handed out.
	if _, damaged := errors.AsType[*message.Damaged](err); damaged {
		k.blind, err = true, nil
	}
	if err == nil {
		err = l.Prove(aborted)
	}
	if planted.Is(planted.ProducersForgotten) {
		k = known{}
	}
	return k, err
}

// known is what a log says of its producers.
type known struct {
	producers producers.Producers
	scanned   int64 // bytes read
	blind     bool  // some of what was to be read is damaged
}

// loadPicture reads the picture; nobody and offset 0 if there is none that fits the log. Behind one that is older than what was deleted
// nobody knows who went on: a producer that is not known may, one that is known wrongly may not (S23). Of a transaction that was open
// in it nobody knows the end where compaction has been since.
func loadPicture(files vfs.FS, dir string, l *log.Log) (producers.Producers, int64, error) {
	b, err := readAll(files, dir+"/"+pictureName)
	if errors.Is(err, fs.ErrNotExist) {
		return producers.Producers{}, 0, nil
	}
	if err == nil {
		if p, offset, damaged := producers.Decode(b); damaged == nil && l.Start() <= offset && offset <= l.End() && !(offset < l.Rewritten() && p.Open()) {
			return p, offset, nil
		}
		if err = files.Remove(dir + "/" + pictureName); err == nil {
			err = files.SyncDir(dir)
		}
	}
	return producers.Producers{}, 0, err
}

func readAll(files vfs.FS, path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if size == 0 {
		return b, nil
	}
	_, err = f.ReadAt(b, 0)
	return b, err
}
