package mesh

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// Counts are what a mesh has seen since it was opened.
type Counts struct {
	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64 // of frames with their headers
	Resets              uint64 // links that were up and broke
	Refused             uint64 // frames that are not ours, and words that are unknown
}

type counts struct {
	framesIn, framesOut, bytesIn, bytesOut, resets atomic.Uint64
	refused, unreached                             complaints
}

func (c *counts) sent(bytes int) {
	c.framesOut.Add(1)
	c.bytesOut.Add(uint64(bytes))
}

// Counts are the sums of now.
func (m *Mesh) Counts() Counts {
	c := &m.counts
	return Counts{FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Resets: c.resets.Load(), Refused: c.refused.count.Load()}
}

var (
	errTooLarge = errors.New("it is larger than a frame may be")
	errSelf     = errors.New("it names this node as its sender: another node has the same id")
	errLane     = errors.New("it came on another lane than its own")
	errSender   = errors.New("it came in another node's stream")
	errPeers    = fmt.Errorf("more than %d nodes have been heard", peersMax)
)

// frame reads a frame that came on a lane, or says why it is not ours.
func (m *Mesh) frame(b []byte, on message.Lane) (link.Frame, error) {
	if len(b) > m.o.Limits.FrameBytes[on]+link.HeaderMax {
		return link.Frame{}, errTooLarge
	}
	f, err := link.DecodeFrame(b)
	switch {
	case err != nil:
		return f, err
	case f.Cluster != m.o.Cluster:
		return f, fmt.Errorf("it is of cluster %q and this is %q", f.Cluster, m.o.Cluster)
	case f.Node == m.o.Node:
		return f, errSelf
	case f.Lane != on:
		return f, errLane
	}
	return f, nil
}

// complain counts something that is dropped, and logs it once a minute.
func (m *Mesh) complain(why error, bytes int, now time.Time) {
	if m.counts.refused.due(now) {
		m.o.Log.Warn("mesh: dropped what is not ours", "why", why, "bytes", bytes, "dropped", m.counts.refused.count.Load())
	}
}
