// Package journal is one redo log per data directory: it makes the small writes of many partitions durable with one sync.
//
// A journal is a ring of files of equal size, journal/<slot>, that are overwritten in place once nothing rests on them. A
// round is what one Write makes durable: one vectored write, one sync. Rounds are numbered from 1 on for ever (their
// sequence); a file holds rounds that follow each other.
//
//	file    0 8 "troupejl"   8 4 version = 1   12 4 CRC of the first 48 bytes, itself 0   16 8 number   24 8 seed
//	       32 8 sequence of its first round   40 8 sequence before which all was synced   4096 . rounds, each at a multiple of 4096
//	round   0 8 seed of the file   8 8 sequence   16 4 bytes of entries   20 4 count of entries
//	       24 4 CRC of the round before it in this file (0: the first)    28 4 CRC of 0..28 and of the entries   32 . entries
//	entry   0 4 bytes of batch   4 1 kind: 1 batch, 2 truncate to, 3 start at, 4 synced   5 3 zero   8 4 leader epoch
//	       12 4 partition   16 16 topic id   32 8 offset   40 . batch
//
// All CRCs are CRC-32C, all numbers big-endian. A round is valid where seed, sequence, the CRC of the round before and its
// own CRC fit, so what an earlier use of the file left behind never is. It is valid as a whole or not at all.
//
// What can be known after a crash: a round is written only when the sync of the one before it has succeeded. So an
// invalid round with nothing of its file behind it is a torn tail that nobody was told of, and it is passed over; but an invalid
// round with a later valid one behind it, in its file or in the next, was synced once and is Damaged, which is reported and
// never guessed over. Damage to the very last synced round looks like a torn tail.
// And the very last round that is found may be in the page cache only: what it holds is Unproven until the logs
// themselves have been synced.
//
// A write or sync that failed is never repeated: its file is abandoned, the next round begins a new one whose header says
// from which sequence on the old one is void. Only a disk without room is harmless: a file is grown before anything is
// written, so a round either has its place or has not touched the disk (vfs.ErrFull), and may be written later.
package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Options say where the journal is and how large.
type Options struct {
	FS        vfs.FS
	Dir       string // "journal"
	FileBytes int64  // of one file, rounded up to 4096; at least 8192
	Files     int    // of the ring; more are made only when the ring is full and a round cannot go elsewhere
	GrowBytes int64  // a file that was not written before grows in steps of this
	Reserve   int64  // so much of pre-written room stays behind rounds with batches, for rounds without
	Seed      uint64 // for the files' seeds: another one at every start
}

// Journal is an open journal. One goroutine at a time may use it.
type Journal struct {
	o    Options
	rand *rand.Rand

	live     []*file // with rounds that may be needed, oldest first; the last one is written to unless it was abandoned
	free     []*file
	slot     uint64 // the highest slot that exists
	number   uint64 // of the newest file
	next     uint64 // sequence of the next round
	writable bool   // the newest live file may take rounds
	proven   uint64 // rounds from it on were found after a crash, and perhaps never synced; 0: none
	unlisted bool   // a file was created whose directory entry is not synced

	arena  []byte
	pieces [][]byte
}

var zeros [1 << 16]byte

// file is one file of the ring.
type file struct {
	header
	f        vfs.File
	path     string
	size     int64  // what was written once: no growth below it
	end      int64  // where the next round goes
	last     uint64 // sequence of the last good round; first-1 if there is none
	crc      uint32 // of that round
	headless bool   // the header is not written yet
	failed   bool   // a write or sync failed: it is not to be trusted with anything new
}

// Next is the sequence that the next round will have.
func (j *Journal) Next() uint64 { return j.next }

// Used is how many bytes hold rounds that may be needed, Size what the ring may hold.
func (j *Journal) Used() int64 {
	var n int64
	for _, f := range j.live {
		n += f.end
	}
	return n
}

// Size is the capacity of the ring in bytes.
func (j *Journal) Size() int64 { return j.o.FileBytes * int64(j.o.Files) }

// Room is how many bytes of entries (EntryBytes) one round may have without making the ring larger; 0 if there is no room.
func (j *Journal) Room() int64 {
	room := int64(0)
	if j.writable {
		f := j.live[len(j.live)-1]
		room = j.o.FileBytes - f.end
	}
	if len(j.free) > 0 || len(j.live) < j.o.Files {
		room = j.o.FileBytes - page
	}
	return max(0, room-roundSize)
}

// EntryBytes is what an entry with a batch of that many bytes takes.
func EntryBytes(batch int) int64 { return entrySize + int64(batch) }

// Write makes the entries durable as one round and returns its sequence. If the error wraps vfs.ErrFull nothing was
// written; after any other error the round may or may not be found by a later replay, until a later Write has succeeded.
func (j *Journal) Write(entries []Entry) (uint64, error) {
	r := round{sequence: j.next, count: uint32(len(entries))}
	length := int64(0)
	for i := range entries {
		length += EntryBytes(len(entries[i].Batch))
	}
	if roundSize+length > j.o.FileBytes-page {
		return 0, fmt.Errorf("a journal round of %d bytes does not fit into a file of %d", length, j.o.FileBytes)
	}
	r.length = uint32(length)
	f, err := j.place(r.size(), j.reserve(entries))
	if err != nil {
		return 0, err
	}
	if err := j.put(f, &r, entries); err != nil {
		j.writable, f.failed = false, true
		return 0, fmt.Errorf("journal %s: round %d: %v", f.path, r.sequence, err) // never vfs.ErrFull: it was written
	}
	f.last, f.crc, f.end = r.sequence, r.crc, f.end+r.size()
	j.proven = 0
	j.next++
	return r.sequence, nil
}

// put writes and syncs. The pieces are the round's header, then each entry's header and batch, then zeros.
func (j *Journal) put(f *file, r *round, entries []Entry) error {
	if f.headless {
		if _, err := f.f.WriteAt(f.header.encode(), 0); err != nil {
			return err
		}
		if f.proven < f.first { // or the round could survive a crash without what explains the gap before it
			if err := f.f.Sync(); err != nil {
				return err
			}
		}
		f.headless = false
	}
	r.seed, r.previous = f.seed, f.crc
	if _, err := f.f.WriteVec(j.gather(r, entries), f.end); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	return j.list()
}

// gather lays the round out without copying a batch, and seals it.
func (j *Journal) gather(r *round, entries []Entry) [][]byte {
	j.arena = slices.Grow(j.arena[:0], roundSize+entrySize*len(entries))[:roundSize+entrySize*len(entries)]
	head := j.arena[:roundSize]
	r.encode(head)
	j.pieces = append(j.pieces[:0], head)
	fixed := j.arena[roundSize:]
	for i := range entries {
		entries[i].encode(fixed)
		j.pieces = append(j.pieces, fixed[:entrySize])
		if len(entries[i].Batch) > 0 {
			j.pieces = append(j.pieces, entries[i].Batch)
		}
		fixed = fixed[entrySize:]
	}
	r.seal(head, j.pieces[1:])
	if pad := r.size() - roundSize - int64(r.length); pad > 0 {
		j.pieces = append(j.pieces, zeros[:pad])
	}
	return j.pieces
}

// list makes the directory entry of a new file durable.
func (j *Journal) list() error {
	if !j.unlisted {
		return nil
	}
	if err := j.o.FS.SyncDir(j.o.Dir); err != nil {
		return err
	}
	if err := j.o.FS.SyncDir("."); err != nil {
		return err
	}
	j.unlisted = false
	return nil
}

// reserve is what a round must leave: nothing, if it has no batch. Such rounds are small and cannot go elsewhere; so a disk
// that is full does not stop them at once.
func (j *Journal) reserve(entries []Entry) int64 {
	for i := range entries {
		if entries[i].Kind == Batch {
			return j.o.Reserve
		}
	}
	return 0
}

// place finds the file for a round of that size, with room on the disk for it and for the reserve behind it.
func (j *Journal) place(size, reserve int64) (*file, error) {
	if j.writable {
		f := j.live[len(j.live)-1]
		if f.end+size+reserve <= j.o.FileBytes || f.end+size <= j.o.FileBytes && j.spare(reserve) == nil {
			if err := j.grow(f, min(f.end+size+reserve, j.o.FileBytes)); err == nil || !j.written(page+size) {
				return f, err
			}
		}
	}
	f, err := j.take()
	if err != nil {
		return nil, err
	}
	if err := j.grow(f, min(page+size+reserve, j.o.FileBytes)); err != nil {
		j.free = append(j.free, f)
		return nil, err
	}
	j.begin(f)
	return f, nil
}

// spare makes sure that the reserve is there in a free file when the newest comes to its end.
func (j *Journal) spare(reserve int64) error {
	if j.written(page+reserve) || len(j.free) == 0 && len(j.live) >= j.o.Files {
		return nil
	}
	f, err := j.take()
	if err != nil {
		return err
	}
	j.free = append(j.free, f)
	return j.grow(f, page+reserve)
}

// written says that a free file has so many bytes that take no room any more.
func (j *Journal) written(size int64) bool {
	return slices.ContainsFunc(j.free, func(f *file) bool { return f.size >= size })
}

// begin makes f the newest file.
func (j *Journal) begin(f *file) {
	j.number++
	f.header = header{number: j.number, seed: j.rand.Uint64(), first: j.next, proven: j.next}
	if j.proven > 0 {
		f.proven = j.proven
	}
	f.end, f.last, f.crc, f.headless = page, j.next-1, 0, true
	j.live = append(j.live, f)
	j.writable = true
}

// take takes a free file off the ring, or creates one.
func (j *Journal) take() (*file, error) {
	if len(j.free) == 0 {
		return j.create()
	}
	largest := 0 // it needs least growing
	for i, f := range j.free {
		if f.size > j.free[largest].size {
			largest = i
		}
	}
	f := j.free[largest]
	j.free = slices.Delete(j.free, largest, largest+1)
	return f, nil
}

// create makes a new file in the next slot.
func (j *Journal) create() (*file, error) {
	if err := j.o.FS.MkdirAll(j.o.Dir); err != nil {
		return nil, fmt.Errorf("journal %s: %w", j.o.Dir, err)
	}
	path := j.o.Dir + "/" + fmt.Sprintf("%08d", j.slot+1)
	f, err := j.o.FS.Create(path)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	j.slot++
	j.unlisted = true
	return &file{f: f, path: path}, nil
}

// grow writes zeros up to end and somewhat beyond, so that what follows changes no metadata and needs no room. It syncs
// them, because there are file systems that find out only then that there is none. Zeros say nothing: if they fail,
// nothing is lost.
func (j *Journal) grow(f *file, end int64) error {
	if end <= f.size {
		return nil
	}
	end = min(max(end, f.size+j.o.GrowBytes), j.o.FileBytes)
	for at := f.size; at < end; {
		n := min(end-at, int64(len(zeros)))
		if _, err := f.f.WriteAt(zeros[:n], at); err != nil {
			return fmt.Errorf("journal %s: growing to %d bytes: %w", f.path, end, err)
		}
		at += n
	}
	if err := f.f.Sync(); err != nil {
		return fmt.Errorf("journal %s: growing to %d bytes: %w", f.path, end, err)
	}
	f.size = end
	return nil
}

// Recycle frees the files all of whose rounds come before sequence from: nothing rests on them any more, and a checkpoint
// that says so is durable. Files beyond the ring's size, and such as failed, are given up and must be removed by the caller
// by path.
func (j *Journal) Recycle(from uint64) (surplus []string) {
	for len(j.live) > 0 && j.live[0].last < from && (len(j.live) > 1 || !j.writable) {
		f := j.live[0]
		j.live = slices.Delete(j.live, 0, 1)
		if f.failed || len(j.live)+len(j.free) >= j.o.Files {
			_ = f.f.Close()
			surplus = append(surplus, f.path)
			continue
		}
		j.free = append(j.free, f)
	}
	return surplus
}

// Close closes the files. It does not sync: every round is synced when its Write returns.
func (j *Journal) Close() error {
	var errs []error
	for _, f := range slices.Concat(j.live, j.free) {
		errs = append(errs, f.f.Close())
	}
	j.live, j.free, j.writable = nil, nil, false
	return errors.Join(errs...)
}
