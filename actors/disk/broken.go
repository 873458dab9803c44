package disk

import (
	"errors"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// broken stands where a disk actor has failed, until the process starts again. What was dirty is forgotten and a write
// may still be under way, so that a second one could neither promise anything nor open the journal. It tells everybody who
// waits that nothing was synced, and refuses the rest: partitions stay down with KAFKA_STORAGE_ERROR, what was published
// can still be read, and a clean shutdown ends with an error. The next process recovers as after a crash.
type broken struct{ before *Disk }

var errBroken = errors.New("the disk actor has failed; start the node again, which recovers everything that was acknowledged")

// Receive is the table of contents.
func (b *broken) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
		b.start(c)
	case *message.Commit:
		c.Send(home(c, m.Partition), &message.Unsynced{Incarnation: m.Incarnation, Err: errBroken})
	case *message.Recover:
		c.Answer(c.Caller(), &message.Recovered{Err: errBroken})
	case *message.AwaitFailure:
		c.Answer(c.Caller(), &message.DiskFailed{Err: errBroken})
	case *message.Flushed:
		c.Answer(c.Caller(), &message.FlushDone{Err: errBroken})
	}
}

// start tells those whose commits the failed actor had, once each.
func (b *broken) start(c stage.Context) {
	d := b.before
	c.Log().Error("nothing more is made durable", "error", errBroken)
	type life struct {
		partition   message.PartitionID
		incarnation uint64
	}
	told := map[life]bool{}
	for _, commits := range [][]*message.Commit{d.gathering, d.held, d.spare, d.round.commits} {
		for _, m := range commits {
			if m != nil && !told[life{m.Partition, m.Incarnation}] {
				told[life{m.Partition, m.Incarnation}] = true
				c.Send(home(c, m.Partition), &message.Unsynced{Incarnation: m.Incarnation, Err: errBroken})
			}
		}
	}
	s := d.stats.Stats
	s.Broken = true
	c.Publish(&s)
	d.gathering, d.held, d.spare, d.round.commits = nil, nil, nil, nil
}
