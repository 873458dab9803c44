package log

import (
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
// The header stays of the last few batches of each producer, which tell what comes next from it and what it repeats; of the first of each leader epoch, or
// replicas would no longer agree on where that begins; and of the last in the segment, so that the log ends where it ended.
func (c *Cleaning) sift(b record.Batch, last bool) (record.Batch, error) {
	header := last && !planted.Is(planted.EndCompacted) || b.LeaderEpoch() > c.epoch || c.remembered(b)
	c.epoch = max(c.epoch, b.LeaderEpoch())
	switch {
	case b.Attributes().Has(record.Control):
		return b, nil // readers of what is committed, and the index of aborted transactions, count on it
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

// remembered says that a batch is one of the last of its producer.
func (c *Cleaning) remembered(b record.Batch) bool {
	base, known := c.o.Producers[b.ProducerID()]
	return known && b.BaseOffset() >= base && !planted.Is(planted.ProducerCompacted)
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
