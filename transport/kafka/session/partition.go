package session

import "github.com/troupe-broker/troupe/actors/message"

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

// Outcome is what was found in one partition.
type Outcome struct {
	Code        message.Code
	Bounds      message.Bounds // when Code is OK
	Slice       message.Slice
	Diverging   bool // the client's log went another way: what it shares with ours ends with this epoch and offset
	Epoch       int32
	End         int64
	Leader      message.NodeID // who leads instead, when Code says that this node does not
	LeaderEpoch int32
}

// Partition is one partition of a session.
type Partition struct {
	Key
	Want
	Out Outcome // what was found last
	// Failed, if not OK, is what the partition's actor said instead of telling that there is news; it is for one look.
	Failed message.Code

	told       told
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
	return o.Code != message.OK || o.Slice.Bytes > 0 || o.Diverging ||
		o.Bounds.HighWatermark != p.told.highWatermark || o.Bounds.LogStart != p.told.logStart
}

// Tell notes that the client is being told the outcome. After an error it knows nothing (S38).
func (p *Partition) Tell() {
	if p.told = untold; p.Out.Code == message.OK {
		p.told = told{p.Out.Bounds.HighWatermark, p.Out.Bounds.LogStart}
	}
}

// Stale says that the partition was forgotten, or its session replaced.
func (p *Partition) Stale() bool { return p.stale }

// Queued says that the partition is to be looked at.
func (p *Partition) Queued() bool { return p.queued }
