package sim

import (
	"strings"
	"time"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// nemesis lets a scenario's faults happen.
type nemesis struct {
	world  *world
	armed  []*armed // that wait for their moment
	over   bool
	broken bool // the disk has failed: partitions may be down for good until somebody starts the node anew
}

// armed is a fault and what has still to happen before it.
type armed struct {
	Fault
	skip int
}

// begin sets the faults' clocks.
func (n *nemesis) begin() {
	for _, f := range n.world.scenario.Faults {
		n.world.After(time.Duration(f.AtMillis)*time.Millisecond, func() {
			switch {
			case n.over:
			case f.On != nil:
				n.armed = append(n.armed, &armed{f, f.On.Skip})
			default:
				n.happen(f)
			}
		})
	}
}

// operated hears of every operation on the disk.
func (n *nemesis) operated(op vfs.Op, path string, _ int64, _ int, err error) {
	if n.world.trace != nil && (err != nil || op != vfs.OpRead && op != vfs.OpStat && op != vfs.OpClose && op != vfs.OpOpen) {
		n.world.note("disk %s %s %v", op, path, err)
	}
	if len(n.armed) > 0 {
		n.moment(op, path)
	}
}

// acked hears of every batch that a client is told to be durable.
func (n *nemesis) acked() {
	if len(n.armed) > 0 {
		n.moment("", "")
	}
}

// moment fires the faults that have waited for it.
func (n *nemesis) moment(op vfs.Op, path string) {
	kept := n.armed[:0]
	for _, a := range n.armed {
		if a.On.Op != op || !strings.Contains(path, a.On.Path) {
			kept = append(kept, a)
			continue
		}
		if a.skip--; a.skip >= 0 {
			kept = append(kept, a)
			continue
		}
		n.world.After(time.Duration(a.On.Micros)*time.Microsecond, func() {
			if !n.over {
				n.happen(a.Fault)
			}
		})
	}
	n.armed = kept
}

// happen lets one fault happen.
func (n *nemesis) happen(f Fault) {
	w, m := n.world, n.world.node
	w.note("fault: %v", f)
	lasting := time.Duration(f.ForMillis) * time.Millisecond
	switch f.Kind {
	case Power:
		m.power()
		n.startAfter(lasting)
	case Kill:
		m.kill()
		n.startAfter(lasting)
	case PowerLoop:
		n.loop(f.Times, lasting)
	case Restart:
		m.shutdown(func() { n.startAfter(lasting) })
	case Pause:
		m.pause(lasting)
	case Clock:
		m.jump(time.Duration(f.Amount) * time.Millisecond)
	case Cut:
		n.cut()
	case Full:
		n.full(int64(f.Amount), lasting)
	case ReadOnly:
		m.disk.SetReadOnly(true)
		n.later(lasting, func() { m.disk.SetReadOnly(false) })
	case Slow, Hung:
		m.setSlow(float64(f.Amount))
		n.later(lasting, func() { m.setSlow(w.scenario.Disk.Slow) })
	default:
		n.breakDisk(f)
	}
}

// later calls unless the faults are over by then, when all of them are taken back anyway.
func (n *nemesis) later(d time.Duration, do func()) {
	n.world.After(d, func() {
		if !n.over {
			do()
		}
	})
}

func (n *nemesis) startAfter(d time.Duration) { n.later(d, n.world.node.start) }

// loop lets the power go again and again in the midst of recovery.
func (n *nemesis) loop(times int, lasting time.Duration) {
	n.world.node.power()
	if times == 0 {
		n.startAfter(lasting)
		return
	}
	n.later(lasting, func() {
		n.world.node.start()
		n.later(time.Duration(n.world.Rand("nemesis").IntN(5000))*time.Microsecond, func() { n.loop(times-1, lasting) })
	})
}

func (n *nemesis) cut() {
	m := n.world.node
	for _, c := range m.wires {
		if !c.over {
			c.hangUp()
		}
	}
	m.wires = nil
}

func (n *nemesis) full(left int64, lasting time.Duration) {
	m := n.world.node
	total, free, err := m.disk.Usage()
	if err != nil {
		return
	}
	m.disk.SetCapacity(total - free + left)
	n.later(lasting, func() { m.disk.SetCapacity(diskBytes) })
}

const diskBytes = 1 << 40

var ops = map[FaultKind]vfs.Op{SyncError: vfs.OpSync, SyncDirError: vfs.OpSyncDir, WriteError: vfs.OpWrite, ShortWrite: vfs.OpWrite, ReadError: vfs.OpRead}

// breakDisk lets the disk's next operations on some files fail.
func (n *nemesis) breakDisk(f Fault) {
	n.broken = true
	n.world.history.DiskFailed()
	rates := vfs.Rates{}
	left := f.Times
	op := ops[f.Kind]
	rates.Where = func(o vfs.Op, path string) bool {
		if o != op || left == 0 || !strings.Contains(path, f.Path) {
			return false
		}
		left--
		return true
	}
	switch f.Kind {
	case SyncError:
		rates.Sync = 1
	case SyncDirError:
		rates.SyncDir = 1
	case WriteError:
		rates.Write = 1
	case ShortWrite:
		rates.Short = 1
	case ReadError:
		rates.Read = 1
	}
	n.world.node.disk.SetRates(rates)
}

// end takes everything back that can be, and has a node started that is down, or whose disk has failed.
func (n *nemesis) end() {
	n.over, n.armed = true, nil
	m := n.world.node
	m.disk.SetRates(vfs.Rates{})
	m.disk.SetCapacity(diskBytes)
	m.disk.SetReadOnly(false)
	m.setSlow(n.world.scenario.Disk.Slow)
	m.resume(m.stage)
	if n.broken || m.stopping {
		m.kill()
	}
	m.start()
}
