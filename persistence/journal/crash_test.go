package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"pgregory.net/rapid"
)

// scene writes rounds, fails some, recycles, and at every operation on the disk looks at what a loss of power would leave.
type scene struct {
	t       *rapid.T
	files   *vfs.MemoryFS
	chance  *rand.Rand
	journal *Journal
	seed    uint64
	looking bool

	rounds  map[uint64][]Entry // that were acknowledged
	shaky   []uint64           // of them: found after a kill, and never known to be synced
	maybe   []Entry            // being written, or failed with nothing durable behind it
	durable Checkpoint         // as far as its Save has returned
	saving  *Checkpoint
	next    int64
}

// Every entry whose sync returned is replayed after a crash, in order; nothing that is stale is.
func TestEveryCrashKeepsWhatWasSyncedAndNothingStale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &scene{t: t, rounds: map[uint64][]Entry{}, durable: Checkpoint{From: 1}}
		s.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		s.files = vfs.Memory(vfs.MemoryOptions{Trace: func(op vfs.Op, _ string, _ int64, _ int, _ error) {
			if !s.looking && (op == vfs.OpWrite || op == vfs.OpSync) && s.chance.IntN(3) == 0 {
				s.look()
			}
		}})
		s.open()
		t.Repeat(map[string]func(*rapid.T){
			"write":   func(t *rapid.T) { s.write(rapid.SliceOfN(rapid.IntRange(0, 4000), 1, 5).Draw(t, "sizes")) },
			"fail":    func(t *rapid.T) { s.fail(rapid.SampledFrom([]vfs.Op{vfs.OpSync, vfs.OpWrite}).Draw(t, "op")) },
			"recycle": func(t *rapid.T) { s.recycle(rapid.Uint64Range(0, 5).Draw(t, "kept")) },
			"restart": func(*rapid.T) { s.restart() },
		})
	})
}

func (s *scene) open() {
	s.seed++
	j, _, err := Open(options(s.files, s.seed), s.durable)
	if err != nil {
		s.t.Fatal(err)
	}
	s.journal = j
	s.journal.Recycle(s.durable.From)
}

func (s *scene) entries(sizes []int) (entries []Entry) {
	for i, size := range sizes {
		entries = append(entries, of(i, s.next, size))
		s.next++
	}
	return entries
}

func (s *scene) write(sizes []int) {
	before := s.maybe
	entries := s.entries(sizes)
	s.maybe = entries
	if before != nil { // either may be found until the new one is durable
		s.looking = true
		defer func() { s.looking = false }()
	}
	sequence, err := s.journal.Write(entries)
	if err != nil {
		return
	}
	s.rounds[sequence], s.maybe = entries, nil
}

func (s *scene) fail(op vfs.Op) {
	if s.maybe != nil {
		return
	}
	s.files.Inject(vfs.Fault{Op: op, Path: dir + "/*", Short: op == vfs.OpWrite})
	s.write([]int{100, 5000})
}

func (s *scene) recycle(kept uint64) {
	if s.maybe != nil {
		return
	}
	c := Checkpoint{From: max(s.durable.From, s.journal.Next()-min(kept, s.journal.Next()-1))}
	s.saving = &c
	if err := c.Save(s.files, checkpointFile); err != nil {
		return
	}
	s.durable, s.saving = c, nil
	s.journal.Recycle(c.From)
}

// restart goes on with one of the disks that a crash may leave.
func (s *scene) restart() {
	s.shaky = slices.DeleteFunc(s.shaky, func(sequence uint64) bool { return sequence < s.durable.From })
	if len(s.shaky) > 0 {
		return
	}
	s.looking = true
	if s.chance.IntN(2) == 0 {
		s.files = s.files.Keep()
	} else {
		s.files = s.files.Crash(s.chance)
	}
	s.looking = false
	found := s.replay(s.files, s.durable)
	if s.maybe != nil && maps.Equal(found, s.want(s.durable.From, true, nil)) {
		s.shaky = append(s.shaky, s.nextRound())
		s.rounds[s.nextRound()] = s.maybe
	}
	s.maybe = nil
	s.open()
}

func (s *scene) nextRound() uint64 {
	next := s.durable.From
	for sequence := range s.rounds {
		next = max(next, sequence+1)
	}
	return next
}

// look crashes a copy of the disk, and replays it twice.
func (s *scene) look() {
	s.looking = true
	defer func() { s.looking = false }()
	crashed := s.files.CrashClone(s.chance)
	c, err := LoadCheckpoint(crashed, checkpointFile)
	if err != nil {
		s.t.Fatal(err)
	}
	if c.From != s.durable.From && (s.saving == nil || c.From != s.saving.From) && (c.From != 0 || s.durable.From != 1) {
		s.t.Fatalf("the checkpoint says %d, saved was %d", c.From, s.durable.From)
	}
	first := s.replay(crashed, c)
	if second := s.replay(crashed, c); !maps.Equal(first, second) {
		s.t.Fatalf("replayed again: %v, before: %v", second, first)
	}
}

func (s *scene) replay(files vfs.FS, c Checkpoint) map[message.PartitionID]string {
	_, found, err := Open(options(files, 99), c)
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[message.PartitionID]string{}
	for _, f := range found {
		redo, err := Load(f.Refs)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, r := range redo {
			got[f.Partition] += fmt.Sprintf(" %d@%d/%x", f.Refs[i].Kind, r.Base, crcOf(r.Batch))
		}
	}
	for mask := range 1 << len(s.shaky) {
		without := map[uint64]bool{}
		for i, sequence := range s.shaky {
			without[sequence] = mask>>i&1 == 1
		}
		if maps.Equal(got, s.want(c.From, false, without)) || s.maybe != nil && maps.Equal(got, s.want(c.From, true, without)) {
			return got
		}
	}
	s.t.Fatalf("from %d: replayed %v, want %v", c.From, got, s.want(c.From, false, nil))
	return nil
}

// want is what a replay must find, with or without the round that may be there.
func (s *scene) want(from uint64, maybe bool, without map[uint64]bool) map[message.PartitionID]string {
	want := map[message.PartitionID]string{}
	add := func(entries []Entry) {
		for _, e := range entries {
			want[e.Partition] += fmt.Sprintf(" %d@%d/%x", e.Kind, e.Offset, crcOf(e.Batch))
		}
	}
	for sequence := max(from, 1); sequence < s.nextRound(); sequence++ {
		if !without[sequence] {
			add(s.rounds[sequence])
		}
	}
	if maybe {
		add(s.maybe)
	}
	return want
}

// Whatever the bytes of a file are, they are replayed or refused, in bounded memory.
func FuzzReplay(f *testing.F) {
	files := vfs.Memory(vfs.MemoryOptions{})
	j, _ := open(f, files, Checkpoint{}, 1)
	put(f, j, of(1, 0, 10), Entry{Kind: Truncate, Partition: partition(2), Offset: 9})
	put(f, j, Entry{Kind: Marker, Partition: partition(1), Offset: 1}, Entry{Kind: StartAt, Partition: partition(1), Offset: 1})
	whole := make([]byte, j.live[0].end)
	if _, err := j.live[0].f.ReadAt(whole, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:page+100])
	f.Add([]byte("troupejl"))
	f.Fuzz(func(t *testing.T, b []byte) {
		files := vfs.Memory(vfs.MemoryOptions{})
		if err := files.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		file, err := files.Create(dir + "/00000001")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		again, found, err := Open(options(files, 2), Checkpoint{})
		if err != nil {
			return
		}
		for _, one := range found {
			if _, err := Load(one.Refs); err != nil {
				return // a batch in a valid round that is none: refused by its own checksum
			}
		}
		put(t, again, of(1, 0, 10))
	})
}

// FuzzRound reaches behind the checksums.
func FuzzRound(f *testing.F) {
	var b [entrySize]byte
	e := Entry{Kind: StartAt, Partition: partition(1), Offset: 3}
	e.encode(b[:])
	f.Add(b[:])
	e = of(1, 2, 3)
	e.encode(b[:])
	f.Add(append(b[:], e.Batch...))
	f.Fuzz(func(t *testing.T, body []byte) {
		for rest := body; len(rest) > 0; {
			e, behind, ok := decodeEntry(rest)
			if !ok {
				return
			}
			if len(behind) >= len(rest) || int64(len(rest)-len(behind)) != EntryBytes(len(e.Batch)) {
				t.Fatalf("%+v takes %d bytes", e, len(rest)-len(behind))
			}
			rest = behind
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(Checkpoint{From: 7, Points: []Point{{Partition: partition(1), Synced: 3, Start: 1}}}.Encode())
	f.Add([]byte{0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCheckpoint(b)
		if err != nil {
			return
		}
		if string(c.Encode()) != string(b) {
			t.Fatalf("%+v is not what it was decoded from", c)
		}
	})
}
