package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

// scene is a coordinator's brain, the time, and everything that came out.
type scene struct {
	t       *testing.T
	now     time.Time
	groups  *Groups
	callers Caller
	drawn   byte
	log     []entry
	answers map[Caller]any
	topics  shelf848
	asks    []brain.Ask // that nobody has answered
}

// entry is a record of the log, or a marker.
type entry struct {
	record Record
	marker *brain.Marker
}

var bounds = Settings{InitialDelay: 3 * time.Second, SessionMin: time.Second, SessionMax: 30 * time.Minute, SizeMax: 5, MetadataMax: 16, RecordMax: 4000,
	Retention: time.Hour, RetentionCheck: time.Minute,
	Consumer: ConsumerSettings{SizeMax: 5, Assignors: Assignors()}}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, now: time.Unix(1_700_000_000, 0), answers: map[Caller]any{}, topics: shelf848{}}
	s.groups = New(bounds, s.topics, brain.Place{Draw: s.draw})
	s.groups.Loaded(s.now)
	return s
}

func (s *scene) draw() (id message.TopicID) {
	s.drawn++
	id[15] = s.drawn
	return id
}

func (s *scene) took(out Out) {
	for _, r := range out.Records {
		r.Txn = out.Txn
		s.log = append(s.log, entry{record: r})
	}
	s.asks = append(s.asks, out.Asks...)
	for _, r := range out.Replies {
		if s.answers[r.To] != nil {
			s.t.Fatalf("caller %d is answered twice: %+v, then %+v", r.To, s.answers[r.To], r.Answer)
		}
		s.answers[r.To] = r.Answer
	}
}

// ask asks, and says by which number the answer will be found.
func (s *scene) ask(what any) Caller {
	s.callers++
	out, known := s.groups.Decide(s.now, s.callers, what)
	if !known {
		s.t.Fatalf("nobody knows %T", what)
	}
	s.took(out)
	return s.callers
}

// answer is what a question was answered with at once.
func answer[A any](s *scene, what any) A {
	s.t.Helper()
	return answered[A](s, s.ask(what))
}

func answered[A any](s *scene, n Caller) A {
	s.t.Helper()
	a, ok := s.answers[n].(A)
	if !ok {
		s.t.Fatalf("question %d is answered with %+v", n, s.answers[n])
	}
	return a
}

// pass lets time go by, alarm by alarm.
func (s *scene) pass(d time.Duration) {
	end := s.now.Add(d)
	for due := s.groups.Due(); !due.IsZero() && !due.After(end); due = s.groups.Due() {
		s.now = latest(s.now, due)
		s.took(s.groups.Expire(s.now))
	}
	s.now = end
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// again is the brain that the log makes.
func (s *scene) again() {
	s.groups = New(bounds, s.topics, brain.Place{Draw: s.draw})
	s.asks = nil
	for i, r := range s.log {
		if r.marker != nil {
			s.groups.ReplayMarker(s.now, *r.marker)
		} else if err := s.groups.Replay(s.now, r.record); err != nil {
			s.t.Fatalf("record %d: %v", i, err)
		}
	}
	s.took(s.groups.Loaded(s.now))
}

func join(id string, protocols ...string) *message.JoinGroup {
	j := &message.JoinGroup{Group: "g", Member: id, ProtocolType: "consumer", Session: 10 * time.Second, Rebalance: time.Minute, ClientID: "c"}
	if len(protocols) == 0 {
		protocols = []string{"range"}
	}
	for _, p := range protocols {
		j.Protocols = append(j.Protocols, message.GroupProtocol{Name: p, Metadata: []byte("of " + p)})
	}
	return j
}

// gather makes a stable group of so many members and returns their ids, the leader first.
func (s *scene) gather(n int) []string {
	s.t.Helper()
	var asked []Caller
	for range n {
		asked = append(asked, s.ask(join("")))
	}
	s.pass(2 * bounds.InitialDelay)
	var ids []string
	var assigned []message.GroupAssignment
	for i, a := range asked {
		j := answered[*message.GroupJoined](s, a)
		if j.Code != message.OK {
			s.t.Fatalf("%+v", j)
		}
		ids = append(ids, j.Member)
		assigned = append(assigned, message.GroupAssignment{Member: j.Member, Assignment: fmt.Appendf(nil, "part %d", i)})
	}
	generation := answered[*message.GroupJoined](s, asked[0]).Generation
	for i, id := range ids {
		q := &message.SyncGroup{Group: "g", Member: id, Generation: generation}
		if i == 0 {
			q.Assignments = assigned
		}
		if a := answer[*message.GroupSynced](s, q); a.Code != message.OK || string(a.Assignment) != fmt.Sprintf("part %d", i) {
			s.t.Fatalf("%+v", a)
		}
	}
	return ids
}

func (s *scene) state() string {
	return answer[*message.GroupsDescribed](s, &message.DescribeGroups{Groups: []string{"g"}}).Groups[0].State
}

func (s *scene) beat(id string, generation int32) message.Code {
	return answer[*message.GroupBeat](s, &message.GroupHeartbeat{Group: "g", Member: id, Generation: generation}).Code
}

func commit(id string, generation int32, at int64) *message.CommitOffsets {
	return &message.CommitOffsets{Group: "g", Member: id, Generation: generation, Offsets: []message.CommittedOffset{{Topic: "t", Partition: 1, Offset: at, LeaderEpoch: 7, Metadata: "m"}}}
}

func (s *scene) committed() int64 {
	a := answer[*message.OffsetsFetched](s, &message.FetchOffsets{Group: "g", Epoch: -1, Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1}}}})
	return a.Topics[0].Offsets[0].Offset
}
