package txn

import (
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

// noID stands where a producer id could be and is not.
const noID int64 = -1

// idPatience is how long a new producer id may take: the broker may have to ask the controller for a block of them.
const idPatience = 10 * time.Second

// draw is a question for a new producer id.
type draw uint64

// ids are questions that wait for one. They are decided anew when it is there: what was true before may not be any more.
type ids struct {
	waiting map[draw]question
	last    draw
}

type question struct {
	from brain.Caller
	ask  any
}

// draw asks the broker for a producer id that was never used.
func (t *Transactions) draw(from brain.Caller, ask any) {
	w := &t.ids
	if w.waiting == nil {
		w.waiting = map[draw]question{}
	}
	w.last++
	w.waiting[w.last] = question{from, ask}
	t.out.Asks = append(t.out.Asks, brain.Ask{Ref: w.last, To: message.BrokerAt(t.place.Node), Word: &message.NewProducerID{}, Patience: idPatience})
}

func (t *Transactions) drawn(now time.Time, ref draw, answer any) {
	q, waits := t.ids.waiting[ref]
	if !waits {
		return
	}
	delete(t.ids.waiting, ref)
	if id, _ := answer.(*message.ProducerID); id != nil && id.Code == message.OK {
		t.decide(now, q.from, q.ask, id.ID)
		return
	}
	t.reply(q.from, &message.Uncoordinated{Code: message.CoordinatorNotAvailable})
}
