package check

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

// History is what clients know of a broker, all together.
type History struct {
	Now    func() time.Duration // virtual, since the world began
	Topics []*Topic             // every topic that ever was
	// Damage says that the disk was damaged: offsets that are answered as unreadable are no loss.
	Damage bool
	// Nodes is how many there are. Of several each may know the newest later than another, until Settled says that all has come to
	// rest.
	Nodes   int
	Settled bool
	// Ahead is the most that a node's clock was ever before its clients'.
	Ahead time.Duration

	violation *Violation
	losses    int               // of power
	failed    bool              // the disk has failed: what only the page cache has is not certain any more
	batches   map[uint64]*Batch // by fingerprint
	records   map[uint64]ref    // likewise, of compacted topics
	producers map[int64]string  // who was given an id
	acked     int
	onAck     func(b *Batch, base int64)
	onNews    func()
	read      int
	groups    []*Group
	markers   map[markerAt]*Batch
	chains    []*Chain
}

// New is an empty history.
func New(now func() time.Duration) *History {
	return &History{Now: now, batches: map[uint64]*Batch{}, producers: map[int64]string{}}
}

// Fail notes that an invariant is broken; what is noted first counts.
func (h *History) Fail(i *Invariant, format string, args ...any) {
	if h.violation == nil {
		h.violation = i.Broken(h.Now(), format, args...)
	}
}

// Violation is what was broken first, nil if nothing was.
func (h *History) Violation() *Violation { return h.violation }

// Counts are how many batches were acknowledged and how many were read.
func (h *History) Counts() (acked, read int) { return h.acked, h.read }

// Batch is one record batch as a client built it.
type Batch struct {
	Client    string
	Partition *Partition
	Count     int32
	Bytes     int
	Time      int64 // of its records, in milliseconds
	Producer  int64 // -1: not idempotent
	Epoch     int16
	Sequence  int32
	// Weak: an acknowledgement promises no more than that one of several copies was written.
	Weak bool
	// Transactional: part of a transaction of its producer. Ends: it is none, but the marker of one.
	Transactional bool
	Ends          *Marker
	// Kept is what a batch of a compacted topic has of its records.
	Kept []Kept

	print uint64
	asOf  int // how many losses of power there had been when it was sent last
}

func (b *Batch) String() string {
	if b.Producer < 0 {
		return fmt.Sprintf("a batch of %d by %s", b.Count, b.Client)
	}
	return fmt.Sprintf("a batch of %d by %s (producer %d, epoch %d, sequence %d)", b.Count, b.Client, b.Producer, b.Epoch, b.Sequence)
}

// Sent notes a batch before it is sent for the first time.
func (h *History) Sent(b *Batch, bytes record.Batch) {
	h.Again(b)
	b.print = fingerprint(bytes)
	h.batches[b.print] = b
	h.sentRecords(b, bytes)
}

// Again notes that a batch is about to be sent again.
func (h *History) Again(b *Batch) { b.asOf = h.losses }

// fingerprint is of everything that a broker may not change in a batch.
func fingerprint(b record.Batch) uint64 {
	var d xxhash.Digest
	var head [30]byte
	binary.BigEndian.PutUint16(head[:], uint16(b.Attributes()&^record.LogAppendTime))
	copy(head[2:], b[23:35])
	copy(head[14:], b[43:57])
	d.Reset()
	d.Write(head[:28])
	d.Write(b[57:])
	return d.Sum64()
}

// NewProducer notes that a client was given a producer id.
func (h *History) NewProducer(client string, id int64) {
	if who, taken := h.producers[id]; taken {
		h.Fail(IDsAreUnique, "Id %d was given to %s and then to %s.", id, who, client)
	}
	h.producers[id] = client
}

// OnAck, if set, is called when a batch is acknowledged at an offset; -1 if the broker only said that it has it.
func (h *History) OnAck(do func(b *Batch, base int64)) { h.onAck = do }

// OnNews, if set, is called when a client is told of a change that must last: by an answer, or because it was looking.
func (h *History) OnNews(do func()) { h.onNews = do }

func (h *History) news() {
	if h.onNews != nil {
		h.onNews()
	}
}

// PowerLoss notes that what was not synced may be gone: topics that only promise the page cache may have lost their end.
func (h *History) PowerLoss() {
	h.losses++
	for _, t := range h.Topics {
		if !t.Fsync {
			t.Loosen()
		}
	}
}

// Started notes that a node starts: what it leads it must lead in a newer epoch.
func (h *History) Started() {
	if h.Nodes > 1 { // another may lead it
		return
	}
	for _, t := range h.Topics {
		for _, p := range t.Partitions {
			p.before = p.epoch
		}
	}
}

// DiskFailed notes that the disk has refused something: partitions that only promise the page cache may lose their end.
func (h *History) DiskFailed() {
	h.failed = true
	h.PowerLoss()
}

// DisksWork says that no disk has refused anything but for want of room, nor was damaged.
func (h *History) DisksWork() bool { return !h.failed && !h.Damage }

// Loosen forgets what is certain of a topic's records.
func (t *Topic) Loosen() {
	for _, p := range t.Partitions {
		p.high, p.start, p.deleted = 0, 0, 0
		for _, place := range p.places {
			if place != nil {
				place.loose = true
			}
		}
	}
}

// Unclean notes that somebody leads a partition who was not in sync: what the others had of it may be gone, where that was allowed.
func (h *History) Unclean(id message.TopicID, index int) {
	for _, t := range h.Topics {
		if message.TopicID(t.ID) != id {
			continue
		}
		if !t.MayLose {
			h.Fail(CleanElection, "%s/%d: its leader was not in sync.", t.Name, index)
		}
		t.Lost = true
		t.Loosen()
	}
}

// Topic is one topic from its creation to its end.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions []*Partition
	// Fsync: every record that was ever acknowledged survives a loss of power.
	Fsync bool
	// MayLose: an unclean election is allowed, or was at some time. Lost: there was one, and nothing of the topic is certain any more.
	MayLose, Lost bool
	// MinInSync is the smallest min.insync.replicas that was ever in force.
	MinInSync int
	// Stamped: the broker may set the records' time.
	Stamped bool
	// RetentionBytes and RetentionMillis are the smallest that were ever in force; -1 is no limit.
	RetentionBytes, RetentionMillis int64
	// Compacted: batches lose what later records of a key have overtaken; GraveMillis is how long tombstones stay at least.
	Compacted bool
	// Remembers: it never forgets a producer that has written to it.
	Remembers   bool
	GraveMillis int64
	// Configs are the overrides that were acknowledged; one that is being changed is not among them.
	Configs map[string]string
	asked   map[string]int // configs whose change was not acknowledged, and how often
	// Replicas is how many copies there are of each partition; 0 is 1.
	Replicas int
	// Moves: they may be moved to other nodes.
	Moves bool
	State TopicState
}

// TopicState says what clients may expect of a topic.
type TopicState uint8

// The states: asked for, acknowledged, its end asked for, its end acknowledged.
const (
	Wanted TopicState = iota
	Exists
	Unwanted
	Ended
)

// NewTopic notes a topic that is about to be asked for.
func (h *History) NewTopic(name string, partitions int) *Topic {
	t := &Topic{Name: name, Fsync: true, MinInSync: 1, RetentionBytes: -1, RetentionMillis: -1, Configs: map[string]string{}}
	t.Grow(partitions)
	h.Topics = append(h.Topics, t)
	return t
}

// Grow notes that the topic has so many partitions.
func (t *Topic) Grow(partitions int) {
	for len(t.Partitions) < partitions {
		t.Partitions = append(t.Partitions, &Partition{Topic: t, Index: int32(len(t.Partitions)), asked: -1, epoch: -1, before: -1})
	}
}

// Became notes that a client was told what became of a topic.
func (h *History) Became(t *Topic, s TopicState) {
	if t.State != s {
		t.State = s
		h.news()
	}
}

// Grew notes that a client was told of so many partitions.
func (h *History) Grew(t *Topic, partitions int) {
	if len(t.Partitions) < partitions {
		t.Grow(partitions)
		h.news()
	}
}

// Configure notes that a config is about to be asked to be changed.
func (h *History) Configure(t *Topic, name string) {
	delete(t.Configs, name)
	if t.asked == nil {
		t.asked = map[string]int{}
	}
	t.asked[name]++
}

// Configured notes that a config's change was acknowledged. In a cluster one that was asked for earlier and not answered may
// come behind it: it waits on some node for a leader.
func (h *History) Configured(t *Topic, name, value string) {
	if t.asked[name]--; h.Nodes <= 1 || t.asked[name] == 0 {
		t.Configs[name] = value
	}
	h.news()
}

// Partition is one partition as clients know it.
type Partition struct {
	Topic *Topic
	Index int32

	places  []*place // by offset
	high    int64    // the largest high watermark that was told
	start   int64    // the largest log start that was told
	asked   int64    // the largest offset up to which records were asked to be deleted
	deleted int64    // and acknowledged as deleted
	epoch   int32    // the largest leader epoch that was told
	before  int32    // what that was when a node started last
	damage  []span

	verdicts map[int64]verdict // of batches of transactions, by offset
	fates    map[*Batch]bool   // whether transactions were committed, as clients were told
	sent     []*Batch          // of a compacted topic
	ends     map[int64]Marker  // likewise, that were read
}

// place is a batch at an offset.
type place struct {
	batch *Batch
	base  int64
	acked bool
	loose bool // it may be gone
}

// ID is how the broker names the partition; without meaning before its topic's id is known.
func (p *Partition) ID() message.PartitionID {
	return message.PartitionID{Topic: p.Topic.ID, Index: p.Index}
}

func (p *Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic.Name, p.Index) }

// High is the largest high watermark that a client was told.
func (p *Partition) High() int64 { return p.high }

// Start is the largest log start that a client was told.
func (p *Partition) Start() int64 { return p.start }

func (p *Partition) at(offset int64) *place {
	if offset < 0 || offset >= int64(len(p.places)) {
		return nil
	}
	return p.places[offset]
}

// Acked notes that a batch was acknowledged at an offset; -1 if the broker only said that it has it.
func (h *History) Acked(b *Batch, base int64) {
	h.acked++
	if h.onAck != nil {
		h.onAck(b, base)
	}
	if base < 0 || b.Weak || h.outdated(b.Partition, b.asOf) {
		return
	}
	if base > math.MaxInt32 {
		h.Fail(OffsetsWithout, "%s: %v was acknowledged at offset %d.", b.Partition, b, base)
		return
	}
	if p := h.settle(b, base); p != nil {
		p.acked = true
	}
}

// outdated says that an answer to a request from before a loss of power says nothing about what is there now.
func (h *History) outdated(p *Partition, asOf int) bool { return asOf < h.losses && !p.Topic.Fsync }

// settle puts a batch at an offset, where nothing else may be.
func (h *History) settle(b *Batch, base int64) *place {
	p := b.Partition
	for len(p.places) < int(base)+int(b.Count) {
		p.places = append(p.places, nil)
	}
	for o := base; o < base+int64(b.Count); o++ {
		old := p.places[o]
		switch {
		case old == nil:
		case old.batch == b && old.base == base:
			old.loose = !h.certain(p)
			return old
		case old.loose:
			p.forgetFrom(old.base)
		default:
			h.Fail(kept(old), "%s: at offset %d there was %v, now there is %v from %d on.", p, o, old.batch, b, base)
			return nil
		}
	}
	fresh := &place{batch: b, base: base, loose: !h.certain(p)}
	for o := base; o < base+int64(b.Count); o++ {
		p.places[o] = fresh
	}
	return fresh
}

// certain says that what is acknowledged survives whatever may happen.
func (h *History) certain(p *Partition) bool { return p.Topic.Fsync || !h.failed && !p.Topic.Lost }

func kept(old *place) *Invariant {
	if old.acked {
		return AckedIsKept
	}
	return OneAtAnOffset
}

// forgetFrom takes loose places away from an offset on.
func (p *Partition) forgetFrom(offset int64) {
	for o := offset; o < int64(len(p.places)); o++ {
		if at := p.places[o]; at != nil && at.loose {
			p.places[o] = nil
		}
	}
}

// Asked notes that records are about to be asked to be deleted below an offset.
func (p *Partition) Asked(offset int64) { p.asked = max(p.asked, offset) }

// AskedForAll notes that all records are about to be asked to be deleted.
func (p *Partition) AskedForAll() { p.asked = math.MaxInt64 }

// Deleted notes that they were.
func (h *History) Deleted(p *Partition, offset int64) {
	p.deleted = max(p.deleted, offset)
	h.news()
}

// Epoch notes a leader epoch that a client was told.
func (h *History) Epoch(p *Partition, floor, epoch int32) {
	if epoch < floor && !h.lenient() {
		h.Fail(EpochsRise, "%s: the leader epoch was %d and is %d.", p, floor, epoch)
	}
	p.epoch = max(p.epoch, epoch)
}

// Floor is what a client knows of a partition when it asks: what it is told then must not be less.
type Floor struct {
	High, Start int64
	Epoch       int32 // of the leader, at least
	asOf        int
}

// Floor is what is known now. What a node leads since it started it leads in a newer epoch than before.
func (h *History) Floor(p *Partition) Floor {
	return Floor{High: p.high, Start: max(p.start, p.deleted), Epoch: max(p.epoch, p.before+1), asOf: h.losses}
}

// Marks notes a high watermark and a log start, either of them -1 if it was not told.
func (h *History) Marks(p *Partition, floor Floor, high, start int64) {
	if h.outdated(p, floor.asOf) {
		return
	}
	if !h.certain(p) {
		p.high, p.start = max(high, 0), max(start, 0)
		return
	}
	fall := !h.lenientOf(p.Topic) // a new leader hears of what is committed a little later
	if high >= 0 && high < floor.High && fall {
		h.Fail(MarkNeverFalls, "%s: it was %d and is %d.", p, floor.High, high)
	}
	if start >= 0 && start < floor.Start && fall && (p.Topic.Alone() || start < p.deleted) { // each copy retains for itself
		i := StartNeverFalls
		if start < p.deleted {
			i = DeletedIsGone
		}
		h.Fail(i, "%s: it was %d and is %d.", p, floor.Start, start)
	}
	if high >= 0 && start > high {
		h.Fail(StartBelowMark, "%s: it starts at %d and its high watermark is %d.", p, start, high)
	}
	if p.Topic.Endless() && start > max(p.asked, 0) {
		h.Fail(OnlyOnPurpose, "%s: it starts at %d, deletion was asked for below %d, and there is no retention.", p, start, max(p.asked, 0))
	}
	p.high, p.start = max(p.high, high), max(p.start, start)
}

// Alone says that there is one copy of each partition, and that it stays where it is.
func (t *Topic) Alone() bool { return t.Replicas <= 1 && !t.Moves }

// MayStart says that a copy may start at an offset, whatever others do: everything that was acknowledged as deleted is gone there, and what
// is gone besides was asked to be deleted. A leader that was replaced in the midst of a deletion has done it on its own, as in Kafka.
func (p *Partition) MayStart(at int64) bool { return at >= p.deleted && at <= p.asked }

// Endless says that nothing is ever retained away.
func (t *Topic) Endless() bool { return t.RetentionBytes < 0 && t.RetentionMillis < 0 }
