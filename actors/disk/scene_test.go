package disk

import (
	"testing"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// scenes are what the random test has found, each with every disk that a crash may leave.
func scenes(t *testing.T, scene func(w *world, r *replica)) {
	for seed := range uint64(60) {
		w := newWorld(t, seed)
		scene(w, w.replicas[0])
		if seed%2 == 0 {
			w.crash(w.files.Keep())
			w.append(w.replicas[0], 10, true)
			w.calm()
		}
		w.crash(w.files.Crash(w.chance))
	}
}

func (w *world) failSync(path string) { w.files.Inject(vfs.Fault{Op: vfs.OpSync, Path: path}) }

// A cut whose journal entry fails is not made, and neither is what it would have taken believed to be gone.
func TestACutThatTheJournalDoesNotTakeIsNotMade(t *testing.T) {
	scenes(t, func(w *world, r *replica) {
		w.append(r, 100, true)
		w.append(r, 100, true)
		w.calm()
		w.failSync("journal/*")
		w.truncate(r, 2)
		w.steps(4)
	})
}

// A crash between a cut and the word that it is durable leaves no gap below what is in the journal.
func TestACutIsDurableBeforeItIsMade(t *testing.T) {
	scenes(t, func(w *world, r *replica) {
		w.prefer(true)
		for range 3 {
			w.append(r, 100, true)
			w.calm()
		}
		w.truncate(r, 2)
		w.steps(3)
	})
}

// A log start that was only in the page cache when the process was killed is acknowledged by nobody before it is
// written again.
func TestAStartThatWasOnlyFoundIsWrittenAgain(t *testing.T) {
	scenes(t, func(w *world, r *replica) {
		w.append(r, 0, true)
		w.calm()
		w.failSync("journal/*")
		w.moveStart(r)
		for w.bench.actor.(*Disk).stats.JournalErrors == 0 { // before another round makes the failed one void
			w.bench.step(false)
		}
		w.crash(w.files.Keep())
	})
}

// A log start that became durable beside a failed sync is kept at the next checkpoint.
func TestAStartBesideAFailedSyncIsKept(t *testing.T) {
	scenes(t, func(w *world, r *replica) {
		w.prefer(true)
		w.append(r, 0, true)
		w.steps(2)
		w.append(r, 40_000, true) // more than the journal takes
		w.moveStart(r)
		w.failSync("log*")
		w.calm()
		w.bench.settle(true)
		w.read()
	})
}

// A replica that started again before the sync of its last life failed is told so, too.
func TestAFailureIsToldToTheInstanceThatFollows(t *testing.T) {
	scenes(t, func(w *world, r *replica) {
		w.append(r, 0, true)
		w.failSync("journal/*")
		w.failSync("log*")
		w.restart(r)
		if len(r.sent) > 0 {
			t.Fatalf("%d commits were never answered", len(r.sent))
		}
	})
}
