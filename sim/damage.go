package sim

import (
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/journal"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/sim/check"
)

// damage changes bytes of files of a node that was shut down cleanly, so that all of them were synced: single bits that rot,
// or a sector that is noise or that another write was meant for.
func (n *nemesis) damage(h *host, f Fault) {
	chance := n.trial.Rand("damage")
	disk := h.Disk
	for range f.Times {
		paths := filesOf(disk, ".", f.Path)
		if len(paths) == 0 {
			return
		}
		path := paths[chance.IntN(len(paths))]
		bytes, err := readFile(disk, path)
		if err != nil || len(bytes) == 0 {
			continue
		}
		at, length := chance.IntN(len(bytes)), 1
		if f.Kind != Rot {
			at, length = at/sector*sector, sector
		}
		length = min(length, len(bytes)-at)
		if !n.mayDamage(h, path, bytes, at, at+length) {
			continue
		}
		n.trial.Note("damage: %s at %d, %d bytes of %d", path, at, length, len(bytes))
		switch f.Kind {
		case Rot:
			_ = disk.Rot(path, int64(at), chance.IntN(8))
		case Garbled:
			overwrite(disk, path, at, bytes[at:at+length], noise(chance, length))
		case Misdirected:
			overwrite(disk, path, at, bytes[at:at+length], bytes[chance.IntN(len(bytes)):])
		}
	}
}

func noise(chance *rand.Rand, length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

const sector = 512

// overwrite puts other bytes into the place of those that are there, durably and in the page cache.
func overwrite(disk *vfs.MemoryFS, path string, at int, old, other []byte) {
	for i := range old[:min(len(old), len(other))] {
		for bit := range 8 {
			if (old[i]^other[i])>>bit&1 != 0 {
				_ = disk.Rot(path, int64(at+i), bit)
			}
		}
	}
}

// filesOf are the files below a directory whose paths contain a part, in order.
func filesOf(disk *vfs.MemoryFS, dir, part string) []string {
	names, err := disk.List(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, name := range names {
		path := strings.TrimPrefix(dir+"/"+name, "./")
		info, err := disk.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			found = append(found, filesOf(disk, path, part)...)
		case strings.Contains(path, part):
			found = append(found, path)
		}
	}
	return found
}

func readFile(disk *vfs.MemoryFS, path string) ([]byte, error) {
	info, err := disk.Stat(path)
	if err != nil {
		return nil, err
	}
	f, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if _, err = f.ReadAt(b, 0); err == io.EOF {
		err = nil
	}
	return b, errors.Join(err, f.Close())
}

// mayDamage says that damage to bytes of a file must be survivable, and notes what it may cost. What is a log's own, and can be
// made anew, costs nothing. Without metadata or journal a node may refuse to start, if it names the file.
func (n *nemesis) mayDamage(h *host, path string, bytes []byte, from, to int) bool {
	parts := strings.Split(path, "/")
	if parts[0] != "topics" && n.trial.onlooker != nil {
		return false // whoever loses the quorum's or the journal's bytes stays down, and there may be too few without it
	}
	if parts[0] != "topics" {
		n.trial.vital = append(n.trial.vital, path)
		return true
	}
	if len(parts) != 4 {
		return false
	}
	p := n.trial.partition(parts[1], parts[2])
	if p == nil {
		return false
	}
	if !strings.HasSuffix(path, ".log") {
		return parts[3] != "start" // how far records are deleted is nowhere else once the journal has moved on
	}
	first, next := batchesAt(bytes, from, to)
	if first < 0 || next > n.proven(h, p) || n.trial.onlooker != nil && !n.trial.onlooker.elsewhere(h.ID, p, next) {
		return false
	}
	n.trial.history.Damaged(p, first, next)
	return true
}

// proven is how far the disk will know a partition's log to be whole when the node starts: above that nobody can tell damage from
// what a loss of power has torn. Not everything is below it even after a clean shutdown, whose last start may have been behind a
// crash with the log not opened since.
func (n *nemesis) proven(h *host, p *check.Partition) int64 {
	known, err := journal.LoadCheckpoint(h.Disk, "journal.checkpoint")
	if err != nil {
		return 0
	}
	for _, point := range known.Points {
		if point.Partition == p.ID() {
			return point.Synced
		}
	}
	return 0
}

// partition finds what lies in topics/<topic>/<index>; nil if no client knows its id.
func (t *trial) partition(topic, index string) *check.Partition {
	i, err := strconv.Atoi(index)
	if err != nil {
		return nil
	}
	for _, one := range t.history.Topics {
		if message.TopicID(one.ID).String() == topic && i < len(one.Partitions) {
			return one.Partitions[i]
		}
	}
	return nil
}

// batchesAt are the offsets of the batches that have bytes in a range of a segment; -1 if there are none, or if what comes before
// them is damaged already.
func batchesAt(bytes []byte, from, to int) (first, next int64) {
	first = -1
	for at := 0; at+record.HeaderSize <= len(bytes) && at < to; {
		b := record.Batch(bytes[at:])
		size := b.Size()
		if size < record.HeaderSize || size > len(b) || b[:size].Checksum() != b.CRC() {
			return -1, -1
		}
		if at+size > from {
			if next = b.NextOffset(); first < 0 {
				first = b.BaseOffset()
			}
		}
		at += size
	}
	return first, next
}

// backup is a data directory as it was, and what was known then.
type backup struct {
	of    *host
	disk  *vfs.MemoryFS
	known *check.Memory
}

// keepBackup copies the node's disk as a snapshot of the volume does. One that fails is not worth it.
func (n *nemesis) keepBackup(h *host) {
	if h.broken || n.backup != nil {
		return
	}
	t := n.trial
	n.backup = &backup{h, h.Disk.CrashClone(t.Rand("backup")), t.history.Remember()}
}

// restore puts the backup in the place of the node's disk.
func (n *nemesis) restore() {
	t := n.trial
	h := n.backup.of
	t.power(h)
	h.Disk = n.backup.disk
	h.calm()
	t.history.Recall(n.backup.known)
	t.Note("the disk is as it was")
	t.start(h)
}
