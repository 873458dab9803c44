package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// subscriber is one member of a group by KIP-848: it joins, takes what it is assigned and gives up what it is told to, commits more and
// more for what it has, and now and then falls silent, leaves, or rests.
type subscriber struct {
	guided
	topic *check.Topic
	id    string
	epoch int32

	topicID [16]byte
	has     []*check.Partition // it has not told yet that it has given up some of them
	owned   []*check.Partition // it has as of its last assignment
	at      map[*check.Partition]int64

	full    bool               // it says everything again: an answer was lost
	asked   time.Duration      // when the first heartbeat was sent that no answer came to; 0: none is under way
	giveBy  time.Duration      // when it must have given up at the latest; 0: there is nothing
	lately  []*check.Partition // it has given up last
	life    int                // of its memberships: what belongs to an earlier one is not heeded
	joined  bool
	healing bool
	done    bool // it has committed since the faults were over
}

func newSubscriber(w World, h *check.History, s Spec, t *check.Topic) *subscriber {
	return &subscriber{guided: newGuided(w, h, s), topic: t}
}

// Start is part of Client.
func (m *subscriber) Start() { m.later(m.pace(m.spec.PaceMillis), m.begin) }

const subscriberSession = 1500 * time.Millisecond // group.consumer.session.timeout.ms

// begin joins as somebody new.
func (m *subscriber) begin() {
	m.id = m.memberID()
	m.rejoin()
}

// rejoin joins with nothing.
func (m *subscriber) rejoin() {
	m.end()
	m.beat(m.life)
}

// end is the end of a membership.
func (m *subscriber) end() {
	m.life++
	m.group.GivesUp(m.name, m.has)
	m.epoch, m.has, m.owned, m.at, m.full, m.joined = 0, nil, nil, map[*check.Partition]int64{}, true, false
	m.asked, m.giveBy, m.lately = 0, 0, nil
}

// beat sends a heartbeat, as soon as it knows where to.
func (m *subscriber) beat(life int) {
	if life != m.life {
		return
	}
	m.seek(func(found bool) {
		switch {
		case life != m.life:
		case found:
			m.send(life)
		default:
			m.later(m.pace(50), func() { m.beat(life) })
		}
	})
}

// send tells what it has: what it is to give up it gives up by that.
func (m *subscriber) send(life int) {
	m.introduce()
	req := m.heartbeat()
	if m.full || !slices.Equal(m.has, m.owned) {
		m.group.GivesUp(m.name, m.gone())
		m.has = m.owned
		req.Topics = m.list()
	}
	now, epoch, floor := m.world.Now(), m.epoch, m.group.Generation()
	if m.asked == 0 {
		m.asked = now
	}
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		if life != m.life {
			return
		}
		if err != nil {
			m.node, m.full = 0, true
			m.later(m.pace(20), func() { m.beat(life) })
			return
		}
		m.heard(r.(*kmsg.ConsumerGroupHeartbeatResponse), now, epoch, floor)
	})
}

func (m *subscriber) heartbeat() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, m.group.Name, m.id, m.epoch
	if m.spec.Static {
		req.InstanceID = &m.name
	}
	if m.full {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = memberRebalance, []string{m.topic.Name}
	}
	return req
}

// gone is what it still has and is not to have.
func (m *subscriber) gone() (all []*check.Partition) {
	for _, p := range m.has {
		if !slices.Contains(m.owned, p) {
			all = append(all, p)
		}
	}
	return all
}

func (m *subscriber) list() []kmsg.ConsumerGroupHeartbeatRequestTopic {
	if len(m.owned) == 0 {
		return []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	one := kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: m.topicID}
	for _, p := range m.owned {
		one.Partitions = append(one.Partitions, p.Index)
	}
	return []kmsg.ConsumerGroupHeartbeatRequestTopic{one}
}

// heard takes the answer to a heartbeat that was sent at a time, in an epoch.
func (m *subscriber) heard(a *kmsg.ConsumerGroupHeartbeatResponse, sent time.Duration, epoch, floor int32) {
	life := m.life
	switch code := message.Code(a.ErrorCode); code {
	case message.OK:
	case message.CoordinatorNotAvailable, message.NotCoordinator, message.CoordinatorLoadInProgress:
		m.node, m.full = 0, true
		m.later(m.pace(20), func() { m.beat(life) })
		return
	case message.FencedMemberEpoch, message.UnknownMemberID, message.GroupIDNotFound, message.UnreleasedInstanceID, message.FencedInstanceID:
		m.end()
		m.later(m.pace(50), m.begin)
		return
	default:
		m.group.Refused(m.name, "a heartbeat", code)
		return
	}
	m.group.InEpoch(m.id, floor, a.MemberEpoch, epoch == 0)
	if !m.joined {
		m.later(m.pace(m.spec.PaceMillis), func() { m.work(life) })
	}
	first := m.asked
	m.epoch, m.full, m.asked, m.joined = a.MemberEpoch, false, 0, true
	news := a.Assignment != nil && m.assigned(life, a.Assignment)
	if m.giveBy = 0; len(m.gone()) > 0 {
		m.giveBy = first + memberRebalance*time.Millisecond
		m.lately = append([]*check.Partition(nil), m.gone()...)
	} else if len(m.lately) > 0 {
		if p := m.lately[0]; !slices.Contains(m.owned, p) && m.one(3) {
			m.haunt(p, epoch)
		}
		m.lately = nil
	}
	until := sent + subscriberSession
	if m.giveBy != 0 {
		until = min(until, m.giveBy)
	}
	m.group.Keeps(m.name, m.has, m.world.Now(), until)
	m.rest(life, news, time.Duration(a.HeartbeatIntervalMillis)*time.Millisecond)
}

// assigned takes a new assignment; news says that it has to tell about it.
func (m *subscriber) assigned(life int, a *kmsg.ConsumerGroupHeartbeatResponseAssignment) (news bool) {
	was := m.owned
	m.owned = nil
	for _, t := range a.Topics {
		m.topicID = t.TopicID
		for _, p := range t.Partitions {
			m.owned = append(m.owned, m.topic.Partitions[p])
		}
	}
	for _, p := range m.owned {
		if !slices.Contains(m.has, p) {
			m.has = append(m.has, p)
		}
	}
	for _, p := range was {
		if !slices.Contains(m.owned, p) {
			delete(m.at, p)
		}
	}
	m.fetch(life)
	return !slices.Equal(was, m.owned)
}

// rest waits until the next heartbeat, and does what members do now and then.
func (m *subscriber) rest(life int, news bool, interval time.Duration) {
	pause := interval
	if m.one(10) {
		m.look(nil, -1, m.topic.Partitions, func(*kmsg.OffsetFetchResponse, error) {})
	}
	switch {
	case news:
		pause = m.pace(20)
	case m.healing:
	case m.one(60): // it is silent for longer than its session
		pause = 2 * subscriberSession
	case m.one(60):
		m.leave()
		return
	}
	m.later(pause, func() { m.beat(life) })
}

// leave leaves, or, as a static member, goes for a while; it comes again as somebody else.
func (m *subscriber) leave() {
	req := m.heartbeat()
	req.MemberEpoch = message.EpochLeaves
	if m.spec.Static && m.one(2) {
		req.MemberEpoch = message.EpochRests
	}
	m.end()
	m.coordinator().call(req, m.patience(), func(kmsg.Response, error) { m.later(m.pace(100), m.begin) })
}

// fetch asks where to go on with what is new.
func (m *subscriber) fetch(life int) {
	var fresh []*check.Partition
	for _, p := range m.owned {
		if _, known := m.at[p]; !known {
			fresh = append(fresh, p)
		}
	}
	if len(fresh) == 0 {
		return
	}
	m.look(&m.id, m.epoch, fresh, func(a *kmsg.OffsetFetchResponse, err error) {
		switch {
		case life != m.life:
		case err != nil || a.Groups[0].ErrorCode != 0:
			m.later(m.pace(50), func() { m.fetch(life) })
		default:
			m.found(a)
		}
	})
}

// look asks what the group has committed, as a member or as nobody, and checks that nothing is missing.
func (m *subscriber) look(id *string, epoch int32, at []*check.Partition, then func(*kmsg.OffsetFetchResponse, error)) {
	floors, group := map[int32]int64{}, kmsg.NewOffsetFetchRequestGroup()
	group.Group, group.MemberID, group.MemberEpoch = m.group.Name, id, epoch
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic = m.topic.Name
	for _, p := range at {
		topic.Partitions = append(topic.Partitions, p.Index)
		floors[p.Index] = m.group.Floor(p)
	}
	group.Topics = append(group.Topics, topic)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Groups = 9, append(req.Groups, group)
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		if err != nil {
			then(nil, err)
			return
		}
		a := r.(*kmsg.OffsetFetchResponse)
		for _, t := range a.Groups[0].Topics {
			for _, p := range t.Partitions {
				m.group.Fetched(m.name, m.topic.Partitions[p.Partition], floors[p.Partition], p.Offset)
			}
		}
		then(a, nil)
	})
}

// haunt commits for what it has given up, in the epoch in which it had it.
func (m *subscriber) haunt(p *check.Partition, epoch int32) {
	req := m.committing(epoch)
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition = p.Index
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, part)
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		if err == nil && r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode == 0 {
			m.group.Refused(m.name, "nothing: a commit of what it has given up is taken", message.OK)
		}
	})
}

func (m *subscriber) found(a *kmsg.OffsetFetchResponse) {
	for _, t := range a.Groups[0].Topics {
		for _, p := range t.Partitions {
			if of := m.topic.Partitions[p.Partition]; slices.Contains(m.owned, of) {
				m.at[of] = p.Offset
			}
		}
	}
}

// work commits a little more of everything that it knows where to go on with, again and again.
func (m *subscriber) work(life int) {
	if life != m.life {
		return
	}
	req, asked := m.commit()
	if len(asked) == 0 {
		m.later(m.pace(m.spec.PaceMillis), func() { m.work(life) })
		return
	}
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		code := message.CoordinatorNotAvailable
		if err == nil {
			code = m.committed(r.(*kmsg.OffsetCommitResponse), asked)
		} else {
			for i, at := range asked {
				m.group.Doubted(m.topic.Partitions[i], at)
			}
		}
		switch {
		case life != m.life:
		case code == message.OK:
			m.done = m.healing
		case code == message.UnsupportedVersion, code == message.InvalidRequest:
			m.group.Refused(m.name, "a commit", code)
		}
		m.later(m.pace(m.spec.PaceMillis), func() { m.work(life) })
	})
}

func (m *subscriber) committing(epoch int32) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 9, m.group.Name, m.id, epoch
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = m.topic.Name
	req.Topics = append(req.Topics, topic)
	return req
}

func (m *subscriber) commit() (*kmsg.OffsetCommitRequest, map[int32]int64) {
	req, asked := m.committing(m.epoch), map[int32]int64{}
	topic := &req.Topics[0]
	for _, p := range m.owned {
		at, known := m.at[p]
		if !known {
			continue
		}
		m.at[p] = max(at, 0) + int64(m.chance.IntN(5))
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = p.Index, m.at[p]
		asked[p.Index] = m.at[p]
		topic.Partitions = append(topic.Partitions, part)
	}
	return req, asked
}

// committed notes what was taken, and returns the first code of what was not.
func (m *subscriber) committed(a *kmsg.OffsetCommitResponse, asked map[int32]int64) (code message.Code) {
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			if at := message.Code(p.ErrorCode); at == message.OK {
				m.group.Committed(m.topic.Partitions[p.Partition], asked[p.Partition])
			} else if code == message.OK {
				code = at
			}
		}
	}
	return code
}

// Heal is part of Client.
func (m *subscriber) Heal() { m.healing = true }

// Waiting is part of Client.
func (m *subscriber) Waiting() string {
	if m.done || m.joined && len(m.owned) == 0 && m.group.Taken(m.topic.Partitions, m.world.Now()) {
		return ""
	}
	return fmt.Sprintf("%s has no assignment in group %s for which it could commit", m.name, m.group.Name)
}
