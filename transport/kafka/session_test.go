package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// inSession makes a request part of a session.
func inSession(q *kmsg.FetchRequest, id, epoch int32) *kmsg.FetchRequest {
	q.SessionID, q.SessionEpoch = id, epoch
	return q
}

// begin opens a session over partitions of t and says its id.
func (h *house) begin(partitions ...int32) int32 {
	h.t.Helper()
	r := call(h, inSession(fetchOf(0, 1, "t", partitions...), 0, 0), kmsg.NewPtrFetchResponse(), 12)
	if r.SessionID == 0 || len(r.Topics[0].Partitions) != len(partitions) {
		h.t.Fatalf("no session: %+v", r)
	}
	return r.SessionID
}

// S37: "unknown id -> FETCH_SESSION_ID_NOT_FOUND(70); wrong epoch -> INVALID_FETCH_SESSION_EPOCH(71); mixing v>=13 with <13
// in one session -> FETCH_SESSION_TOPIC_ID_ERROR(106)"; "epoch -1 = sessionless/close"; "Cache full -> session_id 0".
func TestSessionsAreCheckedByIDAndEpoch(t *testing.T) {
	h := library(t, 1, empty)
	id := h.begin(0)
	for _, c := range []struct {
		id, epoch int32
		version   int16
		code      int16
	}{{id + 1, 1, 12, 70}, {id, 2, 12, 71}, {id, 1, 13, 106}, {id, 1, 12, 0}, {id, 1, 12, 71}, {id, 2, 12, 0}} {
		r := call(h, inSession(fetchOf(0, 1, "t"), c.id, c.epoch), kmsg.NewPtrFetchResponse(), c.version)
		if r.ErrorCode != c.code || c.code != 0 && (r.SessionID != 0 || len(r.Topics) != 0) || c.code == 0 && r.SessionID != id {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	if r := call(h, inSession(fetchOf(0, 1, "t", 0), id, -1), kmsg.NewPtrFetchResponse(), 12); r.ErrorCode != 0 || r.SessionID != 0 {
		t.Errorf("the closing request: %+v", r)
	}
	if r := call(h, inSession(fetchOf(0, 1, "t"), id, 3), kmsg.NewPtrFetchResponse(), 12); r.ErrorCode != 70 {
		t.Errorf("a closed session: %+v", r)
	}
	none := newHouse(t, cluster(map[string]int{"t": 1}), func(o *Options) { o.Sessions = NewSessions(0) })
	none.views[address("t", 0)] = newLog()
	if r := call(none, inSession(fetchOf(0, 1, "t", 0), 0, 0), kmsg.NewPtrFetchResponse(), 12); r.SessionID != 0 || len(r.Topics) != 1 {
		t.Errorf("without slots: %+v", r)
	}
}

// S38: "Incremental response contains only partitions with: records, changed HW, changed logStart, error ...; the others
// are omitted. On error, cached HW reset to -1 so next response re-includes."
func TestAnIncrementalAnswerHasOnlyNews(t *testing.T) {
	h := library(t, 3, empty)
	id := h.begin(0, 1, 2)
	epochs := int32(0)
	next := func(q *kmsg.FetchRequest) []kmsg.FetchResponseTopicPartition {
		t.Helper()
		epochs++
		r := call(h, inSession(q, id, epochs), kmsg.NewPtrFetchResponse(), 12)
		if len(r.Topics) == 0 {
			return nil
		}
		return r.Topics[0].Partitions
	}
	if ps := next(fetchOf(0, 1, "t")); ps != nil {
		t.Errorf("nothing happened: %+v", ps)
	}
	h.change(1, newLog(2))
	if ps := next(fetchOf(0, 1, "t")); len(ps) != 1 || ps[0].Partition != 1 || len(ps[0].RecordBatches) == 0 {
		t.Errorf("records: %+v", ps)
	}
	q := fetchOf(0, 1, "t", 1)
	q.Topics[0].Partitions[0].FetchOffset = 2
	if ps := next(q); ps != nil {
		t.Errorf("the offset moved on: %+v", ps)
	}
	started := newLog(2)
	started.bounds.LogStart = 1
	h.change(1, started)
	if ps := next(fetchOf(0, 1, "t")); len(ps) != 1 || ps[0].LogStartOffset != 1 {
		t.Errorf("the log start moved: %+v", ps)
	}
	q = fetchOf(0, 1, "t", 2)
	q.Topics[0].Partitions[0].FetchOffset = 99
	for range 2 {
		if ps := next(q); len(ps) != 1 || ps[0].ErrorCode != 1 {
			t.Errorf("an error: %+v", ps)
		}
	}
	if ps := next(fetchOf(0, 1, "t", 2)); len(ps) != 1 || ps[0].ErrorCode != 0 || ps[0].HighWatermark != 0 {
		t.Errorf("the error is gone, which is told: %+v", ps)
	}
	q = fetchOf(0, 1, "t")
	q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: []int32{1}}}
	h.change(1, newLog(9))
	if ps := next(q); ps != nil {
		t.Errorf("a forgotten partition: %+v", ps)
	}
}

// S39: "Partitions with data are rotated to the end of the session's order (fairness)."
func TestPartitionsTakeTurns(t *testing.T) {
	h := library(t, 3, func(int) *log { return newLog(1, 1, 1) })
	q := inSession(fetchOf(0, 1, "t", 0, 1, 2), 0, 0)
	q.MaxBytes = 10
	id := call(h, q, kmsg.NewPtrFetchResponse(), 12).SessionID
	var order []int32
	for i := range int32(5) {
		q := inSession(fetchOf(0, 1, "t"), id, i+1)
		q.MaxBytes = 10
		for _, p := range call(h, q, kmsg.NewPtrFetchResponse(), 12).Topics[0].Partitions {
			order = append(order, p.Partition)
		}
	}
	for i, p := range order {
		if p != int32(i+1)%3 {
			t.Fatalf("served in the order 0 %v", order)
		}
	}
}

// A fetch costs what has changed: of a thousand partitions only those with news are looked at.
func TestASessionLooksOnlyAtNews(t *testing.T) {
	const many = 1000
	logs := make([]*log, many)
	h := library(t, many, func(i int) *log { logs[i] = newLog(1); return logs[i] })
	q := fetchOf(100, 1, "t")
	for i := range int32(many) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = i, 1, 1<<20
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	h.ask(inSession(q, 0, 0), 12, 1)
	h.sleep(100 * time.Millisecond)
	id := read(h, kmsg.NewPtrFetchResponse(), 12, 1).SessionID
	asked := h.number
	for i := range int32(20) {
		h.ask(inSession(fetchOf(100, 1, "t"), id, i+1), 12, 1)
		h.change(7, logs[7].longer(1))
		logs[7] = h.views[address("t", 7)].(*log)
		r := read(h, kmsg.NewPtrFetchResponse(), 12, 1)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			t.Fatalf("the answer is %+v", r.Topics)
		}
		id2 := r.SessionID
		if id2 != id {
			t.Fatal("the session changed")
		}
	}
	if n := h.number - asked; n > 21 {
		t.Errorf("%d questions for 20 fetches", n)
	}
	if len(h.asks) > many {
		t.Errorf("%d questions are open", len(h.asks))
	}
}

// A session that loses its slot to another connection is gone for its client.
func TestAnEvictedSessionIsGone(t *testing.T) {
	slots := NewSessions(1)
	share := func(o *Options) { o.Sessions = slots }
	first, second := newHouse(t, cluster(map[string]int{"t": 1}), share), newHouse(t, cluster(map[string]int{"t": 1}), share)
	first.views[address("t", 0)], second.views[address("t", 0)] = newLog(), newLog()
	id := first.begin(0)
	if r := call(second, inSession(fetchOf(0, 1, "t", 0), 0, 0), kmsg.NewPtrFetchResponse(), 12); r.SessionID != 0 {
		t.Error("a session that is in use lost its slot")
	}
	second.now = noon.Add(3 * time.Minute)
	second.begin(0)
	if len(second.sent) != 1 || second.sent[0].to != message.ConnectionAt(me, 7) {
		t.Fatalf("sent %+v", second.sent)
	}
	first.tell(second.sent[0].what)
	if r := call(first, inSession(fetchOf(0, 1, "t"), id, 1), kmsg.NewPtrFetchResponse(), 12); r.ErrorCode != 70 {
		t.Errorf("the evicted session: %+v", r)
	}
	second.tell(&Closed{})
	if n := slots.slots.Len(); n != 0 {
		t.Errorf("%d slots are taken when the connection is gone", n)
	}
}

// S31 holds in a session too: without room for anything there is still one batch.
func TestOneBatchFitsInASession(t *testing.T) {
	h := library(t, 2, func(int) *log { return newLog(1) })
	id := h.begin(0, 1)
	q := inSession(fetchOf(0, 1, "t"), id, 1)
	q.MaxBytes = 0
	if r := call(h, q, kmsg.NewPtrFetchResponse(), 12); len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("the answer is %+v", r.Topics)
	}
}
