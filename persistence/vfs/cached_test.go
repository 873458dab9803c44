package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestDescriptorsAreBounded(t *testing.T) {
	memory := Memory(MemoryOptions{})
	disk := Cached(memory, 3)
	var files []File
	for i := range 20 {
		files = append(files, create(t, disk, fmt.Sprint(i), fmt.Sprint("file ", i)))
	}
	for range 2 {
		for i, f := range files {
			wants(t, f, fmt.Sprint("file ", i))
			must(t, f.Sync())
		}
	}
	if open, peak := memory.Descriptors(); open > 3 || peak > 4 {
		t.Fatalf("%d descriptors are open, at most %d were", open, peak)
	}
	for _, f := range files {
		must(t, f.Close())
	}
	if open, _ := memory.Descriptors(); open != 0 {
		t.Fatalf("%d descriptors are left open", open)
	}
	if n := len(disk.(*cachedFS).named); n != 0 {
		t.Fatalf("%d names are left", n)
	}
}

func TestAnEvictedFileIsSynced(t *testing.T) {
	memory := Memory(MemoryOptions{})
	disk := Cached(memory, 1)
	a := create(t, disk, "a", "text")
	create(t, disk, "b", "") // takes a's descriptor
	must(t, disk.SyncDir("."))
	must(t, a.Sync())
	holds(t, memory.Crash(rand.New(rand.NewPCG(1, 1))), "a", "text")
}

func TestCleanFilesGoFirst(t *testing.T) {
	var closed []string
	memory := Memory(MemoryOptions{Trace: func(op Op, path string, _ int64, _ int, _ error) {
		if op == OpClose {
			closed = append(closed, path)
		}
	}})
	disk := Cached(memory, 2)
	create(t, disk, "dirty", "x")
	must(t, create(t, disk, "clean", "x").Sync())
	create(t, disk, "c", "")
	if fmt.Sprint(closed) != "[clean]" {
		t.Fatalf("closed %v", closed)
	}
}

func TestARemovedNameIsNotOpenedAgain(t *testing.T) {
	for what, remove := range map[string]func(disk FS) error{
		"Remove":    func(disk FS) error { return disk.Remove("d/a") },
		"RemoveAll": func(disk FS) error { return errors.Join(disk.RemoveAll("d"), disk.MkdirAll("d")) },
		"Rename":    func(disk FS) error { return disk.Rename("other", "d/a") },
	} {
		t.Run(what, func(t *testing.T) {
			disk := Cached(Memory(MemoryOptions{}), 2)
			must(t, disk.MkdirAll("d"))
			f := create(t, disk, "d/a", "old")
			create(t, disk, "other", "renamed")
			wants(t, f, "old")
			must(t, remove(disk))
			wants(t, f, "old") // it has its descriptor
			create(t, disk, "d/a", "new")
			create(t, disk, "e", "")
			if _, err := f.ReadAt(make([]byte, 3), 0); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("a file that is gone: %v", err)
			}
			holds(t, disk, "d/a", "new")
			must(t, f.Close())
			holds(t, disk, "d/a", "new")
		})
	}
}

func TestARenamedFileIsFollowed(t *testing.T) {
	disk := Cached(Memory(MemoryOptions{}), 1)
	must(t, disk.MkdirAll("d"))
	f := create(t, disk, "d/a", "text")
	must(t, disk.Rename("d", "e"))
	create(t, disk, "other", "")
	wants(t, f, "text")
	if f.Path() != "e/a" {
		t.Fatalf("path %q", f.Path())
	}
}

func TestOnlySendersSend(t *testing.T) {
	if _, ok := create(t, Cached(Memory(MemoryOptions{}), 1), "a", "").(Sender); ok {
		t.Error("memory has no descriptor to send from")
	}
	disk := Cached(system(t), 1)
	f := create(t, disk, "a", "")
	create(t, disk, "b", "")
	sender, ok := f.(Sender)
	if !ok {
		t.Fatal("a file of the system can be sent from")
	}
	called := false
	must(t, sender.Fd(func(fd uintptr) error {
		called = fd > 0
		return nil
	}))
	if !called {
		t.Error("no descriptor")
	}
}

func TestManyUseFewDescriptors(t *testing.T) {
	disk := Cached(system(t), 4)
	var files []File
	for i := range 16 {
		files = append(files, create(t, disk, fmt.Sprint(i), fmt.Sprintf("%08d", i)))
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			b := make([]byte, 8)
			for i := range 200 {
				n := (i*7 + g) % len(files)
				if _, err := files[n].ReadAt(b, 0); err != nil || string(b) != fmt.Sprintf("%08d", n) {
					t.Errorf("file %d: %q, %v", n, b, err)
				}
				if i%50 == 0 {
					if err := disk.Rename(fmt.Sprint(g), fmt.Sprint(g)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for _, f := range files {
		must(t, f.Close())
	}
}
