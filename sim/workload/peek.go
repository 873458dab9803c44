package workload

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/sim/check"
)

// peek looks, over a connection of its own, at a change that another connection waits for: what it is shown must not be
// taken back, whether or not the one who asked for it was told.
type peek struct {
	link
	looking bool
	changes int // that are not answered
}

func newPeek(w World, h *check.History, name string) *peek { return &peek{link: newLink(w, h, name)} }

const (
	peekMillis   = 1
	peekPatience = 100 * time.Millisecond
)

// begin looks again and again until end.
func (p *peek) begin() {
	if p.changes++; !p.looking {
		p.looking = true
		p.later(p.pace(peekMillis), p.look)
	}
}

func (p *peek) end() { p.changes-- }

func (p *peek) look() {
	if p.looking = p.changes > 0; !p.looking {
		return
	}
	wanted, floors := p.history.Expect()
	p.any().call(metadataRequest(), peekPatience, func(r kmsg.Response, err error) {
		if err == nil {
			p.history.Described(wanted, floors, describedTopics(r.(*kmsg.MetadataResponse)))
		}
		p.later(p.pace(peekMillis), p.look)
	})
}
