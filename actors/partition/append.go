package partition

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/partition/producers"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// append admits a batch, or lets it wait until it is known to be part of a transaction.
func (p *Partition) append(c stage.Context, from stage.Caller, m *message.Append) {
	if !p.mustWait(c, from, m, m.Batch) {
		p.admit(c, from, m)
	}
}

// turnAway refuses an append, and those of its producer that follow it.
func (p *Partition) turnAway(c stage.Context, from stage.Caller, b record.Batch, no *message.Appended) {
	p.post.refused.Note(b, no.Code, no.Message, c.Now())
	c.Answer(from, no)
}

// admit writes one batch behind the log's end and parks the answer until the topic's rule calls it durable.
func (p *Partition) admit(c stage.Context, from stage.Caller, m *message.Append) {
	b, now := record.Batch(m.Batch), c.Now()
	if no := p.refusal(m, b, now); no != nil {
		p.turnAway(c, from, b, no)
		return
	}
	v := p.verdict(b, m.Verified, now)
	if v.Code != message.OK || v.Duplicate {
		p.repeat(c, from, m, v)
		return
	}
	stamp := p.stamp(b, now)
	if err := p.write(b, now); err != nil {
		p.appendFailed(c, from, b, err)
		return
	}
	if spans := p.post.Spans; spans.Wants(m.Trace) {
		spans(m.Trace, "append", now, c.Now())
	}
	p.park(m.Acks, parked{end: b.NextOffset(), base: b.BaseOffset(), stamp: stamp, from: from})
	p.written(c, b, m.Trace)
}

// write puts a batch into the log, with its entry in the index of aborted transactions if it has one, and remembers who wrote it.
func (p *Partition) write(b record.Batch, now time.Time) error {
	a, aborts := p.producers.Aborts(b)
	err := error(nil)
	if aborts {
		err = p.log.AppendAbort(b, a, now)
	} else {
		err = p.log.Append(b, now)
	}
	if err != nil {
		return err
	}
	p.post.refused.Appended(b)
	if !planted.Is(planted.ProducersNotCopied) || p.replica.Leads() {
		p.producers.Append(b, now)
	}
	return nil
}

// written has what a leader has appended made durable, and brought to the followers.
func (p *Partition) written(c stage.Context, b record.Batch, trace message.Trace) {
	p.appended(c, b, trace)
	p.saveProducersAfter(c, len(b))
	p.tidySoon(c)
	if p.replica.Followed() {
		p.watch(c)
		p.bringAll(c)
	}
}

// verdict is what the producer's earlier batches say of this one: those in the log, and, where this one is not what comes next, those
// that were refused.
func (p *Partition) verdict(b record.Batch, verified bool, now time.Time) producers.Verdict {
	v := p.producers.Check(b, verified)
	follows := v.Code == message.OK && p.producers.Knows(b.ProducerID())
	if v.Duplicate || follows || planted.Is(planted.HoleLeft) {
		return v
	}
	if behind := p.post.refused.Behind(b, now); behind.Code != message.OK {
		return behind
	}
	return v
}

// stamp sets what the broker decides: offset, epoch and, where the topic says so, the time, which it returns (else -1).
func (p *Partition) stamp(b record.Batch, now time.Time) int64 {
	office := p.replica.Office()
	b.SetBaseOffset(p.log.End())
	b.SetLeaderEpoch(office.LeaderEpoch)
	if !office.Config.LogAppendTime {
		return -1
	}
	b.SetLogAppendTime(now.UnixMilli())
	return now.UnixMilli()
}

// park lets an answer wait for all in-sync replicas, or for this node's disk. Acks 0 waits too: nobody listens, but the
// answer gives the batch's memory back.
func (p *Partition) park(acks int16, a parked) {
	if acks < 0 {
		p.acksAll.push(a)
		return
	}
	p.acksLocal.push(a)
}

// appended asks the disk for what the topic's rule demands: a commit per append, or none but those of flush.messages,
// flush.ms and a segment's worth of bytes.
func (p *Partition) appended(c stage.Context, batch []byte, trace message.Trace) {
	t := &p.replica.Office().Config
	out := p.replica.Appended(p.log.End(), c.Now())
	if t.Fsync {
		if !out.Journal {
			batch = nil
		}
		p.commit(c, batch, trace)
		return
	}
	p.settleSoon(c)
	p.flushSoon(c, t, int64(len(batch)))
}

// repeat answers what is not to be appended: a refusal, or a batch that is in the log already. The latter is
// acknowledged when the first one is and not before (S21).
func (p *Partition) repeat(c stage.Context, from stage.Caller, m *message.Append, v producers.Verdict) {
	if v.Code != message.OK {
		c.Answer(from, p.no(v.Code, v.Message))
		return
	}
	stamp := int64(-1)
	if p.replica.Office().Config.LogAppendTime {
		stamp = v.Timestamp
	}
	switch {
	case planted.Is(planted.DuplicateEarly):
		v.End = 0
	case planted.Is(planted.DuplicateRenumbered):
		v.Base = p.log.End()
	}
	p.park(m.Acks, parked{end: v.End, base: v.Base, stamp: stamp, from: from})
	p.carryOut(c, p.replica.Now())
}

// appendFailed tells a disk without room from one that is broken. Who leads without room lets another lead that may have some.
func (p *Partition) appendFailed(c stage.Context, from stage.Caller, b record.Batch, err error) {
	p.post.refused.Note(b, message.KafkaStorageError, err.Error(), c.Now())
	c.Answer(from, p.no(message.KafkaStorageError, err.Error()))
	if vfs.NoRoom(err) {
		p.resign(c, err)
		return
	}
	p.fail(c, fmt.Errorf("append: %w", err))
}

// refusal is the answer to an append that may not be tried; nil if it may.
func (p *Partition) refusal(m *message.Append, b record.Batch, now time.Time) *message.Appended {
	office := p.replica.Office()
	if code := p.replica.Admit(m.Acks); code != message.OK {
		return p.no(code, admission[code])
	}
	if m.FromClient {
		if code, why := fromClient(office, b); code != message.OK {
			return p.no(code, why)
		}
	}
	switch t := &office.Config; {
	case len(b) > int(t.MaxMessageBytes):
		return p.no(message.MessageTooLarge, fmt.Sprintf(
			"the batch has %d bytes, more than the %d of max.message.bytes", len(b), t.MaxMessageBytes))
	case int64(len(b)) > t.SegmentBytes:
		return p.no(message.RecordListTooLarge, fmt.Sprintf(
			"the batch has %d bytes, more than the %d of segment.bytes", len(b), t.SegmentBytes))
	case !t.LogAppendTime:
		return p.untimely(t, b, now)
	}
	return nil
}

var admission = map[message.Code]string{
	message.NotLeaderOrFollower: "this node does not lead the partition",
	message.NotEnoughReplicas:   "fewer replicas are in sync than min.insync.replicas asks for",
}

// fromClient refuses what only brokers may write.
func fromClient(office *message.Leadership, b record.Batch) (message.Code, string) {
	switch a := b.Attributes(); {
	case office.Internal:
		return message.InvalidTopicException, "clients may not write to internal topics"
	case a.Has(record.Control):
		return message.InvalidRecord, "clients may not write control records"
	case a.Has(record.LogAppendTime):
		return message.InvalidTimestamp, "clients may not set the timestamp type LogAppendTime"
	}
	return message.OK, ""
}

// untimely refuses timestamps too far from now (S20). Only the header is looked at: it has the first one and the largest.
func (p *Partition) untimely(t *setting.Topic, b record.Batch, now time.Time) *message.Appended {
	millis := now.UnixMilli()
	first, largest := timely(t, b.BaseTimestamp(), millis), timely(t, b.MaxTimestamp(), millis)
	if first && largest {
		return nil
	}
	wrong := b.MaxTimestamp()
	if !first {
		wrong = b.BaseTimestamp()
	}
	no := p.no(message.InvalidTimestamp, fmt.Sprintf(
		"timestamp %d is out of range: it may be %d ms before and %d ms after the broker's time %d "+
			"(message.timestamp.before.max.ms, message.timestamp.after.max.ms)", wrong, t.TimestampBeforeMaxMillis, t.TimestampAfterMaxMillis, millis))
	if !first || b.Count() == 1 {
		no.RecordErrors = []message.RecordError{{Index: 0, Message: no.Message}}
	}
	return no
}

// timely says that a timestamp is near enough; -1 is none and always is. The differences are unsigned, so that hostile
// timestamps cannot overflow them.
func timely(t *setting.Topic, stamp, now int64) bool {
	switch {
	case stamp == -1:
		return true
	case stamp < now:
		return uint64(now)-uint64(stamp) <= uint64(t.TimestampBeforeMaxMillis)
	}
	return uint64(stamp)-uint64(now) <= uint64(t.TimestampAfterMaxMillis)
}

// no is a refusal with a hint at who leads.
func (p *Partition) no(code message.Code, why string) *message.Appended {
	office := p.replica.Office()
	return &message.Appended{Code: code, Message: why, BaseOffset: -1, LogAppendTime: -1, LogStart: -1,
		Leader: office.Leader, LeaderEpoch: office.LeaderEpoch}
}
