package broker

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// topicsDir holds a directory for each topic, named by its id.
const topicsDir = "topics"

// gone counts the replicas that leave. With the last one of a deleted topic the topic's directory goes too, and what a replica that had
// failed for good could not delete itself. One that is to be here again meanwhile begins anew.
func (b *Broker) gone(c stage.Context, m *stage.Gone) {
	if m.Address.Kind == message.KindBroker {
		b.unreached(c, m.Address.Node)
		return
	}
	at := m.Address.Partition
	id := at.Topic
	if !b.leaves(at) {
		if m.Failed != nil {
			b.fell(c, m)
		}
		return
	}
	c.Send(message.DiskAt(c.Self().Node), &message.Dropped{Partition: at})
	if b.leaving[id] = slices.DeleteFunc(b.leaving[id], func(i int32) bool { return i == at.Index }); len(b.leaving[id]) > 0 {
		b.reemploy(c, at)
		return
	}
	delete(b.leaving, id)
	if b.image.TopicByID(id) != nil {
		b.reemploy(c, at)
		return
	}
	files, dir := c.FS(), topicsDir+"/"+id.String()
	c.Offload(tidyCost, func() any { return &tidied{err: files.RemoveAll(dir)} })
}

// reemploy starts a replica that has gone elsewhere and is to be here again.
func (b *Broker) reemploy(c stage.Context, at message.PartitionID) {
	if l, ours := b.topics[at.Topic]; ours {
		if p := l.topic.Partition(at.Index); p != nil && p.IsReplica(c.Self().Node) {
			b.employ(c, l.topic, at.Index, l.config)
		}
	}
}

// tidied says what was found that is not this node's.
type tidied struct {
	removed int                   // of topics that were deleted while this node was away or died
	moved   []message.PartitionID // of which other nodes have the replicas
	unknown []string              // of topics, or partitions of them, that nobody has ever heard of
	err     error
}

// tidy removes what a crash, or a time away, has left of deleted topics and of replicas that went elsewhere. Only what the metadata names
// as deleted, or gives to others, is garbage: a directory that it does not know at all may be the only copy of somebody's data, beside
// metadata that was restored or lost. The image holds this start's registration, and so everything that this node has ever known.
func (b *Broker) tidy(c stage.Context) {
	img, files, self := b.image, c.FS(), c.Self().Node
	c.Offload(tidyCost, func() any { return tidy(files, img, self) })
}

func tidy(files vfs.FS, img *image.Image, self message.NodeID) *tidied {
	names, err := files.List(topicsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return &tidied{}
	}
	live, dead := map[string]*image.Topic{}, map[string]bool{}
	for t := range img.Topics() {
		live[t.ID.String()] = t
	}
	for id := range img.Removed() {
		dead[id.String()] = true
	}
	done := &tidied{err: err}
	for _, name := range names {
		switch {
		case live[name] != nil:
			done.sort(files, live[name], self)
		case dead[name], planted.Is(planted.OrphansDeleted):
			done.removed++
			done.err = errors.Join(done.err, files.RemoveAll(topicsDir+"/"+name))
		default:
			done.unknown = append(done.unknown, name)
		}
	}
	return done
}

// sort looks at which partitions of a topic there are files.
func (d *tidied) sort(files vfs.FS, t *image.Topic, self message.NodeID) {
	dir := topicsDir + "/" + t.ID.String()
	names, err := files.List(dir)
	d.err = errors.Join(d.err, err)
	for _, name := range names {
		index, err := strconv.ParseInt(name, 10, 32)
		switch p := t.Partition(int32(index)); {
		case err != nil || p == nil || strconv.Itoa(int(index)) != name:
			d.unknown = append(d.unknown, t.ID.String()+"/"+name)
		case !p.IsReplica(self):
			d.moved = append(d.moved, t.At(int32(index)))
		}
	}
}

// dismissMoved has what is left of replicas that went elsewhere removed as if they went now: by an actor that tells the journal first, and
// before whose end none begins anew. One may have outlived this actor's failure.
func (b *Broker) dismissMoved(c stage.Context, moved []message.PartitionID) {
	for _, id := range moved {
		t, p := b.image.Partition(id)
		if p == nil || p.IsReplica(c.Self().Node) || b.leaves(id) {
			continue
		}
		c.Log().Info("what was left of a replica that went elsewhere is removed", "topic", t.Name, "partition", id.Index)
		c.Spawn(message.PartitionAt(c.Self().Node, id), b.opts.NewPartition(id, b.leadership(c, t, id.Index, b.config(t))))
		b.dismiss(c, id, true)
	}
}

func (b *Broker) tidied(c stage.Context, m *tidied) {
	b.dismissMoved(c, m.moved)
	if m.removed > 0 {
		c.Log().Info("what was left of deleted topics is removed", "topics", m.removed)
	}
	for _, name := range m.unknown {
		c.Log().Warn("the data directory has a topic or a partition that the metadata does not know: it is left alone; if it is not needed, remove it",
			"directory", topicsDir+"/"+name)
	}
	if m.err != nil {
		c.Log().Error("what is left of topics that are not here any more cannot be removed", "err", m.err)
	}
}
