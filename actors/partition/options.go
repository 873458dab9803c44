package partition

import (
	"cmp"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/partition/producers"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
)

// Options say which replica an actor is.
type Options struct {
	ID         message.PartitionID
	Disk       message.Address     // of the data directory that holds it; zero: the node's own
	Leadership *message.Leadership // what the broker knows at the start
	Spans      message.Spans       // of traced appends; nil: nobody traces
	LagMax     time.Duration       // that a follower in sync may have: replica.lag.time.max.ms; zero: 30 s
	PullBytes  int32               // that a follower asks for at a time: replica.fetch.max.bytes; zero: 1 MiB
	Resident   int64               // newest bytes that a follower leaves in the system's memory: replica.resident.bytes; negative: all
	PauseMax   time.Duration       // between two pulls from a leader that does not answer: replica.fetch.backoff.ms; zero: 1 s
}

func (o Options) withDefaults() Options {
	o.LagMax = cmp.Or(o.LagMax, 30*time.Second)
	o.PullBytes = cmp.Or(o.PullBytes, 1<<20)
	o.PauseMax = cmp.Or(o.PauseMax, time.Second)
	return o
}

// New is how a stage makes the replica, and makes it again when it failed. What the broker said last about its leadership
// outlives a failure in post, which belongs to one instance after the other: nobody has to ask again, and no instance
// starts in an epoch that is over.
func New(o Options) func() stage.Actor {
	post := &post{Options: o.withDefaults()}
	return func() stage.Actor { return &Partition{post: post} }
}

// post is what a replica's instances hand on.
type post struct {
	Options
	instances uint64            // how many there were
	suspect   bool              // a sync failed, and none of this log has succeeded since
	wished    *message.NewISR   // what was proposed last
	refused   producers.Refused // who has to write first what was refused
	resigned  time.Time         // when the disk had no room and another was to lead
	pass      *log.Cleaning     // a compaction that may still be at the files; nil: none
}

// dir is where a partition's files are, in its data directory.
func dir(id message.PartitionID) string { return fmt.Sprintf("topics/%s/%d", id.Topic, id.Index) }
