package group

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// oldTimer is a consumer by the classic protocol that gives up only what it must, and what it was told last.
type oldTimer struct {
	s          *scene
	id         string
	topics     []string
	generation int32
	owned      []int32 // of topic "t"
}

func (c *oldTimer) subscription() []message.GroupProtocol {
	said := kmsg.ConsumerMemberMetadata{Version: 1, Topics: c.topics}
	if len(c.owned) > 0 {
		said.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "t", Partitions: c.owned}}
	}
	return []message.GroupProtocol{{Name: "cooperative-sticky", Metadata: said.AppendTo(nil)}}
}

func (c *oldTimer) question() *message.JoinGroup {
	return &message.JoinGroup{Group: "g", Member: c.id, ProtocolType: "consumer", Session: 10 * time.Second, Rebalance: time.Minute, ClientID: "old", Protocols: c.subscription()}
}

// hear takes the answer to a join, and asks what it is assigned.
func (c *oldTimer) hear(j *message.GroupJoined, assign ...message.GroupAssignment) {
	c.s.t.Helper()
	if j.Code != message.OK {
		c.s.t.Fatalf("%s: %+v", c.id, j)
	}
	c.id, c.generation = j.Member, j.Generation
	c.told(answer[*message.GroupSynced](c.s, &message.SyncGroup{Group: "g", Member: c.id, Generation: c.generation, Assignments: assign}))
}

func (c *oldTimer) told(a *message.GroupSynced) {
	c.s.t.Helper()
	var has kmsg.ConsumerMemberAssignment
	if a.Code != message.OK || has.ReadFrom(a.Assignment) != nil {
		c.s.t.Fatalf("%s: %+v", c.id, a)
	}
	c.owned = nil
	for _, t := range has.Topics {
		c.owned = append(c.owned, t.Partitions...)
	}
}

// again joins, and is answered at once.
func (c *oldTimer) again() {
	c.s.t.Helper()
	c.hear(answer[*message.GroupJoined](c.s, c.question()))
}

func (c *oldTimer) parts() (all parts) {
	for _, p := range c.owned {
		all = append(all, message.PartitionID{Topic: message.TopicID{15: 1}, Index: p})
	}
	return all
}

// mixed has a stable classic group of two, with two partitions each.
func mixed(t *testing.T) (*scene, []*oldTimer) {
	s := newScene(t)
	s.groups.settings.Consumer.Upgrades, s.groups.settings.Consumer.Downgrades = true, true
	s.topic("t", 1, 4)
	all := []*oldTimer{{s: s, topics: []string{"t"}}, {s: s, topics: []string{"t"}}}
	asked := []Caller{s.ask(all[0].question()), s.ask(all[1].question())}
	s.pass(6 * time.Second)
	second := answered[*message.GroupJoined](s, asked[1])
	first := answered[*message.GroupJoined](s, asked[0])
	assign := func(id string, partitions ...int32) message.GroupAssignment {
		a := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: partitions}}}
		return message.GroupAssignment{Member: id, Assignment: a.AppendTo(nil)}
	}
	all[0].hear(first, assign(first.Member, 0, 1), assign(second.Member, 2, 3))
	all[1].hear(second)
	return s, all
}

// S83: "classic members can JoinGroup into a consumer group and vice versa". Everybody keeps what it can, and nobody shares.
func TestGroupsUpgradeAndDowngrade(t *testing.T) {
	s, old := mixed(t)
	expect(t, "a commit before", answer[*message.OffsetsCommitted](s, commit(old[0].id, 1, 42)).Code, message.OK)
	a := s.consumer("a", "t")
	expect(t, "the newcomer's epoch", a.epoch, 2)
	expect(t, "what is free", len(a.owned), 0)
	d := s.described()
	expect(t, "members", len(d.Members), 3)
	expect(t, "state", d.State, "Reconciling")
	for step := 0; step < 6; step++ {
		for _, c := range old {
			if code := s.beat(c.id, c.generation); code == message.RebalanceInProgress {
				c.again()
			} else if code != message.OK {
				t.Fatalf("step %d: %d", step, code)
			}
		}
		a.beat()
		shared := slices.Concat(old[0].parts(), old[1].parts(), a.owned)
		if len(partsOf(shared)) != len(shared) {
			t.Fatalf("step %d: %v %v %v", step, old[0].owned, old[1].owned, a.owned)
		}
		before := fmt.Sprintf("%+v", s.described())
		settings := s.groups.settings
		s.again()
		s.groups.settings = settings
		if after := fmt.Sprintf("%+v", s.described()); after != before {
			t.Fatalf("step %d: after a restart\n%s, before\n%s", step, after, before)
		}
	}
	expect(t, "the newcomer's", len(a.owned), 1)
	expect(t, "the others'", len(old[0].owned)+len(old[1].owned), 3)
	expect(t, "state", s.described().State, "Stable")
	expect(t, "a classic member's commit", answer[*message.OffsetsCommitted](s, commit(old[0].id, old[0].generation, 43)).Code, message.OK)
	expect(t, "of another generation", answer[*message.OffsetsCommitted](s, commit(old[0].id, 1, 1)).Code, message.IllegalGeneration)
	leaving := a.plain()
	leaving.Epoch = message.EpochLeaves
	answer[*message.ConsumerBeat](s, leaving)
	expect(t, "state without it", s.state(), "PreparingRebalance")
	expect(t, "offsets stay", s.committed(), int64(43))
	asked := []Caller{s.ask(old[0].question()), s.ask(old[1].question())}
	expect(t, "generations go on", answered[*message.GroupJoined](s, asked[1]).Generation, old[0].generation+2)
	expect(t, "members", len(answered[*message.GroupJoined](s, asked[0]).Members), 2)
}

// A classic member may come to a group by KIP-848, twice as it must (KIP-394), and one that speaks no common protocol may not.
func TestClassicMembersComeToNewGroups(t *testing.T) {
	s := newScene(t)
	s.topic("t", 1, 4)
	a := s.consumer("a", "t")
	c := &oldTimer{s: s, topics: []string{"t"}}
	q := c.question()
	q.MemberIDRequired = true
	first := answer[*message.GroupJoined](s, q)
	expect(t, "without an id", first.Code, message.MemberIDRequired)
	c.id = first.Member
	c.again()
	expect(t, "its generation", c.generation, 2)
	rounds(t, a)
	expect(t, "what waits for it is free", s.beat(c.id, 2), message.RebalanceInProgress)
	c.again()
	expect(t, "what it has", len(c.owned), 2)
	other := c.question()
	other.Member, other.Protocols = "", []message.GroupProtocol{{Name: "mine", Metadata: other.Protocols[0].Metadata}}
	expect(t, "no common protocol", answer[*message.GroupJoined](s, other).Code, message.InconsistentGroupProtocol)
	other.Protocols = []message.GroupProtocol{{Name: "cooperative-sticky", Metadata: []byte{9}}}
	expect(t, "no subscription", answer[*message.GroupJoined](s, other).Code, message.InconsistentGroupProtocol)
	for range 5 { // it does not join again though it must
		s.consumer("b", "t")
		s.pass(9 * time.Second)
		a.beat()
		s.beat(c.id, 2)
	}
	s.pass(20 * time.Second)
	expect(t, "it was told to join and did not", s.beat(c.id, 2), message.UnknownMemberID)
}

// S83 where it may not be.
func TestGroupsThatCannotBeUpgraded(t *testing.T) {
	s, _ := mixed(t)
	s.groups.settings.Consumer.Upgrades = false
	expect(t, "it is switched off", refusal(s, joining("a", "t")), message.GroupIDNotFound)
	s.groups.settings.Consumer.Upgrades = true
	s.groups.settings.Consumer.SizeMax = 2
	expect(t, "it would be too large", refusal(s, joining("a", "t")), message.GroupIDNotFound)
	s = newScene(t)
	s.groups.settings.Consumer.Upgrades = true
	ids := s.gather(1) // whose subscription is none
	expect(t, "it cannot be read", refusal(s, joining("a", "t")), message.GroupIDNotFound)
	expect(t, "it lives on", s.beat(ids[0], 1), message.OK)
}
