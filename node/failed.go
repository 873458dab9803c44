package node

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

const diskFailed = "the disk actor has failed and nothing more is made durable: the node stops, and its next start recovers everything that was acknowledged"

// Failed is closed when the node can acknowledge nothing any more, which the log and /readyz have been told: it is to be
// closed, and the process started again.
func (n *Node) Failed() <-chan struct{} { return n.failed }

func (n *Node) hasFailed() bool {
	select {
	case <-n.failed:
		return true
	default:
		return false
	}
}

// watchDisk waits, an hour at a time, for the end of the disk actor. Unlike others it is not as good as new when it starts
// again: a write may still be under way.
func (n *Node) watchDisk() {
	n.stage.Ask(message.DiskAt(n.config.ID), &message.AwaitFailure{}, time.Hour, func(answer any) {
		if _, well := answer.(*stage.TimedOut); well {
			n.watchDisk()
			return
		}
		n.fail()
	})
}

// fail tells everybody, unless it is the close that ends the actor.
func (n *Node) fail() {
	if n.closing.Load() {
		return
	}
	n.log.Error(diskFailed)
	if n.http != nil {
		n.http.Unready(diskFailed)
	}
	close(n.failed)
}
