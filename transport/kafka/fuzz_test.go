package kafka

import (
	"runtime"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

// FuzzFrames gives a connection frames of arbitrary bytes. It must neither panic nor hang, allocate no more than the bytes
// are worth, and answer or close.
func FuzzFrames(f *testing.F) {
	for row := range ours().all {
		for version := row.min; version <= row.max; version++ {
			f.Add(request(filled(row.key, version, 1), version, 1))
		}
	}
	f.Add(request(produceOf(-1, "t", batch(3)), 9, 1))
	f.Add(request(fetchOf(0, 1, "t", 0), 12, 1))
	f.Add([]byte{0, 1, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})
	metadata := cluster(map[string]int{"t": 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := newHouse(t, metadata)
		h.views[address("t", 0)] = newLog(2)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.tell(&Frame{Bytes: append([]byte(nil), b...)})
		for range 10 { // whoever was asked does not answer
			for _, a := range append([]*asked(nil), h.asks...) {
				h.answer(a, &message.Progressed{})
			}
		}
		h.sleep(1 << 50)
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20+uint64(200*len(b)) {
			t.Errorf("%d bytes were allocated over %d", after.TotalAlloc-before.TotalAlloc, len(b))
		}
		if n := countLines(h, "the impossible"); n > 0 || countLines(h, "panic=") > 0 {
			t.Errorf("a panic: %s", h.logged.String())
		}
	})
}

// FuzzPairs sends two frames behind each other, the way a socket cuts them: sessions, order and refusals together.
func FuzzPairs(f *testing.F) {
	f.Add(request(inSession(fetchOf(0, 1, "t", 0), 0, 0), 12, 1), request(inSession(fetchOf(9, 1, "t"), 1, 1), 12, 2))
	f.Add(request(produceOf(0, "t", batch(1)), 9, 1), request(produceOf(-1, "t", batch(1)), 9, 2))
	f.Add(request(fetchOf(500, 1, "t", 0), 13, 1), request(metadataOf("t"), 9, 2))
	metadata := cluster(map[string]int{"t": 2})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		h := newHouse(t, metadata)
		h.views[address("t", 0)], h.views[address("t", 1)] = newLog(2), newLog()
		given := 0
		done := func(bool) { given++ }
		h.tell(&Frame{Bytes: append([]byte(nil), a...), Done: done})
		h.tell(&Frame{Bytes: append([]byte(nil), b...), Done: done})
		for _, answer := range h.wire.answers {
			if len(answer) < 4 {
				t.Fatalf("an answer of %d bytes", len(answer))
			}
		}
		h.tell(&Closed{})
		if given != 2 {
			t.Errorf("%d of 2 frames were given back", given)
		}
		if countLines(h, "panic=") > 0 {
			t.Errorf("a panic: %s", h.logged.String())
		}
	})
}
