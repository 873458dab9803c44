package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// founder is a node that expects so many.
func founder(n message.NodeID, expect int) *meeting {
	address := string(rune('a'+n)) + ":1"
	return newMeeting(hello{Node: n, Incarnation: address, Address: address, Expect: expect}, "drawn-by-"+address)
}

// talk lets everybody hear everybody and carries verdicts out, until nobody has anything to do; it says who is done and how.
func talk(t *testing.T, all ...*meeting) map[message.NodeID]verdict {
	t.Helper()
	done := map[message.NodeID]verdict{}
	for range 10 {
		for _, m := range all {
			for _, other := range all {
				said := other.self
				if err := m.heard(&said, time.Unix(1, 0)); err != nil {
					t.Fatal(err)
				}
			}
			v, err := m.next()
			if err != nil {
				t.Fatal(err)
			}
			if v.promise != nil {
				m.promise(v.promise)
			}
			if v.founds || v.joins != "" {
				done[m.self.Node] = v
			}
		}
	}
	return done
}

func TestAsManyAsAreExpectedFoundOneCluster(t *testing.T) {
	a, b, c := founder(1, 3), founder(2, 3), founder(3, 3)
	if done := talk(t, b, a); len(done) != 0 || a.self.Promise != nil {
		t.Fatalf("two of three have founded: %+v", done)
	}
	joiner := founder(4, 0)
	done := talk(t, c, joiner, b, a)
	for _, m := range []*meeting{a, b, c} {
		if !done[m.self.Node].founds || m.self.Promise.Cluster != a.draft || !slices.Equal(m.self.Promise.Voters, []message.NodeID{1, 2, 3}) {
			t.Errorf("node %d: %+v %+v", m.self.Node, done[m.self.Node], m.self.Promise)
		}
	}
	if _, is := done[4]; is {
		t.Error("a node that joins has founded")
	}
}

// One who has promised finds the others again, wherever it was when it stopped.
func TestAPromiseSurvivesTheOthers(t *testing.T) {
	for promised := range 3 {
		all := []*meeting{founder(1, 3), founder(2, 3), founder(3, 3)}
		all[promised].promise(&promise{Cluster: "old", Voters: []message.NodeID{1, 2, 3}, Directories: make([]message.TopicID, 3)})
		if done := talk(t, all...); len(done) != 3 || all[0].self.Promise.Cluster != "old" {
			t.Errorf("node %d had promised: %+v, %+v", promised+1, done, all[0].self.Promise)
		}
	}
}

// A founder that lost its disk joins what it founded.
func TestNothingIsFoundedTwice(t *testing.T) {
	a := founder(1, 1)
	if err := a.ran("b:1", &member{2, "runs"}); err != nil {
		t.Fatal(err)
	}
	if v, err := a.next(); err != nil || v.joins != "runs" {
		t.Errorf("%+v, %v", v, err)
	}
	b := founder(2, 3)
	b.promise(&promise{Cluster: "mine", Voters: []message.NodeID{1, 2, 3}, Directories: make([]message.TopicID, 3)})
	if err := b.ran("c:1", &member{3, "mine"}); err != nil {
		t.Fatal(err)
	}
	if v, _ := b.next(); !v.founds {
		t.Errorf("one who runs has seen every promise: %+v", v)
	}
}

func TestMistakesAreRefusedWithASentence(t *testing.T) {
	promises := func(n message.NodeID, cluster string) *hello {
		return &hello{Node: n, Address: "x:1", Expect: 3, Promise: &promise{cluster, []message.NodeID{1, 2, 3}, make([]message.TopicID, 3)}}
	}
	for want, try := range map[string]func(m *meeting) error{
		"node 1 is alive already, at x:1": func(m *meeting) error {
			return m.heard(&hello{Node: 1, Incarnation: "another", Address: "x:1"}, time.Unix(1, 0))
		},
		"node 2 is alive already, at x:1": func(m *meeting) error {
			_ = m.heard(&hello{Node: 2, Incarnation: "one", Address: "x:1"}, time.Unix(1, 0))
			return m.heard(&hello{Node: 2, Incarnation: "another", Address: "y:1"}, time.Unix(2, 0))
		},
		"node 1 is alive already, at r:1":                             func(m *meeting) error { return m.ran("r:1", &member{1, "c"}) },
		"expects 2 nodes to found the cluster, and this node 3 nodes": func(m *meeting) error { return m.heard(&hello{Node: 2, Address: "x:1", Expect: 2}, time.Unix(1, 0)) },
		"of cluster other, and this data directory belongs to cluster mine": func(m *meeting) error {
			m.promise(&promise{"mine", []message.NodeID{1, 2, 3}, make([]message.TopicID, 3)})
			return m.ran("r:1", &member{2, "other"})
		},
		"name in --join nodes of one cluster only": func(m *meeting) error { _ = m.ran("r:1", &member{2, "c"}); return m.ran("s:1", &member{3, "d"}) },
		"one of the two has to begin anew": func(m *meeting) error {
			_, _ = m.heard(promises(2, "c"), time.Unix(1, 0)), m.heard(promises(3, "d"), time.Unix(1, 0))
			_, err := m.next()
			return err
		},
		"4 nodes want to found the cluster ([1 2 3 4]), and 3 are expected": func(m *meeting) error {
			for n := range message.NodeID(3) {
				_ = m.heard(&hello{Node: n + 2, Expect: 3}, time.Unix(1, 0))
			}
			_, err := m.next()
			return err
		},
	} {
		if err := try(founder(1, 3)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// A node that was killed is back at its old address at once.
func TestARestartIsNoTwin(t *testing.T) {
	m := founder(1, 3)
	for _, incarnation := range []string{"one", "another"} {
		if err := m.heard(&hello{Node: 2, Incarnation: incarnation, Address: "x:1", Expect: 3}, time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
	}
}
