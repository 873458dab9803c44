package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// offset is what a group has committed of a partition.
type offset struct {
	at       int64
	epoch    int32 // of the leader; -1: not known
	metadata string
	topicID  message.TopicID // zero: not known
	time     int64           // milliseconds
	expires  int64           // milliseconds; 0: it is kept as all others are
	order    int64           // among all commits: of two the later one counts
}

// commit is S70-S72.
func (g *Groups) commit(now time.Time, m *message.CommitOffsets) *message.OffsetsCommitted {
	o := g.named[m.Group]
	if o != nil && o.consumers != nil {
		return g.commitOf(now, o, m)
	}
	is, code := g.mayCommit(o, m)
	if code != message.OK {
		return &message.OffsetsCommitted{Code: code}
	}
	if is != nil {
		g.refresh(now, o, is)
	}
	return g.keep(now, m, func(*message.CommittedOffset) bool { return false })
}

// commitOf is commit for a group by KIP-848.
func (g *Groups) commitOf(now time.Time, o *Group, m *message.CommitOffsets) *message.OffsetsCommitted {
	c, code := o.consumers.committer(now, m)
	if code != message.OK {
		return &message.OffsetsCommitted{Code: code}
	}
	return g.keep(now, m, func(at *message.CommittedOffset) bool { return c.stale(m, at) })
}

// keep keeps the offsets of who may commit, but for those that are stale.
func (g *Groups) keep(now time.Time, m *message.CommitOffsets, stale func(*message.CommittedOffset) bool) *message.OffsetsCommitted {
	if size(m) > g.settings.RecordMax {
		return &message.OffsetsCommitted{Code: message.InvalidCommitOffsetSize}
	}
	o := g.found(now, m.Group)
	answer := &message.OffsetsCommitted{Codes: make([]message.Code, len(m.Offsets))}
	for i, c := range m.Offsets {
		if len(c.Metadata) > g.settings.MetadataMax {
			answer.Codes[i] = message.OffsetMetadataTooLarge
			continue
		}
		if stale(&m.Offsets[i]) {
			answer.Codes[i] = message.StaleMemberEpoch
			continue
		}
		is := g.committed(now, &m.Offsets[i])
		if m.Retention > 0 {
			is.expires = is.time + m.Retention.Milliseconds()
		}
		o.put(c.Topic, c.Partition, is)
		g.record(offsetRecord(o.name, c.Topic, c.Partition, &is))
	}
	return answer
}

// committed is what is kept of a commit.
func (g *Groups) committed(now time.Time, c *message.CommittedOffset) offset {
	g.order++
	return offset{at: c.Offset, epoch: c.LeaderEpoch, metadata: c.Metadata, topicID: c.TopicID, time: now.UnixMilli(), order: g.order}
}

// size is about what a commit takes in the log.
func size(m *message.CommitOffsets) (n int) {
	for i := range m.Offsets {
		n += 64 + len(m.Group) + len(m.Offsets[i].Topic) + len(m.Offsets[i].Metadata)
	}
	return n
}

func (g *Groups) mayCommit(o *Group, m *message.CommitOffsets) (*member, message.Code) {
	switch {
	case o == nil && m.Generation < 0:
		return nil, message.OK
	case o == nil && m.Since9:
		return nil, message.GroupIDNotFound
	case o == nil:
		return nil, message.IllegalGeneration
	case m.Generation < 0 && o.state == empty:
		return nil, message.OK
	case m.Generation < 0 && m.Member == "" && m.Instance == "":
		return nil, message.UnknownMemberID
	}
	is, code := o.known(m.Member, m.Instance)
	switch {
	case code != message.OK:
	case m.Generation != o.generation && !planted.Is(planted.ZombieCommits):
		code = message.IllegalGeneration
	case o.state == completing:
		code = message.RebalanceInProgress
	}
	return is, code
}

func (o *Group) put(topic string, partition int32, is offset) {
	if o.offsets == nil {
		o.offsets = map[string]map[int32]offset{}
	}
	of := o.offsets[topic]
	if of == nil {
		of = map[int32]offset{}
		o.offsets[topic] = of
	}
	of[partition] = is
}

func (o *Group) forget(topic string, partition int32) {
	delete(o.offsets[topic], partition)
	if len(o.offsets[topic]) == 0 {
		delete(o.offsets, topic)
	}
}

// topics are those of which offsets are committed, by name.
func (o *Group) topics() []string {
	names := make([]string, 0, len(o.offsets))
	for name := range o.offsets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (o *Group) partitions(topic string) []int32 {
	all := make([]int32, 0, len(o.offsets[topic]))
	for p := range o.offsets[topic] {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// fetch is S73: what is not committed is -1, whatever the reason.
func (g *Groups) fetch(m *message.FetchOffsets) *message.OffsetsFetched {
	o, wanted := g.named[m.Group], m.Topics
	if o == nil {
		o = &Group{}
	}
	if code := o.mayFetch(m); code != message.OK {
		return &message.OffsetsFetched{Code: code}
	}
	if m.All {
		for _, name := range o.topics() {
			wanted = append(wanted, message.OffsetTopic{Topic: name, Partitions: o.partitions(name)})
		}
	}
	answer := &message.OffsetsFetched{Topics: make([]message.FetchedTopic, len(wanted))}
	for i, t := range wanted {
		answer.Topics[i] = message.FetchedTopic{Topic: t.Topic, Offsets: make([]message.FetchedOffset, len(t.Partitions))}
		for j, p := range t.Partitions {
			f := message.FetchedOffset{Partition: p, Offset: -1, LeaderEpoch: -1}
			if is, ok := o.offsets[t.Topic][p]; m.RequireStable && g.txns.unstable[spot{m.Group, t.Topic, p}] > 0 {
				f.Code = message.UnstableOffsetCommit
			} else if ok {
				f.Offset, f.LeaderEpoch, f.Metadata = is.at, is.epoch, is.metadata
			}
			answer.Topics[i].Offsets[j] = f
		}
	}
	return answer
}

// mayFetch is S74: who says that it is a member has to be one, in its epoch.
func (o *Group) mayFetch(m *message.FetchOffsets) message.Code {
	if o.consumers == nil || m.Member == "" && m.Epoch < 0 {
		return message.OK
	}
	switch c := o.consumers.member(m.Member); {
	case c == nil:
		return message.UnknownMemberID
	case c.epoch != m.Epoch:
		return message.StaleMemberEpoch
	}
	return message.OK
}

// deleteOffsets is S76.
func (g *Groups) deleteOffsets(m *message.DeleteOffsets) *message.OffsetsDeleted {
	o := g.named[m.Group]
	switch {
	case o == nil:
		return &message.OffsetsDeleted{Code: message.GroupIDNotFound}
	case o.state != empty && o.protocolType != consumerProtocol:
		return &message.OffsetsDeleted{Code: message.NonEmptyGroup}
	}
	answer := &message.OffsetsDeleted{}
	for _, t := range m.Topics {
		used := o.subscribes(t.Topic)
		for _, p := range t.Partitions {
			code := message.OK
			if used {
				code = message.GroupSubscribedToTopic
			} else if _, there := o.offsets[t.Topic][p]; there || g.txns.unstable[spot{m.Group, t.Topic, p}] > 0 {
				g.drop(o, t.Topic, p)
			}
			answer.Codes = append(answer.Codes, code)
		}
	}
	return answer
}

// drop forgets an offset, in the log too.
func (g *Groups) drop(o *Group, topic string, partition int32) {
	o.forget(topic, partition)
	g.txns.forget(spot{o.name, topic, partition})
	g.record(offsetRecord(o.name, topic, partition, nil))
}

// retain drops offsets that nobody has used for too long, and groups of which nothing is left (S75, KIP-211).
func (g *Groups) retain(now time.Time) {
	for _, o := range g.sorted() {
		for _, topic := range o.topics() {
			for _, p := range o.partitions(topic) {
				if at := o.offsets[topic][p]; !g.expiry(o, topic, at).After(now) && g.txns.unstable[spot{o.name, topic, p}] == 0 {
					g.drop(o, topic, p)
				}
			}
		}
		if o.state == empty && o.vain() && len(g.txns.of(o.name)) == 0 {
			g.bury(o)
		}
	}
}

// expiry is when an offset is forgotten if nothing happens; in a far future while it is in use.
func (g *Groups) expiry(o *Group, topic string, is offset) time.Time {
	from := time.UnixMilli(is.time)
	switch {
	case o.consumers != nil && o.subscribes(topic):
		return from.Add(1 << 62)
	case o.consumers != nil && o.since.After(from):
		from = o.since
	case o.consumers != nil, o.protocolType == "":
	case o.state == empty && o.since.After(from):
		from = o.since
	case o.state == empty:
	case o.protocolType != consumerProtocol, o.state != stable, o.subscribes(topic):
		return from.Add(1 << 62)
	}
	if is.expires != 0 {
		return time.UnixMilli(is.expires)
	}
	return from.Add(g.settings.Retention)
}

// bury forgets a group, in the log too.
func (g *Groups) bury(o *Group) {
	delete(g.named, o.name)
	if o.consumers != nil {
		g.buryConsumers(o)
		return
	}
	g.record(Record{Key: groupKey(o.name)})
}
