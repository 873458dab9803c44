package coordinator

import (
	"bytes"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/coordinator/group"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

var place = message.PartitionID{Topic: message.TopicID{1}, Index: 3}

// scene is a coordinator on a simulated stage, beside a partition that the test plays.
type scene struct {
	t     *testing.T
	time  *stage.Scheduler
	stage *stage.Simulated
	end   int64 // of what was appended
	high  int64 // of what is committed
	epoch int32
	bytes []byte

	resigned bool // the replica is a leader that has asked to be none

	confirms []stage.Caller // who has asked the controller

	held   bool           // appends are not answered
	fails  message.Code   // or like that
	owed   []stage.Caller // appends that are not answered
	awaits []stage.Caller
	sizes  []int // records of each append
}

// paper plays the partition.
type paper struct{ *scene }

type shown struct{} // publish anew

func newScene(t *testing.T) *scene {
	s := &scene{t: t, time: stage.NewScheduler(7, time.Unix(1_700_000_000, 0)), epoch: 4}
	s.stage = stage.NewSimulated(s.time, stage.Options{Node: 1, Seed: 7}, 1)
	s.stage.Spawn(message.PartitionAt(1, place), func() stage.Actor { return paper{s} })
	s.stage.Spawn(message.CoordinatorAt(1, place), New(Options{ID: place, RecordMax: 1 << 20, New: groups(group.Settings{SessionMin: time.Second, SessionMax: time.Hour, SizeMax: 100,
		MetadataMax: 100, RecordMax: 1 << 20, Retention: time.Hour, RetentionCheck: time.Minute,
		Consumer: group.ConsumerSettings{SizeMax: 100, Assignors: group.Assignors()}})}))
	return s
}

func groups(s group.Settings) func(brain.Place) brain.Brain {
	return func(at brain.Place) brain.Brain { return group.New(s, nil, at) }
}

func (p paper) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started, *shown:
		p.show(c)
		for _, w := range p.awaits {
			c.Answer(w, &message.Progressed{})
		}
		p.awaits = nil
	case *message.Await:
		p.awaits = append(p.awaits, c.Caller())
	case *message.Append:
		p.append(c, m)
	case *message.Mark:
		p.write(c, marked(m), &message.Marked{})
	}
}

func (p paper) show(c stage.Context) {
	c.Publish(&sheet{bytes: bytes.Clone(p.bytes), b: message.Bounds{HighWatermark: p.high, LogEnd: p.end, Leader: 1, LeaderEpoch: p.epoch, IsLeader: true, Resigned: p.resigned}})
}

func (p paper) append(c stage.Context, m *message.Append) {
	b := record.Batch(m.Batch)
	p.sizes = append(p.sizes, int(b.Count()))
	if p.fails != message.OK {
		c.Answer(c.Caller(), &message.Appended{Code: p.fails})
		return
	}
	p.write(c, b, &message.Appended{BaseOffset: p.end})
}

func (p paper) write(c stage.Context, b record.Batch, answer any) {
	b.SetBaseOffset(p.end)
	p.bytes = append(p.bytes, b...)
	p.end = b.NextOffset()
	if p.held {
		p.owed = append(p.owed, c.Caller())
		return
	}
	p.high = p.end
	p.show(c)
	c.Answer(c.Caller(), answer)
}

// sheet is what the partition shows.
type sheet struct {
	bytes []byte
	b     message.Bounds
}

func (v *sheet) Bounds() message.Bounds                { return v.b }
func (v *sheet) Trimmed(s message.Slice) message.Slice { return s }
func (v *sheet) Read(offset, limit int64, _ int, _ bool) (message.Slice, error) {
	at, next := 0, offset
	for at < len(v.bytes) && record.Batch(v.bytes[at:]).NextOffset() <= offset {
		at += record.Batch(v.bytes[at:]).Size()
	}
	b := record.Batch(v.bytes[at:])
	if len(b) > 0 && b.BaseOffset() < limit {
		next = b.NextOffset()
		return message.Slice{File: bytes.NewReader(v.bytes), At: int64(at), Bytes: b.Size(), First: b.BaseOffset(), Next: next}, nil
	}
	return message.Slice{}, nil
}
func (v *sheet) OffsetForTime(int64, int64) (message.TimedOffset, bool, error) { panic("nobody asks") }
func (v *sheet) MaxTimestamp(int64) (message.TimedOffset, bool, error)         { panic("nobody asks") }
func (v *sheet) EpochEnd(int32) (int32, int64)                                 { panic("nobody asks") }
func (v *sheet) EpochAt(int64) int32                                           { panic("nobody asks") }
func (v *sheet) Aborted(int64, int64) ([]message.Aborted, error)               { panic("nobody asks") }
func (v *sheet) Bytes() int64                                                  { return int64(len(v.bytes)) }

func (s *scene) lead(leader message.NodeID) {
	s.stage.Send(message.CoordinatorAt(1, place), &message.Leadership{Leader: leader, LeaderEpoch: s.epoch, Internal: true})
	s.time.RunFor(200 * time.Millisecond)
}

// ask asks; the answer comes into the returned place.
func (s *scene) ask(what any) *any {
	var answer any
	s.stage.Ask(message.CoordinatorAt(1, place), what, time.Hour, func(a any) { answer = a })
	s.time.RunFor(50 * time.Millisecond)
	return &answer
}

func (s *scene) commit(offset int64) *any {
	return s.ask(&message.CommitOffsets{Group: "g", Generation: -1, Offsets: []message.CommittedOffset{{Topic: "t", Offset: offset}}})
}

func (s *scene) committed() any {
	a := *s.ask(&message.FetchOffsets{Group: "g", Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{0}}}})
	if f, ok := a.(*message.OffsetsFetched); ok {
		return f.Topics[0].Offsets[0].Offset
	}
	return a
}

func (s *scene) expectCode(answer *any, code message.Code) {
	s.t.Helper()
	if u, ok := (*answer).(*message.Uncoordinated); !ok || u.Code != code {
		s.t.Errorf("the answer is %+v, and not code %d", *answer, code)
	}
}

// Who does not lead answers nothing; who does answers from what was there before (S69).
func TestOnlyWhoLeadsCoordinates(t *testing.T) {
	s := newScene(t)
	s.expectCode(s.commit(1), message.NotCoordinator)
	s.lead(1)
	s.commit(5)
	s.lead(2)
	s.expectCode(s.commit(6), message.NotCoordinator)
	s.epoch++
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.lead(1)
	if got := s.committed(); got != int64(5) {
		t.Errorf("committed is %v", got)
	}
}

// What an earlier leader may have answered for has to be committed before anybody is told of it.
func TestAReplayWaitsForWhatMayHaveBeenAnswered(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	s.held = true
	s.commit(5)
	s.epoch++
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.lead(1)
	if u, ok := s.committed().(*message.Uncoordinated); !ok || u.Code != message.CoordinatorLoadInProgress {
		t.Fatalf("it answers before its log is committed: %v", s.committed())
	}
	s.high = s.end
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.time.RunFor(200 * time.Millisecond)
	if got := s.committed(); got != int64(5) {
		t.Errorf("committed is %v", got)
	}
}

// Nobody is answered before it is committed, not even a reader; what comes meanwhile goes into one batch.
func TestAnswersWaitForTheLog(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	s.held = true
	first := s.commit(5)
	read := s.ask(&message.FetchOffsets{Group: "g", All: true})
	second, third := s.commit(6), s.commit(7)
	if *first != nil || *read != nil || *second != nil {
		t.Fatal("it answers before the log is written")
	}
	s.held, s.high = false, s.end
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.release()
	for i, a := range []*any{first, read, second, third} {
		if *a == nil {
			t.Fatalf("answer %d is missing", i)
		}
	}
	if len(s.sizes) != 2 || s.sizes[1] != 2 {
		t.Errorf("the appends had %v records", s.sizes)
	}
}

// release answers the appends that are held.
func (s *scene) release() {
	s.stage.Spawn(message.Address{Node: 1, Kind: message.KindOther}, func() stage.Actor {
		return stage.Receiver(func(c stage.Context) {
			for _, w := range s.owed {
				c.Answer(w, &message.Appended{})
			}
			s.owed = nil
		})
	})
	s.time.RunFor(200 * time.Millisecond)
}

// What could not be written was not said: everybody who waits is told to try again, and the log is read anew.
func TestAFailedAppendIsForgotten(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	s.commit(5)
	s.fails = message.KafkaStorageError
	s.expectCode(s.commit(9), message.CoordinatorNotAvailable)
	s.fails = message.OK
	s.time.RunFor(300 * time.Millisecond)
	if got := s.committed(); got != int64(5) {
		t.Errorf("committed is %v", got)
	}
	s.fails = message.NotLeaderOrFollower
	s.expectCode(s.commit(9), message.NotCoordinator)
}

// A member whose session ends is removed without a question.
func TestTimeIsAQuestionToo(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	joined := s.ask(&message.JoinGroup{Group: "m", ProtocolType: "consumer", Protocols: []message.GroupProtocol{{Name: "p"}}, Session: time.Second, Rebalance: time.Second})
	if a, ok := (*joined).(*message.GroupJoined); !ok || a.Code != message.OK {
		t.Fatalf("%+v", *joined)
	}
	s.time.RunFor(3 * time.Second)
	d := (*s.ask(&message.DescribeGroups{Groups: []string{"m"}})).(*message.GroupsDescribed)
	if d.Groups[0].State != "Empty" {
		t.Errorf("%+v", d.Groups[0])
	}
}

// The offsets of a topic that is gone go with it.
func TestRemovedTopicsAreForgotten(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	s.commit(5)
	s.stage.Send(message.CoordinatorAt(1, place), &message.TopicsChanged{Gone: []string{"t"}})
	if got := s.committed(); got != int64(-1) {
		t.Errorf("committed is %v", got)
	}
}

// A word that asks for no answer leaves nobody waiting.
func TestAWordWithoutAnAnswerIsNotParked(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	at := message.CoordinatorAt(1, place)
	s.stage.Spawn(message.Address{Node: 1, Kind: message.KindOther, Number: 9}, func() stage.Actor {
		return stage.Receiver(func(c stage.Context) { c.Send(at, &message.AnswerHeartbeat{Group: "g", Member: "m"}) })
	})
	s.time.RunFor(50 * time.Millisecond)
	if k := s.stage.Actor(at).(*Coordinator); k.Parked() != 0 {
		t.Errorf("%d are parked", k.Parked())
	}
}
