package faults

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

// TestDisksThatCannotBeUsed starts on a disk that is full and on one that is read-only: a sentence that says so and what to
// do, exit code 1, and nothing left behind.
func TestDisksThatCannotBeUsed(t *testing.T) {
	disk := smallDisk(t, 8<<20)
	used := broker.New(t, filepath.Join(disk, "used"))
	used.Start()
	used.Kill()
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	for _, data := range []string{"used", "new"} {
		refusedWith(t, filepath.Join(disk, data), "its disk ", "make room there, or use another --data")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	used.Start()
	used.Kill()
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"used", "newer"} {
		refusedWith(t, filepath.Join(disk, data), "its disk is read-only: mount it for writing, or use another --data")
	}
}

// refusedWith fails the test if a broker begins in a directory, or ends otherwise than with one sentence of these parts.
func refusedWith(t *testing.T, data string, parts ...string) {
	t.Helper()
	c := broker.Command(t, "server", "--data", data, "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0")
	out, err := c.CombinedOutput()
	text := string(out)
	if c.ProcessState.ExitCode() != 1 || strings.Count(text, "\n") != 1 {
		t.Errorf("it ended with %v and said %s", err, text)
	}
	for _, part := range append(parts, "the data directory "+data) {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
}
