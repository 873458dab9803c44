package kafka

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// S1: "ApiVersions request with unsupported version -> response in v0 format, error 35, api_keys containing only key 18's
// range; the request body is not parsed."
func TestAnUnknownVersionOfApiVersionsIsAnsweredInTheOldest(t *testing.T) {
	h := newHouse(t, cluster(nil))
	frame := []byte{0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff, 0xde, 0xad}
	h.tell(&Frame{Bytes: frame})
	r := read(h, kmsg.NewPtrApiVersionsResponse(), 0, 5)
	if r.ErrorCode != 35 || len(r.ApiKeys) != 1 || r.ApiKeys[0].ApiKey != 18 || r.ApiKeys[0].MaxVersion != 4 {
		t.Errorf("the answer is %+v", r)
	}
	if h.wire.closed {
		t.Error("the connection is closed")
	}
}

// S2: "ApiVersions response always uses response header v0 even for flexible v3/v4."
func TestApiVersionsHasTheOldResponseHeader(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		h := newHouse(t, cluster(nil))
		r := call(h, &kmsg.ApiVersionsRequest{ClientSoftwareName: "x", ClientSoftwareVersion: "1"}, kmsg.NewPtrApiVersionsResponse(), version)
		if r.ErrorCode != 0 || len(r.ApiKeys) < 20 {
			t.Errorf("version %d: the answer is %+v", version, r)
		}
		if version >= 3 && (r.FinalizedFeaturesEpoch < 0 || len(r.FinalizedFeatures) == 0) {
			t.Errorf("version %d: no features: %+v", version, r)
		}
		for _, f := range r.SupportedFeatures {
			if version == 3 && f.MinVersion == 0 {
				t.Errorf("version 3 names the minimum 0 of %s (KAFKA-17011)", f.Name)
			}
		}
	}
}

// S3: "ApiVersions advertises Produce min 0 although 0-2 are unsupported."
func TestProduceIsAdvertisedFromZero(t *testing.T) {
	h := newHouse(t, cluster(nil))
	r := call(h, kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrApiVersionsResponse(), 0)
	if k := r.ApiKeys[0]; k.ApiKey != 0 || k.MinVersion != 0 || k.MaxVersion != 13 {
		t.Errorf("produce is %+v", k)
	}
	h.ask(produceOf(-1, "t", batch(1)), 2, 1)
	if !h.wire.closed {
		t.Error("a produce of version 2 was not refused")
	}
}

// S4: "Unknown key, unsupported version, or not enabled on this listener -> connection closed with no response."
func TestWhatIsNotServedClosesTheConnection(t *testing.T) {
	for name, frame := range map[string][]byte{
		"key":       {0, 4, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"big key":   {0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"negative":  {0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"version":   {0, 3, 0, 14, 0, 0, 0, 1, 0xff, 0xff},
		"short":     {0, 3, 0},
		"empty":     {},
		"client id": {0, 3, 0, 1, 0, 0, 0, 1, 0x10, 0},
		"body":      {0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff},
	} {
		h := newHouse(t, cluster(nil))
		reusable := -1
		h.tell(&Frame{Bytes: frame, Done: func(bool) { reusable++ }})
		if h.silent(); !h.wire.closed || !h.stopped {
			t.Errorf("%s: closed %v, stopped %v", name, h.wire.closed, h.stopped)
		}
		if reusable != 0 {
			t.Errorf("%s: the frame was given back %d times", name, reusable+1)
		}
		if n := strings.Count(h.logged.String(), "\n"); n != 1 {
			t.Errorf("%s: %d lines of log: %s", name, n, h.logged.String())
		}
	}
}

// S5: "Per connection ... responses come in order ... Clients pipeline." S6: "A long-polling Fetch therefore blocks later
// requests on the same connection."
func TestRequestsAreAnsweredOneAfterTheOther(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}))
	h.views[address("t", 0)] = newLog()
	h.ask(fetchOf(500, 1, "t", 0), 12, 1)
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 2)
	h.silent()
	h.sleep(500e6)
	read(h, kmsg.NewPtrFetchResponse(), 12, 1)
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 2)
}

// "Do not stop reading: several produces of one connection may be in flight as long as appends and answers keep their
// order." What is not a produce waits until it is its turn.
func TestRunsOfProduceOverlap(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 2}))
	h.ask(produceOf(-1, "t", batch(1)), 9, 1)
	h.ask(produceOf(-1, "t", batch(2)), 9, 2)
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 3)
	h.ask(produceOf(-1, "t", batch(3)), 9, 4)
	if len(h.asks) != 2 {
		t.Fatalf("%d appends are under way, want 2", len(h.asks))
	}
	first, second := h.asks[0], h.asks[1]
	h.answer(second, &message.Appended{BaseOffset: 1, LogAppendTime: -1})
	h.silent()
	h.answer(first, &message.Appended{BaseOffset: 0, LogAppendTime: -1})
	for i, want := range []int64{0, 1} {
		if r := read(h, kmsg.NewPtrProduceResponse(), 9, int32(i+1)); r.Topics[0].Partitions[0].BaseOffset != want {
			t.Errorf("produce %d got offset %d", i+1, r.Topics[0].Partitions[0].BaseOffset)
		}
	}
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 3)
	if len(h.asks) != 1 {
		t.Errorf("%d appends are under way, want the last", len(h.asks))
	}
}

// A request that cannot be served closes the connection when it is its turn: those before it are answered.
func TestARefusalWaitsForItsTurn(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 1}))
	h.ask(produceOf(-1, "t", batch(1)), 9, 1)
	h.tell(&Frame{Bytes: []byte{0, 0, 0, 9, 0, 0, 0, 2, 0xff, 0xff, 0, 1, 2, 3}}) // a produce that is cut short
	if h.wire.closed {
		t.Fatal("the connection was closed over the second request before the first was answered")
	}
	h.answer(h.asks[0], &message.Appended{})
	read(h, kmsg.NewPtrProduceResponse(), 9, 1)
	if !h.wire.closed {
		t.Error("the connection is open")
	}
}

// S8: "client_software_name/version must match ..., else INVALID_REQUEST."
func TestSoftwareNamesAreChecked(t *testing.T) {
	for name, code := range map[string]int16{"apache-kafka-java": 0, "x": 0, "": 42, "-x": 42, "a b": 42, "x.": 42} {
		h := newHouse(t, cluster(nil))
		r := call(h, &kmsg.ApiVersionsRequest{ClientSoftwareName: name, ClientSoftwareVersion: "1.0"}, kmsg.NewPtrApiVersionsResponse(), 3)
		if r.ErrorCode != code {
			t.Errorf("%q: code %d, want %d", name, r.ErrorCode, code)
		}
	}
}

// S9: "Unknown tagged fields are skipped, never an error (KIP-482)." Every request of these tests has one in its header.
// S10: "client_id is nullable; correlation id echoed."
func TestTheClientIDMayBeNull(t *testing.T) {
	h := newHouse(t, cluster(nil))
	h.tell(&Frame{Bytes: []byte{0, 18, 0, 0, 0x12, 0x34, 0x56, 0x78, 0xff, 0xff}})
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 0x12345678)
}

// Nothing is answered before there is metadata: a broker that starts makes its clients wait.
func TestRequestsWaitForTheImage(t *testing.T) {
	h := newHouse(t, nil)
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 1)
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 2)
	h.sleep(imagePatience * 3)
	if len(h.timers) != 1 {
		t.Errorf("%d timers look for the image", len(h.timers))
	}
	h.silent()
	h.views[message.BrokerAt(me)] = cluster(nil)
	h.sleep(imagePatience)
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 1)
	read(h, kmsg.NewPtrApiVersionsResponse(), 0, 2)
	if len(h.timers) != 0 {
		t.Errorf("%d timers are left", len(h.timers))
	}
}

// A panic over a client's bytes costs that client its connection, and nobody else anything.
func TestAPanicClosesTheConnection(t *testing.T) {
	bad := api{key: 18, max: 4, start: func(stage.Context, *Request) { panic("the impossible") }}
	h := newHouse(t, cluster(nil))
	h.actor = newConnection(h.wire, Options{Node: me}.withDefaults(), newVersions([]api{bad}))()
	h.ask(kmsg.NewPtrApiVersionsRequest(), 0, 1)
	if !h.wire.closed || !h.stopped || !strings.Contains(h.logged.String(), "the impossible") {
		t.Errorf("closed %v, stopped %v, log %s", h.wire.closed, h.stopped, h.logged.String())
	}
}

// When the wire ends, partitions are told to forget what was parked, every frame is given back, and nothing is written.
func TestAClosedWireEndsEverything(t *testing.T) {
	h := newHouse(t, cluster(map[string]int{"t": 2}))
	h.views[address("t", 0)], h.views[address("t", 1)] = newLog(), newLog()
	f := &Frame{Bytes: request(fetchOf(500, 1, "t", 0, 1), 12, 1)}
	given := 0
	f.Done = func(bool) { given++ }
	h.tell(f)
	h.tell(&Closed{})
	if given != 1 || !h.stopped || !h.wire.closed {
		t.Errorf("frame given back %d times, stopped %v, closed %v", given, h.stopped, h.wire.closed)
	}
	if len(h.sent) != 2 {
		t.Errorf("%d partitions were told to forget: %v", len(h.sent), h.sent)
	}
	h.sleep(1e9)
	late := &Frame{Bytes: request(kmsg.NewPtrApiVersionsRequest(), 0, 2), Done: func(bool) { given++ }}
	h.tell(late)
	if h.silent(); given != 2 {
		t.Error("a frame behind the end was not given back")
	}
}

// L14: "the set of ranges must equal some real release"; section 1: every version is one that 4.3 serves, but for Produce's
// advertised minimum.
func TestTheTableIsWhatTheCodecKnows(t *testing.T) {
	for row := range ours().all {
		q := kmsg.RequestForKey(row.key)
		if row.max > q.MaxVersion() || row.min > row.max {
			t.Errorf("key %d: versions %d to %d, the codec knows up to %d", row.key, row.min, row.max, q.MaxVersion())
		}
	}
}

// Every shape fits what the codec writes, to the last byte, and nothing that is cut short.
func TestShapesFitWhatTheCodecWrites(t *testing.T) {
	for row := range ours().all {
		for version := row.min; version <= row.max; version++ {
			for seed := range uint64(50) {
				q := filled(row.key, version, seed)
				body := q.AppendTo(nil)
				w := walker{rest: body, version: version, flexible: q.IsFlexible()}
				if !w.object(row.walk) || len(w.rest) != 0 {
					t.Fatalf("key %d version %d: the shape %q leaves %d of %d bytes of %+v", row.key, version, row.shape, len(w.rest), len(body), q)
				}
				if len(body) > 0 && row.walk.fits(body[:len(body)-1], version, q.IsFlexible()) {
					t.Fatalf("key %d version %d: the shape fits a body that is cut short", row.key, version)
				}
			}
		}
	}
}

// What a hostile client can make of counts: no more than its bytes are worth.
func TestHugeCountsAreRefused(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<31-1)
	for row := range ours().all {
		for version := row.min; version <= row.max; version++ {
			h := newHouse(t, cluster(map[string]int{"t": 1}))
			for _, tail := range [][]byte{{0x7f, 0xff, 0xff, 0xff}, huge, bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 20)} {
				if h.wire.closed {
					h = newHouse(t, cluster(map[string]int{"t": 1}))
				}
				frame := []byte{0, byte(row.key), 0, byte(version), 0, 0, 0, 1, 0xff, 0xff}
				if version >= row.flexible {
					frame = append(frame, 0)
				}
				h.tell(&Frame{Bytes: append(frame, tail...)})
			}
		}
	}
}

// A request may not have more elements than anybody needs: decoded they are many times as large as their bytes.
func TestElementsAreBounded(t *testing.T) {
	h := newHouse(t, cluster(nil))
	q := []byte{0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0}
	q = binary.AppendUvarint(q, elementsMax+2)
	q = append(q, bytes.Repeat([]byte{1, 0}, elementsMax+1)...)
	if h.tell(&Frame{Bytes: append(q, 0, 0, 0, 0)}); !h.wire.closed {
		t.Error("the request was taken")
	}
}
