package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func TestGoals(t *testing.T) {
	for text, want := range map[string]goal{
		"start": {place: place{kind: atStart}}, "end": {place: place{kind: atEnd}}, "17": {place: place{atOffset, 17}}, "+3": {shift: 3}, "-3": {shift: -3},
		"2026-11-20T12:00:00Z": {place: place{atTime, 1795176000000}},
	} {
		if got, err := goalOf(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "later", "-later", "+1h", "-1h", "+", "-", "--3"} {
		if got, err := goalOf(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func listed(topic string, offsets ...int64) kadm.ListedOffsets {
	all := kadm.ListedOffsets{topic: {}}
	for i, o := range offsets {
		all[topic][int32(i)] = kadm.ListedOffset{Topic: topic, Partition: int32(i), Offset: o}
	}
	return all
}

// committedIn has an offset per partition, -1 for none.
func committedIn(topic string, offsets ...int64) kadm.OffsetResponses {
	all := kadm.OffsetResponses{}
	for i, o := range offsets {
		all.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: topic, Partition: int32(i), At: o}})
	}
	return all
}

// What is reset stays within what a partition holds.
func TestWhereGroupsAreResetTo(t *testing.T) {
	b := &bounds{topic: "t", start: listed("t", 10, 0), end: listed("t", 100, 5), atTime: map[int64]kadm.ListedOffsets{7: listed("t", 42, -1)}}
	committed := committedIn("t", 50, 3)
	for name, c := range map[string]struct {
		to   goal
		want [2]int64
	}{
		"start": {goal{place: place{kind: atStart}}, [2]int64{10, 0}}, "end": {goal{place: place{kind: atEnd}}, [2]int64{100, 5}},
		"an offset": {goal{place: place{atOffset, 7}}, [2]int64{10, 5}}, "a time": {goal{place: place{atTime, 7}}, [2]int64{42, 5}},
		"on": {goal{shift: 3}, [2]int64{53, 5}}, "back": {goal{shift: -45}, [2]int64{10, 0}}, "nowhere": {goal{}, [2]int64{50, 3}},
	} {
		rows, err := c.to.rows(b, []int32{0, 1}, committed)
		if err != nil || len(rows) != 2 || [2]int64{rows[0].To, rows[1].To} != c.want || *rows[0].Committed != 50 {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	if _, err := (goal{shift: 1}).rows(b, []int32{1}, committedIn("t", 50, -1)); err == nil || !strings.Contains(err.Error(), "nothing is committed") {
		t.Errorf("counted from nothing: %v", err)
	}
	rows, err := (goal{place: place{kind: atEnd}}).rows(b, []int32{1}, kadm.OffsetResponses{})
	if err != nil || rows[0].Committed != nil || rows[0].To != 5 {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestPartitionsThatAreChosen(t *testing.T) {
	all := []int32{0, 1, 2}
	for _, c := range []struct{ wanted, want []int32 }{{nil, all}, {[]int32{2, 0, 2}, []int32{0, 2}}, {[]int32{3}, nil}} {
		if got, err := choosePartitions("t", all, c.wanted); !reflect.DeepEqual(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%v: %v, %v", c.wanted, got, err)
		}
	}
}

// A group is refused with a reason while it has members, or may have.
func TestGroupsThatCannotBeReset(t *testing.T) {
	for _, c := range []struct {
		group kadm.DescribedGroup
		says  string
	}{
		{kadm.DescribedGroup{State: "Empty"}, ""}, {kadm.DescribedGroup{State: "Dead"}, ""}, {kadm.DescribedGroup{}, ""}, {kadm.DescribedGroup{Err: kerr.GroupIDNotFound, State: "Dead"}, ""},
		{kadm.DescribedGroup{Group: "g", State: "Stable", Members: make([]kadm.DescribedGroupMember, 2)}, "g is Stable and has members (2): stop them first"},
		{kadm.DescribedGroup{Group: "g", State: "PreparingRebalance"}, "stop them first"},
		{kadm.DescribedGroup{Err: kerr.CoordinatorLoadInProgress}, "COORDINATOR_LOAD_IN_PROGRESS"},
	} {
		if err := resettable(sheetOfClassic(c.group)); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.group, err)
		}
	}
}

// Groups of either protocol are shown alike, and what is assigned is listed beside what is committed.
func TestGroupSheets(t *testing.T) {
	instance := "i"
	s := sheetOfConsumers(kadm.DescribedConsumerGroup{Group: "g", State: "Stable", AssignorName: "uniform", Members: []kadm.ConsumerGroupMember{
		{MemberID: "m", InstanceID: &instance, ClientID: "c", ClientHost: "/h", Assignment: kadm.TopicsSet{"t": {1: {}, 0: {}}, "u": {0: {}}}}}})
	s.list(committedIn("t", -1, 5, 6))
	if m := s.Members[0]; m.Instance != "i" || !reflect.DeepEqual(m.Assigned, map[string][]int32{"t": {0, 1}, "u": {0}}) {
		t.Errorf("%+v", m)
	}
	if !reflect.DeepEqual(s.topics(), []string{"t", "u"}) || len(s.Partitions) != 4 {
		t.Fatalf("%+v", s.Partitions)
	}
	if p := s.Partitions; p[0].Member != "m" || p[0].Committed != nil || p[1].Member != "m" || *p[1].Committed != 5 || p[2].Member != "" || *p[2].Committed != 6 || p[3].Topic != "u" {
		t.Errorf("%+v", p)
	}
}

// A lag is told where it is known: in records from what is committed, or from what is left, and in seconds from the first of them.
func TestLags(t *testing.T) {
	s := groupSheet{Group: "g", State: "Empty"}
	s.list(committedIn("t", 50, -1, 5, 99, 7))
	s.measure(listed("t", 0, 0, 10, 0), listed("t", 60, 8, 30, 99))
	now := time.UnixMilli(1_000_000)
	s.setAges(map[string]map[int32]time.Time{"t": {0: now.Add(-3 * time.Second), 3: now}}, now)
	for i, want := range []struct{ committed, end, lag, seconds string }{
		{"50", "60", "10", "3"}, {"-", "8", "-", "-"}, {"5", "30", "20", "-"}, {"99", "99", "0", "0"}, {"7", "-", "-", "-"},
	} {
		r := s.Partitions[i]
		if known(r.Committed, "%d") != want.committed || known(r.End, "%d") != want.end || known(r.Lag, "%d") != want.lag || known(r.LagSeconds, "%g") != want.seconds {
			t.Errorf("partition %d: %+v", i, r)
		}
	}
	if s.Lag != 30 || s.LagSeconds != 3 || s.Partitions[2].next != 10 || s.Partitions[4].Problem == "" {
		t.Errorf("%+v", s)
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil || !strings.Contains(out.String(), "lag 30 records, 3.0 s") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

// A record from a clock that is ahead is no less than 0 seconds old.
func TestAgesAreNeverNegative(t *testing.T) {
	s := groupSheet{}
	s.list(committedIn("t", 1))
	s.measure(listed("t", 0), listed("t", 2))
	now := time.UnixMilli(0)
	if s.setAges(map[string]map[int32]time.Time{"t": {0: now.Add(time.Hour)}}, now); *s.Partitions[0].LagSeconds != 0 {
		t.Errorf("%+v", s.Partitions[0])
	}
}

func TestAssignmentsAsText(t *testing.T) {
	if got := assignedText(map[string][]int32{"b": {0}, "a": {1, 2}}); got != "a/1,2 b/0" {
		t.Error(got)
	}
	if got := assignedText(nil); got != "" {
		t.Error(got)
	}
}

// A member ends when all that it has been assigned is read to where it ended at the beginning, and not before it has been
// assigned anything; whatever else it waits for, enough is enough.
func TestWhenMembersAreDone(t *testing.T) {
	b := &bounds{topic: "t", end: listed("t", 5, 9)}
	now := time.Now()
	for name, c := range map[string]struct {
		m    *membership
		want bool
	}{
		"goes on":       {&membership{reading: &reading{}, joined: now, places: map[int32]int64{0: 9}}, false},
		"not joined":    {&membership{reading: &reading{}, bounds: b}, false},
		"behind":        {&membership{reading: &reading{}, bounds: b, joined: now, places: map[int32]int64{0: 5, 1: 8}}, false},
		"not known":     {&membership{reading: &reading{}, bounds: b, joined: now, places: map[int32]int64{0: -1}}, false},
		"at the end":    {&membership{reading: &reading{}, bounds: b, joined: now, places: map[int32]int64{0: 5, 1: 12}}, true},
		"has nothing":   {&membership{reading: &reading{}, bounds: b, joined: now}, false},
		"gets nothing":  {&membership{reading: &reading{}, bounds: b, joined: now.Add(-time.Minute)}, true},
		"has enough":    {&membership{reading: &reading{counted: true}}, true},
		"wants another": {&membership{reading: &reading{counted: true, left: 1}, joined: now}, false},
	} {
		if got := c.m.done(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
