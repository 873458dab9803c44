package message

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyWord draws a word of a tag, filled through reflection: a field that its spelling forgets comes back empty.
func anyWord(t *rapid.T, of tag) Word {
	w := words[of]()
	fill(t, reflect.ValueOf(w).Elem())
	return w
}

func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Slice:
		fillSlice(t, v)
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "some") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	default:
		n := rapid.Int64().Draw(t, "number")
		bits := v.Type().Bits()
		v.SetInt(n << (64 - bits) >> (64 - bits))
	}
}

// fillSlice draws nil, none, or some; raw bytes that are none are nil.
func fillSlice(t *rapid.T, v reflect.Value) {
	n := rapid.IntRange(-1, 3).Draw(t, "length")
	if n < 0 || n == 0 && v.Type().Elem().Kind() == reflect.Uint8 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		fill(t, v.Index(i))
	}
}

func TestEveryWordComesBackAsItWas(t *testing.T) {
	for of := wordRaft; int(of) < len(words); of++ {
		t.Run(reflect.TypeOf(words[of]()).Elem().Name(), rapid.MakeCheck(func(t *rapid.T) {
			w := anyWord(t, of)
			if m, ok := w.(*Pulled); ok {
				m.Lent = nil // it stays where it is
			}
			before := rapid.SliceOf(rapid.Byte()).Draw(t, "before")
			b, err := AppendWord(bytes.Clone(before), w)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b[:len(before)], before) {
				t.Fatalf("the bytes in front became %x", b[:len(before)])
			}
			back, err := DecodeWord(b[len(before):])
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, w) {
				t.Fatalf("%#v became %#v", w, back)
			}
		}))
	}
}

// TestEveryDeclaredWordHasItsTag holds the constants, the table and the words together: each type with a method word is
// what its own tag makes.
func TestEveryDeclaredWordHasItsTag(t *testing.T) {
	source, err := os.ReadFile("wire.go")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "wire.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "word" {
			continue
		}
		declared++
		name := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		if !strings.Contains(string(source), "func() Word { return new("+name+") }") {
			t.Errorf("no tag makes a %s", name)
		}
	}
	if declared != len(words)-2 { // Pulled has two
		t.Errorf("%d words are declared, %d have a tag", declared, len(words)-2)
	}
	for of := wordRaft; int(of) < len(words); of++ {
		if words[of] == nil || words[of]().word() != of {
			t.Errorf("tag %d makes another word", of)
		}
	}
}

func TestAWordCutAnywhereOrWithMoreBehindIsRefused(t *testing.T) {
	for of := wordRaft; int(of) < len(words); of++ {
		rapid.Check(t, func(t *rapid.T) {
			w := anyWord(t, of)
			b, err := AppendWord(nil, w)
			if err != nil {
				t.Fatal(err)
			}
			raw := 0
			switch w := w.(type) {
			case *Raft:
				raw = len(w.Message)
			case *Pulled:
				raw = len(w.Batches)
			case *Mended:
				raw = len(w.Batches)
			default:
				if back, err := DecodeWord(append(bytes.Clone(b), 0)); err == nil {
					t.Fatalf("a byte behind it was taken: %#v", back)
				}
			}
			for n := range len(b) - raw {
				if back, err := DecodeWord(b[:n]); err == nil {
					t.Fatalf("%d of %d bytes were taken: %#v", n, len(b), back)
				}
			}
		})
	}
}

func TestHostileBytesAreRefused(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":                       "",
		"tag zero":                      "\x00",
		"an unknown tag":                "\xff\x00",
		"more elements than bytes":      "\x07\xdd\xff\xff\xff\xff",
		"a longer text than there is":   "\x19\x91\x00\xdb\xff\xff\xff\xff",
		"a number too big for its type": "\x18\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
		"an id of 15 bytes":             "\x0a\x91\xa0\xc4\x0f0123456789abcde",
		"an id that is nil":             "\x0a\x91\xa0\xc0",
		"a text that must not be nil":   "\x19\x91\x00\xc0",
		"a text where a number belongs": "\x18\xa1x",
	} {
		if w, err := DecodeWord([]byte(b)); err == nil {
			t.Errorf("%s was taken for %#v", name, w)
		}
	}
	if _, err := AppendWord(nil, nil); err == nil {
		t.Error("nil was written")
	}
}

func TestALieAboutACountTakesNoMemory(t *testing.T) {
	b := append([]byte("\x09\xdd\x00\x0f\x00\x00"), make([]byte, 0x0f0000)...) // TopicsCreated
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := DecodeWord(b); err == nil {
		t.Fatal("it was taken")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<10 {
		t.Errorf("%d bytes were taken for a word that is refused at its first element", took)
	}
}

func TestBulkIsWhatIsBig(t *testing.T) {
	for _, test := range []struct {
		w    Word
		want Lane
	}{
		{nil, Control},
		{&Pulled{}, Control},
		{&Pulled{Batches: []byte{1}}, Bulk},
		{&Mended{}, Control},
		{&Mended{Batches: []byte{1}}, Bulk},
		{&Pull{}, Control},
		{&Raft{Message: make([]byte, bulkMin-1)}, Control},
		{&Raft{Message: make([]byte, bulkMin)}, Bulk},
		{&BrokerHeartbeat{}, Control},
	} {
		if got := LaneOf(test.w); got != test.want {
			t.Errorf("%T: lane %d, want %d", test.w, got, test.want)
		}
	}
}

func TestRecordBytesAreNotCopiedWhenRead(t *testing.T) {
	b, _ := AppendWord(nil, &Pulled{Batches: []byte("batch")})
	w, err := DecodeWord(b)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] = 'H'
	if got := string(w.(*Pulled).Batches); got != "batcH" {
		t.Errorf("they are %q: a copy", got)
	}
}

// FuzzDecodeWord: nothing that is read panics, and what is read is written and read again as the same.
func FuzzDecodeWord(f *testing.F) {
	for of := wordRaft; int(of) < len(words); of++ {
		for seed := range 3 {
			w := rapid.Custom(func(t *rapid.T) Word {
				rapid.Bool().Draw(t, "chance") // rapid wants a draw, and a word may have no fields
				return anyWord(t, of)
			}).Example(seed)
			b, err := AppendWord(nil, w)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := DecodeWord(b)
		if err != nil {
			return
		}
		again, err := AppendWord(nil, w)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeWord(again)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, w) {
			t.Fatalf("%#v became %#v", w, back)
		}
	})
}

func BenchmarkPull(b *testing.B) {
	benchmarkWord(b, &Pull{LeaderEpoch: 7, LastEpoch: 6, End: 1 << 33, Synced: 1<<33 - 9, BytesMax: 1 << 20})
}

func BenchmarkPulled64K(b *testing.B) {
	benchmarkWord(b, &Pulled{LeaderEpoch: 7, HighWatermark: 1 << 33, DivergingEpoch: -1, DivergingEnd: -1, Batches: make([]byte, 64<<10)})
}

func benchmarkWord(b *testing.B, w Word) {
	buf, err := AppendWord(nil, w)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(buf)))
		for range b.N {
			buf, _ = AppendWord(buf[:0], w)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := DecodeWord(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
