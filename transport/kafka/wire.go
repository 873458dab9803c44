package kafka

import (
	"github.com/troupe-broker/troupe/actors/message"
)

// Frame is one request as it was cut from the wire: the socket's word to its connection actor.
type Frame struct {
	// Bytes are the request behind its length: header and body. They are the connection's until it calls Done.
	Bytes []byte
	// Done, if not nil, is called once, when the request is answered or given up, or needs its bytes no more: before its answer is
	// handed to the wire.
	// reusable says that nobody holds Bytes any more; otherwise they are the garbage collector's.
	Done func(reusable bool)
}

// Closed tells a connection actor that its wire has ended, by either side. Nothing arrives behind it.
type Closed struct {
	Err error // why; nil: the client closed it between two requests
}

// Wire is how a connection actor reaches its client. The real one is a socket, the simulator's a model. Its methods are
// called from the actor, must not block, and must not call back into it.
type Wire interface {
	// Answer writes an answer behind those before it. The wire calls a.Finish once, when it needs the answer no more:
	// its bytes are used again then. Every call is one request's answer; requests without one make no call.
	Answer(a *Answer)
	// Close ends the connection once everything that was answered is written. The actor is told with *Closed.
	Close()
	// Local is the address that the client used.
	Local() (host string, port int32)
	// Remote is the client's address, for logs.
	Remote() string
}

// Answer is one response on its way to the client, length included: Bytes with ranges of log files between them.
type Answer struct {
	Bytes []byte
	Cuts  []Cut
}

// Cut says that a slice of a log belongs before Bytes[At]. Cuts are in ascending order.
type Cut struct {
	At    int
	Slice message.Slice
}

// Size is how many bytes go over the wire.
func (a *Answer) Size() int {
	n := len(a.Bytes)
	for i := range a.Cuts {
		n += a.Cuts[i].Slice.Bytes
	}
	return n
}

// Finish gives the answer's memory back.
func (a *Answer) Finish() { recycle(a) }
