package sim

import (
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// copyOf is one node's copy of a partition.
type copyOf struct {
	node message.NodeID
	of   *check.Partition
}

// elsewhere says that another node that is in sync is known to have everything that is committed up to an offset, on a disk that
// nothing has damaged: so what is damaged on this one must come back.
func (o *onlooker) elsewhere(node message.NodeID, of *check.Partition, next int64) bool {
	if o.rotten != 0 && o.rotten != node || !of.Topic.Fsync {
		return false
	}
	for _, h := range o.trial.hosts {
		if h.ID == node || !h.Up() || h.broken || h.Image() == nil {
			continue
		}
		_, p := h.Image().Partition(of.ID())
		if p != nil && slices.Contains(p.ISR, h.ID) && o.bounds(h.ID, of).HighWatermark >= next {
			o.rotten = node
			return true
		}
	}
	return false
}

// unmended says which copy of a partition that a disk has damaged is not whole again.
func (o *onlooker) unmended(p *image.Partition, of *check.Partition) string {
	if !of.HasDamage() || len(p.Replicas) < 2 {
		return ""
	}
	for _, node := range p.Replicas {
		one := copyOf{node, of}
		if o.whole[one] {
			continue
		}
		if what := o.hurt(one); what != "" {
			return what
		}
		o.whole[one] = o.bounds(node, of).HighWatermark >= of.DamagedTo() // else it shows less than that yet
	}
	return ""
}

// hurt reads a copy as a consumer does that is close to it: it has the log opened where that rests, and the partition told of
// the damage that it meets.
func (o *onlooker) hurt(one copyOf) string {
	h, to := o.trial.hosts[one.node-1], message.PartitionAt(one.node, one.of.ID())
	view, readable := h.View(one.of.ID()).(interface {
		message.View
		Verify(from, limit int64) (damaged []message.Damaged, read int64, err error)
	})
	if !readable {
		h.Stage.Send(to, &message.Await{HighWatermark: -1})
		return fmt.Sprintf("%s on node %d shows nothing", one.of, one.node)
	}
	b := view.Bounds()
	damaged, _, err := view.Verify(b.LogStart, b.HighWatermark)
	switch {
	case err != nil:
		return fmt.Sprintf("%s on node %d cannot be read: %v", one.of, one.node, err)
	case len(damaged) > 0:
		h.Stage.Send(to, &damaged[0])
		return fmt.Sprintf("%s on node %d is not mended: %v", one.of, one.node, &damaged[0])
	}
	return ""
}
