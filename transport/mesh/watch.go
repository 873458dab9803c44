package mesh

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// watchEvery is how soon a lost route is noticed, and a new node greeted. The server has no hook for either.
const watchEvery = 100 * time.Millisecond

// listEvery is after how many looks the routes are listed though they are as many as before: one may have taken the place of another.
const listEvery = 3

// watch looks at routes and overdue links until the mesh is closed.
func (m *Mesh) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var routes map[message.NodeID][link.Lanes][]uint64
	for look, were := 0, 0; ; look++ {
		select {
		case <-m.stop:
			return
		case now := <-ticker.C:
			if are := m.server.NumRoutes(); are != were || look%listEvery == 0 {
				routes, were = m.routes(), are
			}
			m.look(now, routes)
		}
	}
}

// look tells each link what became of its routes, and the time.
func (m *Mesh) look(now time.Time, routes map[message.NodeID][link.Lanes][]uint64) {
	for n := range routes {
		m.peer(n)
	}
	for _, p := range m.all() {
		p.change(func(k *link.Link) {
			if p.lostRoute(routes[p.node]) {
				k.Reset("its route was lost")
			}
			k.Tick(now)
		})
	}
}

// lostRoute takes the server's present routes to the peer and says whether one that was there is there no more.
func (p *peer) lostRoute(now [link.Lanes][]uint64) (lost bool) {
	for i, was := range p.routes {
		if was != 0 && slices.Contains(now[i], was) {
			continue
		}
		lost = lost || was != 0
		p.routes[i] = 0
		if len(now[i]) > 0 {
			p.routes[i] = now[i][0]
		}
	}
	return lost
}

// Twin is the host of another process that has this node's number and is alive; empty if none was met. Those who know the other hear nothing
// of this one until the other is gone.
func (m *Mesh) Twin() string {
	if host := m.twin.Load(); host != nil {
		return *host
	}
	return ""
}

// routes are the server's numbers of the routes to each node, per lane. A node that was killed and came back has, for a moment, two.
func (m *Mesh) routes() map[message.NodeID][link.Lanes][]uint64 {
	all := map[message.NodeID][link.Lanes][]uint64{}
	z, err := m.server.Routez(nil)
	if err != nil {
		return all
	}
	for _, r := range z.Routes {
		n, ok := nodeOf(r.RemoteName)
		lane := slices.Index(laneNames[:], r.Account)
		if ok && n == m.o.Node {
			m.twin.Store(&r.IP)
		}
		if !ok || lane < 0 || n == m.o.Node {
			continue
		}
		lanes := all[n]
		lanes[lane] = append(lanes[lane], r.Rid)
		all[n] = lanes
	}
	return all
}
