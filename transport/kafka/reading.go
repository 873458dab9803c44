package kafka

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka/session"
)

// reading is what a connection keeps from one fetch to the next: its session, whether or not the client may go on with
// it, and whom it has asked for news. At most one question is open per partition, however many fetches go by.
type reading struct {
	session *session.Session
	parked  *fetch // waits for data, or for a partition to open
	looks   uint64
	asked   map[message.PartitionID]*asking
	damaged string               // the last damage that was logged
	seen    []*session.Partition // memory for the next fetch
	named   []*session.Partition // too
}

// asking is an open question to a partition for news.
type asking struct {
	k       *connection
	id      message.PartitionID
	p       *session.Partition // who is to be woken
	opening *fetch             // that waits for the partition to have a view at all
}

// newsPatience is how long a question for news stays open before it is asked anew.
const newsPatience = time.Hour

// ask asks a partition for news beyond the bounds.
func (k *connection) ask(c stage.Context, p *session.Partition, b message.Bounds) *asking {
	id := p.Place.ID
	if a := k.reading.asked[id]; a != nil {
		a.p = p
		return a
	}
	a := &asking{k: k, id: id, p: p}
	if k.reading.asked == nil {
		k.reading.asked = map[message.PartitionID]*asking{}
	}
	k.reading.asked[id] = a
	news := &message.Await{HighWatermark: b.HighWatermark, LogStart: b.LogStart, LeaderEpoch: b.LeaderEpoch}
	k.expect(c.Ask(message.PartitionAt(k.opts.Node, id), news, newsPatience), a, 0)
	return a
}

// resume wakes the partition, and the fetch that is parked.
func (a *asking) resume(c stage.Context, _ int, answer any) {
	delete(a.k.reading.asked, a.id)
	f := a.k.reading.parked
	if a.opening != nil && a.opening == f {
		f.opening--
	}
	if a.p.Stale() {
		return
	}
	a.p.Failed = failure(answer)
	a.k.reading.session.Wake(a.p)
	if f != nil {
		f.woken(c, a.p)
	}
}

// failure is what an answer to a question for news says against the partition.
func failure(answer any) message.Code {
	switch m := answer.(type) {
	case *message.Progressed:
		return m.Code
	case *stage.Down:
		return message.KafkaStorageError
	}
	return message.OK
}

func (rd *reading) waited(c stage.Context, m *waited) {
	if rd.parked == m.fetch {
		m.fetch.waited(c)
	}
}

// evicted ends the session for the client; what it taught us is kept.
func (rd *reading) evicted(m *Evicted) {
	if rd.session != nil && rd.session.ID == m.ID {
		rd.session.ID = 0
	}
}

// end withdraws every question, in an order that does not depend on chance.
func (rd *reading) end(c stage.Context, sessions *Sessions) {
	ids := make([]message.PartitionID, 0, len(rd.asked))
	for id := range rd.asked {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b message.PartitionID) int {
		return cmp.Or(slices.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Index, b.Index))
	})
	for _, id := range ids {
		c.Send(message.PartitionAt(c.Self().Node, id), &message.Forget{})
	}
	if rd.session != nil && rd.session.ID != 0 {
		sessions.give(rd.session.ID)
	}
	if rd.parked != nil {
		rd.parked.timer.Stop()
	}
	*rd = reading{}
}
