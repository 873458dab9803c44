package partition

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// commit asks the disk to make everything durable that was appended and not yet committed. With the batch the disk may
// use its journal, without it the files have to be synced.
func (p *Partition) commit(c stage.Context, batch []byte, trace message.Trace) {
	p.sendCommit(c, &message.Commit{Base: p.sent, Batch: batch, Files: p.log.Dirty(), Trace: trace})
}

// sendCommit fills in what every commit says of the log.
func (p *Partition) sendCommit(c stage.Context, m *message.Commit) {
	m.Partition, m.Incarnation, m.LeaderEpoch = p.post.ID, p.incarnation, p.replica.Office().LeaderEpoch
	if !m.Truncate { // which tells where it will end
		m.End = p.log.End()
	}
	p.sent, p.unflushed = m.End, 0
	p.commits++
	if p.flushing {
		p.flushTimer.Stop()
		p.flushing = false
	}
	c.Send(p.post.Disk, m)
}

// synced is the disk's word that the log is durable up to an end.
func (p *Partition) synced(c stage.Context, m *message.Synced) {
	if m.Incarnation != p.incarnation {
		return
	}
	p.answered += uint64(m.Commits)
	p.release()
	p.post.suspect = false // the first commit after a failure has all files synced
	out := p.replica.Synced(m.End)
	switch {
	case p.phase == open:
		p.carryOut(c, out)
		p.acknowledge(c)
	case p.phase == cutting:
		p.cutOnceSynced(c)
	case p.phase == leaving && (p.log != nil || p.void):
		p.departOnceSynced(c)
	}
}

// unsynced is a failed sync. What the page cache shows above the last Synced may be on disk or not, and asking again
// would not tell: this instance ends, and the next one writes it again before it has it synced. It cuts nothing: the journal
// may have some of it, and would bring it back in the place of what was acknowledged since. A producer that hears of the failure
// and repeats itself is told of a duplicate. The disk looks at no bytes of it any more.
func (p *Partition) unsynced(c stage.Context, m *message.Unsynced) {
	switch {
	case m.Incarnation != p.incarnation:
	case p.phase != leaving:
		p.post.suspect = true
		p.answerParked(c, message.KafkaStorageError)
		p.fail(c, fmt.Errorf("sync: %w", m.Err))
	case p.void && vfs.NoRoom(m.Err):
		p.departLater(c, m.Err)
	case p.void:
		c.Log().Error("the files of a replica that went elsewhere stay: the journal could not be told", "err", m.Err)
		p.abandon(c)
	case p.log != nil:
		p.answerParked(c, message.UnknownTopicOrPartition)
		p.depart(c)
	}
}

// uncommitted says why an append that is in the log is not acknowledged.
var uncommitted = map[message.Code]string{
	message.NotEnoughReplicasAfterAppend: "the in-sync set shrank below min.insync.replicas after the append",
	message.NotLeaderOrFollower:          "another node leads now, and the append may not be committed",
	message.UnknownTopicOrPartition:      "the topic was deleted",
	message.KafkaStorageError:            "the append could not be synced to disk",
}

// free answers the appends that are durable enough now. Those of a leader that is one no more wait until nobody reads
// their bytes.
func (p *Partition) free(c stage.Context, out replica.Out) {
	p.answerUpTo(c, &p.acksLocal, out.Durable, message.OK)
	p.answerDeletions(c, p.answered, message.OK)
	switch {
	case !p.replica.Leads() && planted.Is(planted.DeposedAcks):
		p.answerUpTo(c, &p.acksAll, out.Durable, message.OK)
	case !p.replica.Leads():
		p.answerUpTo(c, &p.acksAll, out.Durable, message.NotLeaderOrFollower)
	case !p.replica.Enough():
		p.answerUpTo(c, &p.acksAll, out.HighWatermark, message.NotEnoughReplicasAfterAppend)
	default:
		p.answerUpTo(c, &p.acksAll, out.HighWatermark, message.OK)
	}
}

func (p *Partition) answerUpTo(c stage.Context, q *queue, end int64, code message.Code) {
	for a, ok := q.pop(end); ok; a, ok = q.pop(end) {
		if a.marks {
			c.Answer(a.from, marked(a.base, code))
			continue
		}
		if code != message.OK {
			c.Answer(a.from, p.no(code, uncommitted[code]))
			continue
		}
		office := p.replica.Office()
		c.Answer(a.from, &message.Appended{BaseOffset: a.base, LogAppendTime: a.stamp, LogStart: p.log.Start(),
			Leader: office.Leader, LeaderEpoch: office.LeaderEpoch})
	}
}

func marked(base int64, code message.Code) *message.Marked {
	if code != message.OK {
		return unmarked(code, uncommitted[code])
	}
	return &message.Marked{Offset: base}
}

// settleSoon counts the append together with those that are in the mailbox already: one view for all of them.
func (p *Partition) settleSoon(c stage.Context) {
	if !p.settling {
		p.settling = true
		c.Send(c.Self(), &settle{})
	}
}

func (p *Partition) settle(c stage.Context) {
	p.settling = false
	if p.phase == open {
		p.carryOut(c, p.replica.Now())
	}
}

// flushSoon honours flush.messages and flush.ms, and syncs a segment that is full: what else the page cache holds is the
// operating system's affair under durability=replicated, as it is Kafka's.
func (p *Partition) flushSoon(c stage.Context, t *setting.Topic, bytes int64) {
	p.unflushed += bytes
	if p.log.End()-p.sent >= t.FlushMessages || p.unflushed >= t.SegmentBytes {
		p.commit(c, nil, message.Trace{})
		return
	}
	if !p.flushing && t.FlushMillis < int64(flushNever/time.Millisecond) {
		p.flushing = true
		p.flushTimer = c.After(time.Duration(t.FlushMillis)*time.Millisecond, &flush{})
	}
}

// flushNever is beyond what a timer is asked for.
const flushNever = 365 * 24 * time.Hour

func (p *Partition) flush(c stage.Context) {
	p.flushing = false
	if p.phase == open && p.sent < p.log.End() {
		p.commit(c, nil, message.Trace{})
	}
}
