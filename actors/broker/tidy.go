package broker

import (
	"errors"
	"io/fs"
	"slices"

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

// tidied says what was found that no topic owns.
type tidied struct {
	removed int      // of topics that were deleted while this node was away or died
	unknown []string // of topics that nobody has ever heard of
	err     error
}

// tidy removes what a crash has left of deleted topics. Only what the metadata names as deleted is garbage: a directory
// that it does not know at all may be the only copy of somebody's data, beside metadata that was restored or lost.
func (b *Broker) tidy(c stage.Context) {
	img, files := b.image, c.FS()
	c.Offload(tidyCost, func() any { return tidy(files, img) })
}

func tidy(files vfs.FS, img *image.Image) *tidied {
	names, err := files.List(topicsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return &tidied{}
	}
	live, dead := map[string]bool{}, map[string]bool{}
	for t := range img.Topics() {
		live[t.ID.String()] = true
	}
	for id := range img.Removed() {
		dead[id.String()] = true
	}
	done := &tidied{err: err}
	for _, name := range names {
		switch {
		case live[name]:
		case dead[name], planted.Is(planted.OrphansDeleted):
			done.removed++
			done.err = errors.Join(done.err, files.RemoveAll(topicsDir+"/"+name))
		default:
			done.unknown = append(done.unknown, name)
		}
	}
	return done
}

func (b *Broker) tidied(c stage.Context, m *tidied) {
	if m.removed > 0 {
		c.Log().Info("what was left of deleted topics is removed", "topics", m.removed)
	}
	for _, name := range m.unknown {
		c.Log().Warn("the data directory has a topic that the metadata does not know: it is left alone; if it is not needed, remove it",
			"directory", topicsDir+"/"+name)
	}
	if m.err != nil {
		c.Log().Error("what is left of deleted topics cannot be removed", "err", m.err)
	}
}
