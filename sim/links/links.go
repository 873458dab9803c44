// Package links is a world of two ends of a link (transport/mesh/link) and of the wires between them, which lose frames, hold them
// up and are cut, while ends are started anew and their owners take their time. The worlds of nodes have a model in the place of the
// mesh (sim/network); what decides in the real one is held to the same promise here. It knows nothing of NATS.
package links

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// Result is what became of a world.
type Result struct {
	Violation *check.Violation // nil: every invariant held
	Hash      uint64           // of every letter that arrived
	Steps     uint64
	Simulated time.Duration
	Letters   int // that arrived
}

var limits = link.Limits{FrameBytes: [link.Lanes]int{24, 24}, LetterBytes: 64, Window: [link.Lanes]int{80, 60}, Queue: [link.Lanes]int{240, 240},
	Beat: time.Second, Silence: 3 * time.Second,
	GiveBack: func(b []byte) { clear(b) }}

const (
	step      = 50 * time.Millisecond
	faulty    = 400 // steps
	healBound = 60 * time.Second
	perStep   = 3 // frames, letters: at most, of a lane
)

// world is two ends and their wires.
type world struct {
	chance  *rand.Rand
	elapsed time.Duration
	ends    [2]end
	loses   bool // frames, now and then
	letters int
	hash    uint64
	broken  *check.Violation
}

// end is one end, and the frames that are on their way to it.
type end struct {
	link    *link.Link
	node    message.NodeID
	lives   byte
	wires   [link.Lanes][][]byte
	cut     bool             // nothing comes through
	held    [link.Lanes]bool // it reads nothing
	session uint64           // of what it sends
	pushed  [link.Lanes]uint64
	heard   [link.Lanes]letter // the last one
	arrived [link.Lanes]int    // since the faults are over
}

// letter is the count-th letter of a session on a lane, from 1 on.
type letter struct{ session, count uint64 }

// Run runs the world of a seed.
func Run(seed uint64) Result {
	w := &world{chance: stage.Stream(seed, "links"), loses: true}
	for i := range w.ends {
		w.ends[i].node = message.NodeID(i + 1)
		w.restart(i)
	}
	for range faulty {
		w.disturb()
		w.step()
	}
	w.heal()
	return Result{Violation: w.broken, Hash: w.hash, Steps: uint64(w.elapsed / step), Simulated: w.elapsed, Letters: w.letters}
}

func (w *world) now() time.Time { return time.Unix(1000, 0).Add(w.elapsed) }

func (w *world) one(of int) bool { return w.chance.IntN(of) == 0 }

// disturb lets something go wrong, or come right.
func (w *world) disturb() {
	i := w.chance.IntN(2)
	e := &w.ends[i]
	switch w.chance.IntN(100) {
	case 0, 1:
		e.cut = true
	case 2, 3, 4, 5:
		e.cut = false
	case 6, 7, 8:
		on := w.chance.IntN(link.Lanes)
		e.held[on] = !e.held[on]
	case 9:
		w.restart(i)
	case 10:
		e.link.Reset("the route was lost")
		e.wires = [link.Lanes][][]byte{}
	}
}

// restart puts the next incarnation into an end's place.
func (w *world) restart(i int) {
	e := &w.ends[i]
	e.lives++
	e.link = link.New(link.Self{Cluster: "c", Node: e.node, Incarnation: message.TopicID{0: byte(i + 1), 1: e.lives}}, limits)
	e.wires = [link.Lanes][][]byte{}
	e.begin()
}

// begin begins a session: what was sent in the last one need not arrive.
func (e *end) begin() {
	e.session++
	e.pushed = [link.Lanes]uint64{}
}

// step lets a little time pass, in which both ends do everything that is theirs.
func (w *world) step() {
	w.elapsed += step
	for i := range w.ends {
		e := &w.ends[i]
		e.link.Tick(w.now())
		if e.link.State() == link.Broken && w.one(3) {
			e.link.Mend(w.now())
			e.begin()
		}
		for on := range link.Lanes {
			w.push(e, on)
			w.send(e, &w.ends[1-i], on)
			w.read(e, on)
		}
	}
}

func (w *world) push(e *end, on int) {
	if e.link.State() == link.Down || !w.one(2) {
		return
	}
	b := make([]byte, link.Prefix+16+w.chance.IntN(40))
	binary.BigEndian.PutUint64(b[link.Prefix:], e.session)
	binary.BigEndian.PutUint64(b[link.Prefix+8:], e.pushed[on]+1)
	cut := link.Prefix + int(e.pushed[on]%16)
	if e.link.Push(message.Lane(on), link.Letter{Head: b[:cut], Body: b[cut:], Lent: b}) {
		e.pushed[on]++
	}
}

func (w *world) send(from, to *end, on int) {
	var p link.Parcel
	for range perStep {
		if !from.link.Pack(message.Lane(on), w.now(), &p) {
			return
		}
		b := p.Append(nil)
		p.Sent()
		if !to.cut && !(w.loses && w.one(200)) {
			to.wires[on] = append(to.wires[on], b)
		}
	}
}

func (w *world) read(e *end, on int) {
	for range perStep {
		if e.held[on] || len(e.wires[on]) == 0 {
			return
		}
		f, err := link.DecodeFrame(e.wires[on][0])
		e.wires[on] = e.wires[on][1:]
		if err != nil {
			w.fail(check.LinkInOrder, "node %d cannot read a frame: %v.", e.node, err)
			return
		}
		for _, l := range e.link.Take(&f, w.now()) {
			w.heard(e, on, l.Body)
		}
		e.link.Consumed(&f)
	}
}

// heard checks a letter: the next one of its session, or the first one of a later session.
func (w *world) heard(e *end, on int, b []byte) {
	w.hash = xxhash.Sum64(append(binary.BigEndian.AppendUint64(nil, w.hash), b...))
	if len(b) < 16 {
		w.fail(check.LinkInOrder, "node %d got a letter of %d bytes that nobody has sent.", e.node, len(b))
		return
	}
	was, is := e.heard[on], letter{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	next := is == letter{was.session, was.count + 1}
	if !next && (is.session <= was.session || is.count != 1) {
		w.fail(check.LinkInOrder, "on lane %d node %d got letter %d of session %d after letter %d of session %d.", on, e.node,
			is.count, is.session, was.count, was.session)
	}
	e.heard[on] = is
	e.arrived[on]++
	w.letters++
}

// heal ends what goes wrong, and asks that letters arrive at both ends.
func (w *world) heal() {
	w.loses = false
	for i := range w.ends {
		w.ends[i].cut, w.ends[i].held, w.ends[i].arrived = false, [link.Lanes]bool{}, [link.Lanes]int{}
	}
	for end := w.elapsed + healBound; w.elapsed < end && w.broken == nil; {
		if w.step(); w.serves() {
			return
		}
	}
	w.fail(check.LinkGoesOn, "after %v letters have arrived: %v at node 1, %v at node 2, by lane.", healBound, w.ends[0].arrived, w.ends[1].arrived)
}

// enough letters show that credits come back.
const enough = 20

func (w *world) serves() bool {
	for i := range w.ends {
		for _, n := range w.ends[i].arrived {
			if n < enough {
				return false
			}
		}
	}
	return true
}

func (w *world) fail(i *check.Invariant, format string, args ...any) {
	if w.broken == nil {
		w.broken = i.Broken(w.elapsed, format, args...)
	}
}
