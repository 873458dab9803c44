package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// consumer reads partitions to their ends, and now and then from the start again. It fetches with or without a session,
// and it asks for offsets and epochs on the way.
type consumer struct {
	link
	spec     Spec
	topic    *check.Topic
	lanes    []*reading
	session  int32
	epoch    int32
	told     map[*reading]int64 // what the session knows of each partition's offset
	fetching bool
	healing  bool
	turn     int // whose leader is asked next, in a world of several nodes
}

// reading is a consumer's place in one partition.
type reading struct {
	of      *check.Partition
	offset  int64
	lost    bool  // the offset is out of range: ask where the log starts
	reached int64 // while healing: how far it has read
}

func newConsumer(w World, h *check.History, s Spec, t *check.Topic) *consumer {
	c := &consumer{link: newLink(w, h, s.Name), spec: s, topic: t}
	for _, i := range s.Lanes {
		c.lanes = append(c.lanes, &reading{of: t.Partitions[i]})
	}
	return c
}

// Start is part of Client.
func (c *consumer) Start() { c.later(c.pace(c.spec.PaceMillis), c.tick) }

func (c *consumer) tick() {
	if c.fetching {
		return
	}
	switch {
	case !c.healing && c.one(8):
		c.listOffsets()
	case !c.healing && c.one(16):
		c.askEpochs()
	default:
		c.fetch()
	}
}

func (c *consumer) again(d time.Duration) {
	c.fetching = false
	c.later(d, c.tick)
}

// fetch asks for what comes next.
func (c *consumer) fetch() {
	for _, l := range c.lanes {
		if l.lost {
			c.findStart(l)
			return
		}
	}
	c.fetching = true
	req := kmsg.NewPtrFetchRequest()
	req.Version = c.spec.Version
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(c.spec.WaitMillis), int32(c.spec.MinBytes), c.maxBytes()
	if c.healing && !c.alone() {
		req.MaxWaitMillis = 0 // the next leader may have more
	}
	if c.spec.Committed {
		req.IsolationLevel = 1
	}
	req.SessionID, req.SessionEpoch = 0, -1
	if c.spec.Session && req.Version >= 7 {
		req.SessionID, req.SessionEpoch = c.session, c.epoch
	}
	lanes, from := c.together()
	floors := make([]check.Floor, len(c.lanes))
	asked := make([]int64, len(c.lanes))
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = c.topic.Name, c.topic.ID
	for i, l := range c.lanes {
		floors[i], asked[i] = c.history.Floor(l.of), l.offset
		if known, ok := c.told[l]; !slices.Contains(lanes, l) || ok && req.SessionEpoch > 0 && known == l.offset {
			continue
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = l.of.Index, l.offset, c.maxBytes()
		topic.Partitions = append(topic.Partitions, part)
		if req.SessionEpoch >= 0 {
			c.tell(l)
		}
	}
	if len(topic.Partitions) > 0 {
		req.Topics = append(req.Topics, topic)
	}
	patience := time.Duration(c.spec.WaitMillis+c.spec.PatienceMillis) * time.Millisecond
	from.call(req, patience, func(r kmsg.Response, err error) { c.fetched(r, err, floors, asked) })
}

// together are the partitions that are fetched in one request, and the way to who leads them: all of them where there is
// one node, else those of one leader, in turn.
func (c *consumer) together() (lanes []*reading, from *link) {
	if c.alone() {
		return c.lanes, &c.link
	}
	c.turn++
	from = c.leader(c.lanes[c.turn%len(c.lanes)].of)
	for i, l := range c.lanes {
		if i == c.turn%len(c.lanes) || c.leader(l.of) == from {
			lanes = append(lanes, l)
		}
	}
	return lanes, from
}

func (c *consumer) tell(l *reading) {
	if c.told == nil {
		c.told = map[*reading]int64{}
	}
	c.told[l] = l.offset
}

func (c *consumer) endSession() { c.session, c.epoch, c.told = 0, 0, nil }

func (c *consumer) fetched(r kmsg.Response, err error, floors []check.Floor, asked []int64) {
	if err != nil {
		c.misled()
		c.endSession()
		c.again(c.pace(30))
		return
	}
	a := r.(*kmsg.FetchResponse)
	if a.ErrorCode != 0 {
		c.endSession()
		c.again(c.pace(10))
		return
	}
	if a.SessionID != 0 && c.spec.Session {
		c.session, c.epoch = a.SessionID, c.epoch+1
	} else {
		c.endSession()
	}
	trouble, moved := false, false
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			for i, l := range c.lanes {
				if l.of.Index == p.Partition {
					trouble = !c.take(l, floors[i], asked[i], &p) || trouble
					moved = moved || l.offset != asked[i]
				}
			}
		}
	}
	switch {
	case trouble:
		c.again(c.pace(30))
	case c.healing && moved:
		c.again(time.Millisecond)
	case c.healing: // others are waited for
		c.again(c.pace(10))
	default:
		c.again(c.pace(c.spec.PaceMillis))
	}
}

// maxBytes is how much a fetch asks for. In the end there is no time for little.
func (c *consumer) maxBytes() int32 {
	if c.healing {
		return 1 << 20
	}
	return int32(c.spec.MaxBytes)
}

// take takes one partition's share of an answer; false if it is an error.
func (c *consumer) take(l *reading, floor check.Floor, asked int64, p *kmsg.FetchResponseTopicPartition) bool {
	switch message.Code(p.ErrorCode) {
	case message.OK:
	case message.OffsetOutOfRange:
		l.lost = true
		return false
	case message.CorruptMessage:
		c.history.Unreadable(l.of, asked)
		l.offset = asked + 1
		return true
	default:
		c.world.Note("%s: %s cannot be fetched: code %d", c.name, l.of, p.ErrorCode)
		c.misled()
		return false
	}
	c.history.Marks(l.of, floor, p.HighWatermark, p.LogStartOffset)
	found := c.read(l, floor, asked, p)
	if len(found) == 0 && len(p.RecordBatches) > 0 && l.of.IsDamaged(asked) {
		l.offset = asked + 1
	}
	if len(found) > 0 {
		l.offset = found[len(found)-1].Next
	}
	if l.offset >= p.HighWatermark {
		l.reached = max(l.reached, l.offset)
		if !c.healing && c.one(10) {
			l.offset = max(0, l.of.Start())
		}
	}
	return true
}

// read checks what has come.
func (c *consumer) read(l *reading, floor check.Floor, asked int64, p *kmsg.FetchResponseTopicPartition) []check.Found {
	if !c.spec.Committed {
		return c.history.Read(l.of, floor, asked, p.HighWatermark, p.RecordBatches)
	}
	var aborted []check.Aborted
	for _, a := range p.AbortedTransactions {
		aborted = append(aborted, check.Aborted{Producer: a.ProducerID, First: a.FirstOffset})
	}
	return c.history.ReadCommitted(l.of, floor, asked, p.HighWatermark, p.LastStableOffset, p.RecordBatches, aborted)
}

// findStart asks where a log starts, as a consumer does whose offset is gone.
func (c *consumer) findStart(l *reading) {
	c.fetching = true
	floor := c.history.Floor(l.of)
	c.offsets(l, -2, func(code message.Code, offset, _ int64) {
		if code == message.OK {
			c.history.Marks(l.of, floor, -1, offset)
			l.offset, l.lost = offset, false
		}
		c.again(c.pace(10))
	})
}

// offsets asks for the offset of a time: -1 is the end, -2 the start, -3 the largest timestamp.
func (c *consumer) offsets(l *reading, millis int64, then func(code message.Code, offset, stamp int64)) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 7
	req.ReplicaID = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = c.topic.Name
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp, part.CurrentLeaderEpoch = l.of.Index, millis, -1
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	c.leader(l.of).call(req, time.Duration(c.spec.PatienceMillis)*time.Millisecond, func(r kmsg.Response, err error) {
		code, offset, stamp := message.RequestTimedOut, int64(-1), int64(-1)
		if err == nil {
			if t := r.(*kmsg.ListOffsetsResponse).Topics; len(t) == 1 && len(t[0].Partitions) == 1 {
				p := &t[0].Partitions[0]
				code, offset, stamp = message.Code(p.ErrorCode), p.Offset, p.Timestamp
			}
		}
		if code != message.OK {
			c.misled()
		}
		then(code, offset, stamp)
	})
}

// listOffsets asks for an end, a start, or a time, and checks the answer.
func (c *consumer) listOffsets() {
	c.fetching = true
	l := c.lanes[c.chance.IntN(len(c.lanes))]
	floor := c.history.Floor(l.of)
	millis := []int64{-1, -2, -3, c.world.Millis() - int64(c.chance.IntN(2000))}[c.chance.IntN(4)]
	c.offsets(l, millis, func(code message.Code, offset, stamp int64) {
		switch {
		case code != message.OK:
		case millis == -1:
			c.history.Marks(l.of, floor, offset, -1)
		case millis == -2:
			c.history.Marks(l.of, floor, -1, offset)
		case millis >= 0:
			c.history.AtTime(l.of, floor, millis, offset, stamp)
		}
		c.again(c.pace(c.spec.PaceMillis))
	})
}

// askEpochs asks where the newest leader epoch ends.
func (c *consumer) askEpochs() {
	c.fetching = true
	l := c.lanes[c.chance.IntN(len(c.lanes))]
	floor := c.history.Floor(l.of)
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.Version = 4
	req.ReplicaID = -1
	topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
	topic.Topic = c.topic.Name
	part := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.LeaderEpoch = l.of.Index, -1, 1<<30
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	c.leader(l.of).call(req, time.Duration(c.spec.PatienceMillis)*time.Millisecond, func(r kmsg.Response, err error) {
		if err == nil {
			for _, t := range r.(*kmsg.OffsetForLeaderEpochResponse).Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode == 0 && p.LeaderEpoch >= 0 {
						c.history.Ends(l.of, floor, p.EndOffset)
					}
				}
			}
		}
		c.again(c.pace(c.spec.PaceMillis))
	})
}

// Heal is part of Client: everything that is there has to be read. A machine that lost power has told nobody, so that a long
// wait may be for an answer from the dead: a new connection ends it.
func (c *consumer) Heal() {
	c.healing = true
	c.hangUp(errLost)
}

// Waiting is part of Client.
func (c *consumer) Waiting() string {
	for _, l := range c.lanes {
		if high := l.of.High(); l.reached < high && l.offset < high {
			return fmt.Sprintf("%s has read %s up to %d and its high watermark is %d", c.name, l.of, l.offset, high)
		}
	}
	return ""
}
