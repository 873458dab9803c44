package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Found is what is known of one partition when the journal has been read.
type Found struct {
	Point        // the checkpoint's, moved by markers, truncations and starts in the journal
	First uint64 // sequence of the earliest round that must stay until Refs are replayed; 0 if there are none
	Last  uint64 // sequence of the latest round with Refs
	Refs  []Ref
	// Unproven: the last of Refs may never have been synced. The log's own files must be, before anything that follows is
	// acknowledged.
	Unproven bool
}

// Ref is an entry that is still in its file.
type Ref struct {
	Kind   Kind
	Epoch  int32
	Offset int64

	file   vfs.File
	at     int64
	length int
}

// Open reads what there is and makes ready to write. Rounds before c.From are not needed any more. The order of what is found is
// that of the checkpoint's points, then of first appearance. On an error, a *Damaged perhaps, nothing may be written.
func Open(o Options, c Checkpoint) (*Journal, []Found, error) {
	o.FileBytes = max(padded(o.FileBytes), 2*page)
	j := &Journal{o: o, rand: rand.New(rand.NewPCG(o.Seed, 0)), next: max(c.From, 1)}
	files, err := j.openFiles()
	if err != nil {
		return nil, nil, err
	}
	j.unlisted = len(files) > 0 // whoever made them may have been killed before their names were durable
	s := newSearch(c)
	s.files = files
	if err := j.replay(files, s); err != nil {
		return nil, nil, errors.Join(err, j.Close())
	}
	if j.next > max(c.From, 1) && !planted.Is(planted.KilledTailBelieved) {
		j.proven = s.prove(j.next - 1)
	}
	return j, s.found, nil
}

// openFiles opens every slot; those with a valid header come first, by number.
func (j *Journal) openFiles() ([]*file, error) {
	names, err := j.o.FS.List(j.o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal %s: %w", j.o.Dir, err)
	}
	var files []*file
	for _, name := range names {
		slot, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			continue // not ours, not touched
		}
		f, err := j.openFile(j.o.Dir + "/" + name)
		if err != nil {
			return nil, err
		}
		j.slot = max(j.slot, slot)
		j.number = max(j.number, f.number)
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b *file) int { return cmp.Compare(a.number-1, b.number-1) })
	return files, nil
}

// openFile opens one file; without a valid header its number is 0, which none has.
func (j *Journal) openFile(path string) (*file, error) {
	f, err := j.o.FS.Open(path)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	h, _ := decodeHeader(head[:])
	return &file{header: h, f: f, path: path, size: min(size, j.o.FileBytes), end: size}, nil
}

// replay reads the files in order and sorts them into live and free.
func (j *Journal) replay(files []*file, s *search) error {
	torn := files
	for i, f := range files {
		if f.number == 0 {
			break
		}
		torn = files[i+1:]
		void, proven := uint64(math.MaxUint64), uint64(0)
		if len(torn) > 0 && torn[0].number != 0 {
			void, proven = torn[0].first, torn[0].proven
		}
		if void <= s.from { // all of it is covered by the checkpoint
			f.last = void - 1
			j.free = append(j.free, f)
			continue
		}
		if f.proven > max(j.next, s.from) {
			return &Damaged{File: f.path, First: max(j.next, s.from), Last: f.first - 1, Why: "the rounds before it are missing"}
		}
		if err := s.file(f, void, proven); err != nil {
			return err
		}
		j.live = append(j.live, f)
		j.next = max(j.next, f.last+1)
	}
	for _, f := range torn {
		if err := s.headless(f, j.next); err != nil {
			return err
		}
		j.free = append(j.free, f)
	}
	return nil
}

// Read finds again what the journal holds of one partition from sequence first on, while the journal is in use.
func (j *Journal) Read(p message.PartitionID, first uint64) (Found, error) {
	s := newSearch(Checkpoint{From: first})
	s.only = &p
	for _, f := range j.live {
		if f.last < first {
			continue
		}
		if err := s.file(&file{header: f.header, f: f.f, path: f.path, end: f.end}, f.last+1, 0); err != nil {
			return Found{}, err
		}
	}
	return *s.of(p), nil
}

// Load reads entries from their files.
func Load(refs []Ref) ([]message.Redo, error) {
	total := 0
	for _, r := range refs {
		total += r.length
	}
	slab := make([]byte, total)
	redo := make([]message.Redo, len(refs))
	for i, r := range refs {
		redo[i] = message.Redo{LeaderEpoch: r.Epoch, Base: r.Offset, StartAt: r.Kind == StartAt}
		if r.Kind != Batch {
			continue
		}
		b := slab[:r.length:r.length]
		slab = slab[r.length:]
		if _, err := r.file.ReadAt(b, r.at); err != nil {
			return nil, fmt.Errorf("journal %s: %d bytes at %d: %w", r.file.Path(), r.length, r.at, err)
		}
		if _, err := record.Check(b); err != nil && !planted.Is(planted.JournalUnchecked) {
			return nil, fmt.Errorf("journal %s: %d bytes at %d: %w", r.file.Path(), r.length, r.at, err)
		}
		redo[i].Batch = b
	}
	return redo, nil
}
