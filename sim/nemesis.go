package sim

import (
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// nemesis lets a scenario's faults happen.
type nemesis struct {
	trial  *trial
	armed  []*armed // that wait for their moment
	over   bool
	backup *backup
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

// operated hears of every operation on a node's disk.
func (n *nemesis) operated(h *host, name string, op vfs.Op, path string, err error) {
	if n.trial.trace != nil && (err != nil || op != vfs.OpRead && op != vfs.OpStat && op != vfs.OpClose && op != vfs.OpOpen) {
		n.trial.Note("%s %s %s %v", name, op, path, err)
	}
	if len(n.armed) > 0 {
		n.moment(h, op, path)
	}
}

// acked hears of every batch that a client is told to be durable.
func (n *nemesis) acked() {
	if len(n.armed) > 0 {
		n.moment(nil, "", "")
	}
}

// told hears of every change that a client is told of.
func (n *nemesis) told() {
	if len(n.armed) > 0 {
		n.moment(nil, news, "")
	}
}

// cue hears of a moment in the life of the cluster, and whose it is: Nobody's is none.
func (n *nemesis) cue(what vfs.Op, of message.NodeID) {
	if len(n.armed) > 0 && of > 0 {
		n.moment(n.trial.hosts[of-1], what, "")
	}
}

// moment fires the faults that have waited for it: on their own node, or, where they say so, on whose it is.
func (n *nemesis) moment(h *host, op vfs.Op, path string) {
	kept := n.armed[:0]
	for _, a := range n.armed {
		if a.On.Op != op || !strings.Contains(path, a.On.Path) || h != nil && a.Who != OfMoment && h != n.victim(a.Fault) {
			kept = append(kept, a)
			continue
		}
		if a.skip--; a.skip >= 0 {
			kept = append(kept, a)
			continue
		}
		if a.Who == OfMoment && h != nil {
			a.Who, a.Node = "", h.ID
		}
		if a.On.Micros == 0 {
			n.freeze(&a.Fault)
		}
		n.trial.After(time.Duration(a.On.Micros)*time.Microsecond, func() {
			if !n.over {
				n.thaw(a.Fault)
				n.happen(a.Fault)
			}
		})
	}
	n.armed = kept
}

// freeze lets no more operation reach the disk: the node ends between this one and the next, though both may be one step
// of the world. Whose it is now, whoever leads by then, is the one that ends.
func (n *nemesis) freeze(f *Fault) {
	f.Who, f.Node = "", n.victim(*f).ID
	for _, h := range n.struck(*f) {
		switch f.Kind {
		case Power, PowerLoop, Blackout:
			h.frozen = f.Kind
			h.Disk.Crash(n.trial.Rand("freeze")) // what is left is decided when the power goes
		case Kill, KillAndPower:
			h.frozen = f.Kind
			h.Disk.Keep()
		}
	}
}

// struck are the nodes that a fault befalls.
func (n *nemesis) struck(f Fault) []*host {
	if f.Kind == Blackout {
		return n.trial.hosts
	}
	return []*host{n.victim(f)}
}

// thaw: what the disks were frozen for happens now.
func (n *nemesis) thaw(f Fault) {
	for _, h := range n.struck(f) {
		h.frozen = ""
	}
}

// release ends nodes whose disks are frozen when the faults are over before the next step: nobody else would.
func (n *nemesis) release(h *host) {
	switch h.frozen {
	case "":
	case Kill, KillAndPower:
		h.Kill()
	default:
		n.trial.power(h)
	}
	h.frozen = ""
}

// happen lets one fault happen.
func (n *nemesis) happen(f Fault) {
	t, h := n.trial, n.victim(f)
	t.Note("fault: %v", f)
	lasting := time.Duration(f.ForMillis) * time.Millisecond
	switch f.Kind {
	case Power:
		t.power(h)
		n.startAfter(h, lasting)
	case Blackout:
		n.blackout(lasting)
	case Wipe:
		n.wipe(h, lasting)
	case Replace:
		n.replace(h, f, lasting)
	case Kill:
		h.Kill()
		n.startAfter(h, lasting)
	case PowerLoop:
		n.loop(h, f.Times, lasting)
	case KillAndPower:
		h.Kill()
		t.start(h)
		n.later(lasting, func() { n.loop(h, 0, lasting) })
	case Rot, Garbled, Misdirected:
		if !h.broken {
			h.shutdown, h.afterShutdown, h.rotten = true, lasting, &f
		}
	case Backup:
		n.keepBackup(h)
	case Restart:
		h.shutdown, h.afterShutdown = true, lasting
	case Pause:
		n.pause(h, lasting)
	case Clock:
		n.skew(h, time.Duration(f.Amount)*time.Millisecond)
	case Drift:
		n.drift(h, time.Duration(f.Amount)*time.Millisecond, lasting)
	case Cut:
		t.Net.Cut(h.ID)
	case Full:
		n.full(h, int64(f.Amount), lasting)
	case ReadOnly:
		h.Disk.SetReadOnly(true)
		n.later(lasting, func() { h.Disk.SetReadOnly(false) })
	case Slow, Hung:
		h.Slow(float64(f.Amount))
		n.later(lasting, func() { h.Slow(t.scenario.Disk.Slow) })
	case SyncError, SyncDirError, WriteError, ShortWrite, ReadError:
		n.breakDisk(h, f)
	default:
		n.breakLinks(h, f, lasting)
	}
}

// skew lets a node's clock be that much further ahead.
func (n *nemesis) skew(h *host, by time.Duration) {
	h.ahead += by
	h.SetClock(h.ahead)
	n.trial.history.Ahead = max(n.trial.history.Ahead, h.ahead)
}

// drift does so little by little.
func (n *nemesis) drift(h *host, by, lasting time.Duration) {
	const steps = 20
	for i := range steps {
		n.later(lasting*time.Duration(i)/steps, func() { n.skew(h, by/steps) })
	}
}

func (n *nemesis) pause(h *host, lasting time.Duration) {
	h.Pause()
	stage := h.Stage
	n.later(lasting, func() {
		if h.Stage == stage {
			h.Resume()
		}
	})
}

// blackout lets the power of every node go at once.
func (n *nemesis) blackout(lasting time.Duration) {
	for _, h := range n.trial.hosts {
		n.trial.power(h)
		n.startAfter(h, lasting)
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

func (n *nemesis) startAfter(h *host, d time.Duration) {
	n.later(d, func() { n.trial.start(h) })
}

// loop lets the power go again and again in the midst of recovery.
func (n *nemesis) loop(h *host, times int, lasting time.Duration) {
	n.trial.power(h)
	if times == 0 {
		n.startAfter(h, lasting)
		return
	}
	n.later(lasting, func() {
		n.trial.start(h)
		n.later(time.Duration(n.trial.Rand("nemesis").IntN(5000))*time.Microsecond, func() { n.loop(h, times-1, lasting) })
	})
}

func (n *nemesis) full(h *host, left int64, lasting time.Duration) {
	total, free, err := h.Disk.Usage()
	if err != nil {
		return
	}
	if n.trial.scenario.Disk.FullAtSync { // syncs fail
		n.fail(h)
	}
	h.Disk.SetCapacity(total - free + left)
	n.later(lasting, func() { h.Disk.SetCapacity(diskBytes) })
}

const diskBytes = 1 << 40

// fail notes that a node's disk fails.
func (n *nemesis) fail(h *host) {
	h.broken = true
	n.trial.history.DiskFailed()
}

var ops = map[FaultKind]vfs.Op{SyncError: vfs.OpSync, SyncDirError: vfs.OpSyncDir, WriteError: vfs.OpWrite, ShortWrite: vfs.OpWrite, ReadError: vfs.OpRead}

// breakDisk lets the disk's next operations on some files fail.
func (n *nemesis) breakDisk(h *host, f Fault) {
	if h.worn = true; f.Kind != ReadError {
		n.fail(h)
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
	h.Disk.SetRates(rates)
}

// end takes everything back that can be, and has nodes started that are down, or whose disks have failed.
func (n *nemesis) end() {
	n.over, n.armed = true, nil
	n.trial.Net.Hurry()
	n.trial.Mesh.Heal()
	for _, h := range n.trial.hosts {
		h.rotten = nil
		n.release(h)
		h.calm()
		h.Slow(n.trial.scenario.Disk.Slow)
		h.Resume()
		// Where a sync has failed before, the page cache shows what the disk does not have, the kernel calls it clean, and the
		// next process cannot find out: it has to be right all the same.
		if h.broken || h.worn {
			h.Kill()
		}
		n.trial.start(h)
	}
}

// calm makes the disk one without faults.
func (h *host) calm() {
	h.Disk.SetRates(vfs.Rates{})
	h.Disk.SetCapacity(diskBytes)
	h.Disk.SetReadOnly(false)
}

// look does what cannot be done from within the world's own events.
func (n *nemesis) look() {
	for _, h := range n.trial.hosts {
		if h.shutdown {
			n.shutDown(h)
		}
	}
}

func (n *nemesis) shutDown(h *host) {
	h.shutdown = false
	if h.Up() {
		n.trial.Note("node %d shuts down", h.ID)
		err := h.Shutdown(shutdownPatience)
		if err != nil {
			n.trial.Note("node %d: %v", h.ID, err)
		}
		if h.rotten != nil && err == nil && !h.Up() && !h.broken {
			n.damage(h, *h.rotten)
		}
		n.startAfter(h, h.afterShutdown)
	}
	h.rotten = nil
}

const shutdownPatience = 20 * time.Second
