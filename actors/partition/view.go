package partition

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
)

// publish shows readers what is committed now, and tells those who wait for a change. There is no view before it is
// known what is committed.
func (p *Partition) publish(c stage.Context) {
	if p.replica.HighWatermark() < 0 && p.replica.Leads() {
		return
	}
	office, committed := p.replica.Office(), max(p.replica.HighWatermark(), p.log.Start())
	if planted.Is(planted.MarkEarly) {
		committed = p.log.End()
	}
	stable := max(p.producers.Stable(committed), p.log.Start()) // what a transaction began with may be deleted
	if planted.Is(planted.StableUncopied) && !p.replica.Leads() {
		stable = committed
	}
	p.seen = message.Bounds{LogStart: p.log.Start(), HighWatermark: committed, LastStable: stable, LogEnd: p.log.End(),
		Leader: office.Leader, LeaderEpoch: office.LeaderEpoch, IsLeader: p.replica.Leads(), Resigned: p.replica.Resigned(), Damaged: len(p.mending.damaged)}
	p.visible = true
	p.show(c)
	p.wake(c, message.OK)
}

// show lets readers have the log as it is now.
func (p *Partition) show(c stage.Context) { c.Publish(p.log.View(p.seen)) }

// await answers at once if there is something to see that the asker has not seen, else when there is.
func (p *Partition) await(c stage.Context, from stage.Caller, m *message.Await) {
	if p.visible && (m.HighWatermark != p.seen.HighWatermark || m.LogStart != p.seen.LogStart || m.LeaderEpoch != p.seen.LeaderEpoch) {
		c.Answer(from, &message.Progressed{})
		return
	}
	if i := p.waiterAt(from.Address); i >= 0 {
		p.awaiting[i] = from // it asks again: its earlier question has timed out
		return
	}
	p.awaiting = append(p.awaiting, from)
}

// forget strikes out who does not wait any more.
func (p *Partition) forget(who message.Address) {
	if i := p.waiterAt(who); i >= 0 {
		p.awaiting = slices.Delete(p.awaiting, i, i+1)
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool {
		_, awaits := r.ask.(*message.Await)
		return awaits && r.from.Address == who
	})
}

func (p *Partition) waiterAt(who message.Address) int {
	return slices.IndexFunc(p.awaiting, func(w stage.Caller) bool { return w.Address == who })
}

// wake answers everybody who waits for a change.
func (p *Partition) wake(c stage.Context, code message.Code) {
	if len(p.awaiting) == 0 || planted.Is(planted.WaitersForgotten) && p.seen.HighWatermark > 0 {
		return
	}
	news := &message.Progressed{Code: code}
	for _, w := range p.awaiting {
		c.Answer(w, news)
	}
	clear(p.awaiting)
	p.awaiting = p.awaiting[:0]
}

// describeProducers answers with what is known of idempotent producers.
func (p *Partition) describeProducers(c stage.Context, from stage.Caller) {
	if !p.replica.Leads() {
		c.Answer(from, &message.ProducersDescribed{Code: message.NotLeaderOrFollower})
		return
	}
	c.Answer(from, &message.ProducersDescribed{Producers: p.producers.Describe()})
}
