package network

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// way is one direction of a link.
//
//	send ─▶ queue ─(credits)─▶ launch ─▶ bandwidth, delay ─▶ arrive ─▶ deliver
//	          ▲                                                          │
//	          └────────────────────── credits ◀──────────────────────────┘
type way struct {
	link           *Link
	source, target message.NodeID
	cut            bool
	delay          time.Duration
	bandwidth      int64 // 0: as much as others
	lanes          [2]lane
}

// lane is one of a way's lanes.
type lane struct {
	clogged bool
	queue   []parcel // waits for credits
	queued  int      // bytes of it
	flying  int      // bytes for which credits are out
	owed    int      // bytes whose credits cannot come back
	held    []parcel // at the end of the way, and cannot go on
	free    time.Duration
	last    time.Duration // when the last parcel arrives: they do not overtake
}

// parcel is a letter whose word is bytes.
type parcel struct {
	stage.Letter
	bytes []byte
	lane  message.Lane
}

// headerBytes is what a letter weighs beside its word.
const headerBytes = 64

func (p *parcel) size() int { return headerBytes + len(p.bytes) }

// pack makes bytes of a letter.
func pack(l stage.Letter) parcel {
	p := parcel{Letter: l, lane: message.Control}
	if l.Word == nil {
		return p
	}
	p.lane = message.LaneOf(l.Word)
	var err error
	if p.bytes, err = message.AppendWord(nil, l.Word); err != nil {
		panic(fmt.Sprintf("network: %T cannot be encoded: %v", l.Word, err))
	}
	p.Word = nil
	return p
}

// open makes a letter of the bytes.
func (p parcel) open() stage.Letter {
	if p.bytes == nil {
		return p.Letter
	}
	w, err := message.DecodeWord(p.bytes)
	if err != nil {
		panic(fmt.Sprintf("network: a word from %v to %v cannot be decoded: %v", p.From, p.To, err))
	}
	p.Letter.Word = w
	return p.Letter
}

// stuck says that nothing gets through: not for now, or never.
func (w *way) stuck() bool {
	from, to := w.link.mesh.ports[w.source], w.link.mesh.ports[w.target]
	return w.cut || from == nil || to == nil || from.stuck || from.silent || to.stuck || to.silent
}

// send takes a letter. Where there is no connection it is lost, and its sender hears that the peer is down.
func (w *way) send(l stage.Letter) {
	if !w.link.up {
		w.link.mourn(w.source)
		return
	}
	p := pack(l)
	lane := &w.lanes[p.lane]
	lane.queue = append(lane.queue, p)
	if lane.queued += p.size(); lane.queued > w.link.mesh.opts.Queue && len(lane.queue) > 1 {
		w.link.reset(fmt.Sprintf("%d bytes wait for node %d to take them", lane.queued, w.target))
		return
	}
	w.launch(lane)
}

// launch lets go what there are credits for.
func (w *way) launch(lane *lane) {
	for len(lane.queue) > 0 && (lane.flying == 0 || lane.flying+lane.queue[0].size() <= w.link.mesh.opts.Credits) {
		p := lane.queue[0]
		lane.queue = lane.queue[1:]
		lane.queued -= p.size()
		lane.flying += p.size()
		w.fly(lane, p)
	}
}

// fly takes a parcel to the other end.
func (w *way) fly(lane *lane, p parcel) {
	now, session := w.link.mesh.time.Elapsed(), w.link.session
	bandwidth := w.bandwidth
	if bandwidth == 0 {
		bandwidth = w.link.mesh.opts.Bandwidth
	}
	lane.free = max(lane.free, now) + time.Duration(int64(p.size())*int64(time.Second)/bandwidth)
	lane.last = max(lane.last, lane.free+w.link.delay()+w.delay)
	w.link.mesh.time.After(lane.last-now, func() {
		if w.link.session == session {
			w.arrive(lane, p)
		}
	})
}

// arrive is a parcel at the end of its way.
func (w *way) arrive(lane *lane, p parcel) {
	if len(lane.held) > 0 || lane.clogged || w.stuck() {
		lane.held = append(lane.held, p)
		w.link.suspect()
		return
	}
	w.deliver(lane, p)
}

// deliver hands a parcel over, and sends its credits back.
func (w *way) deliver(lane *lane, p parcel) {
	w.link.mesh.time.Note(xxhash.Sum64(p.bytes))
	session := w.link.session
	w.link.mesh.ports[w.target].end.Receive(p.open())
	w.link.mesh.time.After(w.link.delay(), func() {
		if w.link.session == session {
			lane.owed += p.size()
			w.repay(lane)
		}
	})
}

// repay gives credits back, which come by the other way.
func (w *way) repay(lane *lane) {
	if w.link.from(w.target).stuck() {
		return
	}
	lane.flying -= lane.owed
	lane.owed = 0
	w.launch(lane)
}

// flow lets through what was held.
func (w *way) flow() {
	if w.stuck() {
		return
	}
	for i := range w.lanes {
		lane := &w.lanes[i]
		held, session := lane.held, w.link.session
		if lane.clogged {
			continue
		}
		lane.held = nil
		for _, p := range held {
			if w.link.session == session {
				w.deliver(lane, p)
			}
		}
		w.repay(lane)
	}
}

// clear loses everything that is under way.
func (w *way) clear() {
	for i := range w.lanes {
		w.lanes[i] = lane{clogged: w.lanes[i].clogged}
	}
}
