package record

import "fmt"

// Refusal is why a producer's batch is not taken: what a Produce response says.
type Refusal struct {
	Code    int16 // Kafka's error code
	Message string
	Records []RecordRefusal // the records at fault, if it is them (KIP-467)
}

// RecordRefusal is what is wrong with one record.
type RecordRefusal struct {
	Index   int32 // from 0, within the batch
	Message string
}

// Kafka's codes for what can be wrong with a batch.
const (
	corruptMessage       = 2
	invalidTimestamp     = 32
	unsupportedCodec     = 76
	invalidRecord        = 87
	zstdSince            = 7 // version of Produce (KIP-110)
	refusedRecordsListed = 100
)

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(code int16, format string, values ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, values...)}
}

// CheckClient checks what a client sent for one partition in a Produce request of this version: exactly one whole batch
// of format 2 with a valid checksum, at least one record, one record per offset, no control batch, no flag that is the
// broker's to set. The base offset may be anything, the broker sets it.
//
// Records that are not compressed are read, each once and without allocating. Compressed ones are not decompressed: their
// count and offsets are believed as the header has them. Who must look inside uses ValidateRecords.
func CheckClient(b []byte, produceVersion int16) (Batch, *Refusal) {
	batch, refusal := CheckClientHead(b, produceVersion)
	if refusal == nil && batch.Attributes().Codec() == None {
		refusal = batch.checkRecords(batch.Records())
	}
	if refusal != nil {
		return nil, refusal
	}
	return batch, nil
}

// CheckClientHead is CheckClient without a look at the records, compressed or not: what it costs is the checksum.
func CheckClientHead(b []byte, produceVersion int16) (Batch, *Refusal) {
	batch, refusal := whole(b)
	if refusal == nil {
		refusal = batch.checkHead(produceVersion)
	}
	if refusal != nil {
		return nil, refusal
	}
	return batch, nil
}

func whole(b []byte) (Batch, *Refusal) {
	if len(b) == 0 {
		return nil, refuse(invalidRecord, "the request has no record batch: send exactly one for each partition")
	}
	if len(b) > 16 && b[16] < 2 {
		return nil, refuse(invalidRecord, "message format %d is no longer taken: send record batches of format 2 (KIP-896)", b[16])
	}
	batch, err := Check(b)
	if err != nil {
		return nil, refuse(corruptMessage, "%v", err)
	}
	if len(batch) != len(b) {
		return nil, refuse(invalidRecord, "%d bytes follow the record batch: send exactly one for each partition", len(b)-len(batch))
	}
	return batch, nil
}

func (b Batch) checkHead(produceVersion int16) *Refusal {
	a := b.Attributes()
	switch {
	case b.Count() == 0:
		return refuse(invalidRecord, "the record batch has no records")
	case b.Count() != b.LastOffsetDelta()+1:
		return refuse(invalidRecord, "the record batch has %d records for %d offsets", b.Count(), int64(b.LastOffsetDelta())+1)
	case a.Has(Control):
		return refuse(invalidRecord, "clients may not write control batches")
	case a.Has(LogAppendTime):
		return refuse(invalidTimestamp, "clients may not set the log append time flag")
	case a.Has(DeleteHorizon):
		return refuse(invalidRecord, "clients may not set the delete horizon flag")
	case !a.Codec().Known():
		return refuse(unsupportedCodec, "unknown compression codec %d", a.Codec())
	case a.Codec() == Zstd && produceVersion < zstdSince:
		return refuse(unsupportedCodec, "zstd needs Produce version %d or later, this is %d", zstdSince, produceVersion)
	case b.ProducerID() >= 0 && b.BaseSequence() < 0:
		return refuse(invalidRecord, "producer %d sent the sequence number %d", b.ProducerID(), b.BaseSequence())
	case a.Has(Transactional) && b.ProducerID() < 0:
		return refuse(invalidRecord, "a transactional record batch needs a producer id")
	}
	return nil
}

func (b Batch) checkRecords(plain []byte) *Refusal {
	var rec Record
	r := NewReader(b, plain)
	for i := int32(0); r.Next(&rec); i++ {
		if refusal := sound(&rec, i); refusal != nil {
			return refusal
		}
	}
	if r.Err() != nil {
		return refuse(invalidRecord, "%v", r.Err())
	}
	return nil
}

func sound(rec *Record, index int32) *Refusal {
	if rec.OffsetDelta != index {
		return refuse(invalidRecord, "record %d has the offset delta %d: they count from 0 without gaps", index, rec.OffsetDelta)
	}
	if err := rec.Headers.Check(); err != nil {
		return refuse(invalidRecord, "record %d: %v", index, err)
	}
	return nil
}

// Demands are what a topic asks of each record.
type Demands struct {
	Key bool // compacted topics: no null keys
	// Oldest and Newest bound the timestamps, in milliseconds since 1970, if Timestamps is set.
	Timestamps     bool
	Oldest, Newest int64
	// PlainBytesMax bounds the decompressed records.
	PlainBytesMax int
}

// ValidateRecords reads every record, decompressed if need be, and names those that break a demand. buf is memory for the
// decompressed records and may be nil. One bad record refuses the whole batch.
func ValidateRecords(b Batch, d Demands, buf []byte) *Refusal {
	plain, err := b.Plain(buf, d.PlainBytesMax)
	if err != nil {
		return refuse(corruptMessage, "%v", err)
	}
	var bad Refusal
	var rec Record
	r := NewReader(b, plain)
	for i := int32(0); r.Next(&rec); i++ {
		if refusal := sound(&rec, i); refusal != nil {
			return refusal
		}
		d.judge(&rec, i, &bad)
	}
	if r.Err() != nil {
		return refuse(invalidRecord, "%v", r.Err())
	}
	if bad.Code == 0 {
		return nil
	}
	return &bad
}

// judge adds what is wrong with a record. The first record at fault decides the code.
func (d *Demands) judge(rec *Record, index int32, bad *Refusal) {
	switch {
	case d.Key && rec.Key == nil:
		bad.add(invalidRecord, index, "a compacted topic takes no record without a key")
	case d.Timestamps && (rec.Timestamp < d.Oldest || rec.Timestamp > d.Newest):
		bad.add(invalidTimestamp, index, fmt.Sprintf("the timestamp %d is not between %d and %d", rec.Timestamp, d.Oldest, d.Newest))
	}
}

func (r *Refusal) add(code int16, index int32, message string) {
	if r.Code == 0 {
		r.Code, r.Message = code, "one or more records have been rejected"
	}
	if r.Code == code && len(r.Records) < refusedRecordsListed {
		r.Records = append(r.Records, RecordRefusal{index, message})
	}
}
