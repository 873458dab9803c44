package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/snapshot"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Checkpoint is what is known durably besides the journal.
//
//	0 4 version = 1   4 8 from   12 4 count   16 . points (package snapshot adds the checksum)
//	point  0 16 topic id   16 4 partition   20 8 synced   28 8 start
type Checkpoint struct {
	From   uint64 // rounds before it are not needed any more
	Points []Point
}

// Point is what is known of one partition's log.
type Point struct {
	Partition message.PartitionID
	Synced    int64 // up to here the log's own files are synced and whole
	Start     int64 // the log starts here at least
}

const (
	checkpointSize = 16
	pointSize      = 36
)

// Encode is the checkpoint's bytes.
func (c Checkpoint) Encode() []byte {
	b := make([]byte, checkpointSize, checkpointSize+pointSize*len(c.Points))
	binary.BigEndian.PutUint32(b, version)
	binary.BigEndian.PutUint64(b[4:], c.From)
	binary.BigEndian.PutUint32(b[12:], uint32(len(c.Points)))
	for _, p := range c.Points {
		b = append(b, p.Partition.Topic[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(p.Partition.Index))
		b = binary.BigEndian.AppendUint64(b, uint64(p.Synced))
		b = binary.BigEndian.AppendUint64(b, uint64(p.Start))
	}
	return b
}

// DecodeCheckpoint reads what Encode wrote.
func DecodeCheckpoint(b []byte) (Checkpoint, error) {
	if len(b) < checkpointSize {
		return Checkpoint{}, errors.New("the journal's checkpoint is cut short")
	}
	if v := binary.BigEndian.Uint32(b); v != version {
		return Checkpoint{}, fmt.Errorf("the journal's checkpoint has version %d; this program knows %d", v, version)
	}
	count := int(binary.BigEndian.Uint32(b[12:]))
	c := Checkpoint{From: binary.BigEndian.Uint64(b[4:])}
	if b = b[checkpointSize:]; len(b) != count*pointSize {
		return Checkpoint{}, fmt.Errorf("the journal's checkpoint has %d bytes for %d points", len(b), count)
	}
	c.Points = make([]Point, count)
	for i := range c.Points {
		c.Points[i], b = decodePoint(b), b[pointSize:]
	}
	return c, nil
}

func decodePoint(b []byte) Point {
	return Point{
		Partition: message.PartitionID{Topic: message.TopicID(b[:16]), Index: int32(binary.BigEndian.Uint32(b[16:]))},
		Synced:    int64(binary.BigEndian.Uint64(b[20:])),
		Start:     int64(binary.BigEndian.Uint64(b[28:])),
	}
}

// LoadCheckpoint reads the checkpoint in a file; where there is none it is the zero Checkpoint, of a new journal.
func LoadCheckpoint(files vfs.FS, name string) (Checkpoint, error) {
	b, err := snapshot.Read(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := DecodeCheckpoint(b)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%s: %w", name, err)
	}
	// Who saved it may have been killed before its name was durable, and what it says is not needed is overwritten now.
	return c, files.SyncDir(path.Dir(name))
}

// Save makes the checkpoint durable in the place of the one before.
func (c Checkpoint) Save(files vfs.FS, path string) error {
	return snapshot.Write(files, path, c.Encode())
}
