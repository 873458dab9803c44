package kafka

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

func joinRequest(group string) *kmsg.JoinGroupRequest {
	instance := "i"
	return &kmsg.JoinGroupRequest{Group: group, SessionTimeoutMillis: 10_000, RebalanceTimeoutMillis: 60_000, MemberID: "m", InstanceID: &instance, ProtocolType: "consumer",
		Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("r")}, {Name: "roundrobin", Metadata: []byte("rr")}}}
}

// KIP-62, KIP-345, KIP-394, KIP-559, KIP-814: what each version can say and hear.
func TestJoinGroup(t *testing.T) {
	for version := int16(0); version <= 9; version++ {
		want := &message.JoinGroup{Group: groupIn(here, 0), Member: "m", ProtocolType: "consumer", Session: 10 * time.Second, Rebalance: time.Minute,
			Protocols: []message.GroupProtocol{{Name: "range", Metadata: []byte("r")}, {Name: "roundrobin", Metadata: []byte("rr")}},
			ClientID:  "test", Host: "/198.51.100.7", MemberIDRequired: version == 4, SkipsAssignment: version == 9}
		if version == 0 {
			want.Rebalance = want.Session
		}
		if version >= 5 {
			want.Instance = "i"
		}
		h := coordinated(t, func(at message.Address, ask any) any {
			if at != coordinatorAt(here) || !reflect.DeepEqual(ask, want) {
				t.Errorf("version %d: %v was asked\n%+v, not\n%+v", version, at, ask, want)
			}
			return &message.GroupJoined{Generation: 7, ProtocolType: "consumer", Protocol: "range", Leader: "m", Member: "m", SkipAssignment: true,
				Members: []message.JoinedMember{{ID: "m", Instance: "i", Metadata: []byte("r")}, {ID: "n"}}}
		})
		r := call(h, joinRequest(groupIn(here, 0)), kmsg.NewPtrJoinGroupResponse(), version)
		if r.ErrorCode != 0 || r.Generation != 7 || *r.Protocol != "range" || r.LeaderID != "m" || r.MemberID != "m" || len(r.Members) != 2 || string(r.Members[0].ProtocolMetadata) != "r" {
			t.Errorf("version %d: %+v", version, r)
		}
		if version >= 5 && (*r.Members[0].InstanceID != "i" || r.Members[1].InstanceID != nil) || version >= 7 && *r.ProtocolType != "consumer" || r.SkipAssignment != (version == 9) {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// KIP-394: who is new and not static is asked to come again, from v4 on; the id that it gets is in the error's answer. On error
// protocol and type are null where they may be (v7), else empty.
func TestNewcomersComeTwice(t *testing.T) {
	for version := int16(0); version <= 9; version++ {
		q := joinRequest(groupIn(here, 0))
		q.MemberID, q.InstanceID = "", nil
		h := coordinated(t, func(_ message.Address, ask any) any {
			if got := ask.(*message.JoinGroup).MemberIDRequired; got != (version >= 4) {
				t.Errorf("version %d: an id is required: %v", version, got)
			}
			return &message.GroupJoined{Code: message.MemberIDRequired, Generation: -1, Member: "test-1"}
		})
		r := call(h, q, kmsg.NewPtrJoinGroupResponse(), version)
		if r.ErrorCode != 79 || r.MemberID != "test-1" || r.Generation != -1 || r.LeaderID != "" || len(r.Members) != 0 || version >= 7 && (r.Protocol != nil || r.ProtocolType != nil) {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// A member that no group could keep is refused at the door.
func TestMembersThatAreTooLarge(t *testing.T) {
	long := strings.Repeat("x", textMax+1)
	for name, c := range map[string]struct {
		change func(q *kmsg.JoinGroupRequest)
		want   int16
	}{
		"protocols": {func(q *kmsg.JoinGroupRequest) { q.Protocols = make([]kmsg.JoinGroupRequestProtocol, protocolsMax+1) }, 42},
		"metadata":  {func(q *kmsg.JoinGroupRequest) { q.Protocols[1].Metadata = make([]byte, 1<<20+13) }, 10},
		"name":      {func(q *kmsg.JoinGroupRequest) { q.Protocols[0].Name = long }, 42},
		"type":      {func(q *kmsg.JoinGroupRequest) { q.ProtocolType = long }, 42},
		"instance":  {func(q *kmsg.JoinGroupRequest) { q.InstanceID = &long }, 42},
		"member":    {func(q *kmsg.JoinGroupRequest) { q.MemberID = long }, 42},
	} {
		q := joinRequest(groupIn(here, 0))
		c.change(q)
		h := coordinated(t, func(message.Address, any) any { t.Errorf("%s: the coordinator was asked", name); return nil })
		if r := call(h, q, kmsg.NewPtrJoinGroupResponse(), 9); r.ErrorCode != c.want || r.Generation != -1 || len(h.asks) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// S60: "v5: protocol_type/name must match, -> 23", and must be said.
func TestSyncGroup(t *testing.T) {
	instance, consumer, ranges := "i", "consumer", "range"
	for version := int16(0); version <= 5; version++ {
		want := &message.SyncGroup{Group: groupIn(here, 0), Member: "m", Generation: 3, Assignments: []message.GroupAssignment{{Member: "m", Assignment: []byte("a")}, {Member: "n"}}}
		if version >= 3 {
			want.Instance = "i"
		}
		if version >= 5 {
			want.ProtocolType, want.Protocol = &consumer, &ranges
		}
		h := coordinated(t, func(at message.Address, ask any) any {
			got := ask.(*message.SyncGroup)
			if len(got.Assignments[1].Assignment) == 0 {
				got.Assignments[1].Assignment = nil
			}
			if at != coordinatorAt(here) || !reflect.DeepEqual(got, want) {
				t.Errorf("version %d: %v was asked\n%+v, not\n%+v", version, at, ask, want)
			}
			return &message.GroupSynced{ProtocolType: "consumer", Protocol: "range", Assignment: []byte("a")}
		})
		q := &kmsg.SyncGroupRequest{Group: groupIn(here, 0), Generation: 3, MemberID: "m", InstanceID: &instance, ProtocolType: &consumer, Protocol: &ranges,
			GroupAssignment: []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "m", MemberAssignment: []byte("a")}, {MemberID: "n"}}}
		r := call(h, q, kmsg.NewPtrSyncGroupResponse(), version)
		if r.ErrorCode != 0 || string(r.MemberAssignment) != "a" || version >= 5 && (*r.ProtocolType != "consumer" || *r.Protocol != "range") {
			t.Errorf("version %d: %+v", version, r)
		}
		if q.Protocol = nil; version < 5 {
			continue
		}
		if r := call(h, q, kmsg.NewPtrSyncGroupResponse(), version); r.ErrorCode != 23 || r.Protocol != nil || r.ProtocolType != nil {
			t.Errorf("version %d without a protocol: %+v", version, r)
		}
	}
}

// A member's refusal passes, and a 10 MB assignment is refused within bounds.
func TestSyncGroupIsRefused(t *testing.T) {
	h := coordinated(t, answering(&message.GroupSynced{Code: message.IllegalGeneration}))
	q := &kmsg.SyncGroupRequest{Group: groupIn(here, 0)}
	if r := call(h, q, kmsg.NewPtrSyncGroupResponse(), 0); r.ErrorCode != 22 {
		t.Errorf("%+v", r)
	}
	q.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "m", MemberAssignment: make([]byte, 10<<20)}}
	if r := call(h, q, kmsg.NewPtrSyncGroupResponse(), 0); r.ErrorCode != 10 {
		t.Errorf("%+v", r)
	}
}

func TestHeartbeat(t *testing.T) {
	instance := "i"
	for version := int16(0); version <= 4; version++ {
		want := &message.GroupHeartbeat{Group: groupIn(here, 0), Member: "m", Generation: 3}
		if version >= 3 {
			want.Instance = "i"
		}
		for _, code := range []message.Code{message.OK, message.RebalanceInProgress} {
			h := coordinated(t, func(at message.Address, ask any) any {
				if at != coordinatorAt(here) || !reflect.DeepEqual(ask, want) {
					t.Errorf("version %d: %v was asked %+v", version, at, ask)
				}
				return &message.GroupBeat{Code: code}
			})
			q := &kmsg.HeartbeatRequest{Group: groupIn(here, 0), Generation: 3, MemberID: "m", InstanceID: &instance}
			if r := call(h, q, kmsg.NewPtrHeartbeatResponse(), version); r.ErrorCode != int16(code) {
				t.Errorf("version %d: %+v", version, r)
			}
		}
	}
}

// S65: "v3+: batch of members, per-member error; admin removal of static member: instance id + empty member id. v0-2: single,
// top-level error."
func TestLeaveGroup(t *testing.T) {
	instance := "i"
	for version := int16(0); version <= 5; version++ {
		want := []message.Leaver{{Member: "m"}}
		codes := []message.Code{message.UnknownMemberID}
		if version >= 3 {
			want = []message.Leaver{{Member: "a"}, {Instance: "i"}}
			codes = []message.Code{message.OK, message.FencedInstanceID}
		}
		h := coordinated(t, func(_ message.Address, ask any) any {
			if got := ask.(*message.LeaveGroup); !reflect.DeepEqual(got.Members, want) {
				t.Errorf("version %d: %+v leave, not %+v", version, got.Members, want)
			}
			return &message.GroupLeft{Codes: codes}
		})
		q := &kmsg.LeaveGroupRequest{Group: groupIn(here, 0), MemberID: "m", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "a"}, {InstanceID: &instance}}}
		r := call(h, q, kmsg.NewPtrLeaveGroupResponse(), version)
		if version < 3 {
			if r.ErrorCode != 25 {
				t.Errorf("version %d: %+v", version, r)
			}
			continue
		}
		if r.ErrorCode != 0 || len(r.Members) != 2 || r.Members[0].MemberID != "a" || r.Members[0].InstanceID != nil || r.Members[0].ErrorCode != 0 ||
			*r.Members[1].InstanceID != "i" || r.Members[1].ErrorCode != 82 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}

// A whole answer's error is everybody's.
func TestLeaveGroupIsRefused(t *testing.T) {
	for version := int16(0); version <= 5; version++ {
		h := coordinated(t, answering(&message.GroupLeft{Code: message.UnknownMemberID}))
		q := &kmsg.LeaveGroupRequest{Group: groupIn(here, 0), Members: []kmsg.LeaveGroupRequestMember{{MemberID: "a"}}}
		if r := call(h, q, kmsg.NewPtrLeaveGroupResponse(), version); r.ErrorCode != 25 || len(r.Members) > 0 {
			t.Errorf("version %d: %+v", version, r)
		}
	}
}
