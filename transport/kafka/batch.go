package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// wrong is why a batch is refused.
type wrong struct {
	code    message.Code
	message string
	records []message.RecordError
}

// checkBatch checks what a client wants appended to a partition: exactly one whole, sound batch of format 2, not from
// the future of its protocol (S14 to S17). Records are not looked at.
func checkBatch(records []byte, version int16) (record.Batch, *wrong) {
	batch, err := record.Check(records)
	if err != nil {
		return nil, &wrong{code: codeOf(err), message: err.Error()}
	}
	if len(batch) != len(records) {
		return nil, &wrong{code: message.InvalidRecord, message: "a produce request must have exactly one record batch for each partition"}
	}
	return batch, checkClientBatch(batch, version)
}

func codeOf(err error) message.Code {
	if errors.Is(err, record.ErrCRC) || errors.Is(err, record.ErrLength) {
		return message.CorruptMessage
	}
	return message.InvalidRecord
}

func checkClientBatch(b record.Batch, version int16) *wrong {
	attributes := b.Attributes()
	switch {
	case b.BaseOffset() != 0:
		return &wrong{code: message.InvalidRecord, message: fmt.Sprintf("the batch's base offset is %d, a client's must be 0", b.BaseOffset())}
	case b.Count() < 1 || b.LastOffsetDelta() != b.Count()-1:
		return &wrong{code: message.InvalidRecord, message: fmt.Sprintf("the batch has %d records and a last offset delta of %d", b.Count(), b.LastOffsetDelta())}
	case attributes.Has(record.Control):
		return &wrong{code: message.InvalidRecord, message: "clients may not write control batches"}
	case attributes.Has(record.LogAppendTime):
		return &wrong{code: message.InvalidTimestamp, message: "the timestamp type of a client's batch must be CreateTime"}
	case attributes.Has(record.Transactional):
		return &wrong{code: message.InvalidTxnState, message: "the partition is in no transaction of this producer"}
	case b.ProducerID() >= 0 && b.BaseSequence() < 0:
		return &wrong{code: message.InvalidRecord, message: fmt.Sprintf("the batch of producer %d has no sequence number", b.ProducerID())}
	case !attributes.Codec().Known():
		return &wrong{code: message.UnsupportedCompressionType, message: fmt.Sprintf("compression type %d is unknown", attributes.Codec())}
	case attributes.Codec() == record.Zstd && version < 7:
		return &wrong{code: message.UnsupportedCompressionType, message: "zstd needs version 7 of produce"}
	}
	return nil
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
	batch record.Batch
	wrong *wrong
}

// reworkBatch looks into a batch: keys where the topic is compacted (S139), and the topic's own compression (S25).
func reworkBatch(b record.Batch, d demand, topic string, partition int32) *reworked {
	plain, err := b.Plain(nil, plainMax)
	if err != nil {
		return &reworked{b, &wrong{code: message.CorruptMessage, message: err.Error()}}
	}
	if w := lookThrough(b, plain, d.keys, topic, partition); w != nil {
		return &reworked{b, w}
	}
	if !d.recompress || d.codec == b.Attributes().Codec() {
		return &reworked{batch: b}
	}
	next, err := record.Compress(d.codec, d.level, append([]byte(nil), b[:record.HeaderSize]...), plain)
	if err != nil {
		return &reworked{b, &wrong{code: message.UnknownServerError, message: err.Error()}}
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

// lookThrough checks every record: offsets one after the other (S17), keys where there must be some.
func lookThrough(b record.Batch, plain []byte, keys bool, topic string, partition int32) *wrong {
	var rec record.Record
	var keyless []message.RecordError
	text := fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s-%d.", topic, partition)
	read := record.NewReader(b, plain)
	for i := int32(0); read.Next(&rec); i++ {
		if rec.OffsetDelta != i {
			return &wrong{code: message.InvalidRecord, message: fmt.Sprintf("record %d of the batch has offset delta %d", i, rec.OffsetDelta)}
		}
		if keys && rec.Key == nil {
			keyless = append(keyless, message.RecordError{Index: i, Message: text})
		}
	}
	if err := read.Err(); err != nil {
		return &wrong{code: message.InvalidRecord, message: err.Error()}
	}
	if keyless != nil {
		return &wrong{code: message.InvalidRecord, message: "One or more records have been rejected", records: keyless}
	}
	return nil
}
