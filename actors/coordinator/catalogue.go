package coordinator

import (
	"iter"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/coordinator/group"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
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
		k.groups.Know(&catalogue{image: img, layers: img.Layers(c.Self().Node, k.opts.Static)})
	}
}

// doubts says that another node may coordinate by now: what is not written here must not be answered either, since sessions go on there, and
// offsets are committed.
func (k *Coordinator) doubts() bool {
	_, p := k.image.Partition(k.opts.ID)
	return k.image.Stale && p != nil && len(p.ISR)+len(p.ELR) > 1
}

// catalogue is a metadata image as groups see it.
type catalogue struct {
	image  *image.Image
	layers setting.Layers
}

func (k *catalogue) Version() int64 { return k.image.Index }

func (k *catalogue) Topic(name string) (group.Topic, bool) {
	t := k.image.Topic(name)
	if t == nil {
		return group.Topic{}, false
	}
	return group.Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}, true
}

func (k *catalogue) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for t := range k.image.Topics() {
			if !yield(t.Name) {
				return
			}
		}
	}
}

func (k *catalogue) Near(id message.PartitionID, rack string) bool {
	_, p := k.image.Partition(id)
	if p == nil {
		return false
	}
	for _, n := range p.Replicas {
		if b := k.image.Broker(n); b != nil && b.Rack == rack {
			return true
		}
	}
	return false
}

// Timing keeps a group's own settings within the bounds of the broker's.
func (k *catalogue) Timing(name string) (session, heartbeat time.Duration) {
	own := k.image.Config(message.ResourceGroup, name)
	return k.within("session.timeout.ms", own), k.within("heartbeat.interval.ms", own)
}

func (k *catalogue) within(name string, own image.Overrides) time.Duration {
	d := k.layers.GroupMillis("consumer."+name, own)
	if _, set := own["consumer."+name]; set {
		d = min(max(d, k.layers.Millis("group.consumer.min."+name)), k.layers.Millis("group.consumer.max."+name))
	}
	return d
}
