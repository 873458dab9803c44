package coordinator

import (
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/stage"
)

// asks are the brain's own questions that are not answered yet.
type asks struct{ refs map[stage.RequestID]any }

// put asks what the brain wants to know.
func (k *Coordinator) put(c stage.Context, all []brain.Ask) {
	if k.asks.refs == nil {
		k.asks.refs = map[stage.RequestID]any{}
	}
	for _, a := range all {
		k.asks.refs[c.Ask(a.To, a.Word, a.Patience)] = a.Ref
	}
}

// heard gives the brain its answer; nil: there is none. What was asked in an earlier term is nobody's business any more.
func (k *Coordinator) heard(c stage.Context, answer any) {
	ref, asked := k.asks.refs[c.Answers()]
	if !asked {
		return
	}
	delete(k.asks.refs, c.Answers())
	k.know(c)
	k.carryOut(c, k.brain.Heard(c.Now(), ref, answer))
}
