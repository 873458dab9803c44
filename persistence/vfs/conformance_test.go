package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
)

// every runs a test on each file system, empty.
func every(t *testing.T, test func(t *testing.T, disk FS)) {
	t.Run("os", func(t *testing.T) { test(t, system(t)) })
	t.Run("memory", func(t *testing.T) { test(t, Memory(MemoryOptions{})) })
	t.Run("cached os", func(t *testing.T) { test(t, Cached(system(t), 1)) })
	t.Run("cached memory", func(t *testing.T) { test(t, Cached(Memory(MemoryOptions{}), 1)) })
}

func system(t *testing.T) FS {
	t.Helper()
	disk, err := OS(t.TempDir())
	must(t, err)
	return disk
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, disk FS, path, text string) File {
	t.Helper()
	f, err := disk.Create(path)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	return f
}

func wants(t *testing.T, f File, text string) {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size+1)
	n, err := f.ReadAt(b, 0)
	if err != io.EOF || string(b[:n]) != text {
		t.Fatalf("%s holds %q (%v), want %q", f.Path(), b[:n], err, text)
	}
}

func holds(t *testing.T, disk FS, path, text string) {
	t.Helper()
	f, err := disk.Open(path)
	must(t, err)
	defer f.Close()
	wants(t, f, text)
}

func TestWritesAreRead(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		f := create(t, disk, "a", "hello")
		defer f.Close()
		_, err := f.WriteAt([]byte("world"), 7)
		must(t, err)
		wants(t, f, "hello\x00\x00world")
		must(t, f.Truncate(3))
		must(t, f.Truncate(6))
		wants(t, f, "hel\x00\x00\x00")
		must(t, f.Sync())
		if n, err := f.ReadAt(make([]byte, 4), 4); n != 2 || err != io.EOF {
			t.Fatalf("read over the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(make([]byte, 4), 99); n != 0 || err != io.EOF {
			t.Fatalf("read behind the end: %d, %v", n, err)
		}
		if f.Path() != "a" {
			t.Fatalf("path %q", f.Path())
		}
		create(t, disk, "a", "").Close()
		wants(t, f, "")
	})
}

func TestPiecesAreWrittenInOrder(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		f := create(t, disk, "a", "")
		defer f.Close()
		var pieces [][]byte
		var all []byte
		for i := range 3000 { // more than IOV_MAX
			p := bytes.Repeat([]byte{byte(i)}, i%7)
			pieces, all = append(pieces, p), append(all, p...)
		}
		n, err := f.WriteVec(pieces, 2)
		if n != len(all) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(all), err)
		}
		wants(t, f, "\x00\x00"+string(all))
		if n, err := f.WriteVec(make([][]byte, 2000), 0); n != 0 || err != nil {
			t.Fatalf("wrote %d of nothing: %v", n, err)
		}
	})
}

func TestTreesAreListedAndRemoved(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		must(t, disk.MkdirAll("x/y/z"))
		must(t, disk.MkdirAll("x/y"))
		for _, name := range []string{"x/c", "x/a", "x/b", "top"} {
			create(t, disk, name, name).Close()
		}
		names, err := disk.List("x")
		if must(t, err); !slices.Equal(names, []string{"a", "b", "c", "y"}) {
			t.Fatalf("x has %q", names)
		}
		names, err = disk.List(".")
		if must(t, err); !slices.Equal(names, []string{"top", "x"}) {
			t.Fatalf("the root has %q", names)
		}
		must(t, disk.SyncDir("x"))
		must(t, disk.SyncDir("."))
		info, err := disk.Stat("x/c")
		if must(t, err); info.Size() != 3 || info.IsDir() || info.Name() != "c" {
			t.Fatalf("stat: %d %v %s", info.Size(), info.IsDir(), info.Name())
		}
		if disk.Remove("x") == nil {
			t.Fatal("a directory with entries was removed")
		}
		must(t, disk.Remove("x/y/z"))
		must(t, disk.RemoveAll("x"))
		must(t, disk.RemoveAll("x"))
		if _, err := disk.Stat("x"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("stat after removal: %v", err)
		}
	})
}

func TestRenameReplaces(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		must(t, disk.MkdirAll("d"))
		create(t, disk, "old", "1").Close()
		create(t, disk, "d/new", "2").Close()
		must(t, disk.Rename("old", "d/new"))
		holds(t, disk, "d/new", "1")
		if _, err := disk.Open("old"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the old name still opens: %v", err)
		}
		must(t, disk.Rename("d", "e"))
		holds(t, disk, "e/new", "1")
		if err := disk.Rename("nowhere", "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("renamed nothing: %v", err)
		}
	})
}

func TestErrorsNameThePath(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		must(t, disk.MkdirAll("d"))
		_, open := disk.Open("missing")
		_, create := disk.Create("nowhere/a")
		_, list := disk.List("missing")
		for _, err := range []error{open, create, list, disk.Remove("missing"), disk.SyncDir("missing")} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is not fs.ErrNotExist", err)
			}
		}
		_, outside := disk.Open("../a")
		_, absolute := disk.Create("/a")
		for _, err := range []error{outside, absolute, disk.MkdirAll("a//b"), disk.RemoveAll("."), open} {
			var path *fs.PathError
			if err == nil || !errors.As(err, &path) {
				t.Errorf("%v is no *fs.PathError", err)
			}
		}
	})
}

func TestLocksExclude(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		lock, err := disk.Lock("lock")
		must(t, err)
		if _, err := disk.Lock("lock"); !errors.Is(err, ErrLocked) {
			t.Fatalf("a second lock: %v", err)
		}
		must(t, lock.Close())
		lock, err = disk.Lock("lock")
		must(t, err)
		must(t, lock.Close())
	})
}

func TestClosedFilesRefuse(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		f := create(t, disk, "a", "x")
		must(t, f.Close())
		if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a closed file was read")
		}
		if _, err := f.WriteVec([][]byte{{1}}, 0); err == nil {
			t.Error("a closed file was written")
		}
		if f.Close() == nil {
			t.Error("a closed file was closed")
		}
	})
}

func TestUsageIsPlausible(t *testing.T) {
	every(t, func(t *testing.T, disk FS) {
		total, free, err := disk.Usage()
		if err != nil || total <= 0 || free < 0 || free > total {
			t.Fatalf("%d of %d free: %v", free, total, err)
		}
	})
}
