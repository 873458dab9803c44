package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
)

// marking writes transactions without a coordinator, in a cluster whose partitions do not ask one: it ends them as kafka-transactions.sh abort
// does, by WriteTxnMarkers to each partition's leader. So what partitions make of transactions is seen alone.
//
//	id ─▶ batches, one after the other ─▶ markers, until all are written ─▶ the next, in the next epoch
type marking struct {
	link
	spec    Spec
	topic   *check.Topic
	lanes   []*markLane
	build   builder
	id      int64
	epoch   int16
	phase   markPhase
	commit  bool
	failed  bool // a batch may or may not have been written
	healing bool
	done    bool
	due     bool // a step is to come
}

type markPhase uint8

const (
	idleMark markPhase = iota
	asking
	writing
	ending
	looking // in the end, whether something is open
)

// markLane is the way to one partition.
type markLane struct {
	to       *check.Partition
	sequence int32
	left     int     // batches to be written
	sent     []*sent // of this transaction
	acked    []*sent // of these
	marked   bool
	busy     bool
}

func newMarking(w World, h *check.History, s Spec, t *check.Topic) *marking {
	m := &marking{link: newLink(w, h, s.Name), spec: s, topic: t, id: -1}
	m.build.chance = m.chance
	for _, i := range s.Lanes {
		m.lanes = append(m.lanes, &markLane{to: t.Partitions[i]})
	}
	return m
}

// Start is part of Client.
func (m *marking) Start() { m.next(m.spec.PaceMillis) }

// next has a step come after a rest: one for everybody who asks for one meanwhile.
func (m *marking) next(meanMillis int) {
	if m.due {
		return
	}
	m.due = true
	m.later(m.pace(meanMillis), func() {
		m.due = false
		m.step()
	})
}

func (m *marking) patience() time.Duration {
	return time.Duration(m.spec.PatienceMillis) * time.Millisecond
}

// step does what is next. Every answer, and every rest, comes back here.
func (m *marking) step() {
	switch m.phase {
	case idleMark:
		switch {
		case m.healing && m.id < 0:
			m.done = true
		case m.healing:
			m.phase = looking
			m.look(0)
		case m.id < 0:
			m.ask()
		default:
			m.begin()
		}
	case writing:
		m.write()
	case ending:
		m.end()
	}
}

// ask gets a producer id.
func (m *marking) ask() {
	m.phase = asking
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionTimeoutMillis = 4, 1000
	m.any().call(req, m.patience(), func(r kmsg.Response, err error) {
		m.phase = idleMark
		if err == nil {
			if a := r.(*kmsg.InitProducerIDResponse); a.ErrorCode == 0 {
				m.history.NewProducer(m.name, a.ProducerID)
				m.id, m.epoch = a.ProducerID, a.ProducerEpoch
			}
		}
		m.next(m.spec.PaceMillis)
	})
}

// begin plans a transaction.
func (m *marking) begin() {
	m.phase, m.commit, m.failed = writing, m.one(2), false
	for i, l := range m.lanes {
		l.sent, l.acked, l.marked, l.busy = nil, nil, false, false
		if l.left = 0; i == 0 || m.one(2) {
			l.left = 1 + m.chance.IntN(3)
		}
	}
	m.step()
}

// write sends the next batch of each partition; the transaction ends when all are written, or when one may not be.
func (m *marking) write() {
	busy, left := false, false
	for _, l := range m.lanes {
		if !l.busy && l.left > 0 && !m.failed && !m.healing {
			m.produce(l)
		}
		busy, left = busy || l.busy, left || l.left > 0
	}
	switch {
	case busy:
	case m.failed || m.healing || !left:
		m.commit = m.commit && !m.failed && !left
		m.phase = ending
		m.next(m.spec.PaceMillis)
	}
}

func (m *marking) produce(l *markLane) {
	b := check.Batch{Client: m.name, Partition: l.to, Count: 1 + int32(m.chance.IntN(max(m.spec.Records, 1))), Time: m.world.Millis(),
		Producer: m.id, Epoch: m.epoch, Sequence: l.sequence, Transactional: true}
	s := m.build.build(m.history, b, m.chance.IntN(max(m.spec.Bytes, 1)), record.None)
	l.sequence += b.Count
	l.left--
	l.sent = append(l.sent, s)
	m.send(l, s, 3)
}

// send sends a batch, a few times if need be.
func (m *marking) send(l *markLane, s *sent, tries int) {
	l.busy = true
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = m.spec.Version, -1, int32(m.spec.PatienceMillis), &m.name
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = m.topic.Name, m.topic.ID
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = l.to.Index, s.bytes
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	m.history.Again(s.Batch)
	m.leader(l.to).call(req, m.patience(), func(r kmsg.Response, err error) {
		code, base := message.RequestTimedOut, int64(-1)
		if err == nil {
			code, base = result(r.(*kmsg.ProduceResponse), l.to.Index)
		}
		switch {
		case code == message.OK:
			m.history.Acked(s.Batch, base)
			l.busy, l.acked = false, append(l.acked, s)
			m.tryOld(l)
		case tries > 1 && code != message.OutOfOrderSequenceNumber:
			m.misled()
			m.later(m.pace(20), func() { m.send(l, s, tries-1) })
			return
		default:
			m.world.Note("%s: %v: code %d", l.to, s.Batch, code)
			m.misled()
			l.busy, m.failed = false, true
		}
		m.next(m.spec.PaceMillis)
	})
}

// mark is a marker for this producer. In version 2 its epoch is the next one.
func (m *marking) mark(epoch int16, commit bool) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	one := kmsg.NewWriteTxnMarkersRequestMarker()
	one.ProducerID, one.ProducerEpoch, one.Committed = m.id, epoch, commit
	if req.Version = 1; m.spec.Modern {
		req.Version, one.TransactionVersion = 2, 2
	}
	req.Markers = append(req.Markers, one)
	return req
}

// markAt sends a marker to a partition's leader.
func (m *marking) markAt(l *markLane, req *kmsg.WriteTxnMarkersRequest, then func(code message.Code)) {
	req.Markers[0].Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: m.topic.Name, Partitions: []int32{l.to.Index}}}
	m.leader(l.to).call(req, m.patience(), func(r kmsg.Response, err error) {
		code := message.RequestTimedOut
		if err == nil {
			if a := r.(*kmsg.WriteTxnMarkersResponse).Markers; len(a) == 1 && len(a[0].Topics) == 1 && len(a[0].Topics[0].Partitions) == 1 {
				code = message.Code(a[0].Topics[0].Partitions[0].ErrorCode)
			}
		}
		if code != message.OK {
			m.misled()
		}
		then(code)
	})
}

// certain says that a partition cannot have forgotten what it has acknowledged.
func (m *marking) certain(l *markLane) bool {
	return m.topic.Fsync && !l.to.HasDamage() && m.history.DisksWork() && m.topic.State == check.Exists
}

// tryOld sends, now and then, a marker of an epoch that is over, as a coordinator does that was slow. The transaction has begun: it must be refused.
func (m *marking) tryOld(l *markLane) {
	epoch := m.epoch // of version 2 it has to be above
	if !m.spec.Modern {
		epoch--
	}
	if epoch < 0 || !m.one(3) {
		return
	}
	m.markAt(l, m.mark(epoch, m.one(2)), func(code message.Code) {
		if code == message.OK && m.certain(l) {
			m.history.Fail(check.MarkersInTurn, "%s: a marker of epoch %d for producer %d was taken, whose transaction is of epoch %d.", l.to, epoch, m.id, m.epoch)
		}
	})
}

// end sends the markers, again and again until all are there.
func (m *marking) end() {
	epoch := m.epoch
	if m.spec.Modern {
		epoch++
	}
	open := false
	for _, l := range m.lanes {
		if len(l.sent) == 0 || l.marked {
			continue
		}
		if open = true; !l.busy {
			l.busy = true
			m.markAt(l, m.mark(epoch, m.commit), func(code message.Code) { m.ended(l, code) })
		}
	}
	if open {
		return
	}
	m.phase = idleMark
	if m.spec.Modern || m.failed { // what was not acknowledged is not gone on with
		m.epoch++
		for _, l := range m.lanes {
			l.sequence = 0
		}
	}
	m.next(m.spec.PaceMillis)
}

func (m *marking) ended(l *markLane, code message.Code) {
	l.busy = false
	switch code {
	case message.OK:
		l.marked = true
		decided := l.acked // one that was late may have come behind the marker, and be a part of what ends next: so it is without version 2 (KIP-890)
		if m.spec.Modern {
			decided = l.sent
		}
		for _, s := range decided {
			m.history.Decided(s.Batch, m.commit)
		}
	case message.InvalidProducerEpoch, message.TransactionCoordinatorFenced:
		if m.certain(l) {
			m.history.Fail(check.MarkersInTurn, "%s: the marker that ends the transaction of producer %d in epoch %d was refused with code %d.", l.to, m.id, m.epoch, code)
		}
		l.marked = true
	}
	m.next(20)
}

// look asks each partition, in the end, whether it has a transaction of this producer open: a batch that was late may have begun one. It is
// ended as an operator ends one that hangs.
func (m *marking) look(i int) {
	if i == len(m.lanes) {
		m.done = true
		return
	}
	l := m.lanes[i]
	again := func() { m.later(m.pace(20), func() { m.look(i) }) }
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: m.topic.Name, Partitions: []int32{l.to.Index}}}
	m.leader(l.to).call(req, m.patience(), func(r kmsg.Response, err error) {
		if err != nil {
			m.misled()
			again()
			return
		}
		p := &r.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0]
		at := slices.IndexFunc(p.ActiveProducers, func(a kmsg.DescribeProducersResponseTopicPartitionActiveProducer) bool {
			return a.ProducerID == m.id && a.CurrentTxnStartOffset >= 0
		})
		switch {
		case p.ErrorCode != 0:
			m.misled()
			again()
		case at < 0:
			m.look(i + 1)
		default:
			epoch := int16(p.ActiveProducers[at].ProducerEpoch)
			if m.spec.Modern {
				epoch++
			}
			m.markAt(l, m.mark(epoch, false), func(message.Code) { again() })
		}
	})
}

// Heal is part of Client: what is open is ended.
func (m *marking) Heal() { m.healing = true }

// Waiting is part of Client.
func (m *marking) Waiting() string {
	if m.done {
		return ""
	}
	return fmt.Sprintf("%s has not ended its transaction of epoch %d everywhere (phase %d)", m.name, m.epoch, m.phase)
}
