package metadata

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// Balance is the reminder, once per leader.imbalance.check.interval.seconds, to give leadership back to preferred replicas that
// are in sync again, and to elect where nobody leads and the topic allows loss; nothing answers it.
type Balance struct{}

// electionsMax is how many leaderships one reminder gives back, as in Kafka: a bound on the size of one entry of the log. The next
// one goes on.
const electionsMax = 1000

func (t *turn) balance() {
	auto, room := t.layers().Bool("auto.leader.rebalance.enable"), electionsMax
	t.revise(func(p *image.Partition) bool {
		n := p.Preferred()
		astray := auto && p.Leader != n && p.InSync(n) && t.image().Active(n)
		if astray {
			room--
		}
		return p.Leader == message.Nobody || astray && room >= 0
	}, func(r *revision) { r.prefer() })
}
