package group

import (
	"iter"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Know is part of brain.Brain. What follows from topics that have changed follows from TopicsChanged.
func (g *Groups) Know(img *image.Image, layers setting.Layers) {
	g.catalogue = &catalogue{image: img, layers: layers}
}

// catalogue is a metadata image as groups see it.
type catalogue struct {
	image  *image.Image
	layers setting.Layers
}

func (k *catalogue) Version() int64 { return k.image.Index }

func (k *catalogue) Topic(name string) (Topic, bool) {
	t := k.image.Topic(name)
	if t == nil {
		return Topic{}, false
	}
	return Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}, true
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

func (k *catalogue) Transactions(id string) (at message.Address, found bool) {
	t := k.image.Topic(message.TransactionsTopic)
	if t == nil || len(t.Partitions) == 0 {
		return at, false
	}
	index := message.CoordinatorIndex(id, len(t.Partitions))
	leader := t.Partitions[index].Leader
	return message.CoordinatorAt(leader, t.At(index)), leader != message.Nobody
}

func (k *catalogue) Verifies() bool {
	return k.layers.Bool("transaction.partition.verification.enable")
}

// Timing keeps a group's own settings within the bounds of the broker's.
func (k *catalogue) Timing(name string) (session, heartbeat time.Duration) {
	own := k.image.Config(message.ResourceGroup, name)
	return k.within("session.timeout.ms", own), k.within("heartbeat.interval.ms", own)
}

// Hold is the group's own, or the broker's.
func (k *catalogue) Hold(name string) time.Duration {
	return k.layers.GroupMillis("heartbeat.hold.ms", k.image.Config(message.ResourceGroup, name))
}

func (k *catalogue) within(name string, own image.Overrides) time.Duration {
	d := k.layers.GroupMillis("consumer."+name, own)
	if _, set := own["consumer."+name]; set {
		d = min(max(d, k.layers.Millis("group.consumer.min."+name)), k.layers.Millis("group.consumer.max."+name))
	}
	return d
}
