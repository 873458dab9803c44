package broker

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// coordinate tells the coordinator beside a replica who leads, and starts it if it is not there. It outlives a replica that goes elsewhere: idle
// it costs nothing, and nobody has to wait for its end when the replica comes back.
func (b *Broker) coordinate(c stage.Context, id message.PartitionID, l *message.Leadership) {
	if !l.Internal || b.opts.NewCoordinator == nil {
		return
	}
	at := message.CoordinatorAt(c.Self().Node, id)
	if !slices.Contains(b.coordinators, id) {
		start := b.opts.NewCoordinator(l.Name, id)
		if start == nil {
			return
		}
		b.coordinators = append(b.coordinators, id)
		c.Spawn(at, start) // false: it outlived this actor's failure
	}
	c.Send(at, l)
}

// uncoordinate ends the work of a coordinator whose replica leaves, or its life where the topic is gone.
func (b *Broker) uncoordinate(c stage.Context, id message.PartitionID, elsewhere bool) {
	i := slices.Index(b.coordinators, id)
	if i < 0 {
		return
	}
	at := message.CoordinatorAt(c.Self().Node, id)
	if elsewhere {
		c.Send(at, &message.Leadership{Leader: message.Nobody, LeaderEpoch: -1, Internal: true})
		return
	}
	c.Stop(at)
	b.coordinators = slices.Delete(b.coordinators, i, i+1)
}

// announce tells coordinators which topics are gone since an earlier image, and which are new or have more partitions.
func (b *Broker) announce(c stage.Context, before *image.Image, changes []image.Change, known bool) {
	if len(b.coordinators) == 0 || before == nil {
		return
	}
	said := &message.TopicsChanged{}
	if known {
		for i := range changes {
			for _, t := range changes[i].Removed {
				said.Gone = append(said.Gone, t.Name)
			}
			for _, id := range changes[i].Topics {
				b.grown(before, b.image.TopicByID(id), said)
			}
		}
	} else {
		for t := range before.Topics() {
			if b.image.TopicByID(t.ID) == nil {
				said.Gone = append(said.Gone, t.Name)
			}
		}
		for t := range b.image.Topics() {
			b.grown(before, t, said)
		}
	}
	if len(said.Gone)+len(said.Grown) == 0 {
		return
	}
	for _, id := range b.coordinators {
		c.Send(message.CoordinatorAt(c.Self().Node, id), said)
	}
}

// grown notes a topic that has other partitions than in an earlier image.
func (b *Broker) grown(before *image.Image, t *image.Topic, said *message.TopicsChanged) {
	if t == nil {
		return
	}
	if was := before.TopicByID(t.ID); was == nil || len(was.Partitions) != len(t.Partitions) {
		said.Grown = append(said.Grown, t.Name)
	}
}
