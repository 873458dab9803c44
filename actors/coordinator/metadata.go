package coordinator

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// know shows the brain the newest metadata.
func (k *Coordinator) know(c stage.Context) {
	img, _ := c.Published(message.BrokerAt(c.Self().Node)).(*image.Image)
	if img == nil {
		img = image.Empty()
	}
	before := k.image
	if k.image = img; before == nil || before.Index != img.Index {
		k.brain.Know(img, img.Layers(c.Self().Node, k.opts.Static))
	}
}

// doubts says that another node may coordinate by now: what is not written here must not be answered either, since sessions go on there, and
// offsets are committed. The controller may not have been heard for long, or the replica here has resigned or knows of another leader; one that rests
// shows nothing, and has done neither.
func (k *Coordinator) doubts(c stage.Context) bool {
	if _, p := k.image.Partition(k.opts.ID); k.image.Stale && p != nil && len(p.ISR)+len(p.ELR) > 1 {
		return true
	}
	view, _ := c.Published(k.partition(c)).(message.View)
	if view == nil {
		return false
	}
	b := view.Bounds()
	return !b.IsLeader || b.LeaderEpoch != k.epoch || b.Resigned
}
