package sim

import (
	"log/slog"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/node"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/transport/kafka"
)

// machine is a node: its disk, and, while it runs, the stage with its actors.
type machine struct {
	id     message.NodeID
	world  *world
	config *node.Config
	disk   *vfs.MemoryFS

	stage       *stage.Simulated // nil: it is down
	incarnation uint64
	sessions    *kafka.Sessions
	wires       []*wire // of the incarnation
	dialled     uint64
	paused      bool
	stopping    bool
	ahead       time.Duration // of its clock
	slow        float64
}

// start raises the node from its disk.
func (m *machine) start() {
	if m.stage != nil {
		return
	}
	m.incarnation++
	m.world.note("node %d starts, for the %d. time", m.id, m.incarnation)
	m.world.history.Started()
	layers := m.config.Layers()
	open := int(layers.Number("files.open.max"))
	if open == 0 {
		open = filesOpenMax
	}
	m.stage = stage.NewSimulated(m.world.scheduler, stage.Options{Node: m.id, FS: vfs.Cached(m.disk, open), Log: m.log()}, m.incarnation)
	m.stage.SetClock(m.ahead)
	m.stage.Slow(m.slow)
	m.sessions = kafka.NewSessions(int(layers.Number("max.incremental.fetch.session.cache.slots")))
	node.Raise(m.stage, node.Parts{Config: m.config, Parallel: 1})
}

const filesOpenMax = 256

// log is where the node's actors write: nobody reads it unless there is a trace, or something is wrong.
func (m *machine) log() *slog.Logger { return slog.New(&complaints{world: m.world}) }

// power is a loss of power: what was not synced is lost, torn or kept, as chance has it.
func (m *machine) power() {
	m.world.note("node %d loses power", m.id)
	m.down()
	m.disk = m.disk.Crash(m.world.Rand("crash"))
	m.world.history.PowerLoss()
}

// kill is the process's end; what it wrote stays in the page cache.
func (m *machine) kill() {
	m.world.note("node %d is killed", m.id)
	m.down()
	m.disk = m.disk.Keep()
}

func (m *machine) down() {
	if m.stage != nil {
		m.stage.Crash()
		m.stage = nil
	}
	m.paused, m.stopping, m.world.frames = false, false, 0
	for _, w := range m.wires {
		w.cut()
	}
	m.wires = nil
}

// shutdown is a clean end; done is called when the node is down.
func (m *machine) shutdown(done func()) {
	if m.stage == nil || m.stopping {
		done()
		return
	}
	m.world.note("node %d shuts down", m.id)
	m.stopping = true
	s := m.stage
	s.Stop(message.BrokerAt(m.id))
	m.stopPartitions(s, func() {
		s.Ask(message.DiskAt(m.id), &message.Flushed{}, closePatience, func(any) {
			if s == m.stage && m.stopping {
				m.down()
				m.disk = m.disk.Keep()
			}
			done()
		})
	})
}

const closePatience = 20 * time.Second

// stopPartitions calls done when every replica is gone: what is asked of one behind its stop is answered with Down.
func (m *machine) stopPartitions(s *stage.Simulated, done func()) {
	left := 1
	gone := func(any) {
		if left--; left == 0 {
			done()
		}
	}
	for _, a := range s.Actors() {
		if a.Kind == message.KindPartition {
			left++
			s.Stop(a)
			s.Ask(a, &message.DescribeProducers{}, closePatience, gone)
		}
	}
	gone(nil)
}

func (m *machine) pause(d time.Duration) {
	if m.stage == nil || m.paused {
		return
	}
	m.world.note("node %d is paused for %v", m.id, d)
	s := m.stage
	s.Pause()
	m.paused = true
	m.world.After(d, func() { m.resume(s) })
}

func (m *machine) resume(s *stage.Simulated) {
	if m.stage == s && m.paused && s != nil {
		m.paused = false
		s.Resume()
	}
}

// setSlow lets the disk be that many times slower.
func (m *machine) setSlow(factor float64) {
	m.slow = factor
	if m.stage != nil {
		m.stage.Slow(factor)
	}
}

// jump sets the node's clock.
func (m *machine) jump(d time.Duration) {
	m.world.note("node %d's clock jumps by %v", m.id, d)
	m.ahead += d
	if m.stage != nil {
		m.stage.SetClock(m.ahead)
	}
}
