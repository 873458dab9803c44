package node

import (
	"slices"
	"testing"
)

func TestClusterIsReadFromItsSettings(t *testing.T) {
	c, err := Load(Sources{Set: []string{"node.id=2", "cluster.listen=127.0.0.1:6223", "cluster.join=nats://127.0.0.1:6222, other:6222",
		"controller.quorum.voters=3@c:6224,1@127.0.0.1:6222,2@127.0.0.1:6223"}})
	if err != nil {
		t.Fatal(err)
	}
	m := c.Cluster
	if got, want := m.Addresses(), []string{"127.0.0.1:6222", "other:6222", "127.0.0.1:6223", "c:6224"}; !slices.Equal(got, want) {
		t.Errorf("addresses %q, want %q", got, want)
	}
	if m.Voters[0] != (Voter{1, "127.0.0.1:6222"}) || m.founders(2) != 3 || m.founders(4) != 0 || !m.Loopback() {
		t.Errorf("%+v", m)
	}
}

// A server.properties of Kafka's names voters; a node that listens to nobody is alone all the same.
func TestVotersWithoutAClusterAreNotHeeded(t *testing.T) {
	c, err := Load(Sources{Set: []string{"controller.quorum.voters=1@localhost:9093"}})
	if err != nil || len(c.Notes) != 1 || c.Cluster.Voters != nil || c.Cluster.Listen != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestClusterRefusalsSayWhatToDo(t *testing.T) {
	const here = "cluster.listen=127.0.0.1:6222"
	for _, c := range []struct {
		set  []string
		want string
	}{
		{[]string{"cluster.join=a:1"}, "cluster.join=a:1: say where this node listens for others too, as in --cluster 127.0.0.1:6222"},
		{[]string{"bootstrap.expect=3"}, "bootstrap.expect=3: say where this node listens for others too, as in --cluster 127.0.0.1:6222"},
		{[]string{"cluster.listen=6222"}, "cluster.listen=6222: write HOST:PORT, as in 127.0.0.1:6222"},
		{[]string{"cluster.listen=:6222"}, "cluster.listen=:6222 is every address of this machine: say in cluster.advertise which one others shall use"},
		{[]string{here, "cluster.advertise=0.0.0.0:6222"}, "cluster.advertise=0.0.0.0:6222: nobody can connect to that: name a host and a port"},
		{[]string{here, "cluster.bulk.listen=:0"}, "cluster.bulk.listen=:0 is every address of this machine: say in cluster.bulk.advertise which one others shall use"},
		{[]string{here, "cluster.bulk.advertise=a:0"}, "cluster.bulk.advertise=a:0: nobody can connect to that: name a host and a port"},
		{[]string{"cluster.bulk.listen=127.0.0.1:7000"}, "cluster.bulk.listen=127.0.0.1:7000: say where this node listens for others too, as in --cluster 127.0.0.1:6222"},
		{[]string{here, "cluster.join=a"}, "cluster.join=a: write HOST:PORT, as in 127.0.0.1:6222"},
		{[]string{here, "bootstrap.expect=6"}, "Invalid value 6 for configuration bootstrap.expect: Value must be no more than 5"},
		{[]string{here, "controller.quorum.voters=a:1"}, `controller.quorum.voters: "a:1" is not like ID@HOST:PORT, as in 1@127.0.0.1:6222`},
		{[]string{here, "controller.quorum.voters=1@a:1,1@b:1"}, "controller.quorum.voters names node 1 twice"},
		{[]string{here, "controller.quorum.voters=1@a:1,2@b:1", "bootstrap.expect=3"}, "bootstrap.expect=3, and controller.quorum.voters names 2 nodes: leave one of the two out"},
		{[]string{here, "controller.quorum.voters=1@a:1,2@a:2,3@a:3,4@a:4,5@a:5,6@a:6"}, "controller.quorum.voters names 6 nodes: name 5 at most, the others join them"},
	} {
		if _, err := Load(Sources{Set: c.set}); err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.set, err, c.want)
		}
	}
}
