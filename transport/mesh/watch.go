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

// routes are the server's numbers of the routes to each node. A node that was killed and came back has, for a moment, two.
type routes map[message.NodeID][]uint64

// watch looks at routes and overdue links until the mesh is closed.
func (m *Mesh) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var all routes
	for look, were := 0, 0; ; look++ {
		select {
		case <-m.life.Done():
			return
		case now := <-ticker.C:
			if are := m.server.NumRoutes(); are != were || look%listEvery == 0 {
				all, were = m.routes(), are
			}
			m.look(now, all)
		}
	}
}

// look tells each link what became of its route, and the time.
func (m *Mesh) look(now time.Time, all routes) {
	for n := range all {
		m.peer(n)
	}
	for _, p := range m.all() {
		p.change(func(k *link.Link) {
			if p.lostRoute(all[p.node]) {
				k.Reset("its route was lost")
			}
			k.Tick(now)
		})
	}
}

// lostRoute takes the server's present routes to the peer and says whether one that was there is there no more.
func (p *peer) lostRoute(now []uint64) bool {
	was := p.route
	if was != 0 && slices.Contains(now, was) {
		return false
	}
	p.route = 0
	if len(now) > 0 {
		p.route = now[0]
	}
	return was != 0
}

// Twin is the host of another process that has this node's number and is alive; empty if none was met. Those who know the other hear nothing
// of this one until the other is gone.
func (m *Mesh) Twin() string {
	if host := m.twin.Load(); host != nil {
		return *host
	}
	return ""
}

func (m *Mesh) routes() routes {
	all := routes{}
	z, err := m.server.Routez(nil)
	if err != nil {
		return all
	}
	for _, r := range z.Routes {
		n, ok := nodeOf(r.RemoteName)
		switch {
		case ok && n == m.o.Node:
			m.twin.Store(&r.IP)
		case ok:
			all[n] = append(all[n], r.Rid)
		}
	}
	return all
}
