package group

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// txns are offsets that are committed as parts of transactions that have not ended (S96, KIP-447). They are written as the producer's own
// batch; nobody sees them before the marker, which comes through here and is in the log behind them.
type txns struct {
	open     map[int64]*openTxn // by producer id
	unstable map[spot]int       // how many offsets of open transactions there are
	groups   map[string]int     // and of each group
	verifications
}

// openTxn is what a producer has committed in an epoch.
type openTxn struct {
	epoch   int16
	ends    bool            // its marker is on its way to the partition
	offsets []pendingOffset // in the order in which they were committed
}

type pendingOffset struct {
	at spot
	is offset
}

// spot is a partition of which a group commits offsets.
type spot struct {
	group, topic string
	partition    int32
}

func newTxns() txns {
	return txns{open: map[int64]*openTxn{}, unstable: map[spot]int{}, groups: map[string]int{}}
}

// add keeps an offset until its transaction ends. What an older epoch has left is of a transaction that nobody can end any more.
func (t *txns) add(by brain.Txn, p pendingOffset) {
	x := t.open[by.Producer]
	if x == nil || x.epoch < by.Epoch {
		t.drop(by.Producer)
		x = &openTxn{epoch: by.Epoch}
		t.open[by.Producer] = x
	}
	x.offsets = append(x.offsets, p)
	t.unstable[p.at]++
	t.groups[p.at.group]++
}

// drop forgets a producer's offsets, and returns them.
func (t *txns) drop(producer int64) []pendingOffset {
	x := t.open[producer]
	if x == nil {
		return nil
	}
	delete(t.open, producer)
	for _, p := range x.offsets {
		t.settle(p.at, 1)
	}
	return x.offsets
}

// settle notes that so many offsets are open no more.
func (t *txns) settle(at spot, n int) {
	if t.unstable[at] -= n; t.unstable[at] <= 0 {
		delete(t.unstable, at)
	}
	if t.groups[at.group] -= n; t.groups[at.group] <= 0 {
		delete(t.groups, at.group)
	}
}

// forget drops what transactions have committed of a partition: it was deleted behind them.
func (t *txns) forget(at spot) {
	if t.unstable[at] == 0 {
		return
	}
	t.settle(at, t.unstable[at])
	for _, x := range t.open {
		kept := x.offsets[:0]
		for _, p := range x.offsets {
			if p.at != at {
				kept = append(kept, p)
			}
		}
		x.offsets = kept
	}
}

// spots are what open transactions have offsets of, in order, as far as it is wanted.
func (t *txns) spots(wanted func(spot) bool) (all []spot) {
	for at := range t.unstable {
		if wanted(at) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b spot) int {
		return cmp.Or(strings.Compare(a.group, b.group), strings.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return all
}

// of are those of a group.
func (t *txns) of(group string) []spot {
	if t.groups[group] == 0 {
		return nil
	}
	return t.spots(func(at spot) bool { return at.group == group })
}

// dropPending forgets offsets of open transactions, in the log too.
func (g *Groups) dropPending(all []spot) {
	for _, at := range all {
		g.txns.forget(at)
		g.record(offsetRecord(at.group, at.topic, at.partition, nil))
	}
}

// commitTxn is S96; nil answers later.
func (g *Groups) commitTxn(now time.Time, from Caller, m *message.CommitTxnOffsets, verified bool) *message.OffsetsCommitted {
	if code := g.mayCommitTxn(now, m); code != message.OK {
		return &message.OffsetsCommitted{Code: code}
	}
	if size(&m.CommitOffsets) > g.settings.RecordMax {
		return &message.OffsetsCommitted{Code: message.InvalidCommitOffsetSize}
	}
	by := brain.Txn{Producer: m.Producer, Epoch: m.Epoch}
	x := g.txns.open[m.Producer]
	switch {
	case x != nil && x.epoch > m.Epoch:
		return &message.OffsetsCommitted{Code: message.InvalidProducerEpoch}
	case (x == nil || x.epoch < m.Epoch || x.ends) && !verified && (m.Version >= 2 || g.catalogue.Verifies()):
		g.verify(now, from, m)
		return nil
	}
	answer := &message.OffsetsCommitted{Codes: make([]message.Code, len(m.Offsets))}
	for i, c := range m.Offsets {
		if len(c.Metadata) > g.settings.MetadataMax {
			answer.Codes[i] = message.OffsetMetadataTooLarge
			continue
		}
		is := g.committed(now, &c)
		g.txns.add(by, pendingOffset{spot{m.Group, c.Topic, c.Partition}, is})
		if planted.Is(planted.PendingShown) {
			g.found(now, m.Group).put(c.Topic, c.Partition, is)
		}
		g.record(offsetRecord(m.Group, c.Topic, c.Partition, &is))
	}
	g.out.Txn = &by
	g.hurry(now, m)
	return answer
}

// hurry answers the heartbeat of who commits, if one is held: who ends a transaction asks first whether it is a member still. Until that is
// done no other one is held either.
func (g *Groups) hurry(now time.Time, m *message.CommitTxnOffsets) {
	if o := g.named[m.Group]; o != nil && m.Member != "" {
		g.supersede(now, o, m.Member)
	}
}

// mayCommitTxn says whether who commits is a member, if it says that it is one. A rebalance is no reason to refuse: who leaves the generation
// then commits what it has read.
func (g *Groups) mayCommitTxn(now time.Time, m *message.CommitTxnOffsets) message.Code {
	o, code := g.named[m.Group], message.OK
	switch {
	case o == nil && m.Generation < 0, m.Generation < 0 && m.Member == "" && m.Instance == "", planted.Is(planted.MembersUnasked):
	case o == nil:
		code = message.IllegalGeneration
	case o.consumers != nil:
		named := m.CommitOffsets
		named.Since9 = true
		if _, code = o.consumers.committer(now, &named); code == message.OK && m.Generation >= 0 && o.consumers.member(m.Member).epoch != m.Generation {
			code = message.StaleMemberEpoch
		}
		if code == message.StaleMemberEpoch {
			code = message.IllegalGeneration // the only word for it that there is
		}
	default:
		if _, code = o.known(m.Member, m.Instance); code == message.OK && m.Generation != o.generation {
			code = message.IllegalGeneration
		}
	}
	return code
}

// markPatience is how long the partition may take to write a marker.
const markPatience = 10 * time.Second

// marking is a marker that the partition beside this coordinator is to write.
type marking struct {
	from   Caller
	marker brain.Marker
}

// mark has the end of a transaction written; then its offsets are committed or forgotten.
func (g *Groups) mark(from Caller, m *message.Mark) {
	g.doubt(m.Producer)
	if x := g.txns.open[m.Producer]; x != nil {
		x.ends = true
	}
	g.out.Asks = append(g.out.Asks, brain.Ask{Ref: marking{from, brain.Marker{Txn: brain.Txn{Producer: m.Producer, Epoch: m.Epoch}, Commit: m.Commit}},
		To: message.PartitionAt(g.place.Node, g.place.Partition), Word: m, Patience: markPatience})
}

// marked follows what the partition says.
func (g *Groups) marked(now time.Time, ref marking, answer any) {
	m, _ := answer.(*message.Marked)
	if m == nil {
		m = &message.Marked{Code: message.RequestTimedOut, Message: "the partition is silent", Offset: -1}
	}
	if m.Code == message.OK {
		g.ended(now, ref.marker)
	}
	g.reply(ref.from, m)
}

// ended follows the end of a transaction. An offset that was committed behind it without a transaction stays.
func (g *Groups) ended(now time.Time, m brain.Marker) {
	if x := g.txns.open[m.Producer]; x == nil || x.epoch > m.Epoch {
		return
	}
	for _, p := range g.txns.drop(m.Producer) {
		if !m.Commit && !planted.Is(planted.AbortedOffsetsKept) {
			continue
		}
		o := g.found(now, p.at.group)
		if was, there := o.offsets[p.at.topic][p.at.partition]; !there || was.order < p.is.order {
			o.put(p.at.topic, p.at.partition, p.is)
		}
	}
}

// ReplayMarker is part of brain.Brain.
func (g *Groups) ReplayMarker(now time.Time, m brain.Marker) { g.ended(now, m) }

// Heard is part of brain.Brain.
func (g *Groups) Heard(now time.Time, ref, answer any) Out {
	switch ref := ref.(type) {
	case marking:
		g.marked(now, ref, answer)
	case verification:
		g.verified(now, ref, answer)
	}
	return g.take(now)
}
