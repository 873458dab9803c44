package group

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// shelf848 is a catalogue of topics by name.
type shelf848 map[string]shelved

type shelved struct {
	id         byte
	partitions int32
	racks      []string // of the partitions' only replicas; nil: none
}

func (k shelf848) Version() int64 { return 1 }

func (k shelf848) Topic(name string) (Topic, bool) {
	t, ok := k[name]
	return Topic{Name: name, ID: message.TopicID{15: t.id}, Partitions: t.partitions}, ok
}

func (k shelf848) Names() iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(k)))
}

func (k shelf848) Near(p message.PartitionID, rack string) bool {
	for _, t := range k {
		if t.id == p.Topic[15] && t.racks != nil {
			return t.racks[p.Index] == rack
		}
	}
	return false
}

func (k shelf848) Transactions(string) (message.Address, bool) {
	return message.CoordinatorAt(9, message.PartitionID{}), true
}

func (k shelf848) Verifies() bool { return true }

func (k shelf848) Timing(group string) (session, heartbeat time.Duration) {
	return 45 * time.Second, 5 * time.Second
}

func (k shelf848) Hold(string) time.Duration { return 2900 * time.Millisecond }

// consumerNow is a client of a group by KIP-848: what it was told last.
type consumerNow struct {
	s     *scene
	id    string
	epoch int32
	owned parts
}

func (s *scene) topic(name string, id byte, partitions int32, racks ...string) {
	s.topics[name] = shelved{id, partitions, racks}
}

func joining(id string, topics ...string) *message.ConsumerHeartbeat {
	return &message.ConsumerHeartbeat{Group: "g", Member: id, Rebalance: time.Minute, Topics: append([]string{}, topics...), Owned: []message.PartitionID{}, ClientID: "c", Host: "/h"}
}

// consumer joins.
func (s *scene) consumer(id string, topics ...string) *consumerNow {
	s.t.Helper()
	return s.enter(joining(id, topics...))
}

func (s *scene) enter(m *message.ConsumerHeartbeat) *consumerNow {
	s.t.Helper()
	c := &consumerNow{s: s, id: m.Member}
	c.heard(m)
	return c
}

// heard has a heartbeat answered, and notes what it says.
func (c *consumerNow) heard(m *message.ConsumerHeartbeat) *message.ConsumerBeat {
	c.s.t.Helper()
	a := answer[*message.ConsumerBeat](c.s, m)
	if a.Code != message.OK {
		c.s.t.Fatalf("%s in epoch %d: %d, %s", c.id, m.Epoch, a.Code, a.Message)
	}
	if c.epoch = a.Epoch; a.Assigned {
		c.owned = a.Assignment
	}
	return a
}

// plain is a heartbeat that says nothing new.
func (c *consumerNow) plain() *message.ConsumerHeartbeat {
	return &message.ConsumerHeartbeat{Group: "g", Member: c.id, Epoch: c.epoch, Rebalance: -1, ClientID: "c", Host: "/h"}
}

// beat says what it has, as a client does after it has taken its assignment.
func (c *consumerNow) beat() *message.ConsumerBeat {
	c.s.t.Helper()
	m := c.plain()
	m.Owned = append([]message.PartitionID{}, c.owned...)
	return c.heard(m)
}

// rounds has everybody beat until nothing changes, and checks that nobody ever shares a partition.
func rounds(t *testing.T, all ...*consumerNow) {
	t.Helper()
	for range 10 {
		before := ""
		for _, c := range all {
			before += fmt.Sprint(c.epoch, c.owned)
		}
		for _, c := range all {
			c.beat()
			alone(t, all...)
		}
		after := ""
		for _, c := range all {
			after += fmt.Sprint(c.epoch, c.owned)
		}
		if before == after {
			return
		}
	}
	t.Fatal("it does not come to rest")
}

func alone(t *testing.T, all ...*consumerNow) {
	t.Helper()
	owner := map[message.PartitionID]string{}
	for _, c := range all {
		for _, p := range c.owned {
			if other := owner[p]; other != "" {
				t.Fatalf("%s and %s both have %v", other, c.id, p)
			}
			owner[p] = c.id
		}
	}
}

func (s *scene) described() message.DescribedConsumers {
	return answer[*message.ConsumersDescribed](s, &message.DescribeConsumers{Groups: []string{"g"}}).Groups[0]
}

func refusal(s *scene, m *message.ConsumerHeartbeat) message.Code {
	s.t.Helper()
	a := answer[*message.ConsumerBeat](s, m)
	if a.Code != message.OK && a.Message == "" {
		s.t.Errorf("code %d without a word why", a.Code)
	}
	return a.Code
}

// S77, S78: who joins is told all, and later only what is new.
func TestConsumersJoin(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 3)
	a := s.consumer("a", "t")
	expect(t, "epoch", a.epoch, 1)
	expect(t, "partitions", len(a.owned), 3)
	if again := a.beat(); again.Assigned {
		t.Error("it is told again what it knows")
	}
	full := joining("a", "t")
	full.Epoch, full.Owned = 1, a.owned
	if again := a.heard(full); !again.Assigned || again.Epoch != 1 || again.Interval != 5*time.Second {
		t.Errorf("a full request: %+v", again)
	}
	expect(t, "state", s.described().State, "Stable")
	expect(t, "assignor", s.described().Assignor, "uniform")
	odd := joining("b", "t")
	odd.Assignor = "best"
	expect(t, "an assignor that nobody knows", refusal(s, odd), message.UnsupportedAssignor)
	expect(t, "epoch of who is none", refusal(s, &message.ConsumerHeartbeat{Group: "g", Member: "x", Epoch: 3, Rebalance: -1}), message.UnknownMemberID)
	expect(t, "of no group", refusal(s, &message.ConsumerHeartbeat{Group: "h", Member: "x", Epoch: 3, Rebalance: -1}), message.GroupIDNotFound)
}

// S80: what one has to give up another gets only when the first has said that it has.
func TestRevocationComesFirst(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a := s.consumer("a", "t")
	b := s.consumer("b", "t")
	expect(t, "of the newcomer", len(b.owned), 0)
	expect(t, "its epoch", b.epoch, 2)
	a.heard(a.plain()) // it hears that it has to give up two, and has not yet
	expect(t, "epoch of who has to give up", a.epoch, 1)
	expect(t, "what it keeps", len(a.owned), 2)
	expect(t, "group", s.described().State, "Reconciling")
	b.beat()
	expect(t, "nothing is free", len(b.owned), 0)
	a.beat()
	expect(t, "epoch after it has given up", a.epoch, 2)
	b.beat()
	expect(t, "of the newcomer", len(b.owned), 2)
	expect(t, "group", s.described().State, "Stable")
	alone(t, a, b)
}

// S80: who does not give up in time is out.
func TestWhoDoesNotGiveUpIsOut(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a := s.consumer("a", "t")
	b := s.consumer("b", "t")
	for range 7 {
		s.pass(10 * time.Second)
		b.beat()
		if answer[*message.ConsumerBeat](s, a.plain()).Code != message.OK {
			break
		}
	}
	expect(t, "who keeps what it should not", refusal(s, a.plain()), message.UnknownMemberID)
	rounds(t, b)
	expect(t, "the other has all", len(b.owned), 4)
}

// S79.
func TestEpochsAreFenced(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a := s.consumer("a", "t")
	b := s.consumer("b", "t")
	rounds(t, a, b)
	s.topic("t", 1, 6)
	s.took(s.groups.TopicsChanged(s.now, nil, []string{"t"}))
	was := *a
	a.beat()
	expect(t, "epoch", a.epoch, was.epoch+1)
	lost := was.plain()
	lost.Owned = was.owned
	expect(t, "its answer was lost", refusal(s, lost), message.OK)
	expect(t, "it says nothing of what it has", refusal(s, was.plain()), message.FencedMemberEpoch)
	lost.Owned = slices.Concat(was.owned, b.owned)
	expect(t, "it has what is not its own", refusal(s, lost), message.FencedMemberEpoch)
	was.epoch += 7
	expect(t, "an epoch of the future", refusal(s, was.plain()), message.FencedMemberEpoch)
	again := s.consumer("a", "t")
	expect(t, "it may join again", again.epoch, a.epoch)
	expect(t, "with what it had", len(again.owned), 3)
}

// S79: a static member keeps its place while it rests, and nobody takes it from who has it.
func TestStaticConsumers(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	static := func(id string) *message.ConsumerHeartbeat {
		m := joining(id, "t")
		m.Instance = "i"
		return m
	}
	a, b := s.enter(static("a")), s.consumer("b", "t")
	rounds(t, a, b)
	epoch := s.described().Epoch
	expect(t, "somebody else with its instance", refusal(s, static("c")), message.UnreleasedInstanceID)
	gone := a.plain()
	gone.Epoch, gone.Instance = message.EpochRests, "i"
	expect(t, "it goes", refusal(s, gone), message.OK)
	b.beat()
	expect(t, "nothing moves", len(b.owned), 2)
	c := s.enter(static("c"))
	expect(t, "the heir's", fmt.Sprint(c.owned), fmt.Sprint(a.owned))
	expect(t, "group epoch", s.described().Epoch, epoch)
	old := a.plain()
	old.Instance = "i"
	expect(t, "who had it before", refusal(s, old), message.FencedInstanceID)
	old.Instance = "nobody's"
	expect(t, "an instance that nobody has", refusal(s, old), message.UnknownMemberID)
	rounds(t, b, c)
	gone.Member = "c"
	expect(t, "it goes", refusal(s, gone), message.OK)
	for range 5 {
		s.pass(10 * time.Second)
		b.beat()
	}
	rounds(t, b)
	expect(t, "it has not come in time", len(b.owned), 4)
}

// S81, S77: silence and leaving end a membership; the last one leaves the group empty, with its offsets.
func TestConsumersGo(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a, b := s.consumer("a", "t"), s.consumer("b", "t")
	rounds(t, a, b)
	leaving := b.plain()
	leaving.Epoch = message.EpochLeaves
	expect(t, "leaving", answer[*message.ConsumerBeat](s, leaving).Epoch, message.EpochLeaves)
	rounds(t, a)
	expect(t, "the other's", len(a.owned), 4)
	s.pass(44 * time.Second)
	a.beat()
	s.pass(46 * time.Second)
	expect(t, "who was silent", refusal(s, a.plain()), message.UnknownMemberID)
	expect(t, "state", s.described().State, "Empty")
	s.again()
	expect(t, "state after a restart", s.described().State, "Empty")
	s.pass(2 * time.Minute)
	expect(t, "it is nothing without offsets", s.described().Code, message.GroupIDNotFound)
}

// S82: a commit in an older epoch is taken for what the member has had since, and for nothing else.
func TestConsumersCommit(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	a := s.consumer("a", "t")
	b := s.consumer("b", "t")
	rounds(t, a, b)
	say := func(c *consumerNow, epoch int32, p int32) message.Code {
		m := &message.CommitOffsets{Group: "g", Member: c.id, Generation: epoch, Since9: true,
			Offsets: []message.CommittedOffset{{Topic: "t", TopicID: message.TopicID{15: 1}, Partition: p, Offset: 7}}}
		got := answer[*message.OffsetsCommitted](s, m)
		if got.Code != message.OK {
			return got.Code
		}
		return got.Codes[0]
	}
	mine, theirs := a.owned[0].Index, b.owned[0].Index
	expect(t, "in its epoch", say(a, 2, mine), message.OK)
	expect(t, "in its epoch, of another's", say(a, 2, theirs), message.OK) // Kafka trusts it
	expect(t, "in an older one, of what it has kept", say(a, 1, mine), message.OK)
	expect(t, "in an older one, of what it has given up", say(a, 1, theirs), message.StaleMemberEpoch)
	expect(t, "in one to come", say(a, 9, mine), message.StaleMemberEpoch)
	expect(t, "by nobody", say(&consumerNow{id: "x"}, 2, mine), message.UnknownMemberID)
	expect(t, "by who is no member", answer[*message.OffsetsCommitted](s, commit("", -1, 5)).Code, message.UnknownMemberID)
	old := commit("a", 2, 5)
	expect(t, "of an old version", answer[*message.OffsetsCommitted](s, old).Code, message.UnsupportedVersion)
	fetch := func(id string, epoch int32) message.Code {
		return answer[*message.OffsetsFetched](s, &message.FetchOffsets{Group: "g", Member: id, Epoch: epoch, All: true}).Code
	}
	expect(t, "fetched in its epoch", fetch("a", 2), message.OK)
	expect(t, "by nobody", fetch("x", 2), message.UnknownMemberID)
	expect(t, "in an older one", fetch("a", 1), message.StaleMemberEpoch)
	expect(t, "by who says nothing", fetch("", -1), message.OK)
	d := answer[*message.OffsetsDeleted](s, &message.DeleteOffsets{Group: "g", Topics: []message.OffsetTopic{{Topic: "t", Partitions: []int32{0}}}})
	expect(t, "an offset that is in use", d.Codes[0], message.GroupSubscribedToTopic)
	expect(t, "deleting it", answer[*message.GroupsDeleted](s, &message.DeleteGroups{Groups: []string{"g"}}).Codes[0], message.NonEmptyGroup)
}

// GMM.classicGroupLeaveToConsumerGroup: an administrator takes members out by their ids or instances, whatever protocol they speak
// (Admin.removeMembersFromConsumerGroup).
func TestAnAdministratorTakesConsumersOut(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	static := joining("a", "t")
	static.Instance = "i"
	a, b := s.enter(static), s.consumer("b", "t")
	rounds(t, a, b)
	out := func(who ...message.Leaver) []message.Code {
		return answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: who}).Codes
	}
	expect(t, "strangers", fmt.Sprint(out(message.Leaver{Member: "x"}, message.Leaver{Instance: "x"}, message.Leaver{Member: "b", Instance: "i"})),
		fmt.Sprint([]message.Code{message.UnknownMemberID, message.UnknownMemberID, message.FencedInstanceID}))
	expect(t, "a static one", out(message.Leaver{Instance: "i"})[0], message.OK)
	gone := a.plain()
	gone.Instance = "i"
	expect(t, "who was taken out", refusal(s, gone), message.UnknownMemberID)
	rounds(t, b)
	expect(t, "what the other has", len(b.owned), 4)
	expect(t, "a dynamic one", out(message.Leaver{Member: "b"})[0], message.OK)
	expect(t, "state", s.described().State, "Empty")
	s.again()
	expect(t, "after a restart", s.described().State, "Empty")
}

// S83: a group without members changes its protocol; one with members does not.
func TestEmptyGroupsChangeTheirProtocol(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	ids := s.gather(1)
	expect(t, "a classic group with members", refusal(s, joining("a", "t")), message.GroupIDNotFound)
	answer[*message.OffsetsCommitted](s, commit(ids[0], 1, 42))
	answer[*message.GroupLeft](s, &message.LeaveGroup{Group: "g", Members: []message.Leaver{{Member: ids[0]}}})
	a := s.consumer("a", "t")
	expect(t, "offsets stay", s.committed(), int64(42))
	expect(t, "classic members", answer[*message.GroupJoined](s, join("")).Code, message.InconsistentGroupProtocol)
	list := answer[*message.GroupsListed](s, &message.ListGroups{Types: []string{"CONSUMER"}, States: []string{"stable"}}).Groups
	if len(list) != 1 || list[0].Type != "consumer" || list[0].ProtocolType != "consumer" || list[0].State != "Stable" {
		t.Errorf("%+v", list)
	}
	expect(t, "as a classic group", answer[*message.GroupsDescribed](s, &message.DescribeGroups{Groups: []string{"g"}}).Groups[0].Code, message.GroupIDNotFound)
	s.again()
	expect(t, "after a restart", s.described().State, "Stable")
	leaving := a.plain()
	leaving.Epoch = message.EpochLeaves
	answer[*message.ConsumerBeat](s, leaving)
	s.gather(1)
	expect(t, "offsets stay", s.committed(), int64(42))
	s.again()
	expect(t, "after a restart", s.state(), "Stable")
	expect(t, "as one by KIP-848", s.described().Code, message.GroupIDNotFound)
}

// S84: patterns are RE2's, match whole names, and follow topics that come and go.
func TestPatternsFollowTopics(t *testing.T) {
	s := newScene(t)
	s.topic("ab", 1, 2)
	s.topic("xab", 2, 2)
	by := func(id, text string) *message.ConsumerHeartbeat {
		m := joining(id)
		m.Topics, m.Pattern = nil, &text
		return m
	}
	expect(t, "an expression that is none", refusal(s, by("a", "a(")), message.InvalidRegularExpression)
	expect(t, "one that would be between parentheses", refusal(s, by("a", "a)|(b")), message.InvalidRegularExpression)
	a := s.enter(by("a", "a."))
	expect(t, "partitions", len(a.owned), 2)
	s.topic("ac", 3, 3)
	s.took(s.groups.TopicsChanged(s.now, nil, []string{"ac"}))
	rounds(t, a)
	expect(t, "with a new topic", len(a.owned), 5)
	delete(s.topics, "ab")
	s.took(s.groups.TopicsChanged(s.now, []string{"ab"}, nil))
	rounds(t, a)
	expect(t, "without the old one", len(a.owned), 3)
	epoch := s.described().Epoch
	s.topic("other", 4, 3)
	s.took(s.groups.TopicsChanged(s.now, nil, []string{"other"}))
	expect(t, "a topic that nobody reads", s.described().Epoch, epoch)
	s.again()
	expect(t, "epoch after a restart", s.described().Epoch, epoch)
	s.topic("ad", 5, 1)
	s.again()
	rounds(t, a)
	expect(t, "a topic that came meanwhile", len(a.owned), 4)
	none := ""
	m := a.plain()
	m.Pattern, m.Topics = &none, []string{"xab"}
	a.heard(m)
	rounds(t, a)
	expect(t, "by name instead", fmt.Sprint(a.owned), fmt.Sprint(parts{{Topic: message.TopicID{15: 2}}, {Topic: message.TopicID{15: 2}, Index: 1}}))
	expect(t, "patterns", len(s.groups.named["g"].consumers.patterns), 0)
}

// S69: whoever reads the log knows the same.
func TestConsumersSurvive(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 5)
	s.topic("u", 2, 3)
	text := "u.*"
	m := joining("b", "t")
	m.Pattern, m.Rack, m.Instance, m.Assignor = &text, "r", "i", "range"
	a := s.consumer("a", "t")
	b := s.enter(m)
	for step := range 4 {
		before := fmt.Sprintf("%+v", s.described())
		s.again()
		if after := fmt.Sprintf("%+v", s.described()); before != after {
			t.Fatalf("step %d:\n%s\n%s", step, before, after)
		}
		if a.beat(); step > 1 {
			b.beat()
		}
		alone(t, a, b)
	}
	rounds(t, a, b)
	expect(t, "what both have", len(a.owned)+len(b.owned), 8)
}

// The log may end anywhere, and lack what compaction has taken: what is left is a group that goes on.
func TestConsumersSurviveTornLogs(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 6)
	a, b := s.consumer("a", "t"), s.consumer("b", "t")
	rounds(t, a, b)
	c := s.consumer("c", "t")
	rounds(t, a, b, c)
	leaving := b.plain()
	leaving.Epoch = message.EpochLeaves
	answer[*message.ConsumerBeat](s, leaving)
	rounds(t, a, c)
	whole := s.log
	for end := range whole {
		for _, log := range [][]entry{whole[:end], compacted(whole[:end])} {
			s.log = slices.Clone(log)
			s.again()
			var all []*consumerNow
			for _, d := range s.described().Members {
				one := joining(d.Member, "t")
				all = append(all, s.enter(one))
			}
			rounds(t, all...)
			n := 0
			for _, one := range all {
				n += len(one.owned)
			}
			if len(all) > 0 && n != 6 {
				t.Fatalf("after %d of %d records %d members have %d partitions", end, len(whole), len(all), n)
			}
		}
	}
}

// compacted leaves the last record of every key, and no tombstones.
func compacted(log []entry) (left []entry) {
	last := map[string]int{}
	for i, r := range log {
		last[string(r.record.Key)] = i
	}
	for i, r := range log {
		if last[string(r.record.Key)] == i && r.record.Value != nil {
			left = append(left, r)
		}
	}
	return left
}

// S66 in its KIP-848 form.
func TestConsumerGroupsAreBounded(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 2)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		s.consumer(id, "t")
	}
	expect(t, "one more", refusal(s, joining("f", "t")), message.GroupMaxSizeReached)
	expect(t, "one of them again", refusal(s, joining("e", "t")), message.OK)
}

// kinds is a record of each kind that groups by KIP-848 have.
func kinds() []Record {
	k := newConsumers()
	k.epoch, k.hash, k.target = 7, 1, target{epoch: 7, time: 1_700_000_000_000}
	p := parts{{Topic: message.TopicID{1}, Index: 2}, {Topic: message.TopicID{1}, Index: 3}}
	c := &consumer{id: "m", instance: "i", rack: "r", clientID: "c", host: "/h", rebalance: time.Minute, assignor: "range", names: []string{"t"}, pattern: "u"}
	k.hand(c, 6, p[:1], p[1:])
	c.turn(6, revoking)
	return []Record{epochRecord("g", k), c.record("g"), targetEpochRecord("g", k), targetRecord("g", "m", p), c.progressRecord("g"),
		patternRecord("g", "u", &pattern{topics: []string{"u"}, version: 5, time: 1})}
}

// The bytes are those that Kafka 4.3.1's own classes write and read.
func TestRecordsAreKafkas(t *testing.T) {
	for i, want := range []string{
		"00030001670000" + "00000007010008" + "0000000000000001",
		"00050001670001" + "6d0000026902720263032f6802027402750000ea600672616e6765" + "01000100",
		"00060001670000" + "00000007010008" + "0000018bcfe56800",
		"00070001670001" + "6d00000201000000000000000000000000000000030000000200000003" + "0000",
		"00080001670001" + "6d000000000006000000000102" + "01000000000000000000000000000000020000000201000502" + "00000006" +
			"0201000000000000000000000000000000020000000301000502" + "00000006" + "00",
		"001000016700017500000202750000000000000005000000000000000100",
	} {
		r := kinds()[i]
		if got := fmt.Sprintf("%x%x", r.Key, r.Value); got != want {
			t.Errorf("record %d:\n%s, want\n%s", i, got, want)
		}
	}
}
