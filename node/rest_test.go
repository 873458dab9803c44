package node

import (
	"runtime"
	"runtime/debug"
	"testing"
)

var kept []byte

// What a busy time has left is given back once, when it is over.
func TestMemoryIsGivenBackOnceAtRest(t *testing.T) {
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
	if h.atRest() {
		t.Error("it was given back before")
	}
	kept = make([]byte, 8*worthBytes)
	if h.atRest() {
		t.Error("it is busy again")
	}
	kept = nil
}
