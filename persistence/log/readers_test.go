package log

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// follow reads everything that is committed, as consumers do, while the owner goes on: whole batches, each behind the
// last, or behind what retention took.
func follow(views *atomic.Pointer[message.View], final int64) error {
	next := int64(0)
	for next < final {
		v := *views.Load()
		s, err := v.Read(next, v.Bounds().HighWatermark, 1<<16, true)
		if errors.Is(err, message.ErrOffsetOutOfRange) {
			next = max(next, (*views.Load()).Bounds().LogStart)
			continue
		}
		if err != nil {
			return fmt.Errorf("reading at %d: %w", next, err)
		}
		if s.Bytes == 0 {
			time.Sleep(10 * time.Microsecond)
			continue
		}
		b := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(b, s.At); err != nil {
			if errors.Is(err, fs.ErrClosed) && next < (*views.Load()).Bounds().LogStart {
				continue // it held a slice while retention came twice
			}
			return fmt.Errorf("reading %+v: %w", s, err)
		}
		if next, err = runOf(b, s); err != nil {
			return err
		}
	}
	return nil
}

// runOf checks that bytes are the batches that the slice says.
func runOf(b []byte, s message.Slice) (next int64, err error) {
	for next = s.First; len(b) > 0; {
		batch, err := record.Check(b[:min(len(b), record.Batch(b).Size())])
		if err != nil || batch.BaseOffset() != next {
			return 0, fmt.Errorf("at offset %d of %+v: %d: %w", next, s, batch.BaseOffset(), err)
		}
		next, b = batch.NextOffset(), b[len(batch):]
	}
	if next != s.Next {
		return 0, fmt.Errorf("%+v ends at %d", s, next)
	}
	return next, nil
}

// Readers never wait for the owner and are never served anything but what is committed, while it appends, rolls, cuts
// what is not committed, and deletes.
func TestReadersBesideTheOwner(t *testing.T) {
	files := vfs.Memory(vfs.MemoryOptions{})
	l, _ := mustOpen(t, Options{FS: files, Config: small(3000)})
	var views atomic.Pointer[message.View]
	show := func(high int64) {
		v := l.View(message.Bounds{HighWatermark: high})
		views.Store(&v)
	}
	show(0)
	const final = 3000
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			if err := follow(&views, final); err != nil {
				t.Error(err)
			}
		})
	}
	r, high, leader := rand.New(rand.NewPCG(1, 2)), int64(0), int32(0)
	for high < final {
		for range 1 + r.IntN(5) {
			mustAppend(t, l, 1, leader)
		}
		if r.IntN(10) == 0 {
			if err := l.Truncate(high + r.Int64N(l.End()-high+1)); err != nil {
				t.Fatal(err)
			}
			leader++
		}
		high += r.Int64N(l.End() - high + 1)
		show(high)
		if r.IntN(50) == 0 {
			if _, err := l.DeleteOld(Retention{Age: -1, Bytes: 9000, Below: high}, epoch0); err != nil {
				t.Fatal(err)
			}
			show(high)
		}
	}
	readers.Wait()
}

// What was just committed is found in memory, exactly.
func TestTheNewestIsFoundWithoutALook(t *testing.T) {
	reads := 0
	files := vfs.Memory(vfs.MemoryOptions{Trace: func(op vfs.Op, _ string, _ int64, _ int, _ error) {
		if op == vfs.OpRead {
			reads++
		}
	}})
	l, _ := mustOpen(t, Options{FS: files})
	mustAppend(t, l, 20, 1)
	for high := int64(5); high < 20; high += 5 {
		before := reads
		v := l.View(message.Bounds{HighWatermark: high})
		s, err := v.Read(high-5, high, 1<<20, true)
		if err != nil || s.First != high-5 || s.Next != high || high > 5 && reads != before {
			t.Fatalf("%+v, %v, %d reads", s, err, reads-before)
		}
		b := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(b, s.At); err != nil {
			t.Fatal(err)
		}
		if _, err := runOf(b, s); err != nil {
			t.Fatal(err)
		}
		if s, err := v.Read(high-5, high, s.Bytes-1, true); err != nil || s.Next != high-1 {
			t.Fatalf("a byte less: %+v, %v", s, err)
		}
	}
}

// Who has a view reads what is committed while what is above it has been cut, and no newer view is shown yet.
func TestAViewOutlivesACutAboveItsMark(t *testing.T) {
	for high := int64(1); high < 12; high++ {
		l, _ := mustOpen(t, Options{FS: vfs.Memory(vfs.MemoryOptions{}), Config: Config{SegmentBytes: 1 << 20, IndexIntervalBytes: 4096}})
		mustAppend(t, l, 12, 1)
		v := l.View(message.Bounds{HighWatermark: high})
		if err := l.Truncate(high); err != nil {
			t.Fatal(err)
		}
		for from := range high {
			for _, most := range []int{0, 300, 1 << 16} {
				s, err := v.Read(from, high, most, true)
				if err != nil || s.Bytes == 0 || s.First > from || s.Next <= from || s.Next > high {
					t.Errorf("cut at %d, %d bytes from %d: %+v, %v", high, most, from, s, err)
				}
			}
		}
	}
}
