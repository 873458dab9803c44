package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const plainMax = 1 << 20

func three(c Codec) Batch {
	b := NewBuilder(7)
	b.Codec, b.Level = c, DefaultLevel
	b.LeaderEpoch = 3
	b.Add(1000, []byte("k1"), []byte("v1"), Header{Key: []byte("h"), Value: []byte("x")}, Header{Key: []byte("i")})
	b.Add(1500, nil, bytes.Repeat([]byte("v2"), 50))
	b.Add(900, []byte{}, nil)
	return built(b)
}

func built(b *Builder) Batch {
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

func TestBuiltBatchesReadBack(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		t.Run(c.String(), func(t *testing.T) {
			batch, err := Check(append(three(c), "and more"...))
			if err != nil {
				t.Fatal(err)
			}
			if batch.BaseOffset() != 7 || batch.NextOffset() != 10 || batch.MaxTimestamp() != 1500 || batch.LeaderEpoch() != 3 || batch.ProducerID() != -1 || batch.Attributes().Codec() != c {
				t.Fatalf("header: %v", batch[:HeaderSize])
			}
			var got []string
			for rec, err := range All(batch, plainMax) {
				if err != nil {
					t.Fatal(err)
				}
				line := fmt.Sprintf("%d %d %q %v %d", rec.OffsetDelta, rec.Timestamp, rec.Key, rec.Value == nil, len(rec.Value))
				for h := (Header{}); rec.Headers.Next(&h); {
					line += fmt.Sprintf(" %s=%s %v", h.Key, h.Value, h.Value == nil)
				}
				got = append(got, line)
			}
			want := []string{`0 1000 "k1" false 2 h=x false i= true`, `1 1500 "" false 100`, `2 900 "" true 0`}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// Another implementation reads what we write.
func TestKmsgReadsOurBatches(t *testing.T) {
	batch := three(None)
	var theirs kmsg.RecordBatch
	if err := theirs.ReadFrom(batch); err != nil {
		t.Fatal(err)
	}
	if theirs.NumRecords != 3 || theirs.LastOffsetDelta != 2 || theirs.FirstTimestamp != 1000 || theirs.MaxTimestamp != 1500 || theirs.Magic != 2 {
		t.Fatalf("%+v", theirs)
	}
	var first kmsg.Record
	if err := first.ReadFrom(theirs.Records); err != nil {
		t.Fatal(err)
	}
	if string(first.Key) != "k1" || string(first.Value) != "v1" || len(first.Headers) != 2 || first.Headers[0].Key != "h" {
		t.Fatalf("%+v", first)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b Batch) Batch
		want  error
	}{
		"nothing":           {func(b Batch) Batch { return nil }, ErrShort},
		"half a header":     {func(b Batch) Batch { return b[:60] }, ErrShort},
		"half a batch":      {func(b Batch) Batch { return b[:len(b)-1] }, ErrShort},
		"format 1":          {func(b Batch) Batch { b[16] = 1; return b }, ErrMagic},
		"a negative length": {func(b Batch) Batch { b[8] = 0xff; return b }, ErrLength},
		"a tiny length":     {func(b Batch) Batch { binary.BigEndian.PutUint32(b[8:], 48); return b }, ErrLength},
		"a flipped bit":     {func(b Batch) Batch { b[len(b)-1] ^= 1; return b }, ErrCRC},
		"a negative count":  {func(b Batch) Batch { b[57] = 0x80; b.Seal(); return b }, ErrCount},
		"too many records":  {func(b Batch) Batch { b[60]++; b.Seal(); return b }, ErrCount},
		"a negative delta":  {func(b Batch) Batch { b[23] = 0x80; b.Seal(); return b }, ErrCount},
	} {
		if _, err := Check(c.spoil(three(None))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestHeadersAreCheckedWithoutTheirRecords(t *testing.T) {
	batch := three(None)
	head, err := CheckHeader(batch[:HeaderSize])
	if err != nil || head.Size() != len(batch) || len(head) != HeaderSize {
		t.Fatalf("%d of %d bytes: %v", len(head), head.Size(), err)
	}
}

func TestLogAppendTimeIsEveryRecordsTime(t *testing.T) {
	batch := three(None)
	batch.SetLogAppendTime(5555)
	if _, err := Check(batch); err != nil {
		t.Fatal(err)
	}
	for rec, err := range All(batch, plainMax) {
		if err != nil || rec.Timestamp != 5555 {
			t.Fatalf("%d, %v", rec.Timestamp, err)
		}
	}
}

func TestCompactionKeepsOffsets(t *testing.T) {
	whole := three(Zstd)
	b := NewBuilder(whole.BaseOffset())
	b.LastOffsetDelta = whole.LastOffsetDelta()
	for rec, err := range All(whole, plainMax) {
		if err == nil && rec.OffsetDelta == 1 {
			b.Keep(rec)
		}
	}
	batch, err := Check(built(b))
	if err != nil || batch.Count() != 1 || batch.LastOffset() != whole.LastOffset() {
		t.Fatalf("count %d, last offset %d: %v", batch.Count(), batch.LastOffset(), err)
	}
	for rec, err := range All(batch, plainMax) {
		if err != nil || rec.OffsetDelta != 1 || rec.Timestamp != 1500 {
			t.Fatalf("%+v, %v", rec, err)
		}
	}
	b.Reset(7)
	b.LastOffsetDelta = 2
	if empty, err := Check(built(b)); err != nil || empty.Count() != 0 || empty.NextOffset() != 10 {
		t.Fatalf("an empty batch: %v", err)
	}
}

func TestRecompressionKeepsTheHeader(t *testing.T) {
	b := NewBuilder(42)
	b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.Flags, b.LeaderEpoch = 9, 8, 7, Transactional, 6
	for i := range 100 {
		b.Add(int64(1000+i), []byte("key"), []byte("some value"))
	}
	plain := built(b)
	for from := None; from <= Zstd; from++ {
		for to := None; to <= Zstd; to++ {
			b.Codec = from
			again, err := Recompress(built(b), to, DefaultLevel, plainMax)
			if err != nil {
				t.Fatal(err)
			}
			if again, err = Check(again); err != nil || again.Attributes() != Transactional|Attributes(to) {
				t.Fatalf("%s to %s: %v", from, to, err)
			}
			if to != None && len(again) > len(plain)/2 {
				t.Errorf("%s to %s: %d bytes of %d", from, to, len(again), len(plain))
			}
			records, err := again.Plain(nil, plainMax)
			if err != nil || !bytes.Equal(records, plain.Records()) || !bytes.Equal(again[23:HeaderSize], plain[23:HeaderSize]) || !bytes.Equal(again[:8], plain[:8]) {
				t.Fatalf("%s to %s changed the batch: %v", from, to, err)
			}
		}
	}
}

func TestControlBatches(t *testing.T) {
	for _, want := range []Marker{{Type: Abort, CoordinatorEpoch: 5}, {Type: Commit, CoordinatorEpoch: 6}, {Type: LeaderChange, CoordinatorEpoch: -1, Value: []byte("abc")}} {
		b := NewBuilder(1)
		b.ProducerID, b.ProducerEpoch = 4, 2
		b.AddControl(100, want)
		batch, err := Check(built(b))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseControl(batch)
		if err != nil || got.Type != want.Type || got.CoordinatorEpoch != want.CoordinatorEpoch || !bytes.Equal(got.Value, want.Value) {
			t.Fatalf("got %+v, want %+v: %v", got, want, err)
		}
		if batch.Attributes().Has(Transactional) != (want.Type != LeaderChange) {
			t.Fatalf("type %d: attributes %b", want.Type, batch.Attributes())
		}
	}
	if _, err := ParseControl(three(None)); !errors.Is(err, ErrControl) {
		t.Fatalf("data was taken for a control batch: %v", err)
	}
}

// Java's SnappyOutputStream writes xerial framing, librdkafka raw snappy; both are read, and what we write is Java's.
func TestSnappyIsReadRawAndFramed(t *testing.T) {
	text := bytes.Repeat([]byte("hello snappy "), 10_000) // several blocks
	framed, err := Compress(Snappy, 0, []byte("before"), text)
	if err != nil || !bytes.HasPrefix(framed, append([]byte("before"), xerial...)) {
		t.Fatalf("no xerial frame behind what was there: %v", err)
	}
	got, err := Decompress(Snappy, nil, framed[6:], plainMax)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("framed: %d bytes, %v", len(got), err)
	}
	raw := []byte{5, 4 << 2, 'h', 'e', 'l', 'l', 'o'}
	if got, err := Decompress(Snappy, nil, raw, plainMax); err != nil || string(got) != "hello" {
		t.Fatalf("raw: %q, %v", got, err)
	}
}

func TestBombsAreDefused(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for c := None; c <= Zstd; c++ {
		bomb, err := Compress(c, DefaultLevel, nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decompress(c, nil, bomb, len(zeros)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", c, err)
		}
		if got, err := Decompress(c, make([]byte, 3, 100), bomb, len(zeros)); err != nil || !bytes.Equal(got, zeros) {
			t.Errorf("%s at its bound: %d bytes, %v", c, len(got), err)
		}
	}
	if _, err := Decompress(7, nil, nil, plainMax); !errors.Is(err, ErrCodec) {
		t.Errorf("codec 7: %v", err)
	}
}

func TestEveryLevelCompresses(t *testing.T) {
	text := bytes.Repeat([]byte("level "), 1000)
	for c := Gzip; c <= Zstd; c++ {
		for _, level := range []int{DefaultLevel, -200_000, -1, 0, 1, 2, 5, 9, 10, 17, 22, 99} {
			z, err := Compress(c, level, nil, text)
			if err != nil || len(z) > len(text)/4 {
				t.Fatalf("%s level %d: %d bytes, %v", c, level, len(z), err)
			}
			if got, err := Decompress(c, nil, z, plainMax); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%s level %d: %v", c, level, err)
			}
		}
	}
}

// A batch without records is one that everybody can read: the header is as it was.
func TestAHollowBatchKeepsItsHeader(t *testing.T) {
	b := NewBuilder(7)
	b.Codec, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.LeaderEpoch = Zstd, 4, 1, 20, 3
	for range 3 {
		b.Add(1000, []byte("k"), []byte("v"))
	}
	full, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Check(Hollow(full))
	if err != nil {
		t.Fatal(err)
	}
	if h.BaseOffset() != 7 || h.LastOffset() != 9 || h.Count() != 0 || h.ProducerID() != 4 || h.BaseSequence() != 20 || h.LeaderEpoch() != 3 ||
		h.MaxTimestamp() != 1000 || h.Attributes().Codec() != None || len(h) != HeaderSize {
		t.Fatalf("%x", []byte(h))
	}
	for range All(h, plainMax) {
		t.Fatal("it has a record")
	}
}
