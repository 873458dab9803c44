package workload

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/sim/check"
)

// guided is a client that has a group, and knows who coordinates it.
type guided struct {
	link
	spec  Spec
	group *check.Group
	node  message.NodeID // who coordinates; 0: not known
	known int            // the connection on which it has said what software it is
}

// introduce says what software it is, where that makes a difference, once a connection.
func (m *guided) introduce() {
	at := m.coordinator()
	if m.spec.Software == "" || m.known == at.connection() {
		return
	}
	m.known = at.connection()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, m.spec.Software, "1"
	at.call(req, m.patience(), func(kmsg.Response, error) {})
}

func newGuided(w World, h *check.History, s Spec) guided {
	return guided{link: newLink(w, h, s.Name), spec: s, group: h.Group(s.Group)}
}

func (m *guided) patience() time.Duration {
	return time.Duration(m.spec.PatienceMillis) * time.Millisecond
}

// coordinator is the way to who coordinates.
func (m *guided) coordinator() *link {
	if m.alone() {
		return &m.link
	}
	return m.via(m.node)
}

// seek asks who coordinates, unless it is known.
func (m *guided) seek(then func(found bool)) {
	if m.node != 0 {
		then(true)
		return
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey = 3, m.group.Name
	m.any().call(req, m.patience(), func(r kmsg.Response, err error) {
		if err == nil {
			if a := r.(*kmsg.FindCoordinatorResponse); a.ErrorCode == 0 {
				m.node = message.NodeID(a.NodeID)
			}
		}
		then(m.node != 0)
	})
}
