package partition

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// mark ends a producer's transaction here: a control batch is appended, and the asker hears of it when that is committed.
func (p *Partition) mark(c stage.Context, from stage.Caller, m *message.Mark) {
	if code := p.replica.Admit(-1); code != message.OK {
		c.Answer(from, unmarked(code, admission[code]))
		return
	}
	v := p.producers.CheckMark(m)
	switch {
	case v.Code != message.OK:
		c.Answer(from, unmarked(v.Code, v.Message))
		return
	case v.Duplicate: // it is below the log's end, wherever it is
		p.park(-1, parked{end: p.log.End(), base: -1, marks: true, from: from})
		p.carryOut(c, p.replica.Now())
		return
	}
	now := c.Now()
	b, err := p.marker(m, now.UnixMilli())
	if err == nil {
		err = p.write(b, now)
	}
	if err != nil {
		c.Answer(from, unmarked(message.KafkaStorageError, err.Error()))
		if vfs.NoRoom(err) {
			p.resign(c, err)
			return
		}
		p.fail(c, fmt.Errorf("append a marker: %w", err))
	}
	p.doubt(m.Producer)
	p.park(-1, parked{end: b.NextOffset(), base: b.BaseOffset(), marks: true, from: from})
	p.written(c, b, message.Trace{})
}

// marker is the batch that ends a transaction.
func (p *Partition) marker(m *message.Mark, millis int64) (record.Batch, error) {
	b := record.NewBuilder(p.log.End())
	b.LeaderEpoch = p.replica.Office().LeaderEpoch
	b.ProducerID, b.ProducerEpoch = m.Producer, m.Epoch
	end := record.Marker{Type: record.Abort, CoordinatorEpoch: m.CoordinatorEpoch}
	if m.Commit {
		end.Type = record.Commit
	}
	b.AddControl(millis, end)
	return b.Build(nil)
}

func unmarked(code message.Code, why string) *message.Marked {
	return &message.Marked{Code: code, Message: why, Offset: -1}
}
