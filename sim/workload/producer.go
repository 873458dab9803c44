package workload

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
)

// producer writes numbered records. What is not acknowledged it sends again, the same bytes in the same order, until it is;
// without a producer id that may write them twice, which it knows.
type producer struct {
	link
	spec    Spec
	topic   *check.Topic
	lanes   []*lane
	build   builder
	id      int64 // of the producer, once it has one
	epoch   int16
	asking  bool // for an id
	renew   bool // the id is worn out: get another when nothing is in flight
	healing bool
}

// lane is a producer's way to one partition.
type lane struct {
	to       *check.Partition
	sequence int32
	window   []*sent // not acknowledged, in order
	refused  *sent   // what a disk had no room for, last
	known    bool    // the partition has acknowledged what came first of what was not acknowledged
	broken   bool    // something failed: when nothing is in flight all of it is sent again
	resting  bool    // before it tries again
	made     int
	last     bool // the record that proves the way is open is made
}

func newProducer(w World, h *check.History, s Spec, t *check.Topic) *producer {
	p := &producer{link: newLink(w, h, s.Name), spec: s, topic: t, id: -1, epoch: -1}
	p.build.chance = p.chance
	for _, i := range s.Lanes {
		p.lanes = append(p.lanes, &lane{to: t.Partitions[i]})
	}
	return p
}

// Start is part of Client.
func (p *producer) Start() { p.later(p.pace(p.spec.PaceMillis), p.tick) }

// tick makes a batch now and then.
func (p *producer) tick() {
	if p.healing {
		return
	}
	p.later(p.pace(p.spec.PaceMillis), p.tick)
	if !p.ready() {
		return
	}
	l := p.lanes[p.chance.IntN(len(p.lanes))]
	if p.one(4) { // several partitions in one request
		p.together()
		return
	}
	if p.spec.Acks == 0 || len(l.window) < p.spec.InFlight && !l.broken {
		p.send(p.make(l))
	}
}

// ready says that batches can be made: an idempotent producer needs an id.
func (p *producer) ready() bool {
	if !p.spec.Idempotent || p.id >= 0 && !p.renew {
		return true
	}
	if !p.asking && !p.busy() {
		p.ask()
	}
	return false
}

func (p *producer) busy() bool {
	for _, l := range p.lanes {
		if l.flies() {
			return true
		}
	}
	return false
}

func (l *lane) flies() bool {
	for _, s := range l.window {
		if s.flying {
			return true
		}
	}
	return false
}

// ask gets a producer id, or begins another epoch of the one there is. What was not acknowledged under the old one is given
// up: nobody knows what became of it.
func (p *producer) ask() {
	for _, l := range p.lanes {
		l.window, l.sequence, l.broken, l.known, l.refused = nil, 0, false, false, nil
	}
	if p.renew && p.one(2) {
		p.renew = false
		p.epoch++
		return
	}
	p.asking = true
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 4
	req.TransactionTimeoutMillis = 1000
	p.any().call(req, p.patience(), func(r kmsg.Response, err error) {
		p.asking = false
		if err != nil {
			return
		}
		if a := r.(*kmsg.InitProducerIDResponse); a.ErrorCode == 0 {
			p.history.NewProducer(p.name, a.ProducerID)
			p.id, p.epoch, p.renew = a.ProducerID, a.ProducerEpoch, false
		}
	})
}

func (p *producer) patience() time.Duration {
	return time.Duration(p.spec.PatienceMillis) * time.Millisecond
}

// make builds the lane's next batch.
func (p *producer) make(l *lane) *sent {
	b := check.Batch{Client: p.name, Partition: l.to, Count: 1 + int32(p.chance.IntN(max(p.spec.Records, 1))),
		Time: p.world.Millis(), Producer: -1, Epoch: -1, Sequence: -1, Weak: p.spec.Acks == 1 && !p.topic.Alone()}
	if p.spec.Idempotent {
		b.Producer, b.Epoch, b.Sequence = p.id, p.epoch, l.sequence
		l.sequence += b.Count
	}
	s := p.build.build(p.history, b, p.chance.IntN(max(p.spec.Bytes, 1)), record.Codec(p.spec.Codec))
	l.made++
	if p.spec.Acks != 0 {
		l.window = append(l.window, s)
	}
	return s
}

// together sends one request for every lane that has room.
func (p *producer) together() {
	var batches []*sent
	for _, l := range p.lanes {
		if p.spec.Acks == 0 || len(l.window) < p.spec.InFlight && !l.broken {
			batches = append(batches, p.make(l))
		}
	}
	p.send(batches...)
}

// send sends batches of different partitions, those with one leader in one request.
func (p *producer) send(batches ...*sent) {
	for len(batches) > 0 {
		to := p.leader(batches[0].Partition)
		var theirs, others []*sent
		for i, s := range batches {
			if i == 0 || p.leader(s.Partition) == to {
				theirs = append(theirs, s)
			} else {
				others = append(others, s)
			}
		}
		p.sendTo(to, theirs)
		batches = others
	}
}

func (p *producer) sendTo(to *link, batches []*sent) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = p.spec.Version
	req.Acks = p.spec.Acks
	req.TimeoutMillis = int32(p.spec.PatienceMillis)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = p.topic.Name, p.topic.ID
	for _, s := range batches {
		s.flying, s.over = true, way{to: to, connection: to.connection(), sent: p.world.Now()}
		p.history.Again(s.Batch)
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = s.Partition.Index, s.bytes
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	if p.spec.Acks == 0 {
		to.call(req, 0, nil)
		return
	}
	to.call(req, p.patience(), func(r kmsg.Response, err error) { p.answered(batches, r, err) })
	if p.spec.Stutter && p.one(8) {
		to.call(req, p.patience(), func(r kmsg.Response, err error) { p.answered(batches, r, err) })
	}
}

// answered settles what was sent in one request.
func (p *producer) answered(batches []*sent, r kmsg.Response, err error) {
	for _, s := range batches {
		s.flying = false
	}
	for _, s := range batches {
		l := p.laneOf(s)
		code, base := message.RequestTimedOut, int64(-1)
		if err == nil {
			code, base = result(r.(*kmsg.ProduceResponse), s.Partition.Index)
		}
		p.settle(l, s, code, base)
	}
	for _, l := range p.lanes {
		p.mend(l)
	}
}

func result(r *kmsg.ProduceResponse, partition int32) (message.Code, int64) {
	for _, t := range r.Topics {
		for _, a := range t.Partitions {
			if a.Partition == partition {
				return message.Code(a.ErrorCode), a.BaseOffset
			}
		}
	}
	return message.RequestTimedOut, -1
}

func (p *producer) laneOf(s *sent) *lane {
	for _, l := range p.lanes {
		if l.to == s.Partition {
			return l
		}
	}
	panic("workload: a batch without a lane")
}

// settle draws the conclusions for one batch.
func (p *producer) settle(l *lane, s *sent, code message.Code, base int64) {
	switch code {
	case message.OK:
		p.history.Acked(s.Batch, base)
		l.known = len(l.window) == 0 || l.window[0] == s // else nobody knew it: what gets through first is where it begins (S23)
		l.done(s)
	case message.DuplicateSequenceNumber:
		p.history.Acked(s.Batch, -1)
		l.done(s)
	case message.OutOfOrderSequenceNumber:
		if len(l.window) > 0 && l.window[0] != s {
			l.broken = true // those before it come first
			p.skipped(l, s)
			return
		}
		p.refused(l, s, code)
	case message.InvalidProducerEpoch, unknownProducerID:
		p.refused(l, s, code)
	case message.MessageTooLarge, message.RecordListTooLarge:
		panic(fmt.Sprintf("workload: %s made a batch of %d bytes, which is too large", p.name, len(s.bytes)))
	default:
		if p.world.Note("%s: %v: code %d", s.Partition, s.Batch, code); code == message.KafkaStorageError {
			l.refused, s.over.answered = s, p.world.Now()
		}
		p.misled()
		l.broken = true
	}
}

// refused is a producer that is not let go on. Where nothing may be lost that must not happen, but to one that nobody knew, since
// the disk has refused what came before or has damaged it, or what it wrote was deleted. That its sequences are in order the log itself shows.
func (p *producer) refused(l *lane, s *sent, code message.Code) {
	if l.known && !l.to.HasDamage() && p.topic.Fsync && p.topic.State == check.Exists {
		p.history.Fail(check.ProducerGoesOn, "%s: %v was refused with code %d, and everything before it is acknowledged.", s.Partition, s.Batch, code)
	}
	p.renew = true
}

// skipped is a batch that is told that one before it is missing. Of one that a full disk has refused the producer could not know
// when it sent this one.
func (p *producer) skipped(l *lane, s *sent) {
	if r := l.refused; r != nil && r != s && s.over.behind(r.over) && p.history.DisksWork() {
		p.history.Fail(check.RefusedInTurn, "%s: %v was refused, and then %v was out of order.", s.Partition, r.Batch, s.Batch)
	}
}

// unknownProducerID is Kafka's UNKNOWN_PRODUCER_ID.
const unknownProducerID message.Code = 59

func (l *lane) done(s *sent) {
	for i, other := range l.window {
		if other == s {
			l.window = append(l.window[:i], l.window[i+1:]...)
			return
		}
	}
}

// mend sends everything again that failed, once nothing is in flight and after a rest.
func (p *producer) mend(l *lane) {
	if !l.broken || l.resting || l.flies() {
		return
	}
	l.resting = true
	rest := 1
	if p.one(2) {
		rest = 20
	}
	p.later(p.pace(rest), func() {
		l.resting = false
		if !l.broken || l.flies() || p.renew {
			return
		}
		l.broken = false
		for _, s := range l.window {
			p.send(s)
		}
	})
}

// Heal is part of Client: a last record for every partition shows that the way is open.
func (p *producer) Heal() {
	p.healing = true
	p.finish()
}

func (p *producer) finish() {
	if p.ready() {
		for _, l := range p.lanes {
			if !l.last && !l.broken && len(l.window) < max(p.spec.InFlight, 1) {
				l.last = true
				p.send(p.make(l))
			}
		}
	}
	for _, l := range p.lanes {
		p.mend(l)
	}
	if p.Waiting() != "" {
		p.later(20*time.Millisecond, p.finish)
	}
}

// Waiting is part of Client.
func (p *producer) Waiting() string {
	for _, l := range p.lanes {
		if !l.last {
			return fmt.Sprintf("%s has not been able to send its last record to %s", p.name, l.to)
		}
		if len(l.window) > 0 {
			return fmt.Sprintf("%s still waits for %v to be acknowledged by %s", p.name, l.window[0].Batch, l.to)
		}
	}
	return ""
}
