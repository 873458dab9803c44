package link

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

var sample = Frame{Kind: Data, Lane: message.Bulk, Wanted: true, Cluster: "abc", Node: 7, From: Mark{message.TopicID{1}, 2}, To: Mark{message.TopicID{3}, 4},
	Sequence: 5, Granted: [Lanes]uint64{6, 7}, Payload: []byte("letters")}

func TestAFrameComesBackAsItWas(t *testing.T) {
	got, err := DecodeFrame(AppendFrame(nil, &sample))
	if err != nil || !reflect.DeepEqual(got, sample) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestFramesThatAreNotOursSayWhy(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(b []byte) []byte
		why  error
	}{
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, ErrShort},
		{"empty", func([]byte) []byte { return nil }, ErrShort},
		{"longer", func(b []byte) []byte { return append(b, 0) }, ErrShort},
		{"other", func(b []byte) []byte { b[0] = 'x'; return b }, ErrMagic},
		{"newer", func(b []byte) []byte { b[4]++; return b }, ErrVersion},
		{"kind", func(b []byte) []byte { b[5] = 9; return b }, ErrKind},
		{"lane", func(b []byte) []byte { b[6] = 2; return b }, ErrKind},
		{"damaged header", func(b []byte) []byte { b[atSequence]++; return b }, ErrCRC},
		{"damaged payload", func(b []byte) []byte { b[len(b)-1]++; return b }, ErrCRC},
	} {
		if _, err := DecodeFrame(c.do(AppendFrame(nil, &sample))); !errors.Is(err, c.why) {
			t.Errorf("%s: %v, and not: %v", c.what, err, c.why)
		}
	}
}

// The records in a bulk frame have checksums of their own; what a control frame holds has none.
func TestTheChecksumCoversAllButRecords(t *testing.T) {
	large := sample
	large.Payload = make([]byte, 2*summed)
	for _, c := range []struct {
		lane message.Lane
		at   int
		seen bool
	}{{message.Control, 2*summed - 1, true}, {message.Bulk, summed - 1, true}, {message.Bulk, summed, false}} {
		large.Lane = c.lane
		b := AppendFrame(nil, &large)
		b[len(b)-2*summed+c.at]++
		if _, err := DecodeFrame(b); errors.Is(err, ErrCRC) != c.seen {
			t.Errorf("byte %d of a payload on lane %d: %v", c.at, c.lane, err)
		}
	}
}

// FuzzFrame gives bytes that nobody has checked to the decoder, and, as the payload of a frame that has passed, to a link that is up.
func FuzzFrame(f *testing.F) {
	f.Add(AppendFrame(nil, &sample))
	f.Add([]byte{0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if frame, err := DecodeFrame(b); err == nil && !bytes.Equal(AppendFrame(nil, &frame), b) {
			t.Fatalf("%x is read as %+v, which is written otherwise", b, frame)
		}
		s := newScene(t)
		s.tick(small.Beat)
		a, z := s.ends[0].link, s.ends[1].link
		piece := Frame{Kind: Data, From: a.self, To: z.self, Sequence: z.lanes[0].last + 1, Payload: b}
		for _, l := range z.Take(&piece, s.now) {
			if len(l.Body) > small.LetterBytes {
				t.Fatalf("a letter of %d bytes", len(l.Body))
			}
		}
	})
}
