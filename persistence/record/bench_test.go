package record

import "testing"

func hundred(c Codec) Batch {
	b := NewBuilder(0)
	b.Codec = c
	for i := range 100 {
		b.Add(int64(i), []byte("key"), make([]byte, 100), Header{Key: []byte("h"), Value: []byte("v")})
	}
	return built(b)
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	batch := hundred(None)
	b := NewBuilder(0)
	value, room := make([]byte, 100), make([]byte, 0, 4096)
	for what, do := range map[string]func(){
		"Check":       func() { mustCheck(batch) },
		"CheckClient": func() { mustTake(batch) },
		"Reader":      func() { walk(batch) },
		"Builder": func() {
			b.Reset(5)
			for range 20 {
				b.Add(1, nil, value)
			}
			if _, err := b.Build(room); err != nil {
				panic(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
}

func mustCheck(b []byte) {
	if _, err := Check(b); err != nil {
		panic(err)
	}
}

func mustTake(b []byte) {
	if _, refusal := CheckClient(b, 13); refusal != nil {
		panic(refusal)
	}
}

func walk(b Batch) {
	var rec Record
	r := NewReader(b, b.Records())
	for r.Next(&rec) {
		for h := (Header{}); rec.Headers.Next(&h); {
			_ = h.Value
		}
	}
	if r.Err() != nil {
		panic(r.Err())
	}
}

func benchmark(b *testing.B, batch Batch, do func()) {
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

func BenchmarkCheck(b *testing.B) {
	batch := hundred(None)
	benchmark(b, batch, func() { mustCheck(batch) })
}

func BenchmarkCheckClient(b *testing.B) {
	batch := hundred(None)
	benchmark(b, batch, func() { mustTake(batch) })
}

func BenchmarkReader(b *testing.B) {
	batch := hundred(None)
	benchmark(b, batch, func() { walk(batch) })
}

func BenchmarkDecompress(b *testing.B) {
	for c := Gzip; c <= Zstd; c++ {
		b.Run(c.String(), func(b *testing.B) {
			batch, buf := hundred(c), make([]byte, 0, 64<<10)
			benchmark(b, batch, func() {
				if _, err := batch.Plain(buf, plainMax); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
