package node

import (
	"runtime"
	"runtime/debug"
	"testing"
)

var kept []byte

// What a busy time has left is given back when it is over, and what gathers slowly once it is worth it.
func TestMemoryIsGivenBackAtRest(t *testing.T) {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // none in the midst of it, which would find in use what is about to be left
	var h heap
	kept = make([]byte, 8*worthBytes)
	if h.atRest() {
		t.Error("it was busy until now")
	}
	kept = nil
	if !h.atRest() {
		t.Error("the busy time is over, and it has left something")
	}
	debug.FreeOSMemory()
	for i := range 2 {
		if h.atRest() {
			t.Errorf("look %d: it was given back before", i)
		}
		kept = make([]byte, worthBytes*3/4)
	}
	if kept = nil; !h.atRest() {
		t.Error("more has gathered, slowly, than it is worth to keep")
	}
	kept = make([]byte, 8*worthBytes)
	if h.atRest() {
		t.Error("it is busy again")
	}
	kept = nil
}
