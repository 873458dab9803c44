package sim

import (
	"strings"
	"time"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// nemesis lets a scenario's faults happen.
type nemesis struct {
	trial *trial
	armed []*armed // that wait for their moment
	over  bool
	ahead time.Duration // of the node's clock
	// shutdown: a clean end is due, which steps the world and can not come from within it.
	shutdown      bool
	afterShutdown time.Duration
	rotten        *Fault // and damage comes behind it
	backup        *backup
	worn          bool // the disk could not be read: a partition that met that too often is down until the node starts anew
	broken        bool // the disk has failed: partitions may be down for good until somebody starts the node anew
}

// armed is a fault and what has still to happen before it.
type armed struct {
	Fault
	skip int
}

// begin sets the faults' clocks.
func (n *nemesis) begin() {
	for _, f := range n.trial.scenario.Faults {
		n.trial.After(time.Duration(f.AtMillis)*time.Millisecond, func() {
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
	if n.trial.trace != nil && (err != nil || op != vfs.OpRead && op != vfs.OpStat && op != vfs.OpClose && op != vfs.OpOpen) {
		n.trial.Note("disk %s %s %v", op, path, err)
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

// told hears of every change that a client is told of.
func (n *nemesis) told() {
	if len(n.armed) > 0 {
		n.moment(news, "")
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
		if a.On.Micros == 0 {
			n.freeze(a.Kind)
		}
		n.trial.After(time.Duration(a.On.Micros)*time.Microsecond, func() {
			if !n.over {
				n.happen(a.Fault)
			}
		})
	}
	n.armed = kept
}

// freeze lets no more operation reach the disk: the node ends between this one and the next, though both may be one step
// of the world.
func (n *nemesis) freeze(kind FaultKind) {
	switch kind {
	case Power, PowerLoop:
		n.trial.node.Disk.Crash(n.trial.Rand("freeze")) // what is left is decided when the power goes
	case Kill, KillAndPower:
		n.trial.node.Disk.Keep()
	}
}

// happen lets one fault happen.
func (n *nemesis) happen(f Fault) {
	t, m := n.trial, n.trial.node
	t.Note("fault: %v", f)
	lasting := time.Duration(f.ForMillis) * time.Millisecond
	switch f.Kind {
	case Power:
		t.power()
		n.startAfter(lasting)
	case Kill:
		n.kill()
		n.startAfter(lasting)
	case PowerLoop:
		n.loop(f.Times, lasting)
	case KillAndPower:
		n.kill()
		t.start()
		n.later(lasting, func() { n.loop(0, lasting) })
	case Rot, Garbled, Misdirected:
		if !n.broken {
			n.shutdown, n.afterShutdown, n.rotten = true, lasting, &f
		}
	case Backup:
		n.keepBackup()
	case Restart:
		n.shutdown, n.afterShutdown = true, lasting
	case Pause:
		m.Pause()
		stage := m.Stage
		n.later(lasting, func() {
			if m.Stage == stage {
				m.Resume()
			}
		})
	case Clock:
		n.ahead += time.Duration(f.Amount) * time.Millisecond
		m.SetClock(n.ahead)
		t.history.Ahead = max(t.history.Ahead, n.ahead)
	case Cut:
		t.Net.Cut(m.ID)
	case Full:
		n.full(int64(f.Amount), lasting)
	case ReadOnly:
		m.Disk.SetReadOnly(true)
		n.later(lasting, func() { m.Disk.SetReadOnly(false) })
	case Slow, Hung:
		m.Slow(float64(f.Amount))
		n.later(lasting, func() { m.Slow(t.scenario.Disk.Slow) })
	default:
		n.breakDisk(f)
	}
}

// later calls unless the faults are over by then, when all of them are taken back anyway.
func (n *nemesis) later(d time.Duration, do func()) {
	n.trial.After(d, func() {
		if !n.over {
			do()
		}
	})
}

func (n *nemesis) startAfter(d time.Duration) { n.later(d, n.trial.start) }

// kill ends the process. Where a sync has failed before, the page cache shows what the disk does not have, the kernel calls
// it clean, and the next process cannot find out: it has to be right all the same.
func (n *nemesis) kill() { n.trial.node.Kill() }

// loop lets the power go again and again in the midst of recovery.
func (n *nemesis) loop(times int, lasting time.Duration) {
	n.trial.power()
	if times == 0 {
		n.startAfter(lasting)
		return
	}
	n.later(lasting, func() {
		n.trial.start()
		n.later(time.Duration(n.trial.Rand("nemesis").IntN(5000))*time.Microsecond, func() { n.loop(times-1, lasting) })
	})
}

func (n *nemesis) full(left int64, lasting time.Duration) {
	m := n.trial.node
	total, free, err := m.Disk.Usage()
	if err != nil {
		return
	}
	if n.trial.scenario.Disk.FullAtSync { // syncs fail
		n.fail()
	}
	m.Disk.SetCapacity(total - free + left)
	n.later(lasting, func() { m.Disk.SetCapacity(diskBytes) })
}

const diskBytes = 1 << 40

// fail notes that the disk fails.
func (n *nemesis) fail() {
	n.broken = true
	n.trial.history.DiskFailed()
}

var ops = map[FaultKind]vfs.Op{SyncError: vfs.OpSync, SyncDirError: vfs.OpSyncDir, WriteError: vfs.OpWrite, ShortWrite: vfs.OpWrite, ReadError: vfs.OpRead}

// breakDisk lets the disk's next operations on some files fail.
func (n *nemesis) breakDisk(f Fault) {
	if n.worn = true; f.Kind != ReadError {
		n.fail()
	}
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
	n.trial.node.Disk.SetRates(rates)
}

// end takes everything back that can be, and has a node started that is down, or whose disk has failed.
func (n *nemesis) end() {
	n.over, n.armed, n.rotten = true, nil, nil
	n.calm()
	n.trial.Net.Hurry()
	m := n.trial.node
	m.Slow(n.trial.scenario.Disk.Slow)
	m.Resume()
	if n.broken || n.worn {
		n.kill()
	}
	n.trial.start()
}

// calm makes the disk one without faults.
func (n *nemesis) calm() {
	disk := n.trial.node.Disk
	disk.SetRates(vfs.Rates{})
	disk.SetCapacity(diskBytes)
	disk.SetReadOnly(false)
}

// look does what cannot be done from within the world's own events.
func (n *nemesis) look() {
	if !n.shutdown {
		return
	}
	n.shutdown = false
	if m := n.trial.node; m.Up() {
		n.trial.Note("node %d shuts down", m.ID)
		err := m.Shutdown(shutdownPatience)
		if err != nil {
			n.trial.Note("node %d: %v", m.ID, err)
		}
		if n.rotten != nil && err == nil && !m.Up() && !n.broken {
			n.damage(*n.rotten)
		}
		n.startAfter(n.afterShutdown)
	}
	n.rotten = nil
}

const shutdownPatience = 20 * time.Second
