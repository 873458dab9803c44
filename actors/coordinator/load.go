package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

// load is how far the log was replayed.
type load struct {
	asked stage.RequestID // for the view, or for a chunk
	goal  int64           // the log's end when it was first seen in this epoch: everything below may have been answered; -1: not seen
	next  int64
	began time.Time
	tries int // of a piece that is damaged
}

const (
	viewPatience  = 10 * time.Second
	reloadPause   = 100 * time.Millisecond
	damagedTries  = 20 // a damaged piece is left out after so many, if no other replica has mended it
	chunkBytes    = 1 << 20
	chunkCost     = 2 * time.Millisecond
	recordsMaxRaw = 64 << 20 // a batch's records, decompressed
)

// open begins to replay the log, once everything that an earlier leader may have answered for is committed here.
func (k *Coordinator) open(c stage.Context) {
	if k.epoch < 0 {
		return
	}
	if k.phase != loading {
		k.phase, k.load = loading, load{goal: -1, began: c.Now()}
	}
	view, _ := c.Published(k.partition(c)).(message.View)
	if view == nil {
		k.await(c, &message.Await{HighWatermark: -1})
		return
	}
	b := view.Bounds()
	await := &message.Await{HighWatermark: b.HighWatermark, LogStart: b.LogStart, LeaderEpoch: b.LeaderEpoch}
	if !b.IsLeader || b.LeaderEpoch != k.epoch {
		k.await(c, await)
		return
	}
	if k.load.goal < 0 {
		k.load.goal, k.load.next = b.LogEnd, b.LogStart
		k.brain, k.image = k.opts.New(brain.Place{Node: c.Self().Node, Partition: k.opts.ID, Epoch: k.epoch, Draw: k.draw(c)}), nil
		k.know(c)
	}
	if b.HighWatermark < k.load.goal {
		k.await(c, await)
		return
	}
	k.read(c, view)
}

func (k *Coordinator) partition(c stage.Context) message.Address {
	return message.PartitionAt(c.Self().Node, k.opts.ID)
}

func (k *Coordinator) await(c stage.Context, m *message.Await) {
	k.load.asked = c.Ask(k.partition(c), m, viewPatience)
}

// progressed looks again. Where the partition refuses, for want of room on the disk perhaps, it would do so again at once.
func (k *Coordinator) progressed(c stage.Context, m *message.Progressed) {
	switch {
	case c.Answers() != k.load.asked || k.phase != loading:
	case m.Code != message.OK:
		k.openLater(c)
	default:
		k.load.asked = 0
		k.open(c)
	}
}

func (k *Coordinator) openLater(c stage.Context) {
	k.load = load{goal: -1, began: c.Now()}
	c.After(reloadPause, &reload{})
}

func (k *Coordinator) reload(c stage.Context) {
	if k.phase == loading && k.load.asked == 0 {
		k.open(c)
	}
}

// draw makes random ids of the actor's own chance.
func (k *Coordinator) draw(c stage.Context) func() message.TopicID {
	chance := c.Rand()
	return func() (id message.TopicID) {
		for i := range id {
			id[i] = byte(chance.Uint32())
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		return id
	}
}

// chunk is a piece of the log.
type chunk struct {
	records []found
	next    int64
	err     error
}

// found is a record at its place, or the end of a transaction.
type found struct {
	offset int64
	brain.Record
	marker *brain.Marker // nil: it is a record
}

// read brings the next piece; the brain is ready when there is none.
func (k *Coordinator) read(c stage.Context, view message.View) {
	b := view.Bounds()
	if k.load.next < b.LogStart {
		k.load.next = b.LogStart
	}
	if k.load.next >= b.HighWatermark {
		k.ready(c)
		return
	}
	from, to := k.load.next, b.HighWatermark
	k.load.asked = c.Offload(chunkCost, func() any { return readChunk(view, from, to) })
}

func readChunk(view message.View, from, to int64) *chunk {
	s, err := view.Read(from, to, chunkBytes, true)
	if err != nil || s.Bytes == 0 {
		return &chunk{err: orNothing(err, from)}
	}
	bytes := make([]byte, s.Bytes)
	if n, err := s.File.ReadAt(bytes, s.At); n < len(bytes) {
		return &chunk{err: err}
	}
	out := &chunk{next: s.Next}
	for len(bytes) > 0 {
		b, err := record.Check(bytes)
		if err != nil {
			return &chunk{err: err}
		}
		bytes = bytes[b.Size():]
		if err := out.take(b, from); err != nil {
			return &chunk{err: err}
		}
	}
	return out
}

func orNothing(err error, from int64) error {
	if err == nil {
		err = fmt.Errorf("there is nothing at offset %d", from)
	}
	return err
}

// take takes a batch apart.
func (k *chunk) take(b record.Batch, from int64) error {
	var txn *brain.Txn
	if b.Attributes().Has(record.Transactional) {
		txn = &brain.Txn{Producer: b.ProducerID(), Epoch: b.ProducerEpoch()}
	}
	for r, err := range record.All(b, recordsMaxRaw) {
		if err != nil {
			return err
		}
		if at := b.BaseOffset() + int64(r.OffsetDelta); at >= from {
			one := found{offset: at, Record: brain.Record{Key: r.Key, Value: r.Value, Txn: txn}}
			if b.Attributes().Has(record.Control) {
				if one.marker = marker(txn, r.Key); one.marker == nil {
					continue
				}
			}
			k.records = append(k.records, one)
		}
	}
	return nil
}

// marker is the end of a transaction as a control record's key tells it; nil for other control records.
func marker(txn *brain.Txn, key []byte) *brain.Marker {
	if txn == nil || len(key) < 4 {
		return nil
	}
	switch binary.BigEndian.Uint16(key[2:]) {
	case 0:
		return &brain.Marker{Txn: *txn}
	case 1:
		return &brain.Marker{Txn: *txn, Commit: true}
	}
	return nil
}

// replay takes a piece of the log. A range that is damaged is left out, and mended elsewhere; where nothing can be read it is tried
// again.
func (k *Coordinator) replay(c stage.Context, m *chunk) {
	if c.Answers() != k.load.asked || k.phase != loading {
		return
	}
	k.load.asked = 0
	if m.err != nil {
		k.unreadable(c, m.err)
		return
	}
	for _, r := range m.records {
		if planted.Is(planted.GroupReadShort) && r.offset >= k.load.goal-1 {
			break
		}
		if r.marker != nil {
			k.brain.ReplayMarker(c.Now(), *r.marker)
			continue
		}
		if err := k.brain.Replay(c.Now(), r.Record); err != nil {
			c.Log().Warn("a record of a coordinator's log cannot be read and is left out", "offset", r.offset, "err", err)
		}
	}
	k.load.next, k.load.tries = m.next, 0
	k.open(c)
}

// unreadable tries again. Damage is mended by another replica, if there is one; else what it hit is left out, and named.
func (k *Coordinator) unreadable(c stage.Context, err error) {
	c.Log().Error("a coordinator cannot read its log", "from", k.load.next, "err", err)
	var damaged *message.Damaged
	if errors.As(err, &damaged) {
		c.Send(k.partition(c), damaged)
		if k.load.tries++; k.load.tries > damagedTries {
			k.load.next, k.load.tries = damaged.Next, 0
		}
	}
	c.After(reloadPause, &reload{})
}

func (k *Coordinator) ready(c stage.Context) {
	k.know(c)
	out := k.brain.Loaded(c.Now())
	k.phase = active
	c.Log().Info("a coordinator is ready", "partition", k.opts.ID.Index, "keeps", k.brain.Count(), "end", k.load.next, "took", c.Now().Sub(k.load.began))
	k.load = load{}
	gone := k.gone
	k.gone = nil
	k.carryOut(c, out)
	if len(gone) > 0 {
		k.carryOut(c, k.brain.TopicsChanged(c.Now(), gone, nil))
	}
}
