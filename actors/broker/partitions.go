package broker

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// imageChanged publishes the image and puts it into effect here. Before this start of the process is registered in it no
// partition is started: its leader epochs would be those of before.
func (b *Broker) imageChanged(c stage.Context, m *message.ImageChanged) {
	next, ok := m.Image.(*image.Image)
	if !ok {
		c.Log().Error("the controller sent something that is no image")
		return
	}
	if b.image != nil && next.Index < b.image.Index {
		return
	}
	first, before := b.image == nil, b.image
	b.image = next
	b.publish(c)
	if planted.Is(planted.OrphansDeleted) && first {
		b.tidy(c)
	}
	changes, known := m.Changes.([]image.Change)
	b.turn(c)
	switch {
	case !b.inCluster(c):
	case !b.settled:
		b.settle(c)
	case first || !known || b.turned:
		b.lookAtAll(c)
	default:
		for i := range changes {
			b.apply(c, &changes[i])
		}
	}
	b.turned = false
	b.announce(c, before, changes, known)
	b.watchOthers(c)
	c.Send(message.ControllerAt(c.Self().Node), &message.ImageApplied{Index: next.Index})
	b.beat(c)
}

// publish shows the image to who serves clients. Earlier ones may lack what was acknowledged before the restart.
func (b *Broker) publish(c stage.Context) {
	if !b.settled && !b.inCluster(c) && !planted.Is(planted.StaleImageShown) {
		return
	}
	shown := *b.image
	shown.Stale = b.pulse.stale
	c.Publish(&shown)
}

// turn looks whether this node is fenced: all its partitions have to know, though nothing of them has changed.
func (b *Broker) turn(c stage.Context) {
	me := b.image.Broker(c.Self().Node)
	fenced := me != nil && me.Fenced
	b.fenced, b.turned = fenced, fenced != b.fenced
}

// inCluster says that the image knows this start of the process.
func (b *Broker) inCluster(c stage.Context) bool {
	me := b.image.Broker(c.Self().Node)
	return me != nil && me.Incarnation == b.opts.Incarnation
}

// settle starts everything that is this node's. The image holds everything that was committed when it registered, so
// that what the data directory has beyond it can be judged.
func (b *Broker) settle(c stage.Context) {
	b.lookAtAll(c)
	b.settled = true
	c.Send(message.DiskAt(c.Self().Node), &message.Settled{Partitions: b.mine(c)})
	for _, w := range b.waiting {
		c.Answer(w, &message.Serving{})
	}
	b.waiting = nil
	b.tidy(c)
	b.sweepFirst(c)
}

// mine are this node's partitions, in the order of their topics' names.
func (b *Broker) mine(c stage.Context) []message.PartitionID {
	var ids []message.PartitionID
	for t := range b.image.Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].IsReplica(c.Self().Node) {
				ids = append(ids, t.At(int32(i)))
			}
		}
	}
	return ids
}

// lookAtAll brings every partition in line with the image.
func (b *Broker) lookAtAll(c stage.Context) {
	b.configure(c)
	var gone []*image.Topic
	for id, l := range b.topics {
		if b.image.TopicByID(id) == nil {
			gone = append(gone, l.topic)
		}
	}
	slices.SortFunc(gone, func(x, y *image.Topic) int { return slices.Compare(x.ID[:], y.ID[:]) })
	for _, t := range gone {
		b.remove(c, t)
	}
	for t := range b.image.Topics() {
		b.update(c, t)
	}
}

// configure computes what topics without overrides have in common.
func (b *Broker) configure(c stage.Context) {
	b.layers = b.image.Layers(c.Self().Node, b.opts.Static)
	b.plain = setting.TopicFrom(nil, b.layers)
	c.Send(message.DiskAt(c.Self().Node), b.cleaner())
}

// cleaner is how this node's disk compacts logs.
func (b *Broker) cleaner() *message.Cleaner {
	l := b.layers
	return &message.Cleaner{Enabled: l.Bool("log.cleaner.enable"), Threads: int(l.Number("log.cleaner.threads")),
		MapBytes: l.Number("log.cleaner.dedupe.buffer.size"), MapLoad: l.Fraction("log.cleaner.io.buffer.load.factor"),
		Block: l.Number("log.cleaner.io.buffer.size"), BytesPerSecond: l.Fraction("log.cleaner.io.max.bytes.per.second"),
		Backoff: l.Millis("log.cleaner.backoff.ms")}
}

// apply brings in line what one entry of the metadata log has touched.
func (b *Broker) apply(c stage.Context, change *image.Change) {
	if change.Configs {
		b.lookAtAll(c)
	}
	for _, t := range change.Removed {
		b.remove(c, t)
	}
	for _, id := range change.Topics {
		if t := b.image.TopicByID(id); t != nil { // else a later change removed it
			b.update(c, t)
		}
	}
}

// remove tells the replicas of a topic that it is gone.
func (b *Broker) remove(c stage.Context, t *image.Topic) {
	l, ours := b.topics[t.ID]
	if !ours {
		return
	}
	delete(b.topics, t.ID)
	for i := range l.topic.Partitions {
		if l.topic.Partitions[i].IsReplica(c.Self().Node) {
			b.dismiss(c, t.At(int32(i)), false)
		}
	}
}

// dismiss tells a replica to go, once.
func (b *Broker) dismiss(c stage.Context, id message.PartitionID, elsewhere bool) {
	if b.leaves(id) {
		return
	}
	at := message.PartitionAt(c.Self().Node, id)
	c.Send(at, &message.Deleted{Elsewhere: elsewhere})
	c.Watch(at) // one that has fallen has ended before
	delete(b.fallen, id)
	b.uncoordinate(c, id, elsewhere)
	b.leaving[id.Topic] = append(b.leaving[id.Topic], id.Index)
}

func (b *Broker) leaves(id message.PartitionID) bool {
	return slices.Contains(b.leaving[id.Topic], id.Index)
}

// update starts a topic's replicas that are new here, tells the others what is new for them, and lets go of those that
// went elsewhere.
func (b *Broker) update(c stage.Context, t *image.Topic) {
	before, known := b.topics[t.ID]
	config := b.config(t)
	ours := false
	for i := range t.Partitions {
		p, was := &t.Partitions[i], (*image.Partition)(nil)
		if known {
			was = before.topic.Partition(int32(i))
		}
		mine := p.IsReplica(c.Self().Node)
		ours = ours || mine
		b.updatePartition(c, t, int32(i), mine, was, config, known && (config != before.config || b.turned))
	}
	if ours {
		b.topics[t.ID] = local{t, config}
	} else {
		delete(b.topics, t.ID)
	}
}

func (b *Broker) updatePartition(c stage.Context, t *image.Topic, index int32, mine bool, was *image.Partition, config setting.Topic, configured bool) {
	id, p := t.At(index), &t.Partitions[index]
	at := message.PartitionAt(c.Self().Node, id)
	wasMine := was != nil && was.IsReplica(c.Self().Node)
	switch {
	case mine && b.leaves(id): // it is started again when it is gone
	case mine && !wasMine:
		b.employ(c, t, index, config)
	case mine && (configured || differ(was, p)):
		l := b.leadership(c, t, index, config)
		c.Send(at, l)
		b.coordinate(c, id, l)
	case !mine && wasMine:
		b.dismiss(c, id, true)
	}
}

// employ starts a replica.
func (b *Broker) employ(c stage.Context, t *image.Topic, index int32, config setting.Topic) {
	id, l := t.At(index), b.leadership(c, t, index, config)
	at := message.PartitionAt(c.Self().Node, id)
	if !c.Spawn(at, b.opts.NewPartition(id, l)) {
		c.Send(at, l) // it outlived this actor's failure
	}
	c.Watch(at)
	b.coordinate(c, id, l)
}

// config is a topic's effective config here. Most topics have no overrides and share theirs.
func (b *Broker) config(t *image.Topic) setting.Topic {
	own := b.image.Config(message.ResourceTopic, t.Name)
	if len(own) == 0 {
		return b.plain
	}
	return setting.TopicFrom(own, b.layers)
}

// differ says that a replica has to be told: every change of a partition's record raises its epoch.
func differ(was, is *image.Partition) bool {
	return was.PartitionEpoch != is.PartitionEpoch || was.LeaderEpoch != is.LeaderEpoch || was.Leader != is.Leader
}

// leadership is what a replica is told. On a fenced node nobody leads.
func (b *Broker) leadership(c stage.Context, t *image.Topic, index int32, config setting.Topic) *message.Leadership {
	p, self := &t.Partitions[index], int32(c.Self().Node)
	leader := p.Leader
	if b.fenced {
		leader = message.Nobody
	}
	return &message.Leadership{
		Name: t.Name, Leader: leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Replicas: p.Replicas, ISR: p.ISR, Config: config, Internal: t.Internal,
		LeaderThrottled: config.LeaderThrottled.Has(index, self), FollowerThrottled: config.FollowerThrottled.Has(index, self),
	}
}
