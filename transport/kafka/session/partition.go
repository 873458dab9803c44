package session

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// Key is a partition as a request names it: by name up to version 12 of Fetch, by id from version 13 on.
type Key struct {
	Name  string
	ID    message.TopicID
	Index int32
}

// Want is what a client asks for of one partition.
type Want struct {
	Offset           int64
	MaxBytes         int32
	LeaderEpoch      int32 // what the client believes; -1: it does not say
	LastFetchedEpoch int32 // of the record before Offset; -1: it does not say
}

// Place is what the metadata says of a partition, as of one image.
type Place struct {
	Image       *image.Image
	Code        message.Code // not OK: there is no such partition
	ID          message.PartitionID
	Leader      message.NodeID
	LeaderEpoch int32
	Follower    bool // this node leads it not, but keeps a copy, and takes part in the cluster
}

// Outcome is what was found in one partition.
type Outcome struct {
	Code      message.Code
	Bounds    message.Bounds // when Code is OK
	Slice     message.Slice
	Aborted   []message.Aborted // of which the slice has batches, for who reads only what is committed
	Opening   bool              // it has no view yet
	Behind    bool              // there is data, but no room for it
	Diverging bool              // the client's log went another way: what it shares with ours ends with this epoch, at this offset
	Epoch     int32
	End       int64
	Elsewhere bool // the client is to read from Closer instead (KIP-392)
	Closer    message.NodeID
}

// Partition is one partition of a session. What is exported its reader keeps here.
type Partition struct {
	Key
	Want
	Place  Place
	Out    Outcome      // what was found last
	Failed message.Code // what the partition's actor said last instead of having news; for one look
	Look   uint64       // the fetch that found Out
	Idle   int          // looks in a row that found nothing

	told       told
	full       int
	queued     bool
	stale      bool // no longer of its session
	prev, next *Partition
}

// told is what a client knows of one partition; -1 for unknown, and after an error.
type told struct{ highWatermark, logStart int64 }

var untold = told{-1, -1}

// News says whether an incremental answer has to name the partition (S38).
func (p *Partition) News() bool {
	o := &p.Out
	if o.Opening {
		return false
	}
	return o.Code != message.OK || o.Slice.Bytes > 0 || o.Diverging || o.Elsewhere ||
		o.Bounds.HighWatermark != p.told.highWatermark || o.Bounds.LogStart != p.told.logStart
}

// Tell notes that the client is being told what was found. After an error it knows nothing (S38).
func (p *Partition) Tell() {
	if p.told = untold; p.Out.Code == message.OK && !p.Out.Diverging && !p.Out.Opening {
		p.told = told{p.Out.Bounds.HighWatermark, p.Out.Bounds.LogStart}
	}
}

// Stale says that the partition is no longer of its session.
func (p *Partition) Stale() bool { return p.stale }
