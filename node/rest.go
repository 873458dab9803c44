package node

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	restEvery  = 10 * time.Second
	calmBytes  = 4 << 20 // a node that allocates less in that time is at rest
	worthBytes = 2 << 20 // less is not worth a collection
)

// giveBack returns to the system what a busy time has left behind, or many calm ones, while the node is at rest: the runtime keeps what the
// next busy time would take and lets garbage double the heap, and an idle broker should be small. It ends with the node.
func (n *Node) giveBack() {
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	var h heap
	for {
		select {
		case <-n.closed:
			return
		case <-ticker.C:
			if h.atRest() {
				debug.FreeOSMemory()
			}
		}
	}
}

// heap is what was seen of the process's memory last.
type heap struct{ allocated uint64 }

// atRest says that the busy time is over and that there is something to give back.
func (h *heap) atRest() bool {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	allocated, live, held := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()+s[3].Value.Uint64()
	calm := allocated-h.allocated < calmBytes
	h.allocated = allocated
	return calm && held > live+worthBytes
}
