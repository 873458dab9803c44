package kafka

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Partitions of the internal topic, and who leads them.
const (
	here      = 0 // and 1
	there     = 2 // node 2
	orphaned  = 3 // nobody
	unheard   = 4 // node 3, which has no listener of the client's
	internals = 5
)

// groupIn is a group that belongs to a partition of the internal topic; n tells several apart.
func groupIn(partition, n int) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("group-%d", i); message.CoordinatorIndex(name, internals) == int32(partition) {
			if n--; n < 0 {
				return name
			}
		}
	}
}

// coordinatorAt is who coordinates the groups of a partition on this node.
func coordinatorAt(partition int) message.Address {
	return message.CoordinatorAt(me, at(groupTopic, partition))
}

// coordinated is a house on a node that coordinates the groups of two partitions. plays plays coordinators only.
func coordinated(t testing.TB, plays func(at message.Address, ask any) any) *house {
	led := func(index int, leader message.NodeID) message.MetadataRecord {
		return &message.PartitionRecord{Partition: at(groupTopic, index), Leader: leader, LeaderEpoch: epoch, Replicas: []message.NodeID{me, 2, 3}, ISR: []message.NodeID{me}}
	}
	h := newHouse(t, cluster(map[string]int{"t": 2, "u": 1, groupTopic: internals}, node(2, "b"),
		&message.BrokerRecord{Node: 3, Endpoints: []message.Endpoint{{Listener: "OTHER", Host: "three", Port: 9}}},
		led(there, 2), led(orphaned, message.Nobody), led(unheard, 3)))
	h.plays = func(to message.Address, ask any) any {
		if to.Kind != message.KindCoordinator {
			t.Errorf("%v was asked %T", to, ask)
		}
		return plays(to, ask)
	}
	return h
}

// answering plays a coordinator with one answer.
func answering(answer any) func(message.Address, any) any {
	return func(message.Address, any) any { return answer }
}

// groupAPI makes a request about one group, and the answer to be read into.
type groupAPI struct {
	row      api
	ask      func(group string, version int16) kmsg.Request
	answer   func() kmsg.Response
	nameless bool         // a group may have no name
	unnamed  message.Code // what a group without a name is told; OK: InvalidGroupID
	late     message.Code // what it is told when the coordinator is late
}

func groupAPIs() []groupAPI {
	instance, consumer := "i", "consumer"
	return []groupAPI{
		{row: joinGroupAPI, late: message.RebalanceInProgress, answer: func() kmsg.Response { return kmsg.NewPtrJoinGroupResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return joinRequest(g)
		}},
		{row: syncGroupAPI, late: message.RebalanceInProgress, answer: func() kmsg.Response { return kmsg.NewPtrSyncGroupResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.SyncGroupRequest{Group: g, Generation: 3, MemberID: "m", InstanceID: &instance, ProtocolType: &consumer, Protocol: &consumer}
		}},
		{row: heartbeatAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrHeartbeatResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.HeartbeatRequest{Group: g, Generation: 3, MemberID: "m", InstanceID: &instance}
		}},
		{row: leaveGroupAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrLeaveGroupResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.LeaveGroupRequest{Group: g, MemberID: "m", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "m"}, {InstanceID: &instance}}}
		}},
		{row: offsetCommitAPI, late: message.CoordinatorNotAvailable, nameless: true, answer: func() kmsg.Response { return kmsg.NewPtrOffsetCommitResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return commitRequest(g)
		}},
		{row: offsetFetchAPI, late: message.CoordinatorNotAvailable, nameless: true, answer: func() kmsg.Response { return kmsg.NewPtrOffsetFetchResponse() }, ask: fetchRequest},
		{row: offsetDeleteAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrOffsetDeleteResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.OffsetDeleteRequest{Group: g, Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}}}}}
		}},
		{row: describeGroupsAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrDescribeGroupsResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.DescribeGroupsRequest{Groups: []string{g}}
		}},
		{row: deleteGroupsAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrDeleteGroupsResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.DeleteGroupsRequest{Groups: []string{g}}
		}},
		{row: consumerGroupHeartbeatAPI, late: message.CoordinatorNotAvailable, unnamed: message.InvalidRequest, answer: func() kmsg.Response { return kmsg.NewPtrConsumerGroupHeartbeatResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return consumerRequest(g)
		}},
		{row: consumerGroupDescribeAPI, late: message.CoordinatorNotAvailable, answer: func() kmsg.Response { return kmsg.NewPtrConsumerGroupDescribeResponse() }, ask: func(g string, _ int16) kmsg.Request {
			return &kmsg.ConsumerGroupDescribeRequest{Groups: []string{g}}
		}},
	}
}

// each calls with every API of groups in every version of it.
func eachGroupAPI(do func(a groupAPI, version int16, name string)) {
	for _, a := range groupAPIs() {
		for v := a.row.min; v <= a.row.max; v++ {
			do(a, v, fmt.Sprintf("%s version %d", kmsg.NameForKey(a.row.key), v))
		}
	}
}

// codesIn are all error codes of an answer, in its order.
func codesIn(v reflect.Value) (all []message.Code) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all = codesIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, codesIn(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.Name == "ErrorCode":
				all = append(all, message.Code(v.Field(i).Int()))
			case f.IsExported():
				all = append(all, codesIn(v.Field(i))...)
			}
		}
	}
	return all
}

// tells fails if an answer's error codes are not all this one, but for those that its version has no room for.
func tells(t *testing.T, name string, resp kmsg.Response, want message.Code) {
	t.Helper()
	got := slices.DeleteFunc(codesIn(reflect.ValueOf(resp)), func(c message.Code) bool { return c == message.OK })
	if len(got) == 0 && want != message.OK || slices.ContainsFunc(got, func(c message.Code) bool { return c != want }) {
		t.Errorf("%s: codes %v, not %v: %+v", name, got, want, resp)
	}
}

// S53, S69: who is asked about a group that is not its own, or is none, says so where the version has its codes, and asks nobody.
func TestGroupsThatAreNotHere(t *testing.T) {
	eachGroupAPI(func(a groupAPI, version int16, name string) {
		nobody := func(at message.Address, ask any) any { t.Errorf("%s: %v was asked %+v", name, at, ask); return nil }
		for group, want := range map[string]message.Code{
			groupIn(there, 0): message.NotCoordinator, groupIn(orphaned, 0): message.NotCoordinator, groupIn(unheard, 0): message.NotCoordinator,
		} {
			tells(t, name, call(coordinated(t, nobody), a.ask(group, version), a.answer(), version), want)
		}
		h := newHouse(t, cluster(map[string]int{"t": 2}))
		tells(t, name+" without the topic", call(h, a.ask("g", version), a.answer(), version), message.CoordinatorNotAvailable)
		if !a.nameless {
			tells(t, name+" without a name", call(coordinated(t, nobody), a.ask("", version), a.answer(), version), either(a.unnamed, message.InvalidGroupID))
		}
		if version >= firstFlexible(a.row.key) {
			long := string(make([]byte, textMax+1))
			tells(t, name+" with a long name", call(coordinated(t, nobody), a.ask(long, version), a.answer(), version), message.InvalidGroupID)
		}
	})
}

// A group without a name is a group to those that Kafka has it be.
func TestAGroupWithoutAName(t *testing.T) {
	eachGroupAPI(func(a groupAPI, version int16, name string) {
		if !a.nameless {
			return
		}
		var asked message.Address
		h := coordinated(t, func(at message.Address, _ any) any {
			asked = at
			return &message.Uncoordinated{Code: message.CoordinatorLoadInProgress}
		})
		tells(t, name, call(h, a.ask("", version), a.answer(), version), message.CoordinatorLoadInProgress)
		if asked != coordinatorAt(0) { // the hash of nothing is 0
			t.Errorf("%s: %v was asked", name, asked)
		}
	})
}

// S69: "During loading -> COORDINATOR_LOAD_IN_PROGRESS(14); wrong broker -> NOT_COORDINATOR(16)." A coordinator that is not there, or
// does not answer, is told in codes upon which clients try again.
func TestCoordinatorsThatDoNotAnswer(t *testing.T) {
	eachGroupAPI(func(a groupAPI, version int16, name string) {
		for _, c := range []struct {
			answer any
			want   message.Code
		}{
			{&message.Uncoordinated{Code: message.CoordinatorLoadInProgress}, message.CoordinatorLoadInProgress},
			{&message.Uncoordinated{Code: message.NotCoordinator}, message.NotCoordinator},
			{&message.Uncoordinated{Code: message.CoordinatorNotAvailable}, message.CoordinatorNotAvailable},
			{&stage.Down{}, message.NotCoordinator},
			{&stage.TimedOut{}, a.late},
			{&message.Progressed{}, message.UnknownServerError},
		} {
			h := coordinated(t, answering(c.answer))
			tells(t, fmt.Sprintf("%s, %T", name, c.answer), call(h, a.ask(groupIn(here, 0), version), a.answer(), version), c.want)
		}
	})
}

// An answer of another length than the question is a coordinator's mistake, which must not become a panic or a wrong success.
func TestAnswersOfAnotherLength(t *testing.T) {
	short := map[int16]any{13: &message.GroupLeft{}, 8: &message.OffsetsCommitted{}, 9: &message.OffsetsFetched{}, 47: &message.OffsetsDeleted{},
		15: &message.GroupsDescribed{}, 42: &message.GroupsDeleted{}, 69: &message.ConsumersDescribed{}}
	eachGroupAPI(func(a groupAPI, version int16, name string) {
		if answer := short[a.row.key]; answer != nil {
			tells(t, name, call(coordinated(t, answering(answer)), a.ask(groupIn(here, 0), version), a.answer(), version), message.UnknownServerError)
		}
	})
}

// S47: "internal topic not there -> it gets created and response COORDINATOR_NOT_AVAILABLE(15); v4+ batch, each with error". S11: the
// coordinator's address is that of the listener that the client used.
func TestCoordinatorsAreFound(t *testing.T) {
	for version := int16(0); version <= 6; version++ {
		h := coordinated(t, answering(nil))
		for group, want := range map[string]kmsg.FindCoordinatorResponseCoordinator{
			groupIn(here, 0):     {NodeID: 1, Host: "192.0.2.1", Port: 19092},
			groupIn(there, 3):    {NodeID: 2, Host: "hb", Port: 9002},
			groupIn(orphaned, 0): {NodeID: -1, Port: -1, ErrorCode: 15},
			groupIn(unheard, 0):  {NodeID: -1, Port: -1, ErrorCode: 15},
			"":                   {NodeID: 1, Host: "192.0.2.1", Port: 19092},
		} {
			if got := foundCoordinator(h, group, 0, version); got.NodeID != want.NodeID || got.Host != want.Host || got.Port != want.Port || got.ErrorCode != want.ErrorCode || got.Key != group {
				t.Errorf("version %d, %q: %+v, not %+v", version, group, got, want)
			}
		}
		if len(h.sent) > 0 {
			t.Errorf("version %d: %+v was sent", version, h.sent)
		}
	}
}

func foundCoordinator(h *house, key string, kind int8, version int16) kmsg.FindCoordinatorResponseCoordinator {
	h.t.Helper()
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorKey, q.CoordinatorKeys, q.CoordinatorType = key, []string{key}, kind
	r := call(h, q, kmsg.NewPtrFindCoordinatorResponse(), version)
	if version >= 4 {
		return r.Coordinators[0]
	}
	return kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: r.NodeID, Host: r.Host, Port: r.Port, ErrorCode: r.ErrorCode, ErrorMessage: r.ErrorMessage}
}

// S47: what is not there is brought about, once; transactional ids and share groups have no coordinators yet, and nothing else has any.
func TestCoordinatorsThatAreNotThereYet(t *testing.T) {
	for version := int16(0); version <= 6; version++ {
		for kind, want := range map[int8]struct {
			code  int16
			topic string
		}{0: {15, groupTopic}, 1: {15, txnTopic}, 2: {15, ""}, 3: {42, ""}, -1: {42, ""}} {
			if version == 0 && kind != 0 {
				continue
			}
			if kind == 2 && version < 6 {
				want.code = 42
			}
			h := newHouse(t, cluster(nil))
			if got := foundCoordinator(h, "g", kind, version); got.ErrorCode != want.code || got.NodeID != -1 || version > 0 && got.ErrorMessage == nil {
				t.Errorf("version %d, type %d: %+v", version, kind, got)
			}
			made := ""
			for _, s := range h.sent {
				made += s.what.(*message.CreateTopics).Topics[0].Name
			}
			if made != want.topic {
				t.Errorf("version %d, type %d: %q is made", version, kind, made)
			}
		}
	}
}

// A parked request keeps neither its frame nor the memory of it, and a member may not wait for ever.
func TestWhoWaitsKeepsNoFrame(t *testing.T) {
	h := coordinated(t, answering(nil))
	given := 0
	q := joinRequest(groupIn(here, 0))
	q.RebalanceTimeoutMillis = 1<<31 - 1
	f := &Frame{Bytes: request(q, 9, 1), Done: func(reusable bool) {
		if given++; !reusable {
			t.Error("the frame is still held")
		}
	}}
	h.tell(f)
	clear(f.Bytes)
	ask := h.asks[0].what.(*message.JoinGroup)
	if given != 1 || h.asks[0].patience != time.Hour || string(ask.Protocols[0].Metadata) != "r" || ask.Protocols[1].Name != "roundrobin" {
		t.Errorf("given back %d times, patience %v, %+v", given, h.asks[0].patience, ask)
	}
	h.answer(h.asks[0], &message.GroupJoined{Generation: 1})
	if read(h, kmsg.NewPtrJoinGroupResponse(), 9, 1); given != 1 {
		t.Errorf("given back %d times", given)
	}
}
