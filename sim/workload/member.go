package workload

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// member is one member of a consumer group by the classic protocol: it joins, assigns if it leads, commits more and more for what it
// is assigned, and now and then falls silent, leaves, or commits in the name of a generation that is over.
type member struct {
	guided
	topic *check.Topic

	id         string
	generation int32
	mine       []*check.Partition
	at         map[*check.Partition]int64 // what it has committed, or found
	round      int                        // of joining: what belongs to an earlier one is not heeded
	healing    bool
	spare      bool // it is assigned nothing
	done       bool // it has committed since the faults were over
}

func newMember(w World, h *check.History, s Spec, t *check.Topic) *member {
	return &member{guided: newGuided(w, h, s), topic: t}
}

// Start is part of Client.
func (m *member) Start() { m.later(m.pace(m.spec.PaceMillis), m.find) }

const (
	memberSession   = 1500
	memberRebalance = 2000
)

// joining is how long an answer may take that waits for others.
const joining = 3 * memberRebalance * time.Millisecond

// again begins anew in a while.
func (m *member) again() {
	m.round++
	m.mine, m.spare = nil, false
	m.later(m.pace(50), m.find)
}

// lost forgets who coordinates.
func (m *member) lost() {
	m.node = 0
	m.again()
}

func (m *member) find() {
	m.seek(func(found bool) {
		if found {
			m.join()
		} else {
			m.again()
		}
	})
}

func (m *member) join() {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = m.spec.Version, m.group.Name, m.id
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = memberSession, memberRebalance, "consumer"
	said := kmsg.ConsumerMemberMetadata{Topics: []string{m.topic.Name}}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: said.AppendTo(nil)}}
	floor := m.group.Generation()
	m.coordinator().call(req, joining, func(r kmsg.Response, err error) {
		if err != nil {
			m.lost()
			return
		}
		m.joined(floor, r.(*kmsg.JoinGroupResponse))
	})
}

func (m *member) joined(floor int32, a *kmsg.JoinGroupResponse) {
	switch message.Code(a.ErrorCode) {
	case message.OK:
		m.id, m.generation = a.MemberID, a.Generation
		m.group.Joined(m.name, floor, a.Generation)
		m.sync(a)
	case message.MemberIDRequired:
		m.id = a.MemberID
		m.join()
	case message.UnknownMemberID:
		m.id = ""
		m.again()
	default:
		m.refused("to join", message.Code(a.ErrorCode))
	}
}

// refused begins anew where a refusal is the coordinator's state, and complains where it is not.
func (m *member) refused(what string, code message.Code) {
	switch code {
	case message.CoordinatorNotAvailable, message.NotCoordinator, message.CoordinatorLoadInProgress:
		m.lost()
	case message.RebalanceInProgress:
		m.again()
	case message.IllegalGeneration, message.UnknownMemberID, message.GroupIDNotFound:
		m.id = ""
		m.again()
	default:
		m.group.Refused(m.name, what, code)
	}
}

func (m *member) sync(j *kmsg.JoinGroupResponse) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, m.group.Name, m.id, m.generation
	if j.LeaderID == m.id {
		req.GroupAssignment = m.assign(j)
	}
	m.coordinator().call(req, joining, func(r kmsg.Response, err error) {
		if err != nil {
			m.lost()
			return
		}
		a := r.(*kmsg.SyncGroupResponse)
		if a.ErrorCode != 0 {
			m.refused("its assignment", message.Code(a.ErrorCode))
			return
		}
		m.assigned(a)
	})
}

// assign deals the partitions out in turn.
func (m *member) assign(j *kmsg.JoinGroupResponse) (all []kmsg.SyncGroupRequestGroupAssignment) {
	for i, one := range j.Members {
		a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: m.topic.Name}}}
		for p := i; p < len(m.topic.Partitions); p += len(j.Members) {
			a.Topics[0].Partitions = append(a.Topics[0].Partitions, int32(p))
		}
		all = append(all, kmsg.SyncGroupRequestGroupAssignment{MemberID: one.MemberID, MemberAssignment: a.AppendTo(nil)})
	}
	return all
}

func (m *member) assigned(a *kmsg.SyncGroupResponse) {
	m.round++
	m.mine, m.at = nil, map[*check.Partition]int64{}
	var told kmsg.ConsumerMemberAssignment
	if len(a.MemberAssignment) > 0 && told.ReadFrom(a.MemberAssignment) == nil {
		for _, t := range told.Topics {
			for _, p := range t.Partitions {
				m.mine = append(m.mine, m.topic.Partitions[p])
			}
		}
	}
	m.group.Assigned(m.id, m.generation, m.mine)
	round := m.round
	m.later(m.pace(memberSession/6), func() { m.beat(round) })
	m.fetch(round)
}

// fetch asks where to go on.
func (m *member) fetch(round int) {
	if len(m.mine) == 0 {
		m.spare = true
		return
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, m.group.Name
	topic, floors := kmsg.NewOffsetFetchRequestTopic(), map[int32]int64{}
	topic.Topic = m.topic.Name
	for _, p := range m.mine {
		topic.Partitions = append(topic.Partitions, p.Index)
		floors[p.Index] = m.group.Floor(p)
	}
	req.Topics = append(req.Topics, topic)
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		if round != m.round {
			return
		}
		if err != nil {
			m.lost()
			return
		}
		a := r.(*kmsg.OffsetFetchResponse)
		if a.ErrorCode != 0 {
			m.refused("its offsets", message.Code(a.ErrorCode))
			return
		}
		for _, t := range a.Topics {
			for _, p := range t.Partitions {
				of := m.topic.Partitions[p.Partition]
				m.group.Fetched(m.name, of, floors[p.Partition], p.Offset)
				m.at[of] = p.Offset
			}
		}
		m.later(m.pace(m.spec.PaceMillis), func() { m.work(round) })
	})
}

// work commits a little more of everything, as one that has read on.
func (m *member) work(round int) {
	if round != m.round {
		return
	}
	if !m.healing && m.one(40) {
		m.leave()
		return
	}
	m.commit(m.generation, func(code message.Code) {
		switch {
		case round != m.round:
		case code == message.OK:
			m.done = m.healing
			m.later(m.pace(m.spec.PaceMillis), func() { m.work(round) })
		default:
			m.refused("a commit", code)
		}
	})
	if !m.healing && m.generation > 1 && m.one(20) { // a zombie's
		m.commitAs(m.generation-1, func(code message.Code) {
			if code == message.OK {
				m.group.Refused(m.name, "nothing: a commit of the generation before is taken", code)
			}
		})
	}
}

func (m *member) commit(generation int32, then func(message.Code)) {
	for _, p := range m.mine {
		m.at[p] = max(m.at[p], 0) + int64(m.chance.IntN(5))
	}
	m.commitAs(generation, then)
}

func (m *member) commitAs(generation int32, then func(message.Code)) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 7, m.group.Name, m.id, generation
	topic, asked := kmsg.NewOffsetCommitRequestTopic(), map[*check.Partition]int64{}
	topic.Topic = m.topic.Name
	for _, p := range m.mine {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = p.Index, m.at[p]
		asked[p] = m.at[p]
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		code := message.CoordinatorNotAvailable
		if err == nil {
			code = message.OK
			for _, t := range r.(*kmsg.OffsetCommitResponse).Topics {
				for _, p := range t.Partitions {
					if at := message.Code(p.ErrorCode); at != message.OK {
						code = at
					}
				}
			}
		}
		if code == message.OK {
			for _, p := range m.topic.Partitions {
				if at, has := asked[p]; has {
					m.group.Committed(p, at)
				}
			}
		}
		then(code)
	})
}

func (m *member) beat(round int) {
	if round != m.round {
		return
	}
	if !m.healing && m.one(30) { // it is silent for longer than its session
		m.later(2*memberSession*time.Millisecond, func() { m.beat(round) })
		return
	}
	m.introduce()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, m.group.Name, m.id, m.generation
	m.coordinator().call(req, m.patience(), func(r kmsg.Response, err error) {
		if round != m.round {
			return
		}
		code := message.CoordinatorNotAvailable
		if err == nil {
			code = message.Code(r.(*kmsg.HeartbeatResponse).ErrorCode)
		}
		if code != message.OK {
			m.refused("a heartbeat", code)
			return
		}
		m.later(m.pace(memberSession/6), func() { m.beat(round) })
	})
}

func (m *member) leave() {
	m.round++
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = 2, m.group.Name, m.id
	m.id, m.mine, m.spare = "", nil, false
	m.coordinator().call(req, m.patience(), func(kmsg.Response, error) { m.again() })
}

// Heal is part of Client.
func (m *member) Heal() { m.healing = true }

// Waiting is part of Client.
func (m *member) Waiting() string {
	if m.done || m.spare {
		return ""
	}
	return fmt.Sprintf("%s has no assignment in group %s for which it could commit", m.name, m.group.Name)
}
