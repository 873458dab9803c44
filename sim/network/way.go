package network

import (
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
)

// way is one direction of a link.
//
//	send ─▶ queue ─(credits)─▶ launch ─▶ bandwidth, delay ─▶ arrive ─▶ deliver
//	          ▲                                                          │
//	          └────────────────────── credits ◀──────────────────────────┘
type way struct {
	link           *Link
	source, target message.NodeID
	cut, starved   bool
	delay, jitter  time.Duration
	bandwidth      int64 // 0: as much as others
	lanes          [2]lane
}

// lane is one of a way's lanes.
type lane struct {
	clogged bool
	queue   fifo[parcel] // waits for credits
	queued  int          // bytes of it
	flying  int          // bytes for which credits are out
	air     fifo[flight] // under way, in order
	credits fifo[credit] // under way back, in order
	waking  bool         // credits are looked for when the first of them comes
	held    []parcel     // at the end of the way, and cannot go on
	free    time.Duration
	last    time.Duration // when the last parcel arrives: they do not overtake
	repaid  time.Duration // when the last credit comes back, likewise
}

// flight is a parcel under way.
type flight struct {
	at time.Duration // when it arrives
	parcel
}

// credit is for bytes that were taken out of the lane at its end.
type credit struct {
	at    time.Duration // when it comes back
	bytes int
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
	room := []byte(nil)
	pulled, _ := l.Word.(*message.Pulled)
	if pulled != nil {
		room = loan.Lend(headerBytes + len(pulled.Batches))
	}
	var err error
	if p.bytes, err = message.AppendWord(room, l.Word); err != nil {
		panic(fmt.Sprintf("network: %T cannot be encoded: %v", l.Word, err))
	}
	if pulled != nil {
		loan.GiveBack(pulled.Lent)
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
	if pulled, ok := w.(*message.Pulled); ok {
		pulled.Lent = p.bytes
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
		if w.link.unaware != w {
			w.link.mourn(w.source)
		}
		return
	}
	p := pack(l)
	lane := &w.lanes[p.lane]
	lane.queue.push(p)
	if lane.queued += p.size(); lane.queued > w.link.mesh.opts.Queue && lane.queue.len() > 1 {
		w.link.reset(fmt.Sprintf("%d bytes wait for node %d to take them", lane.queued, w.target))
		return
	}
	w.launch(lane)
}

// launch lets go what there are credits for. Credits that come back are not looked at before somebody waits for them.
func (w *way) launch(lane *lane) {
	if lane.queue.len() == 0 {
		return
	}
	w.repay(lane)
	for lane.queue.len() > 0 && (lane.flying == 0 || lane.flying+lane.queue.first().size() <= w.link.mesh.opts.Credits) {
		p := lane.queue.pop()
		lane.queued -= p.size()
		lane.flying += p.size()
		w.fly(lane, p)
	}
	w.wake(lane)
}

// repay counts the credits that have come back. They come by the other way, which may be stuck.
func (w *way) repay(lane *lane) {
	now := w.link.mesh.time.Elapsed()
	if w.starved || w.link.from(w.target).stuck() {
		return
	}
	for lane.credits.len() > 0 && lane.credits.first().at <= now {
		lane.flying -= lane.credits.pop().bytes
	}
}

// wake launches again when the next credit comes back, if something waits for it.
func (w *way) wake(lane *lane) {
	now, session := w.link.mesh.time.Elapsed(), w.link.session
	if lane.waking || lane.queue.len() == 0 || lane.credits.len() == 0 || lane.credits.first().at <= now {
		return
	}
	lane.waking = true
	w.link.mesh.time.After(lane.credits.first().at-now, func() {
		if w.link.session == session {
			lane.waking = false
			w.launch(lane)
		}
	})
}

// fly takes a parcel to the other end. Those that arrive at the same moment come in one frame.
func (w *way) fly(lane *lane, p parcel) {
	now, session := w.link.mesh.time.Elapsed(), w.link.session
	bandwidth := w.bandwidth
	if bandwidth == 0 {
		bandwidth = w.link.mesh.opts.Bandwidth
	}
	lane.free = max(lane.free, now) + time.Duration(int64(p.size())*int64(time.Second)/bandwidth)
	lane.last = max(lane.last, lane.free+w.link.delay()+w.delay+w.jittered())
	together := lane.air.len() > 0 && lane.air.last().at == lane.last
	if lane.air.push(flight{lane.last, p}); together {
		return
	}
	w.link.mesh.time.After(lane.last-now, func() {
		if w.link.session == session {
			w.land(lane)
		}
	})
}

func (w *way) jittered() time.Duration {
	if w.jitter == 0 {
		return 0
	}
	return time.Duration(w.link.chance.Int64N(int64(w.jitter) + 1))
}

// land lets the parcels arrive whose time has come.
func (w *way) land(lane *lane) {
	now, session := w.link.mesh.time.Elapsed(), w.link.session
	for w.link.session == session && lane.air.len() > 0 && lane.air.first().at <= now {
		w.arrive(lane, lane.air.pop().parcel)
	}
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
	now, size := w.link.mesh.time.Elapsed(), p.size()
	w.link.mesh.time.Note(xxhash.Sum64(p.bytes))
	lane.repaid = max(lane.repaid, now+w.link.delay())
	lane.credits.push(credit{lane.repaid, size})
	w.wake(lane)
	w.link.mesh.ports[w.target].end.Receive(p.open())
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
		w.launch(lane)
	}
}

// clear loses everything that is under way.
func (w *way) clear() {
	for i := range w.lanes {
		w.lanes[i] = lane{clogged: w.lanes[i].clogged}
	}
}
