package log

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// What is cool and synced leaves the system's memory, the newest bytes stay, and all of it can still be read.
func TestWhatIsCoolLeavesMemory(t *testing.T) {
	root := t.TempDir()
	var kind unix.Statfs_t
	if err := unix.Statfs(root, &kind); err != nil || kind.Type == unix.TMPFS_MAGIC {
		t.Skipf("the file system of %s lives in memory (%v): set TMPDIR to a directory on a disk", root, err)
	}
	files, err := vfs.OS(root)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := mustOpen(t, Options{FS: vfs.Cached(files, 10)})
	defer l.Close()
	const size, keep = 1 << 20, 2 << 20
	for range 6 {
		if err := l.Append(batchOf(t, l.End(), 0, record.None, size, epoch0.UnixMilli()), epoch0); err != nil {
			t.Fatal(err)
		}
	}
	l.Cool(keep)
	name := filepath.Join(root, dir, segmentName(0))
	if got := residentBytes(t, name); got < l.size {
		t.Skipf("the system has dropped what was just written: %d of %d bytes are there", got, l.size)
	}
	mustSync(t, l.Dirty())
	if got := residentBytes(t, name); got < keep || got > keep+size {
		t.Errorf("%d bytes are in memory, of which %d should have stayed", got, keep)
	}
	if got := contents(t, l); len(got) != 6 {
		t.Errorf("%d batches of 6 can be read", len(got))
	}
}

// residentBytes is how much of a file is in the page cache.
func residentBytes(t *testing.T, name string) (n int64) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	page := os.Getpagesize()
	pages := make([]byte, (len(b)+page-1)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, in := range pages {
		n += int64(in&1) * int64(page)
	}
	return n
}
