package stage

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Options are what a stage is built with. Zero values mean the defaults.
type Options struct {
	// Node is this node's number; it is in the address of every actor of the stage.
	Node message.NodeID
	// Post takes letters to other nodes; nil: there are none. A message to another node is then dropped, and a request to it
	// answered with Down at once.
	Post Post
	// FS are the files of the node's data directory.
	FS vfs.FS
	// Log gets failures and unhandled messages; nil discards.
	Log *slog.Logger
	// Seed is what the actors' random streams are made from.
	Seed uint64
	// Workers are the goroutines that actors run on; the default is 2 for each processor and at least 4, since actors write
	// to the page cache, which can stall. Real stage only.
	Workers int
	// Offloads is how many offloaded pieces of work run at once; 32 by default.
	Offloads int
	// FailuresMax is how often an actor may fail within FailureWindow before it stays down: 5 in 60 s by default.
	FailuresMax   int
	FailureWindow time.Duration
	// RestartDelay is how long a restart waits that is the second within FailureWindow; each one behind it waits four times
	// as long as the one before. The first does not wait. 20 ms by default.
	RestartDelay time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if o.Offloads <= 0 {
		o.Offloads = 32
	}
	if o.FailuresMax <= 0 {
		o.FailuresMax = 5
	}
	if o.FailureWindow <= 0 {
		o.FailureWindow = time.Minute
	}
	if o.RestartDelay <= 0 {
		o.RestartDelay = 20 * time.Millisecond
	}
	return o
}
