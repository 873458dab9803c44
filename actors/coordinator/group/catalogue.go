package group

import (
	"encoding/binary"
	"hash/fnv"
	"iter"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// Catalogue is what the cluster's metadata says at one time of topics, and of groups' own settings. It does not change.
type Catalogue interface {
	Version() int64
	// Topic finds a topic by its name.
	Topic(name string) (Topic, bool)
	// Names are the names of all topics, ascending.
	Names() iter.Seq[string]
	// Near says that a replica of a partition is in a rack.
	Near(p message.PartitionID, rack string) bool
	// Timing is how long a member of a group may be silent, and how often it is to be heard.
	Timing(group string) (session, heartbeat time.Duration)
	// Hold is how long a heartbeat may wait for news at most; zero: it is answered at once.
	Hold(group string) time.Duration
	// Transactions is who coordinates a transactional id; found is false while that is nobody.
	Transactions(id string) (at message.Address, found bool)
	// Verifies says that transactions of producers that name their partitions themselves are verified (KIP-890).
	Verifies() bool
}

// Topic is what a group knows of one.
type Topic struct {
	Name       string
	ID         message.TopicID
	Partitions int32
}

// digest is a number that is another one when some of the topics are others, or have other partitions (KIP-1101).
func digest(c Catalogue, names []string) int64 {
	h := fnv.New64a()
	for _, name := range names {
		if t, ok := c.Topic(name); ok {
			h.Write([]byte(name))
			h.Write(t.ID[:])
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(t.Partitions)))
		}
	}
	return int64(h.Sum64())
}

// TopicsChanged drops what was committed of topics that are gone, and has the partitions of topics that are new, gone or larger
// assigned anew.
func (g *Groups) TopicsChanged(now time.Time, gone, grown []string) Out {
	removed, touched := setOf(gone), setOf(slices.Concat(gone, grown))
	for _, o := range g.sorted() {
		for _, topic := range o.topics() {
			if !removed[topic] {
				continue
			}
			for _, p := range o.partitions(topic) {
				g.drop(o, topic, p)
			}
		}
		if o.consumers != nil {
			g.retopic(now, o, touched)
		}
	}
	g.dropPending(g.txns.spots(func(at spot) bool { return removed[at.topic] }))
	return g.take(now)
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// retopic has a group assign anew if topics that it reads have changed.
func (g *Groups) retopic(now time.Time, o *Group, touched map[string]bool) {
	k := o.consumers
	for _, text := range k.patternTexts() {
		if p := k.patterns[text]; p.touched(touched) {
			g.resolve(now, o, text)
		}
	}
	if len(k.members) > 0 && digest(g.catalogue, k.subscribed()) != k.hash {
		g.rethink(now, o)
	}
}
