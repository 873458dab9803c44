package record

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzCheck(f *testing.F) {
	f.Add([]byte{})
	for c := None; c <= Zstd; c++ {
		f.Add([]byte(three(c)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := Check(b)
		if err != nil {
			return
		}
		if batch.Size() != len(batch) || batch.Checksum() != batch.CRC() || batch.Count() < 0 || batch.LastOffset() < batch.BaseOffset() && batch.BaseOffset() >= 0 && batch.BaseOffset() < 1<<62 {
			t.Fatalf("a bad batch was taken: %x", b)
		}
	})
}

// FuzzClient mends length and checksum, so that what lies behind them is reached.
func FuzzClient(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		f.Add([]byte(three(c)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderSize {
			return
		}
		batch := Batch(bytes.Clone(b))
		if err := batch.setLength(); err != nil {
			t.Fatal(err)
		}
		batch.Seal()
		if _, refusal := CheckClient(batch, 13); refusal != nil {
			return
		}
		n := int32(0)
		for rec, err := range All(batch, plainMax) {
			if err != nil {
				if batch.Attributes().Codec() == None {
					t.Fatalf("taken, and then: %v", err)
				}
				return
			}
			if batch.Attributes().Codec() == None && rec.OffsetDelta != n {
				t.Fatalf("record %d has the offset delta %d", n, rec.OffsetDelta)
			}
			n++
		}
		if n != batch.Count() {
			t.Fatalf("%d records of %d", n, batch.Count())
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(three(None).Records()), int32(3))
	f.Add([]byte{2, 0}, int32(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, int32(1))
	f.Add([]byte{12, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}, int32(1))
	head := three(None)[:HeaderSize]
	f.Fuzz(func(t *testing.T, plain []byte, count int32) {
		var rec Record
		r := NewReader(head, plain)
		r.left = count & 0xffff
		total := 0
		for r.Next(&rec) {
			total += len(rec.Key) + len(rec.Value) + len(rec.Headers.Raw())
			_ = rec.Headers.Check()
		}
		if total > len(plain) {
			t.Fatalf("%d bytes of records in %d bytes", total, len(plain))
		}
	})
}

func FuzzDecompress(f *testing.F) {
	text := bytes.Repeat([]byte("some text to compress "), 100)
	for c := None; c <= Zstd; c++ {
		z, err := Compress(c, DefaultLevel, nil, text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(c), z)
		f.Add(uint8(c), z[:len(z)/2])
	}
	f.Add(uint8(Snappy), []byte{5, 4 << 2, 'h', 'e', 'l', 'l', 'o'})
	f.Fuzz(func(t *testing.T, c uint8, src []byte) {
		const most = 64 << 10
		plain, err := Decompress(Codec(c), nil, src, most)
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrCompressed) && !errors.Is(err, ErrCodec) {
				t.Fatalf("an error without a name: %v", err)
			}
			return
		}
		if len(plain) > most {
			t.Fatalf("%d bytes, at most %d were asked for", len(plain), most)
		}
		z, err := Compress(Codec(c), DefaultLevel, nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Decompress(Codec(c), nil, z, most); err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("compressed again it reads differently: %v", err)
		}
	})
}

func FuzzParseControl(f *testing.F) {
	for _, m := range []Marker{{Type: Abort, CoordinatorEpoch: 1}, {Type: Commit}, {Type: LeaderChange, Value: []byte{1}}} {
		b := NewBuilder(0)
		b.AddControl(1, m)
		f.Add([]byte(built(b)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseControl(b)
		if err != nil && !errors.Is(err, ErrControl) {
			t.Fatalf("an error without a name: %v", err)
		}
		if err == nil && len(m.Value) > len(b) {
			t.Fatalf("%+v", m)
		}
	})
}
