package group

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A new member without an id is given one and comes again with it; it has a place until its session is over (KIP-394).
func TestWhoIsNewIsGivenAnID(t *testing.T) {
	s := newScene(t)
	j := join("")
	j.MemberIDRequired = true
	a := answer[*message.GroupJoined](s, j)
	expect(t, "code", a.Code, message.MemberIDRequired)
	again := s.ask(join(a.Member))
	s.pass(4 * time.Second)
	b := answered[*message.GroupJoined](s, again)
	expect(t, "id", b.Member, a.Member)
	expect(t, "generation", b.Generation, 1)
	expect(t, "leader", b.Leader, a.Member)
	expect(t, "members told to the leader", len(b.Members), 1)
	lost := answer[*message.GroupJoined](s, j)
	s.pass(11 * time.Second)
	expect(t, "an id that was not used in time", answer[*message.GroupJoined](s, join(lost.Member)).Code, message.UnknownMemberID)
}

// The first rebalance waits for more members, longer while they keep coming, and not for ever (KIP-134).
func TestTheFirstRebalanceWaitsForMore(t *testing.T) {
	s := newScene(t)
	first := s.ask(join(""))
	s.pass(2 * time.Second)
	second := s.ask(join(""))
	s.pass(2 * time.Second)
	if s.answers[first] != nil {
		t.Fatal("somebody has come in the first three seconds: it waits three more")
	}
	s.pass(2 * time.Second)
	a, b := answered[*message.GroupJoined](s, first), answered[*message.GroupJoined](s, second)
	expect(t, "generation", a.Generation, 1)
	expect(t, "one leader", a.Leader, b.Leader)
	expect(t, "others are told nothing", len(b.Members), 0)
}

// Followers wait for the leader's assignment; who is left out has nothing; a second question is answered from what is kept (S60).
func TestAssignmentsComeFromTheLeader(t *testing.T) {
	s := newScene(t)
	asked := []Caller{s.ask(join("")), s.ask(join(""))}
	s.pass(6 * time.Second)
	leader, other := answered[*message.GroupJoined](s, asked[0]).Member, answered[*message.GroupJoined](s, asked[1]).Member
	waits := s.ask(&message.SyncGroup{Group: "g", Member: other, Generation: 1})
	if s.answers[waits] != nil {
		t.Fatal("it was answered before the leader has assigned")
	}
	expect(t, "a heartbeat meanwhile", s.beat(other, 1), message.OK)
	a := answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: leader, Generation: 1,
		Assignments: []message.GroupAssignment{{Member: leader, Assignment: []byte("all")}}})
	expect(t, "the leader's", string(a.Assignment), "all")
	b := answered[*message.GroupSynced](s, waits)
	expect(t, "the other's", len(b.Assignment), 0)
	expect(t, "state", s.state(), "Stable")
	expect(t, "asked again", string(answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: leader, Generation: 1}).Assignment), "all")
	expect(t, "an older generation", answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: leader, Generation: 0}).Code, message.IllegalGeneration)
	odd := "odd"
	expect(t, "another protocol", answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: leader, Generation: 1, Protocol: &odd}).Code, message.InconsistentGroupProtocol)
}

// A member that comes has the others gather; they are told by their heartbeats, and live on (S62).
func TestAnewMemberHasTheOthersGather(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	comes := s.ask(join(""))
	expect(t, "state", s.state(), "PreparingRebalance")
	for _, id := range ids {
		expect(t, "heartbeat", s.beat(id, 1), message.RebalanceInProgress)
	}
	expect(t, "a commit of the generation before", answer[*message.OffsetsCommitted](s, commit(ids[0], 1, 5)).Code, message.OK)
	back := []Caller{s.ask(join(ids[0])), s.ask(join(ids[1]))}
	a := answered[*message.GroupJoined](s, comes)
	expect(t, "generation", a.Generation, 2)
	expect(t, "the leader stays", a.Leader, ids[0])
	expect(t, "members", len(answered[*message.GroupJoined](s, back[0]).Members), 3)
	expect(t, "a commit before the assignment", answer[*message.OffsetsCommitted](s, commit(ids[0], 2, 6)).Code, message.RebalanceInProgress)
}

// Who does not come again in time is out; static members keep their place (S57).
func TestWhoDoesNotComeAgainIsOut(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	comes := s.ask(join(""))
	back := s.ask(join(ids[0]))
	for range 7 {
		s.pass(9 * time.Second)
		s.beat(ids[1], 1) // it lives, and does not join
	}
	expect(t, "members", len(answered[*message.GroupJoined](s, back).Members), 2)
	expect(t, "the other", s.beat(ids[1], 1), message.UnknownMemberID)
	answered[*message.GroupJoined](s, comes)
}

// A member that is silent for its session is out, and one that waits for an answer is not silent (S63).
func TestSilenceEndsASession(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	for range 3 {
		s.pass(6 * time.Second)
		s.beat(ids[0], 1)
	}
	expect(t, "who was silent", s.beat(ids[1], 1), message.UnknownMemberID)
	expect(t, "who was not", s.beat(ids[0], 1), message.RebalanceInProgress)
	back := s.ask(join(ids[0]))
	expect(t, "alone", answered[*message.GroupJoined](s, back).Generation, 2)
	s.pass(9 * time.Second)
	expect(t, "its session began with the answer", s.beat(ids[0], 2), message.OK)
}

// Who joins and does not ask for its assignment is out after its rebalance timeout (S61).
func TestWhoDoesNotSyncIsOut(t *testing.T) {
	s := newScene(t)
	asked := []Caller{s.ask(join("")), s.ask(join(""))}
	s.pass(6 * time.Second)
	leader, other := answered[*message.GroupJoined](s, asked[0]).Member, answered[*message.GroupJoined](s, asked[1]).Member
	answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: leader, Generation: 1})
	for range 7 {
		s.pass(9 * time.Second)
		s.beat(leader, 1)
		s.beat(other, 1)
	}
	expect(t, "who has not", s.beat(other, 1), message.UnknownMemberID)
	expect(t, "who has", s.beat(leader, 1), message.RebalanceInProgress)
}

// Leaving ends a membership at once; the last one leaves the group empty, with its offsets (S65).
func TestLeaving(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	answer[*message.OffsetsCommitted](s, commit(ids[0], 1, 42))
	a := answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[1]}, {Member: "nobody"}}})
	expect(t, "codes", slices.Equal(a.Codes, []message.Code{message.OK, message.UnknownMemberID}), true)
	expect(t, "state", s.state(), "PreparingRebalance")
	answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[0]}}})
	expect(t, "state", s.state(), "Empty")
	expect(t, "offset", s.committed(), 42)
	expect(t, "a group that is not there", answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "no", Members: []message.Leaver{{Member: "m"}}}).Codes[0], message.UnknownMemberID)
}

// The protocol is what all know and most prefer; who knows none of them is refused (S58).
func TestProtocolsAreVotedOn(t *testing.T) {
	s := newScene(t)
	asked := []Caller{s.ask(join("", "a", "b", "c")), s.ask(join("", "b", "a")), s.ask(join("", "b", "a"))}
	expect(t, "nothing in common", answer[*message.GroupJoined](s, join("", "c")).Code, message.InconsistentGroupProtocol)
	other := join("", "a")
	other.ProtocolType = "connect"
	expect(t, "another type", answer[*message.GroupJoined](s, other).Code, message.InconsistentGroupProtocol)
	s.pass(10 * time.Second)
	expect(t, "chosen", answered[*message.GroupJoined](s, asked[0]).Protocol, "b")
}

// A leader's rejoin rebalances always, another's only if it says something new (S59).
func TestRejoining(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	same := answer[*message.GroupJoined](s, join(ids[1]))
	expect(t, "the same again", same.Generation, 1)
	expect(t, "state", s.state(), "Stable")
	s.ask(join(ids[0]))
	expect(t, "state", s.state(), "PreparingRebalance")
	more := s.ask(join(ids[1], "range", "more"))
	expect(t, "generation", answered[*message.GroupJoined](s, more).Generation, 2)
}

// A static member that comes back without an id takes its place again, nobody else notices, and the old id is fenced (S64).
func TestStaticMembersComeBack(t *testing.T) {
	s := newScene(t)
	static := func(id, instance string) *message.JoinGroup {
		j := join(id)
		j.Instance, j.SkipsAssignment = instance, true
		return j
	}
	asked := []Caller{s.ask(static("", "one")), s.ask(static("", "two"))}
	s.pass(6 * time.Second)
	one, two := answered[*message.GroupJoined](s, asked[0]).Member, answered[*message.GroupJoined](s, asked[1]).Member
	s.ask(&message.SyncGroup{Group: "g", Member: one, Instance: "one", Generation: 1, Assignments: []message.GroupAssignment{{Member: two, Assignment: []byte("x")}}})
	s.ask(&message.SyncGroup{Group: "g", Member: two, Instance: "two", Generation: 1})
	back := answer[*message.GroupJoined](s, static("", "two"))
	expect(t, "generation", back.Generation, 1)
	if back.Member == two || !strings.HasPrefix(back.Member, "two-") {
		t.Errorf("its id is %s", back.Member)
	}
	expect(t, "state", s.state(), "Stable")
	expect(t, "the old id", answer[*message.GroupBeat](s, &message.GroupHeartbeat{Group: "g", Member: two, Instance: "two", Generation: 1}).Code, message.FencedInstanceID)
	a := answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: back.Member, Instance: "two", Generation: 1})
	expect(t, "its assignment", string(a.Assignment), "x")
	leader := answer[*message.GroupJoined](s, static("", "one"))
	expect(t, "a leader is told to assign nothing", leader.SkipAssignment, true)
	expect(t, "and who is there", len(leader.Members), 2)
	gone := answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Instance: "two"}}})
	expect(t, "an administrator takes it out", gone.Codes[0], message.OK)
	expect(t, "state", s.state(), "PreparingRebalance")
}

// What a coordinator knew its successor knows: members, their assignments, offsets (S69).
func TestASuccessorKnowsTheSame(t *testing.T) {
	s := newScene(t)
	ids := s.gather(2)
	answer[*message.OffsetsCommitted](s, commit(ids[0], 1, 42))
	s.again()
	expect(t, "heartbeat", s.beat(ids[1], 1), message.OK)
	expect(t, "state", s.state(), "Stable")
	expect(t, "offset", s.committed(), 42)
	a := answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: ids[1], Generation: 1})
	expect(t, "assignment", string(a.Assignment), "part 1")
	s.pass(11 * time.Second)
	expect(t, "sessions go on", s.beat(ids[1], 1), message.UnknownMemberID)
}

// S70-S72.
func TestWhoMayCommit(t *testing.T) {
	s := newScene(t)
	expect(t, "a generation of no group", answer[*message.OffsetsCommitted](s, commit("m", 1, 1)).Code, message.IllegalGeneration)
	since9 := commit("m", 1, 1)
	since9.Since9 = true
	expect(t, "the same since version 9", answer[*message.OffsetsCommitted](s, since9).Code, message.GroupIDNotFound)
	expect(t, "nobody's, of no group", answer[*message.OffsetsCommitted](s, commit("", -1, 3)).Code, message.OK)
	ids := s.gather(1)
	expect(t, "nobody's, while there are members", answer[*message.OffsetsCommitted](s, commit("", -1, 4)).Code, message.UnknownMemberID)
	expect(t, "a stranger's", answer[*message.OffsetsCommitted](s, commit("m", 1, 4)).Code, message.UnknownMemberID)
	expect(t, "of another generation", answer[*message.OffsetsCommitted](s, commit(ids[0], 2, 4)).Code, message.IllegalGeneration)
	long := commit(ids[0], 1, 4)
	long.Offsets = append(long.Offsets, message.CommittedOffset{Topic: "t", Partition: 2, Offset: 9, Metadata: strings.Repeat("m", 17)})
	a := answer[*message.OffsetsCommitted](s, long)
	expect(t, "codes", slices.Equal(a.Codes, []message.Code{message.OK, message.OffsetMetadataTooLarge}), true)
	expect(t, "offset", s.committed(), 4)
}

// S73: what is not there is -1, and never an error (L3).
func TestFetchingWhatIsNotThere(t *testing.T) {
	s := newScene(t)
	expect(t, "of no group", s.committed(), -1)
	answer[*message.OffsetsCommitted](s, commit("", -1, 3))
	all := answer[*message.OffsetsFetched](s, &message.FetchOffsets{Group: "g", All: true})
	expect(t, "topics", len(all.Topics), 1)
	expect(t, "all there is", all.Topics[0].Offsets[0], message.FetchedOffset{Partition: 1, Offset: 3, LeaderEpoch: 7, Metadata: "m"})
}

// S75: offsets go when nobody has used them for long, and the group with the last of them.
func TestOffsetsAreKeptWhileTheyAreOfUse(t *testing.T) {
	s := newScene(t)
	ids := s.gather(1)
	answer[*message.OffsetsCommitted](s, commit(ids[0], 1, 42))
	for range 20 * 60 {
		s.pass(9 * time.Second)
		s.beat(ids[0], 1)
	}
	expect(t, "while somebody subscribes", s.committed(), 42)
	answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[0]}}})
	s.pass(50 * time.Minute)
	expect(t, "soon after it is empty", s.committed(), 42)
	s.pass(15 * time.Minute)
	expect(t, "long after", s.committed(), -1)
	expect(t, "state", s.state(), "Dead")
	s.again()
	expect(t, "groups after a replay", s.groups.Count(), 0)
}

// S76.
func TestDeleting(t *testing.T) {
	s := newScene(t)
	answer[*message.OffsetsCommitted](s, commit("", -1, 3))
	d := answer[*message.OffsetsDeleted](s, &message.DeleteOffsets{Group: "g", Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{1, 5}}}})
	expect(t, "codes", slices.Equal(d.Codes, []message.Code{message.OK, message.OK}), true)
	expect(t, "offset", s.committed(), -1)
	expect(t, "of no group", answer[*message.OffsetsDeleted](s, &message.DeleteOffsets{Group: "no"}).Code, message.GroupIDNotFound)
	ids := s.gather(1)
	x := answer[*message.GroupsDeleted](s, &message.DeleteGroups{Groups: []string{"g", "no"}})
	expect(t, "codes", slices.Equal(x.Codes, []message.Code{message.NonEmptyGroup, message.GroupIDNotFound}), true)
	answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[0]}}})
	expect(t, "an empty one", answer[*message.GroupsDeleted](s, &message.DeleteGroups{Groups: []string{"g"}}).Codes[0], message.OK)
	s.again()
	expect(t, "groups after a replay", s.groups.Count(), 0)
}

// Bounds (S54, S66).
func TestWhatIsTooMuchIsRefused(t *testing.T) {
	s := newScene(t)
	short := join("")
	short.Session = time.Millisecond
	expect(t, "a short session", answer[*message.GroupJoined](s, short).Code, message.InvalidSessionTimeout)
	ids := s.gather(5)
	expect(t, "one more", answer[*message.GroupJoined](s, join("")).Code, message.GroupMaxSizeReached)
	s.ask(join(ids[0]))
	for _, id := range ids[1:] {
		s.ask(join(id))
	}
	a := answer[*message.GroupSynced](s, &message.SyncGroup{Group: "g", Member: ids[0], Generation: 2,
		Assignments: []message.GroupAssignment{{Member: ids[1], Assignment: make([]byte, 5000)}}})
	expect(t, "an assignment that fits into no batch", a.Code, message.UnknownServerError)
	expect(t, "state", s.state(), "PreparingRebalance")
}

// Records that cannot be read change nothing.
func TestMalformedRecordsAreNamed(t *testing.T) {
	s := newScene(t)
	for _, r := range []Record{{}, {Key: []byte{0}}, {Key: []byte{0, 99}}, {Key: []byte{0, 1, 0}}, {Key: groupKey("g"), Value: []byte{0, 3, 0}},
		{Key: offsetRecord("g", "t", 0, nil).Key, Value: []byte{0, 3}}, {Key: []byte{0, 3, 0}}, {Key: groupOnlyKey(describedKey, "g"), Value: version0},
		{Key: append(groupOnlyKey(epochKey, "g"), 0), Value: version0}, {Key: groupOnlyKey(epochKey, "g"), Value: []byte{0, 1, 0, 0, 0, 7, 0}},
		{Key: groupOnlyKey(epochKey, "g"), Value: []byte{0, 0, 0, 0, 0, 7, 1, 0, 2, 1, 2}}, {Key: groupOnlyKey(epochKey, "g"), Value: []byte{0, 0, 0, 0, 0, 7, 0, 0}},
		{Key: memberKey(targetKey, "g", "m"), Value: []byte{0, 0, 0xff, 0xff, 0xff, 0x7f}}} {
		if err := s.groups.Replay(s.now, r); err == nil {
			t.Errorf("%v is believed", r)
		}
	}
	expect(t, "groups", s.groups.Count(), 0)
}

func FuzzReplay(f *testing.F) {
	f.Add(groupKey("g"), []byte{0, 3}, false)
	is := offset{at: 1, metadata: "m"}
	r := offsetRecord("g", "t", 1, &is)
	f.Add(r.Key, r.Value, false)
	f.Add(r.Key, r.Value, true)
	for _, r := range kinds() {
		f.Add(r.Key, r.Value, true)
	}
	f.Fuzz(func(t *testing.T, key, value []byte, transactional bool) {
		g := New(bounds, shelf848{}, brain.Place{Draw: func() message.TopicID { return message.TopicID{} }})
		r := Record{Key: key, Value: value}
		if transactional {
			r.Txn = &brain.Txn{}
		}
		_ = g.Replay(time.Unix(0, 0), r)
		g.ReplayMarker(time.Unix(0, 0), brain.Marker{Commit: true})
		g.Loaded(time.Unix(0, 0))
		g.Expire(time.Unix(1<<31, 0))
	})
}
