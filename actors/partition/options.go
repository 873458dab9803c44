package partition

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Options say which replica an actor is.
type Options struct {
	ID         message.PartitionID
	Disk       message.Address     // of the data directory that holds it; zero: the node's own
	Leadership *message.Leadership // what the broker knows at the start
	Spans      message.Spans       // of traced appends; nil: nobody traces
}

// New is how a stage makes the replica, and makes it again when it failed. What the broker said last about its leadership
// outlives a failure in post, which belongs to one instance after the other: nobody has to ask again, and no instance
// starts in an epoch that is over.
func New(o Options) func() stage.Actor {
	post := &post{Options: o}
	return func() stage.Actor { return &Partition{post: post} }
}

// post is what a replica's instances hand on.
type post struct {
	Options
	instances uint64 // how many there were
	suspect   bool   // a sync failed, and none of this log has succeeded since
}

// dir is where a partition's files are, in its data directory.
func dir(id message.PartitionID) string { return fmt.Sprintf("topics/%s/%d", id.Topic, id.Index) }
