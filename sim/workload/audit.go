package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// Setup makes the scenario's topics and says when they are there. It tries until they are.
func Setup(w World, h *check.History, topics []*check.Topic, done func()) {
	l := newLink(w, h, "setup")
	todo := topics
	var step func()
	step = func() {
		if len(todo) == 0 {
			l.learn(topics, func() { l.Stop(); done() })
			return
		}
		l.any().call(createRequest(todo[0]), 2*time.Second, func(r kmsg.Response, err error) {
			if err == nil && created(h, todo[0], r.(*kmsg.CreateTopicsResponse)) {
				todo = todo[1:]
				step()
				return
			}
			l.later(20*time.Millisecond, step)
		})
	}
	step()
}

// learn finds the ids of topics that were there already: an earlier try had made them, whose answer was lost.
func (l *link) learn(topics []*check.Topic, done func()) {
	if !slices.ContainsFunc(topics, func(t *check.Topic) bool { return t.ID == [16]byte{} }) {
		done()
		return
	}
	wanted, floors := l.history.Expect()
	l.any().call(metadataRequest(), auditPatience, func(r kmsg.Response, err error) {
		if err == nil {
			l.history.Described(wanted, floors, describedTopics(r.(*kmsg.MetadataResponse)))
		}
		l.later(20*time.Millisecond, func() { l.learn(topics, done) })
	})
}

// Audit reads everything that there is, when nobody writes, and checks it against the history.
type Audit struct {
	link
	logs    []*audited
	at      int
	done    func()
	Waiting string // what it waits for; empty when it is over
}

// audited is one partition as it was read.
type audited struct {
	of          *check.Partition
	start, high int64
	next        int64
	found       []check.Found
	unread      map[int64]bool
}

// NewAudit begins an audit; done is called when everything was read.
func NewAudit(w World, h *check.History, name string, done func()) *Audit {
	a := &Audit{link: newLink(w, h, name), done: done, Waiting: "nobody described the topics"}
	for _, t := range h.Topics {
		if t.State != check.Exists {
			continue
		}
		for _, p := range t.Partitions {
			a.logs = append(a.logs, &audited{of: p, start: -1, high: -1, unread: map[int64]bool{}})
		}
	}
	a.describe()
	return a
}

const auditPatience = 3 * time.Second

// again tries a step once more.
func (a *Audit) again(step func(), why string, args ...any) {
	a.Waiting = fmt.Sprintf(why, args...)
	a.later(30*time.Millisecond, step)
}

func (a *Audit) describe() {
	wanted, floors := a.history.Expect()
	a.any().call(metadataRequest(), auditPatience, func(r kmsg.Response, err error) {
		if err != nil {
			a.again(a.describe, "Metadata was not answered: %v", err)
			return
		}
		a.history.Described(wanted, floors, describedTopics(r.(*kmsg.MetadataResponse)))
		a.describeConfigs(0)
	})
}

func (a *Audit) describeConfigs(i int) {
	for i < len(a.history.Topics) && (a.history.Topics[i].State != check.Exists || len(a.history.Topics[i].Configs) == 0) {
		i++
	}
	if i == len(a.history.Topics) {
		a.step()
		return
	}
	t := a.history.Topics[i]
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, t.Name
	req.Resources = append(req.Resources, res)
	a.any().call(req, auditPatience, func(r kmsg.Response, err error) {
		if err != nil {
			a.again(func() { a.describeConfigs(i) }, "DescribeConfigs was not answered: %v", err)
			return
		}
		for _, one := range r.(*kmsg.DescribeConfigsResponse).Resources {
			if one.ErrorCode != 0 {
				a.again(func() { a.describeConfigs(i) }, "DescribeConfigs of %s was refused with code %d", t.Name, one.ErrorCode)
				return
			}
			checkConfigs(a.history, t, t.Configs, one.Configs)
		}
		a.describeConfigs(i + 1)
	})
}

// step reads on in the partition that is not read yet.
func (a *Audit) step() {
	if a.at == len(a.logs) {
		a.Waiting = ""
		a.Stop()
		a.done()
		return
	}
	l := a.logs[a.at]
	a.Waiting = fmt.Sprintf("%s was read up to %d of %d", l.of, l.next, l.high)
	switch {
	case l.start < 0:
		a.bound(l, -2, &l.start)
	case l.high < 0:
		a.bound(l, -1, &l.high)
	case l.next < l.high:
		a.fetch(l)
	default:
		a.history.Whole(l.of, l.start, l.high, l.found, l.unread, a.world.Millis())
		if l.of.Topic.Remembers {
			a.producers(l)
			return
		}
		a.at++
		a.step()
	}
}

// bound asks for a log's start or end.
func (a *Audit) bound(l *audited, which int64, into *int64) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 7
	req.ReplicaID = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = l.of.Topic.Name
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp, part.CurrentLeaderEpoch = l.of.Index, which, -1
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	floor := a.history.Floor(l.of)
	a.leader(l.of).call(req, auditPatience, func(r kmsg.Response, err error) {
		if err == nil {
			p := r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
			if *into = p.Offset; p.ErrorCode != 0 {
				err = fmt.Errorf("code %d", p.ErrorCode)
			}
		}
		if err != nil {
			a.misled()
			a.again(a.step, "ListOffsets of %s was not answered: %v", l.of, err)
			return
		}
		l.next = max(l.start, 0)
		a.history.Marks(l.of, floor, l.high, l.start)
		a.step()
	})
}

func (a *Audit) fetch(l *audited) {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 11
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
	req.SessionEpoch = -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = l.of.Topic.Name
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = l.of.Index, l.next, 1<<20
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	floor := a.history.Floor(l.of)
	a.leader(l.of).call(req, auditPatience, func(r kmsg.Response, err error) {
		if err != nil {
			a.misled()
			a.again(a.step, "a fetch of %s was not answered: %v", l.of, err)
			return
		}
		a.fetched(l, floor, &r.(*kmsg.FetchResponse).Topics[0].Partitions[0])
	})
}

func (a *Audit) fetched(l *audited, floor check.Floor, p *kmsg.FetchResponseTopicPartition) {
	switch code := message.Code(p.ErrorCode); {
	case code == message.CorruptMessage:
		a.history.Unreadable(l.of, l.next)
		l.unread[l.next] = true
		l.next++
	case code == message.OffsetOutOfRange && !l.of.Topic.Endless():
		l.start, l.found = -1, nil // retention was faster
	case code != message.OK:
		a.misled()
		a.again(a.step, "a fetch of %s at %d was refused with code %d", l.of, l.next, code)
		return
	default:
		a.history.Marks(l.of, floor, p.HighWatermark, p.LogStartOffset)
		found := a.history.Read(l.of, floor, l.next, p.HighWatermark, p.RecordBatches)
		if len(found) == 0 && len(p.RecordBatches) > 0 && l.of.IsDamaged(l.next) {
			l.unread[l.next] = true
			l.next++
			break
		}
		if len(found) == 0 {
			a.again(a.step, "nothing came of %s at %d, and its high watermark is %d", l.of, l.next, l.high)
			return
		}
		l.found = append(l.found, found...)
		l.next = found[len(found)-1].Next
	}
	a.step()
}

// producers asks which producers a partition remembers.
func (a *Audit) producers(l *audited) {
	req := kmsg.NewPtrDescribeProducersRequest()
	topic := kmsg.NewDescribeProducersRequestTopic()
	topic.Topic, topic.Partitions = l.of.Topic.Name, []int32{l.of.Index}
	req.Topics = append(req.Topics, topic)
	a.leader(l.of).call(req, auditPatience, func(r kmsg.Response, err error) {
		if err == nil {
			p := r.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0]
			if p.ErrorCode == 0 {
				known := map[int64]check.State{}
				for _, one := range p.ActiveProducers {
					known[one.ProducerID] = check.State{Epoch: int16(one.ProducerEpoch), Sequence: one.LastSequence}
				}
				a.history.Remembers(l.of, known)
				a.at++
				a.step()
				return
			}
			err = fmt.Errorf("code %d", p.ErrorCode)
		}
		a.misled()
		a.again(a.step, "DescribeProducers of %s was not answered: %v", l.of, err)
	})
}

// same says that two audits have found the same batch. Of a damaged log another copy may have been read, and a leader epoch that rots no
// checksum tells.
func (l *audited) same(x, y check.Found) bool {
	if l.of.HasDamage() {
		x.Epoch, y.Epoch = 0, 0
	}
	return x == y
}

// Differs says in what another audit of the same broker differs from this one; empty if in nothing.
func (a *Audit) Differs(b *Audit) string {
	for i, l := range a.logs {
		m := b.logs[i]
		if !l.of.Topic.Alone() && !l.of.Topic.Fsync {
			continue // the copy with the most is not always who leads
		}
		if l.of.Topic.Compacted {
			continue // it may have been compacted between them
		}
		alone := l.of.Topic.Alone() // else another copy may lead, which begins elsewhere
		switch {
		case alone && (l.start > m.start || l.of.Topic.Endless() && l.start != m.start):
			return fmt.Sprintf("%s began at %d and begins at %d", l.of, l.start, m.start)
		case l.high != m.high:
			return fmt.Sprintf("%s ended at %d and ends at %d", l.of, l.high, m.high)
		case l.start == m.start && !slices.EqualFunc(l.found, m.found, l.same):
			return fmt.Sprintf("%s holds other batches between %d and %d", l.of, l.start, l.high)
		}
	}
	return ""
}
