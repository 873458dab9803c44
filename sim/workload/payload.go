package workload

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
)

// sent is a batch with its bytes, for as long as its client may have to send it again.
type sent struct {
	*check.Batch
	bytes  record.Batch
	flying bool
	over   way
}

// way is how a batch went: over which of a client's connections, when, and when it was refused for want of room.
type way struct {
	to             *link
	connection     int
	sent, answered time.Duration
}

// behind says that a batch was sent behind another, over the same connection, before that one was refused.
func (w way) behind(other way) bool {
	return w.to == other.to && w.connection == other.connection && w.sent >= other.sent && w.sent <= other.answered
}

// payload fills a record's value: who, where, the how manieth, filler, and a checksum over all of it.
//
//	name | 0 | topic | 0 | partition 4 | number 8 | filler | CRC-32C 4
func payload(dst []byte, client string, p *check.Partition, number int64, size int) []byte {
	dst = append(append(dst[:0], client...), 0)
	dst = append(append(dst, p.Topic.Name...), 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Index))
	dst = binary.BigEndian.AppendUint64(dst, uint64(number))
	for len(dst) < size {
		dst = append(dst, byte(number)+byte(len(dst)))
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, record.Castagnoli))
}

// keysMax is how many keys a compacted topic has at most.
const keysMax = 12

// keyed adds a record with a key that others have too, now and then a tombstone. A header tells it from all others.
func (b *builder) keyed(to *check.Batch) {
	key, value := []byte{'k', byte('a' + b.chance.IntN(keysMax))}, b.value
	if b.chance.IntN(6) == 0 {
		value = nil
	}
	b.Add(to.Time, key, value, record.Header{Key: []byte(to.Client), Value: binary.BigEndian.AppendUint64(nil, uint64(b.number))})
}

// builder makes batches of numbered records.
type builder struct {
	record.Builder
	chance *rand.Rand // of keys, where the topic is compacted
	value  []byte
	number int64
}

// build makes a batch of count records and notes it.
func (b *builder) build(h *check.History, to check.Batch, size int, codec record.Codec) *sent {
	b.Reset(0)
	b.Codec = codec
	b.ProducerID, b.ProducerEpoch, b.BaseSequence = to.Producer, to.Epoch, to.Sequence
	if to.Transactional {
		b.Flags = record.Transactional
	}
	for range to.Count {
		b.number++
		b.value = payload(b.value, to.Client, to.Partition, b.number, size)
		if to.Partition.Topic.Compacted {
			b.keyed(&to)
			continue
		}
		b.Add(to.Time, []byte{byte(b.number)}, b.value)
	}
	bytes, err := b.Build(nil)
	if err != nil {
		panic("workload: " + err.Error())
	}
	to.Bytes = len(bytes)
	s := &sent{Batch: &to, bytes: bytes}
	h.Sent(s.Batch, bytes)
	return s
}
