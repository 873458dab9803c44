package kafka

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// S68: "DescribeGroups of a missing group: v6+ GROUP_ID_NOT_FOUND(69), v0-5 state Dead + NONE." Each coordinator is asked once, and the
// answer is in the order of the question.
func TestGroupsAreDescribed(t *testing.T) {
	names := []string{groupIn(1, 0), groupIn(here, 0), groupIn(there, 0), "", groupIn(here, 1)}
	for version := int16(0); version <= 6; version++ {
		h := coordinated(t, func(at message.Address, ask any) any {
			got := ask.(*message.DescribeGroups).Groups
			if at == coordinatorAt(1) {
				return &message.GroupsDescribed{Groups: []message.DescribedGroup{{Group: got[0], State: "Dead", Code: message.GroupIDNotFound}}}
			}
			if want := []string{names[1], names[4]}; at != coordinatorAt(here) || !reflect.DeepEqual(got, want) {
				t.Errorf("version %d: %v was asked for %q", version, at, got)
			}
			return &message.GroupsDescribed{Groups: []message.DescribedGroup{{Group: got[0], State: "Stable", ProtocolType: "consumer", Protocol: "range",
				Members: []message.DescribedMember{{Member: "m", Instance: "i", ClientID: "c", Host: "/h", Metadata: []byte("s"), Assignment: []byte("a")}, {Member: "n"}}},
				{Group: got[1], State: "Empty"}}}
		})
		r := call(h, &kmsg.DescribeGroupsRequest{Groups: names, IncludeAuthorizedOperations: true}, kmsg.NewPtrDescribeGroupsResponse(), version)
		missing := int16(0)
		if version >= 6 {
			missing = 69
		}
		for i, want := range []struct {
			code  int16
			state string
		}{{missing, "Dead"}, {0, "Stable"}, {16, ""}, {24, ""}, {0, "Empty"}} {
			if g := r.Groups[i]; g.Group != names[i] || g.ErrorCode != want.code || g.State != want.state {
				t.Errorf("version %d: group %d: %+v", version, i, g)
			}
		}
		if version >= 6 && *r.Groups[0].ErrorMessage != "Group "+names[0]+" not found." || version >= 3 && (r.Groups[1].AuthorizedOperations != everythingOnGroup || r.Groups[2].AuthorizedOperations != notAsked) {
			t.Errorf("version %d: %+v", version, r)
		}
		g := r.Groups[1]
		if g.ProtocolType != "consumer" || g.Protocol != "range" || len(g.Members) != 2 {
			t.Fatalf("version %d: %+v", version, g)
		}
		if m := g.Members[0]; m.MemberID != "m" || m.ClientID != "c" || m.ClientHost != "/h" || string(m.ProtocolMetadata) != "s" || string(m.MemberAssignment) != "a" ||
			version >= 4 && (*m.InstanceID != "i" || g.Members[1].InstanceID != nil) {
			t.Errorf("version %d: %+v", version, m)
		}
	}
}

// S68: what every coordinator here has, in the order of their partitions, whoever answers first.
func TestGroupsAreListed(t *testing.T) {
	for version := int16(0); version <= 5; version++ {
		h := coordinated(t, answering(nil))
		h.ask(&kmsg.ListGroupsRequest{StatesFilter: []string{"stable"}, TypesFilter: []string{"classic"}}, version, 1)
		if len(h.asks) != 2 || h.asks[0].to != coordinatorAt(0) || h.asks[1].to != coordinatorAt(1) {
			t.Fatalf("version %d: %d were asked", version, len(h.asks))
		}
		if q := h.asks[0].what.(*message.ListGroups); len(q.States) != min(int(version)/4, 1) || len(q.Types) != int(version)/5 {
			t.Errorf("version %d: asked %+v", version, q)
		}
		h.answer(h.asks[1], &message.GroupsListed{Groups: []message.ListedGroup{{Group: "a", ProtocolType: "consumer", State: "Stable", Type: "classic"}}})
		h.silent()
		h.answer(h.asks[0], &message.GroupsListed{Groups: []message.ListedGroup{{Group: "c"}, {Group: "d"}}})
		r := read(h, kmsg.NewPtrListGroupsResponse(), version, 1)
		if r.ErrorCode != 0 || len(r.Groups) != 3 || r.Groups[0].Group != "c" || r.Groups[2].Group != "a" || r.Groups[2].ProtocolType != "consumer" {
			t.Fatalf("version %d: %+v", version, r)
		}
		if version >= 4 && r.Groups[2].GroupState != "Stable" || version >= 5 && r.Groups[2].GroupType != "classic" {
			t.Errorf("version %d: %+v", version, r.Groups)
		}
	}
}

// A list with a hole is no list; but a coordinator that has gone to another node is listed there.
func TestGroupsThatCannotBeListed(t *testing.T) {
	for _, c := range []struct {
		answer any
		moved  bool
		want   int16
	}{
		{&message.GroupsListed{Code: message.CoordinatorLoadInProgress}, false, 14}, {&message.Uncoordinated{Code: message.CoordinatorLoadInProgress}, false, 14},
		{&stage.TimedOut{}, false, 15}, {&stage.Down{}, false, 15}, {&message.Uncoordinated{Code: message.NotCoordinator}, false, 15},
		{&message.Uncoordinated{Code: message.NotCoordinator}, true, 0}, {&stage.Down{}, true, 0},
	} {
		h := coordinated(t, answering(nil))
		h.ask(&kmsg.ListGroupsRequest{}, 5, 1)
		if c.moved {
			h.views[message.BrokerAt(me)] = with(cluster(map[string]int{groupTopic: internals}, node(2, "b")),
				&message.PartitionRecord{Partition: at(groupTopic, 0), Leader: 2, LeaderEpoch: epoch + 1, Replicas: []message.NodeID{me, 2}, ISR: []message.NodeID{2}})
		}
		h.answer(h.asks[0], c.answer)
		h.answer(h.asks[0], &message.GroupsListed{Groups: []message.ListedGroup{{Group: "a"}}})
		if r := read(h, kmsg.NewPtrListGroupsResponse(), 5, 1); r.ErrorCode != c.want || len(r.Groups) != map[bool]int{true: 1, false: 0}[c.want == 0] {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	if r := call(newHouse(t, cluster(nil)), &kmsg.ListGroupsRequest{}, kmsg.NewPtrListGroupsResponse(), 5); r.ErrorCode != 0 || len(r.Groups) > 0 {
		t.Errorf("without the topic: %+v", r)
	}
}

// S76: "DeleteGroups non-empty -> NON_EMPTY_GROUP(68); missing -> GROUP_ID_NOT_FOUND(69)", each group by itself.
func TestGroupsAreDeleted(t *testing.T) {
	names := []string{groupIn(here, 0), groupIn(there, 0), groupIn(1, 0), groupIn(here, 1)}
	for version := int16(0); version <= 2; version++ {
		h := coordinated(t, func(at message.Address, ask any) any {
			if at == coordinatorAt(1) {
				return &message.GroupsDeleted{Codes: []message.Code{message.OK}}
			}
			if got := ask.(*message.DeleteGroups).Groups; !reflect.DeepEqual(got, []string{names[0], names[3]}) {
				t.Errorf("version %d: asked for %q", version, got)
			}
			return &message.GroupsDeleted{Codes: []message.Code{message.NonEmptyGroup, message.GroupIDNotFound}}
		})
		r := call(h, &kmsg.DeleteGroupsRequest{Groups: names}, kmsg.NewPtrDeleteGroupsResponse(), version)
		for i, want := range []int16{68, 16, 0, 69} {
			if g := r.Groups[i]; g.Group != names[i] || g.ErrorCode != want {
				t.Errorf("version %d: %+v", version, g)
			}
		}
	}
}
