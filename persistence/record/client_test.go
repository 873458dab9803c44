package record

import (
	"encoding/binary"
	"testing"
)

func records(spoil func(b *Builder)) Batch {
	b := NewBuilder(0)
	b.Add(1000, []byte("a"), []byte("1"))
	b.Add(1001, []byte("b"), []byte("2"))
	if spoil != nil {
		spoil(b)
	}
	return built(b)
}

func sealed(b Batch, spoil func(b Batch)) Batch {
	spoil(b)
	b.Seal()
	return b
}

func refuses(t *testing.T, code int16, what string, b []byte) {
	t.Helper()
	_, refusal := CheckClient(b, 13)
	if refusal == nil || refusal.Code != code || refusal.Message == "" {
		t.Errorf("%s: %+v, want code %d", what, refusal, code)
	}
}

func TestClientsBatchesAreTaken(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		if _, refusal := CheckClient(records(func(b *Builder) { b.Codec = c }), 7); refusal != nil {
			t.Errorf("%s: %v", c, refusal)
		}
	}
}

// S14: exactly one record batch per partition and magic=2, else INVALID_RECORD; zero batches also error.
func TestS14(t *testing.T) {
	refuses(t, invalidRecord, "no batch", nil)
	refuses(t, invalidRecord, "two batches", append(records(nil), records(nil)...))
	refuses(t, invalidRecord, "format 1", sealed(records(nil), func(b Batch) { b[16] = 1 }))
	refuses(t, invalidRecord, "a format 1 message of 34 bytes", append(make([]byte, 16), append([]byte{1}, make([]byte, 17)...)...))
}

// S15: a zstd batch in Produce < v7 is UNSUPPORTED_COMPRESSION_TYPE.
func TestS15(t *testing.T) {
	zstd := records(func(b *Builder) { b.Codec = Zstd })
	if _, refusal := CheckClient(zstd, 6); refusal == nil || refusal.Code != unsupportedCodec {
		t.Errorf("%+v", refusal)
	}
	refuses(t, unsupportedCodec, "codec 5", sealed(records(nil), func(b Batch) { b[22] = 5 }))
}

// S16: CRC-32C is verified, a mismatch is CORRUPT_MESSAGE; partitionLeaderEpoch and baseOffset lie outside of it.
func TestS16(t *testing.T) {
	flipped := records(nil)
	flipped[HeaderSize] ^= 4
	refuses(t, corruptMessage, "a flipped bit", flipped)
	refuses(t, corruptMessage, "a torn batch", records(nil)[:70])
	moved := records(nil)
	moved.SetBaseOffset(77)
	moved.SetLeaderEpoch(5)
	if _, refusal := CheckClient(moved, 13); refusal != nil {
		t.Errorf("offset and epoch are the broker's: %v", refusal)
	}
}

// S17: lastOffsetDelta = count-1, count > 0, sequential offset deltas, no control batches.
func TestS17(t *testing.T) {
	refuses(t, invalidRecord, "no records", built(NewBuilder(0)).sealedWith(23, 0))
	refuses(t, invalidRecord, "a gap at the end", records(func(b *Builder) { b.LastOffsetDelta = 2 }))
	refuses(t, invalidRecord, "a gap in the middle", records(func(b *Builder) {
		b.Keep(Record{OffsetDelta: 3})
		b.count++
	}))
	refuses(t, invalidRecord, "a control batch", sealed(records(nil), func(b Batch) { b[22] |= byte(Control) }))
	refuses(t, invalidRecord, "a record fewer than counted", records(func(b *Builder) { b.count++; b.next++ }))
	refuses(t, invalidRecord, "a record more than counted", records(func(b *Builder) { b.count--; b.next-- }))
	refuses(t, invalidRecord, "broken headers", records(func(b *Builder) {
		b.Keep(Record{OffsetDelta: 2, Headers: Headers{count: 1, raw: []byte{40, 1, 2}}})
	}))
	refuses(t, invalidRecord, "a sequence without number", records(func(b *Builder) { b.ProducerID = 5 }))
	refuses(t, invalidRecord, "a transaction of nobody", records(func(b *Builder) { b.Flags = Transactional }))
}

func (b Batch) sealedWith(at int, value uint32) Batch {
	return sealed(b, func(b Batch) { binary.BigEndian.PutUint32(b[at:], value) })
}

// S19: per-record failures reject the whole batch and list the records.
func TestS19(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		b := records(func(b *Builder) {
			b.Codec = c
			b.Add(1002, nil, []byte("3"))
			b.Add(1003, []byte("d"), nil)
			b.Add(1004, nil, nil)
		})
		refusal := ValidateRecords(b, Demands{Key: true, PlainBytesMax: plainMax}, nil)
		if refusal == nil || refusal.Code != invalidRecord || len(refusal.Records) != 2 || refusal.Records[0].Index != 2 || refusal.Records[1].Index != 4 {
			t.Errorf("%s: %+v", c, refusal)
		}
		if refusal := ValidateRecords(b, Demands{PlainBytesMax: plainMax}, nil); refusal != nil {
			t.Errorf("%s: nothing was demanded: %+v", c, refusal)
		}
		if refusal := ValidateRecords(b, Demands{PlainBytesMax: 10}, nil); c != None && (refusal == nil || refusal.Code != corruptMessage) {
			t.Errorf("%s: a bomb: %+v", c, refusal)
		}
	}
}

// S20: CreateTime outside of the bounds is INVALID_TIMESTAMP; a client sending the LogAppendTime bit too.
func TestS20(t *testing.T) {
	refuses(t, invalidTimestamp, "the log append time flag", sealed(records(nil), func(b Batch) { b[22] |= byte(LogAppendTime) }))
	refusal := ValidateRecords(records(nil), Demands{Timestamps: true, Oldest: 0, Newest: 1000, PlainBytesMax: plainMax}, nil)
	if refusal == nil || refusal.Code != invalidTimestamp || len(refusal.Records) != 1 || refusal.Records[0].Index != 1 {
		t.Errorf("%+v", refusal)
	}
}
