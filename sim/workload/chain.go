package workload

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// source writes numbers in transactions over one partition or more, and aborts some of them.
type source struct {
	transactor
	done bool // it has committed one since the faults were over
}

func newSource(w World, h *check.History, s Spec) *source {
	c := &source{transactor: transactor{piped: newPiped(w, h, s), id: s.Group + "-source"}}
	c.begin = func() { c.locate(map[string]int8{c.id: 1}, func() { c.init(c.work) }) }
	return c
}

// Start is part of Client.
func (c *source) Start() { c.later(c.pace(c.spec.PaceMillis), c.begin) }

func (c *source) work() {
	if c.done {
		return
	}
	t := c.chain.Begin()
	batches := map[pipe][]int64{}
	var to []pipe
	for i := range c.chain.Partitions {
		if len(to) > 0 && c.one(3) {
			continue
		}
		p := c.in(i)
		to = append(to, p)
		for range 1 + c.chance.IntN(max(c.spec.Records, 1)) {
			batches[p] = append(batches[p], t.Write(i))
		}
	}
	last := c.healing
	commit := last || !c.one(4)
	c.add(to, func() {
		c.writeAll(to, batches, func() {
			c.rest(c.spec.PaceMillis, func() { c.finish(t, commit, last) })
		})
	})
}

func (c *source) writeAll(to []pipe, batches map[pipe][]int64, then func()) {
	if len(to) == 0 {
		then()
		return
	}
	c.write(to[0], batches[to[0]], func() { c.writeAll(to[1:], batches, then) })
}

func (c *source) finish(t *check.Txn, commit, last bool) {
	if commit {
		t.Asked()
	}
	c.end(commit, func() {
		if commit {
			t.Committed()
		}
		c.world.Note("%s: %v has ended: committed %v", c.name, t, commit)
		if c.done = last; last {
			c.chain.Closed()
		}
		c.rest(c.spec.PaceMillis, c.work)
	})
}

// Waiting is part of Client.
func (c *source) Waiting() string {
	if c.done {
		return ""
	}
	return fmt.Sprintf("%s has committed no transaction", c.name)
}

// copier is the link of one partition: it reads, writes what it has read, and commits both in one transaction. Now and then it pauses in the
// middle, and goes on as if nothing had happened since: a zombie.
type copier struct {
	transactor
	lane    int
	offsets map[int]int64 // by lane
	onward  func()        // what follows a transaction
	spare   bool          // beside another that has the same transactional id: it goes when the faults are over
	paused  bool

	member     string // of a group of links (joiner); empty: of none
	generation int32
}

func newCopier(w World, h *check.History, s Spec) *copier {
	c := &copier{transactor: transactor{piped: newPiped(w, h, s), id: fmt.Sprintf("%s-link-%d", s.Group, s.Topic)}, lane: s.Topic, spare: s.Static,
		offsets: map[int]int64{}, generation: -1}
	c.onward = c.work
	c.begin = func() {
		if c.spare && c.healing {
			return
		}
		c.locate(map[string]int8{c.id: 1, c.spec.Group: 0}, func() { c.init(c.resume) })
	}
	return c
}

// Start is part of Client.
func (c *copier) Start() { c.later(c.pace(c.spec.PaceMillis), c.begin) }

// resume asks from where to go on, once what the one before has left is decided.
func (c *copier) resume() {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group, req.RequireStable = 7, c.spec.Group, true
	p := c.in(c.lane)
	req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: p.topic, Partitions: []int32{p.index}})
	floor := c.chain.Floor(c.lane)
	ask(&c.piped, c.at(c.coordinators[c.spec.Group]), req, func(r *kmsg.OffsetFetchResponse) {
		code := message.Code(r.ErrorCode)
		if code == message.OK {
			code = message.Code(r.Topics[0].Partitions[0].ErrorCode)
		}
		switch code {
		case message.OK:
			at := max(r.Topics[0].Partitions[0].Offset, 0)
			c.chain.Fetched(c.name, c.lane, floor, at)
			c.offsets[c.lane] = at
			c.work()
		case message.UnstableOffsetCommit:
			c.rest(20, c.resume)
		default:
			c.again()
		}
	})
}

func (c *copier) work() {
	if c.spare && c.healing {
		return
	}
	c.read(c.in(c.lane), c.offsets[c.lane], func(f fetched) {
		c.chain.Taken(c.lane, f.numbers)
		if len(f.numbers) == 0 { // nothing that is committed, yet
			c.offsets[c.lane] = f.next
			c.rest(c.spec.PaceMillis, c.onward)
			return
		}
		c.pass(f)
	})
}

// pass writes what was read, and how far that was.
func (c *copier) pass(f fetched) {
	to := c.out(c.lane)
	c.add([]pipe{to}, func() {
		c.pause(func() {
			c.write(to, f.numbers, func() {
				c.pause(func() {
					c.addOffsets(func() {
						c.commitOffset(f.next, func() {
							c.pause(func() { c.finish(f) })
						})
					})
				})
			})
		})
	})
}

// pause goes on, now or much later.
func (c *copier) pause(then func()) {
	if c.healing || !c.one(12) {
		then()
		return
	}
	round := c.round
	c.paused = true
	c.later(time.Duration(c.chance.IntN(2*c.spec.WaitMillis)+200)*time.Millisecond, func() {
		c.paused = false
		if round == c.round {
			then()
		}
	})
}

// addOffsets takes the group's offsets into the transaction.
func (c *copier) addOffsets(then func()) {
	if c.modern() {
		then()
		return
	}
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = 3, c.id, c.producer, c.epoch, c.spec.Group
	ask(&c.piped, c.coordinator(), req, func(r *kmsg.AddOffsetsToTxnResponse) {
		c.proceed(message.Code(r.ErrorCode), func() { c.addOffsets(then) }, then)
	})
}

func (c *copier) commitOffset(at int64, then func()) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = 3, c.id, c.spec.Group, c.producer, c.epoch, c.generation
	req.MemberID = c.member
	if c.modern() {
		req.Version = 5
	}
	p, none := c.in(c.lane), ""
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: p.topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: p.index, Offset: at, LeaderEpoch: -1, Metadata: &none}}}}
	ask(&c.piped, c.at(c.coordinators[c.spec.Group]), req, func(r *kmsg.TxnOffsetCommitResponse) {
		code := message.UnknownServerError
		if len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1 {
			code = message.Code(r.Topics[0].Partitions[0].ErrorCode)
		}
		c.proceed(code, func() { c.commitOffset(at, then) }, then)
	})
}

func (c *copier) finish(f fetched) {
	commit := c.healing || !c.one(5)
	c.end(commit, func() {
		c.world.Note("%s: %d records up to offset %d are written: committed %v", c.name, len(f.numbers), f.next, commit)
		if commit {
			c.chain.Read(c.lane, f.next)
			c.offsets[c.lane] = f.next
		}
		c.rest(c.spec.PaceMillis, c.onward)
	})
}

// Waiting is part of Client: the reader knows what is missing.
func (c *copier) Waiting() string { return "" }

// reader reads what is committed in both topics, over and over from where it was.
type reader struct {
	piped
	at    map[pipe]int64
	ended map[pipe]bool // it has read to the end
	late  bool          // it has begun to read all of them when the source had come to its end
	calm  time.Duration // since when nothing has come; -1: something has
	lacks string
}

func newReader(w World, h *check.History, s Spec) *reader {
	c := &reader{piped: newPiped(w, h, s), at: map[pipe]int64{}, ended: map[pipe]bool{}, calm: -1, lacks: "it has not begun"}
	c.begin = func() { c.locate(nil, func() { c.turn(0) }) }
	return c
}

// Start is part of Client.
func (c *reader) Start() { c.later(c.pace(c.spec.PaceMillis), c.begin) }

// turn reads a partition, and then the next one.
func (c *reader) turn(i int) {
	if i == 0 {
		c.late = c.chain.Over()
	}
	if i == 2*c.chain.Partitions {
		c.whole()
		c.rest(c.spec.PaceMillis, func() { c.turn(0) })
		return
	}
	lane, of, saw := i/2, c.in(i/2), c.chain.SawIn
	if i%2 == 1 {
		of, saw = c.out(lane), c.chain.SawOut
	}
	c.read(of, c.at[of], func(f fetched) {
		saw(lane, f.numbers)
		if c.ended[of] = f.end && f.next == c.at[of]; !c.ended[of] && i%2 == 0 {
			c.calm = -1
		}
		c.at[of] = f.next
		c.turn(i + 1)
	})
}

// whole looks whether all is there, once nothing comes to the first topic any more.
func (c *reader) whole() {
	c.lacks = "it has not read to the end"
	for i := range c.chain.Partitions {
		if !c.ended[c.in(i)] || !c.late {
			return
		}
	}
	if c.calm < 0 {
		c.calm = c.world.Now()
	}
	if c.alone() || c.world.Now()-c.calm > calmest {
		c.lacks = c.chain.Whole()
	}
}

// calmest is for how long nothing has to come before it is certain that nothing will: who is asked may lead no more and not know of it.
const calmest = 5 * time.Second

// Waiting is part of Client.
func (c *reader) Waiting() string {
	if c.lacks == "" {
		return ""
	}
	return fmt.Sprintf("%s reads chain %s: %s", c.name, c.chain.Name, c.lacks)
}
