package log

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

func put(t tb, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(dir + "/" + name)
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// FuzzRecover opens a log whose files hold anything, wherever the recovery point is: it opens, ends at or behind the
// recovery point, opens again alike, and serves nothing but batches.
func FuzzRecover(f *testing.F) {
	good := bytes.Join([][]byte{batchOf(f, 0, 1, 0, 10, 1), batchOf(f, 1, 1, record.Gzip, 90, 1, 2), batchOf(f, 3, 2, 0, 10, 5)}, nil)
	index := encodeIndex(head{next: 4, maxTime: 5, covered: int64(len(good))}, []entry{{0, 0, noTime}, {1, 78, 1}})
	f.Add(good, index, epochs{{1, 0}, {2, 3}}.encode(), uint8(0))
	f.Add(good, index, []byte{}, uint8(4))
	f.Add(good[:len(good)-3], index, []byte{}, uint8(3))
	f.Add(append(append(bytes.Clone(good[:80]), 7, 7, 7), good[80:]...), []byte{}, []byte{1}, uint8(9))
	f.Fuzz(func(t *testing.T, segment, index, epochs []byte, point uint8) {
		fs := vfs.Memory(vfs.MemoryOptions{})
		if err := fs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		put(t, fs, "00000000000000000000.log", segment)
		put(t, fs, "00000000000000000000.index", index)
		put(t, fs, "epochs", epochs)
		o := Options{FS: fs, RecoveryPoint: int64(point), Config: small(200)}
		l, _ := mustOpen(t, o)
		if l.End() < int64(point) {
			t.Fatalf("the log ends at %d, below %d", l.End(), point)
		}
		first := picture(t, l)
		again, _ := mustOpen(t, o)
		if second := picture(t, again); !reflect.DeepEqual(first.Batches, second.Batches) || first.End != second.End {
			t.Fatalf("recovered again:\n%+v\nfirst\n%+v", second, first)
		}
		use(t, again)
	})
}

func use(t *testing.T, l *Log) {
	v := l.View(message.Bounds{})
	for offset := l.Start(); offset < min(l.End(), 300); offset++ {
		b, s, err := at(v, offset)
		if _, damaged := errors.AsType[*message.Damaged](err); err != nil && !damaged {
			t.Fatalf("Read(%d): %v", offset, err)
		}
		if _, bad := record.CheckHeader(b); err == nil && (bad != nil || s.Next <= offset) {
			t.Fatalf("Read(%d) = %+v, %v", offset, s, bad)
		}
	}
	_, _, _ = v.OffsetForTime(1, math.MaxInt64) // what does not decompress is an error
	_, _, _ = v.MaxTimestamp(math.MaxInt64)
	if l.End() < math.MaxInt32 {
		mustAppend(t, l, 1, math.MaxInt32)
	}
	if err := l.Truncate(l.End() / 2); err != nil {
		t.Fatalf("Truncate: %v", err)
	}
}

// FuzzIndex: whatever a file holds, what is taken for an index is one.
func FuzzIndex(f *testing.F) {
	f.Add(encodeIndex(head{next: 9, maxTime: 5, covered: 900}, []entry{{0, 0, noTime}, {4, 400, 3}}))
	f.Add(encodeIndex(head{}, nil))
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		var entries []entry
		h, err := readIndex(bytes.NewReader(b), int64(len(b)), 0, func(e entry) { entries = append(entries, e) })
		if err != nil {
			if !errors.Is(err, errIndex) {
				t.Fatalf("%v", err)
			}
			return
		}
		if again := encodeIndex(h, entries); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// FuzzEpochs: what is read of an epochs file ascends and is written alike.
func FuzzEpochs(f *testing.F) {
	f.Add(epochs{{0, 0}, {3, 7}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := decodeEpochs(b)
		if !bytes.HasPrefix(b, e.encode()) {
			t.Fatalf("%x became %v", b, e)
		}
	})
}

// What says how far compaction is is read as it was written, or refused; a file from before the proof is read once more as what it was read as.
func FuzzDecodeCleaned(f *testing.F) {
	f.Add(cleaned{known: true, guard: 5, upTo: 4, swap: noSwap}.encode())
	f.Add(cleaned{known: true, swap: swap{base: 3, bound: 9, size: 100}}.encode())
	f.Add(cleaned{known: true, guard: 5, upTo: 4, swap: noSwap}.encode()[:cleanedOld])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCleaned(b)
		if err != nil {
			return
		}
		again, err := decodeCleaned(c.encode())
		if err != nil || again != c || !bytes.HasPrefix(c.encode(), b) {
			t.Fatalf("%x was read as %+v, and that as %+v: %v", b, c, again, err)
		}
	})
}
