package image

import (
	"fmt"
	"slices"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Change says what some records touched, so that nobody has to look at everything to find what is new.
type Change struct {
	Topics  []message.TopicID // made, or with a new partition record or config; each once, in the order of the records
	Removed []*Topic          // as they were
	Brokers bool              // a node was registered, fenced, unfenced, drained or removed
	Configs bool              // a config of all brokers, or of one, changed
}

// Draft is an image in the making. It shares with the image that it began as whatever it has not changed; the image stays
// as it was.
type Draft struct {
	image   Image
	change  Change
	touched map[message.TopicID]*Topic // in change.Topics; those copied in this draft may be changed in place until it is done
	copied  struct{ topics, brokers, configs, features, removed bool }
}

// Draft begins a new image.
func (i *Image) Draft() *Draft {
	return &Draft{image: *i, touched: map[message.TopicID]*Topic{}}
}

// Apply is the image at index, after the records. It fails only on records that no controller would have decided on this
// image.
func (i *Image) Apply(index int64, records ...message.MetadataRecord) (*Image, Change, error) {
	d := i.Draft()
	if err := d.Apply(index, records...); err != nil {
		return nil, Change{}, err
	}
	next, change := d.Done()
	return next, change, nil
}

// Done is the finished image, and what is new in it. The draft is not to be used any more.
func (d *Draft) Done() (*Image, Change) {
	next := d.image
	return &next, d.change
}

// Image is the draft as it stands, for reading until the next Apply.
func (d *Draft) Image() *Image { return &d.image }

// Apply adds one entry of the metadata log.
func (d *Draft) Apply(index int64, records ...message.MetadataRecord) error {
	for n, r := range records {
		if err := d.apply(r); err != nil {
			return fmt.Errorf("image: record %d (%T) of the metadata entry at %d: %w", n, r, index, err)
		}
	}
	d.image.Index = index
	return nil
}

func (d *Draft) apply(r message.MetadataRecord) error {
	switch r := r.(type) {
	case *message.ClusterRecord:
		d.image.Cluster = r.ID
	case *message.TopicRecord:
		return d.makeTopic(r)
	case *message.PartitionRecord:
		return d.setPartition(r)
	case *message.TopicRemoved:
		d.removeTopic(r.ID)
	case *message.ConfigRecord:
		d.setConfig(r)
	case *message.BrokerRecord:
		d.register(r)
	case *message.FenceRecord:
		return d.fence(r)
	case *message.DirectoryRecord:
		return d.alterBroker(r.Node, r.Epoch, func(b *Broker) { b.Directory = r.Directory })
	case *message.DrainRecord:
		return d.drain(r)
	case *message.BrokerRemoved:
		d.unshareBrokers()
		d.image.brokers.Delete(r.Node)
	case *message.FeatureRecord:
		d.setFeature(r)
	case *message.ProducerIDsRecord:
		d.image.nextProducerID = r.Next
	case *message.NodeIDsRecord:
		d.image.nextNode = r.Next
	default:
		return fmt.Errorf("nobody knows what it does")
	}
	return nil
}

func (d *Draft) makeTopic(r *message.TopicRecord) error {
	if other := d.image.Topic(r.Name); other != nil {
		return fmt.Errorf("the topic %q is there already, with the id %s", r.Name, other.ID)
	}
	if other := d.image.TopicByID(r.ID); other != nil {
		return fmt.Errorf("the id %s is taken by the topic %q", r.ID, other.Name)
	}
	d.put(&Topic{Name: r.Name, ID: r.ID, Internal: r.Internal})
	if foldable(r.Name) {
		d.image.folded.Set(fold(r.Name), r.Name)
	}
	return nil
}

// topic finds a topic that may be changed in place.
func (d *Draft) topic(id message.TopicID) (*Topic, error) {
	if t := d.touched[id]; t != nil {
		return t, nil
	}
	t := d.image.TopicByID(id)
	if t == nil {
		return nil, fmt.Errorf("there is no topic with the id %s", id)
	}
	next := *t
	next.Partitions = slices.Clone(t.Partitions)
	d.put(&next)
	return &next, nil
}

func (d *Draft) put(t *Topic) {
	d.unshareTopics()
	d.image.topics.Set(t.Name, t)
	d.image.ids.Set(string(t.ID[:]), t)
	d.touch(t.ID, t)
}

// touch notes that a topic is not what it was. own is the draft's copy of it, nil if there is none yet.
func (d *Draft) touch(id message.TopicID, own *Topic) {
	before, known := d.touched[id]
	if !known {
		d.change.Topics = append(d.change.Topics, id)
	}
	if own == nil {
		own = before
	}
	d.touched[id] = own
}

func (d *Draft) setPartition(r *message.PartitionRecord) error {
	t, err := d.topic(r.Partition.Topic)
	if err != nil {
		return err
	}
	at := int(r.Partition.Index)
	if at < 0 || at > len(t.Partitions) {
		return fmt.Errorf("the topic %q has %d partitions, %d cannot be the next", t.Name, len(t.Partitions), at)
	}
	if at == len(t.Partitions) {
		t.Partitions = append(t.Partitions, Partition{})
		d.image.partitions++
	}
	t.Partitions[at] = Partition{
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch,
		Replicas: r.Replicas, ISR: r.ISR, ELR: r.ELR, LastKnownELR: r.LastKnownELR, Adding: r.Adding, Removing: r.Removing,
	}
	return nil
}

// removedMax is how many removed topics are remembered: more than a node can miss while it is away for a while.
const removedMax = 10_000

// removeTopic ends a topic and remembers that it is gone. In a snapshot it stands for one that is gone already.
func (d *Draft) removeTopic(id message.TopicID) {
	d.bury(id)
	t := d.image.TopicByID(id)
	if t == nil {
		return
	}
	d.unshareTopics()
	d.image.topics.Delete(t.Name)
	d.image.ids.Delete(string(id[:]))
	if foldable(t.Name) {
		d.image.folded.Delete(fold(t.Name))
	}
	d.unshareConfigs()
	d.image.configs.Delete(configKey(message.ResourceTopic, t.Name))
	d.image.partitions -= len(t.Partitions)
	if _, known := d.touched[id]; known {
		delete(d.touched, id)
		d.change.Topics = slices.DeleteFunc(d.change.Topics, func(other message.TopicID) bool { return other == id })
	}
	d.change.Removed = append(d.change.Removed, t)
}

func (d *Draft) bury(id message.TopicID) {
	unshare(&d.image.removed, &d.copied.removed)
	last, _, _ := d.image.removed.Max()
	d.image.removed.Set(last+1, id)
	for d.image.removed.Len() > removedMax {
		d.image.removed.PopMin()
	}
}

func (d *Draft) setConfig(r *message.ConfigRecord) {
	d.unshareConfigs()
	key := configKey(r.Kind, r.Name)
	o, _ := d.image.configs.Get(key)
	if o = o.With(r.Key, r.Value); len(o) == 0 {
		d.image.configs.Delete(key)
	} else {
		d.image.configs.Set(key, o)
	}
	switch t := d.image.Topic(r.Name); {
	case r.Kind == message.ResourceBroker:
		d.change.Configs = true
	case r.Kind == message.ResourceTopic && t != nil:
		d.touch(t.ID, nil)
	}
}

// register notes a node. An incarnation that was not known may have lost the unsynced tail of its logs: what it leads goes
// on in a new leader epoch, and what it has a copy of in a new partition epoch, which makes void what leaders propose
// in the belief that it still has what it had (as KIP-903). One rule instead of a record for each partition: a node with
// 10,000 of them starts as fast as one with ten.
func (d *Draft) register(r *message.BrokerRecord) {
	d.unshareBrokers()
	before := d.image.Broker(r.Node)
	d.image.brokers.Set(r.Node, &Broker{ID: r.Node, Epoch: r.Epoch, Incarnation: r.Incarnation, Rack: r.Rack,
		Fenced: r.Fenced, Endpoints: r.Endpoints})
	if (before == nil || before.Incarnation != r.Incarnation) && !planted.Is(planted.EpochNotRaised) {
		d.raiseEpochs(r.Node)
	}
}

func (d *Draft) raiseEpochs(n message.NodeID) {
	var kept []message.TopicID
	for t := range d.image.Topics() {
		if slices.ContainsFunc(t.Partitions, func(p Partition) bool { return p.IsReplica(n) }) {
			kept = append(kept, t.ID)
		}
	}
	for _, id := range kept {
		t, err := d.topic(id)
		if err != nil {
			panic("image: " + err.Error() + ", though it was there a moment ago")
		}
		for i := range t.Partitions {
			t.Partitions[i].raiseEpochs(n)
		}
	}
}

func (p *Partition) raiseEpochs(n message.NodeID) {
	if p.IsLeader(n) {
		p.LeaderEpoch++
	}
	if p.IsReplica(n) {
		p.PartitionEpoch++
	}
}

func (d *Draft) fence(r *message.FenceRecord) error {
	return d.alterBroker(r.Node, r.Epoch, func(b *Broker) { b.Fenced = r.Fenced })
}

func (d *Draft) drain(r *message.DrainRecord) error {
	return d.alterBroker(r.Node, r.Epoch, func(b *Broker) { b.Draining = r.Draining })
}

func (d *Draft) alterBroker(n message.NodeID, epoch int64, alter func(b *Broker)) error {
	b := d.image.Broker(n)
	if b == nil || b.Epoch != epoch {
		return fmt.Errorf("node %d is not registered with the epoch %d", n, epoch)
	}
	d.unshareBrokers()
	next := *b
	alter(&next)
	d.image.brokers.Set(n, &next)
	return nil
}

func (d *Draft) setFeature(r *message.FeatureRecord) {
	unshare(&d.image.features, &d.copied.features)
	if r.Gone {
		d.image.features.Delete(r.Name)
		return
	}
	d.image.features.Set(r.Name, r.Level)
}

func (d *Draft) unshareTopics() {
	copied := d.copied.topics
	unshare(&d.image.ids, &copied)
	copied = d.copied.topics
	unshare(&d.image.folded, &copied)
	unshare(&d.image.topics, &d.copied.topics)
}

func (d *Draft) unshareBrokers() {
	d.change.Brokers = true
	unshare(&d.image.brokers, &d.copied.brokers)
}

func (d *Draft) unshareConfigs() { unshare(&d.image.configs, &d.copied.configs) }

// unshare copies a map before its first change in a draft, which costs nothing until nodes of the tree change.
func unshare[K ~int32 | ~int64 | ~string, V any](m **btree.Map[K, V], copied *bool) {
	if !*copied {
		*m, *copied = (*m).Copy(), true
	}
}
