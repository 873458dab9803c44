package kafka

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// checkBatch checks what a client wants appended to a partition (S14 to S17), by its header and checksum: records are not
// looked at one by one on the way of a produce. Whether there is a transaction that it is part of the partition asks (S92).
func checkBatch(records []byte, version int16, named bool) (record.Batch, *record.Refusal) {
	batch, refusal := record.CheckClientHead(records, version)
	if refusal == nil && batch.Attributes().Has(record.Transactional) && !named {
		refusal = &record.Refusal{Code: int16(message.TransactionalIDAuthorizationFailed), Message: "a transactional record batch needs a transactional id"}
	}
	return batch, refusal
}

// demand is what a topic's configuration asks of a batch beyond what its header can show.
type demand struct {
	recompress bool
	codec      record.Codec
	level      int
	keys       bool // compacted: every record needs a key
}

// of says that a batch has to be looked into.
func (d demand) of(b record.Batch) bool {
	return d.keys || d.recompress && d.codec != b.Attributes().Codec()
}

// demand is what a topic asks of batches; it is remembered until the metadata changes.
func (k *connection) demand(img *image.Image, t *image.Topic) demand {
	s := k.resolve(img)
	if d, ok := s.demands[t]; ok {
		return d
	}
	d := demandOf((&Request{conn: k, Image: img}).Topic(t))
	s.demands[t] = d
	return d
}

// plainMax bounds what a batch that has to be looked into may decompress to, in bytes.
const plainMax = 128 << 20

// reworkCost is about how long it takes to look into so many compressed bytes.
func reworkCost(bytes int) time.Duration { return time.Duration(bytes) * 20 }

// reworked is a batch as it may be appended, or why not.
type reworked struct {
	batch   record.Batch
	refusal *record.Refusal
}

// reworkBatch looks into a batch: keys where the topic is compacted (S139), and the topic's own compression (S25).
func reworkBatch(b record.Batch, d demand, topic string, partition int32) *reworked {
	if refusal := record.ValidateRecords(b, record.Demands{Key: d.keys, PlainBytesMax: plainMax}, nil); refusal != nil {
		for i := range refusal.Records { // tools compare the text
			refusal.Records[i].Message = fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s-%d.", topic, partition)
		}
		return &reworked{b, refusal}
	}
	if !d.recompress || d.codec == b.Attributes().Codec() {
		return &reworked{batch: b}
	}
	plain, err := b.Plain(nil, plainMax)
	if err != nil {
		return &reworked{b, &record.Refusal{Code: int16(message.CorruptMessage), Message: err.Error()}}
	}
	next, err := record.Compress(d.codec, d.level, append([]byte(nil), b[:record.HeaderSize]...), plain)
	if err != nil {
		return &reworked{b, &record.Refusal{Code: int16(message.UnknownServerError), Message: err.Error()}}
	}
	return &reworked{batch: sealed(next, d.codec)}
}

// sealed makes a batch of a header and records that were compressed anew.
func sealed(b record.Batch, codec record.Codec) record.Batch {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint16(b[21:], uint16(b.Attributes())&^7|uint16(codec))
	b.Seal()
	return b
}
