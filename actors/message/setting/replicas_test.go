package setting

import (
	"strings"
	"testing"
)

func TestThrottledReplicas(t *testing.T) {
	for _, c := range []struct {
		list            string
		partition, node int32
		want            bool
	}{
		{"", 0, 1, false}, {"*", 7, 9, true}, {" * ", 7, 9, true}, {"0:1", 0, 1, true}, {"0:1", 1, 0, false}, {"0:1, 10:2,1:12", 10, 2, true},
		{"0:1,10:2,1:12", 1, 2, false}, {"00:01", 0, 1, true},
	} {
		if got := Replicas(c.list).Has(c.partition, c.node); got != c.want {
			t.Errorf("%q has %d:%d: %v", c.list, c.partition, c.node, got)
		}
	}
	s, _ := Lookup(OfTopic, "leader.replication.throttled.replicas")
	for _, good := range []string{"", "*", "0:1", "0:1,1:2"} {
		if err := s.Check(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"0", "a:1", "0:", "*,0:1", "0:1:2", "-1:0", "all"} {
		if err := s.Check(bad); err == nil || !strings.Contains(err.Error(), "must be the literal '*' or a list of replicas in the following format") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
