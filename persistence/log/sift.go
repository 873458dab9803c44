package log

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/persistence/record"
)

// sieve is memory for one batch at a time.
type sieve struct {
	plain  []byte
	reader record.Reader
	stays  []bool
	build  record.Builder
	packed []byte
}

// read makes ready to go through a batch's records.
func (s *sieve) read(b record.Batch) error {
	plain, err := b.Plain(s.plain, plainBatchMax)
	if err != nil {
		return err
	}
	if b.Attributes().Codec() != record.None {
		s.plain = plain
	}
	s.reader = record.NewReader(b, plain)
	return nil
}

// sift is what stays of a batch: itself, another with fewer records, only its header, or nothing (nil).
//
// The header stays of the last few batches of each producer, which tell what comes next from it and what it repeats; of the first of each
// leader epoch, or replicas would no longer agree on where that begins; and of the last in the segment, so that the log ends where it
// ended. Of a marker everything stays then.
func (c *Cleaning) sift(b record.Batch, last bool) (record.Batch, error) {
	c.begin(b)
	header := last && !planted.Is(planted.EndCompacted) || b.LeaderEpoch() > c.epoch || c.remembered(b)
	c.epoch = max(c.epoch, b.LeaderEpoch())
	switch {
	case b.Attributes().Has(record.Control):
		return c.siftMarker(b, header)
	case c.aborted.has(b):
		return c.hollow(b, header), nil
	case b.Count() == 0:
		return c.hollow(b, header), nil
	}
	kept, graves, err := c.judge(b)
	switch {
	case err != nil:
		return nil, err
	case kept == 0:
		return c.hollow(b, header), nil
	}
	horizon, set := b.Horizon()
	bury := graves && !set && b.NextOffset() <= c.mapped
	if kept == int(b.Count()) && !bury {
		return b, nil
	}
	c.out.changed = true
	if bury {
		horizon, set = c.o.Now.UnixMilli()+c.o.DeleteRetention.Milliseconds(), true
	}
	return c.rebuild(b, horizon, set)
}

// begin notes that something of a producer's transaction is left, be it only a header: from that it is learnt that a transaction begins.
func (c *Cleaning) begin(b record.Batch) {
	if a := b.Attributes(); a.Has(record.Transactional) && !a.Has(record.Control) {
		c.open[b.ProducerID()] = true
	}
}

// siftMarker lets a marker go as a tombstone does, in two passes at least that find nothing of its transaction in front of it (KIP-534):
// who reads what is committed, and who learns which transactions are open, counts on it until then. Between the two, delete.retention.ms
// is for who has read the transaction and not yet its end.
func (c *Cleaning) siftMarker(b record.Batch, header bool) (record.Batch, error) {
	m, err := record.ParseControl(b)
	if err != nil || m.Type != record.Abort && m.Type != record.Commit {
		return b, nil
	}
	left := c.open[b.ProducerID()]
	delete(c.open, b.ProducerID())
	horizon, set := b.Horizon()
	early := planted.Is(planted.MarkerEarly)
	switch {
	case left && !early:
		return b, nil
	case !set && !early:
		c.out.changed, c.sieve.stays = true, append(c.sieve.stays[:0], true)
		return c.rebuild(b, c.o.Now.UnixMilli()+c.o.DeleteRetention.Milliseconds(), true)
	case header || c.o.Now.UnixMilli() < horizon && !early:
		return b, nil
	}
	c.out.changed, c.out.dropped = true, append(c.out.dropped, b.BaseOffset())
	return nil, nil
}

// met is where some batches have of a producer its last ones, the first of them first, and its last marker.
type met struct {
	batches [message.RememberedBatches]int64
	count   int
	marker  int64
}

// meet notes what there is of a producer in what is dirty.
func (c *Cleaning) meet(b record.Batch) {
	id := b.ProducerID()
	if _, known := c.o.Producers[id]; !known || unnumbered(b) {
		return
	}
	m := c.met[id]
	switch {
	case b.Attributes().Has(record.Control):
		m.marker = b.BaseOffset()
	case m.count == message.RememberedBatches:
		copy(m.batches[:], m.batches[1:])
		m.count--
		fallthrough
	default:
		m.batches[m.count] = b.BaseOffset()
		m.count++
	}
	c.met[id] = m
}

// unnumbered says that a batch is a coordinator's in a producer's name: nothing comes next from it, and its marker knows the epoch.
func unnumbered(b record.Batch) bool {
	return b.BaseSequence() < 0 && !b.Attributes().Has(record.Control)
}

// remembered says that a batch is one of the last of its producer, or a marker the last. What the producer has written beyond the pass may
// yet be cut; then the last ones in front of that must be there: those in what is dirty, and where these are too few, all in front of them.
func (c *Cleaning) remembered(b record.Batch) bool {
	last, known := c.o.Producers[b.ProducerID()]
	if !known || unnumbered(b) || planted.Is(planted.ProducerCompacted) {
		return false
	}
	marker := b.Attributes().Has(record.Control)
	if last.Last < c.o.End && last.Marker < c.o.End {
		return marker && b.BaseOffset() == last.Marker || !marker && last.First >= 0 && b.BaseOffset() >= last.First
	}
	m := c.met[b.ProducerID()]
	return marker && b.BaseOffset() >= m.marker || !marker && (m.count < message.RememberedBatches || b.BaseOffset() >= m.batches[0])
}

// hollow is only the header, if that has to stay.
func (c *Cleaning) hollow(b record.Batch, header bool) record.Batch {
	if !header {
		c.out.changed = true
		return nil
	}
	if b.Count() > 0 {
		c.out.changed = true
		return record.Hollow(b)
	}
	return b
}

// judge says of every record whether it stays, how many do, and whether there are tombstones among them.
func (c *Cleaning) judge(b record.Batch) (kept int, graves bool, err error) {
	s := &c.sieve
	if err := s.read(b); err != nil {
		return 0, false, err
	}
	horizon, set := b.Horizon()
	over := set && c.o.Now.UnixMilli() >= horizon || planted.Is(planted.TombstoneEarly)
	s.stays = s.stays[:0]
	var rec record.Record
	for s.reader.Next(&rec) {
		offset := b.BaseOffset() + int64(rec.OffsetDelta)
		stays := rec.Key != nil && offset >= c.lastOf(rec.Key)
		if planted.Is(planted.LatestCompacted) {
			stays = stays && offset > c.lastOf(rec.Key)
		}
		grave := rec.Value == nil && offset < c.mapped // one whose key is not known yet is left alone
		if stays = stays && !(grave && over); stays {
			kept++
			graves = graves || grave
		}
		s.stays = append(s.stays, stays)
	}
	return kept, graves, s.reader.Err()
}

func (c *Cleaning) lastOf(key []byte) int64 { return c.keys.last(key) }

// rebuild is the batch with the records that stay, in memory that the next one uses again.
func (c *Cleaning) rebuild(b record.Batch, horizon int64, set bool) (record.Batch, error) {
	s := &c.sieve
	if err := s.read(b); err != nil {
		return nil, err
	}
	s.build.Like(b)
	if set {
		s.build.Flags |= record.DeleteHorizon
		s.build.BaseTimestamp = horizon
	}
	var rec record.Record
	for i := 0; s.reader.Next(&rec); i++ {
		if s.stays[i] {
			s.build.Keep(rec)
		}
	}
	if s.reader.Err() != nil {
		return nil, s.reader.Err()
	}
	left, err := s.build.Build(s.packed[:0])
	s.packed = left
	return left, err
}
