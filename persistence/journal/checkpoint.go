package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// Checkpoint is what is known durably besides the journal.
//
//	0 8 "troupecp"   8 4 version = 1   12 4 CRC-32C of everything, itself 0   16 8 from   24 4 count   28 . points
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
	checkpointSize = 28
	pointSize      = 36
)

var checkpointMagic = [8]byte{'t', 'r', 'o', 'u', 'p', 'e', 'c', 'p'}

// Encode is the checkpoint's bytes.
func (c Checkpoint) Encode() []byte {
	b := make([]byte, checkpointSize, checkpointSize+pointSize*len(c.Points))
	copy(b, checkpointMagic[:])
	binary.BigEndian.PutUint32(b[8:], version)
	binary.BigEndian.PutUint64(b[16:], c.From)
	binary.BigEndian.PutUint32(b[24:], uint32(len(c.Points)))
	for _, p := range c.Points {
		b = append(b, p.Partition.Topic[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(p.Partition.Index))
		b = binary.BigEndian.AppendUint64(b, uint64(p.Synced))
		b = binary.BigEndian.AppendUint64(b, uint64(p.Start))
	}
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(b, record.Castagnoli))
	return b
}

// DecodeCheckpoint reads what Encode wrote.
func DecodeCheckpoint(b []byte) (Checkpoint, error) {
	if len(b) < checkpointSize || [8]byte(b[:8]) != checkpointMagic {
		return Checkpoint{}, errors.New("the journal's checkpoint is cut short, or none")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != version {
		return Checkpoint{}, fmt.Errorf("the journal's checkpoint has version %d; this program knows %d", v, version)
	}
	var none [4]byte
	crc := crc32.Update(crc32.Checksum(b[:12], record.Castagnoli), record.Castagnoli, none[:])
	if crc32.Update(crc, record.Castagnoli, b[16:]) != binary.BigEndian.Uint32(b[12:]) {
		return Checkpoint{}, errors.New("the journal's checkpoint has a wrong checksum")
	}
	count := int(binary.BigEndian.Uint32(b[24:]))
	c := Checkpoint{From: binary.BigEndian.Uint64(b[16:])}
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
