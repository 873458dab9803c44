package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// meeting decides how nodes without a cluster come to one. It sends nothing and writes nothing: see meet.
//
// So many nodes as are expected found a cluster together, once: when they all have met, the one with the lowest number promises an id
// and the list of voters; the others promise the same; each writes its promise down before it tells it, keeps it for ever, and
// begins when it has seen everybody's. Whoever has promised nothing and finds a cluster that runs joins it instead, so a
// founder that has lost its disk founds nothing a second time; nor does it, with another directory, for one of those who promised.
type meeting struct {
	self   hello
	draft  string // the id that this node promises if it is to
	others map[message.NodeID]guest
	found  *member // of a cluster that runs
}

func newMeeting(self hello, draft string) *meeting {
	return &meeting{self: self, draft: draft, others: map[message.NodeID]guest{}}
}

// guest is another node, and when it was heard last.
type guest struct {
	*hello
	at time.Time
}

// aliveFor is how long after its last word a node is taken to be alive.
const aliveFor = 2 * time.Second

// heard takes another node's hello. What it refuses is a mistake that somebody has to mend.
func (m *meeting) heard(h *hello, now time.Time) error {
	if h.Node == m.self.Node {
		if h.Incarnation == m.self.Incarnation {
			return nil // an address of our own
		}
		return twin(h.Node, h.Address)
	}
	if g := m.others[h.Node]; g.hello != nil && g.Incarnation != h.Incarnation && g.Address != h.Address && now.Sub(g.at) < aliveFor {
		return twin(h.Node, g.Address)
	}
	if h.Expect > 0 && m.self.Expect > 0 && (h.Expect != m.self.Expect || !slices.Equal(h.Founders, m.self.Founders)) {
		return fmt.Errorf("node %d at %s expects %s to found the cluster, and this node %s: give both the same bootstrap.expect or controller.quorum.voters",
			h.Node, h.Address, h.founding(), m.self.founding())
	}
	m.others[h.Node] = guest{h, now}
	return nil
}

func (h *hello) founding() string {
	if h.Founders != nil {
		return fmt.Sprintf("the nodes %d", h.Founders)
	}
	return fmt.Sprintf("%d nodes", h.Expect)
}

func twin(n message.NodeID, address string) error {
	return fmt.Errorf("node %d is alive already, at %s: give this one another --node-id, or stop that one first", n, address)
}

// ran takes what a node of a cluster says that runs already.
func (m *meeting) ran(at string, one *member) error {
	switch {
	case one.node == m.self.Node:
		return twin(one.node, at)
	case m.self.Promise != nil && m.self.Promise.Cluster != one.cluster:
		return stranger(at, one.cluster, m.self.Promise.Cluster)
	case m.found != nil && m.found.cluster != one.cluster:
		return fmt.Errorf("node %d is of cluster %s, and node %d at %s of cluster %s: name in --join nodes of one cluster only", m.found.node, m.found.cluster, one.node, at, one.cluster)
	}
	m.found = one
	return nil
}

func stranger(at, theirs, ours string) error {
	return fmt.Errorf("the node at %s is of cluster %s, and this data directory belongs to cluster %s: name nodes of that one in --join, or use an empty --data", at, theirs, ours)
}

// verdict is what is to be done. The zero one: wait for more to come.
type verdict struct {
	promise *promise // write this down, tell it, and ask again
	joins   string   // the meeting is over: the node joins this cluster
	founds  bool     // the meeting is over: what was promised begins
}

// next decides. An error ends the meeting: two foundings cannot become one.
func (m *meeting) next() (verdict, error) {
	known, err := m.known()
	mine := m.self.Promise
	switch {
	case err != nil:
		return verdict{}, err
	case mine != nil:
		return verdict{founds: m.found != nil || m.promised(mine)}, nil
	case m.found != nil:
		return verdict{joins: m.found.cluster}, nil
	case known != nil && known.names(&m.self):
		return verdict{promise: known}, nil
	case known == nil && m.self.Expect > 0:
		return m.gather()
	}
	return verdict{}, nil
}

// promise is told when the promise of a verdict is on disk.
func (m *meeting) promise(p *promise) { m.self.Promise = p }

// known is what anybody here has promised.
func (m *meeting) known() (*promise, error) {
	p, who := m.self.Promise, m.self.Node
	for _, n := range slices.Sorted(maps.Keys(m.others)) {
		other := m.others[n].Promise
		switch {
		case other == nil:
		case p == nil:
			p, who = other, n
		case !p.equal(other):
			return nil, fmt.Errorf("node %d has promised to found cluster %s with the nodes %d, and node %d cluster %s with the nodes %d: one of the two has to begin anew with an empty --data",
				who, p.Cluster, p.Voters, n, other.Cluster, other.Voters)
		}
	}
	return p, nil
}

// promised says that every voter has.
func (m *meeting) promised(p *promise) bool {
	for _, n := range p.Voters {
		if n != m.self.Node && (m.others[n].hello == nil || m.others[n].Promise == nil || !p.names(m.others[n].hello)) {
			return false
		}
	}
	return true
}

// gather waits until all founders are here; the lowest of them promises first.
func (m *meeting) gather() (verdict, error) {
	here := []message.NodeID{m.self.Node}
	for n, h := range m.others {
		if h.Expect > 0 {
			here = append(here, n)
		}
	}
	slices.Sort(here)
	if len(here) > m.self.Expect {
		return verdict{}, fmt.Errorf("%d nodes want to found the cluster (%d), and %d are expected: start the others without --bootstrap-expect", len(here), here, m.self.Expect)
	}
	if len(here) < m.self.Expect || here[0] != m.self.Node {
		return verdict{}, nil
	}
	if m.self.Founders != nil && !slices.Equal(here, m.self.Founders) {
		return verdict{}, fmt.Errorf("the nodes %d have met, and controller.quorum.voters names %d: give them the numbers that stand there", here, m.self.Founders)
	}
	p := &promise{Cluster: m.draft, Voters: here}
	for _, n := range here {
		d := m.self.Directory
		if n != m.self.Node {
			d = m.others[n].Directory
		}
		p.Directories = append(p.Directories, d)
	}
	return verdict{promise: p}, nil
}

// missing says for whom the meeting waits.
func (m *meeting) missing() string {
	here := slices.Sorted(maps.Keys(m.others))
	known, _ := m.known()
	switch {
	case m.self.Promise == nil && known != nil && slices.Contains(known.Voters, m.self.Node):
		return fmt.Sprintf("cluster %s was promised by this node with a data directory that it has no more: it joins when the cluster runs; if it never began, start the others (here are %d) with an empty --data too",
			known.Cluster, here)
	case m.self.Promise != nil:
		return fmt.Sprintf("cluster %s is founded by the nodes %d, and not all of them have promised it; here are %d", m.self.Promise.Cluster, m.self.Promise.Voters, here)
	case m.self.Expect > 0:
		return fmt.Sprintf("%s found the cluster; besides this one here are %d", m.self.founding(), here)
	}
	return fmt.Sprintf("no node of a cluster answers; others that wait: %d", here)
}
