package mesh

import (
	"bytes"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// receive delivers the letters that a frame has completed, in order, and gives back the room that it took. memory is what the frame lies
// in, if that is lent; if not, it is valid only during the call.
func (m *Mesh) receive(p *peer, letters []link.Letter, f *link.Frame, memory []byte) {
	m.counts.framesIn.Add(1)
	m.counts.bytesIn.Add(uint64(link.HeaderMin + len(f.Cluster) + len(f.Payload)))
	if len(letters) == 1 && letters[0].Lent == nil && len(f.Payload) == link.Prefix+len(letters[0].Body) {
		letters[0].Lent, memory = memory, nil // it may stay where it is
	}
	for _, letter := range letters {
		m.deliver(p, f.Lane, letter)
	}
	if len(f.Payload) > 0 {
		p.change(func(k *link.Link) { k.Consumed(f) })
	}
	m.o.Limits.GiveBack(memory)
}

// keep makes a letter of its own of one that lies in memory which others will use again.
func (m *Mesh) keep(on message.Lane, b []byte) link.Letter {
	if on == message.Control {
		return link.Letter{Body: bytes.Clone(b)}
	}
	own := append(m.o.Limits.Lend(len(b)), b...)
	return link.Letter{Body: own, Lent: own}
}

// deliver hands a letter to the stage. Where its word is unknown, who waits for it or for its answer is told that there will be none.
func (m *Mesh) deliver(p *peer, on message.Lane, came link.Letter) {
	if came.Lent == nil {
		came = m.keep(on, came.Body)
	}
	letter, known, err := readLetter(came.Body)
	if err == nil && (letter.From.Node != p.node || letter.To.Node != m.o.Node) {
		known, err = false, errLetter
	}
	if err == nil {
		if w, ok := letter.Word.(*message.Pulled); ok {
			w.Lent = came.Lent
		}
		m.o.Receive(letter)
		return
	}
	m.complain(err, len(came.Body), time.Now())
	switch {
	case !known:
		p.change(func(k *link.Link) { k.Reset("a letter could not be read: " + err.Error()) })
	case letter.Kind == stage.LetterAnswer:
		m.o.Receive(stage.Letter{From: letter.From, To: letter.To, Kind: stage.LetterDown, Request: letter.Request})
	case letter.Request != 0:
		m.Send(stage.Letter{From: letter.To, To: letter.From, Kind: stage.LetterDown, Request: letter.Request})
	}
}
