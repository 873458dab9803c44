package log

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// scene runs a script against one log and tells every operation on the disk.
type scene struct {
	t    *testing.T
	fs   *vfs.MemoryFS
	log  *Log
	told strings.Builder
}

func (s *scene) tell(op vfs.Op, path string, at int64, n int, err error) {
	fmt.Fprintf(&s.told, "%s %s", op, strings.TrimPrefix(path, dir+"/"))
	if op == vfs.OpRead || op == vfs.OpWrite || op == vfs.OpTruncate {
		fmt.Fprintf(&s.told, " at %d, %d bytes", at, n)
	}
	if err != nil {
		s.told.WriteString(": failed")
	}
	s.told.WriteByte('\n')
}

func (s *scene) run(d *datadriven.TestData) string {
	s.told.Reset()
	n := int64(0)
	if d.HasArg("n") {
		d.ScanArgs(s.t, "n", &n)
	}
	var err error
	switch d.Cmd {
	case "open":
		s.log, _ = mustOpen(s.t, Options{FS: s.fs, Config: small(600), RecoveryPoint: n})
	case "append":
		mustAppend(s.t, s.log, int(n), 1)
	case "sync":
		mustSync(s.t, s.log.Dirty())
	case "truncate":
		err = s.log.Truncate(n)
	case "truncate-all":
		err = s.log.TruncateAll(n)
	case "delete-below":
		s.log.SetStart(n)
		_, err = s.log.DeleteOld(Retention{Age: -1, Bytes: -1, Below: n}, epoch0.Add(time.Hour))
	case "read":
		var slice message.Slice
		slice, err = s.log.View(message.Bounds{}).Read(n, math.MaxInt64, 1<<20, true)
		fmt.Fprintf(&s.told, "offsets %d to %d, %d bytes at %d\n", slice.First, slice.Next, slice.Bytes, slice.At)
	case "close":
		err = s.log.Close()
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	if err != nil {
		fmt.Fprintf(&s.told, "error: %v\n", err)
	}
	return s.told.String()
}

// The exact operations on the disk, scene by scene.
func TestGoldenIO(t *testing.T) {
	datadriven.Walk(t, "testdata/io", func(t *testing.T, path string) {
		s := &scene{t: t}
		s.fs = vfs.Memory(vfs.MemoryOptions{Trace: s.tell})
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string { return s.run(d) })
	})
}
