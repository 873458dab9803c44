package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Fault is something that goes wrong: at a time, or, where On is set, at a moment that the nemesis waits for from then on.
type Fault struct {
	Kind     FaultKind
	AtMillis int
	// Node is whom it is done to, where Who does not say it otherwise: 0 is the first. Peer is at the other end of a link.
	Node, Peer message.NodeID `json:",omitempty"`
	Who        string         `json:",omitempty"`
	On         *Probe         `json:",omitempty"`
	// ForMillis is how long it lasts: a node is down, a disk is slow.
	ForMillis int `json:",omitempty"`
	// Times is how often: crashes of a crash loop, operations that fail.
	Times int `json:",omitempty"`
	// Amount is how much: milliseconds that a clock jumps, or drifts in all, or a link takes longer, bytes that are left on a disk or that a link
	// takes in a second, times that a disk is slower, a bit for each node that is in the upper half, milliseconds that a node has
	// another disk.
	Amount int `json:",omitempty"`
	// Path says which files suffer.
	Path string `json:",omitempty"`
}

// Probe is a moment: the Skip-and-first operation of a kind on a path, and some time behind it.
type Probe struct {
	Op     vfs.Op `json:",omitempty"` // empty: a client is told that a batch is durable
	Path   string `json:",omitempty"` // a part of it
	Skip   int    `json:",omitempty"`
	Micros int    `json:",omitempty"`
}

// FaultKind is what goes wrong.
type FaultKind string

// The kinds. Power takes what was not synced, a kill does not.
const (
	Power     FaultKind = "power"
	Kill      FaultKind = "kill"
	PowerLoop FaultKind = "power-loop" // and again, in the midst of recovery
	// KillAndPower lets the power go soon after a kill: what the page cache still had, and nobody has synced, is gone then.
	KillAndPower FaultKind = "kill-and-power"
	Restart      FaultKind = "restart" // a clean shutdown
	Pause        FaultKind = "pause"
	Clock        FaultKind = "clock"
	Cut          FaultKind = "cut" // every connection is reset

	SyncError    FaultKind = "sync-error"
	SyncDirError FaultKind = "sync-dir-error"
	WriteError   FaultKind = "write-error"
	ShortWrite   FaultKind = "short-write"
	ReadError    FaultKind = "read-error"
	Full         FaultKind = "full"
	ReadOnly     FaultKind = "read-only"
	Slow         FaultKind = "slow"
	Hung         FaultKind = "hung"

	Rot         FaultKind = "rot"         // of what is cold: a clean shutdown comes before it
	Garbled     FaultKind = "garbled"     // a sector of what is cold is noise
	Misdirected FaultKind = "misdirected" // a sector of what is cold has what was meant for another place of the file
	Backup      FaultKind = "backup"      // in the end the disk is as it was then
)

// What goes wrong in a cluster.
const (
	Blackout FaultKind = "blackout" // every node loses power at once
	Wipe     FaultKind = "wipe"     // a node loses power and its disk, and comes back with an empty one
	Replace  FaultKind = "replace"  // and, after a while, with the one that was taken out

	Sever   FaultKind = "sever"   // nothing passes between a node and its peer
	OneWay  FaultKind = "one-way" // nothing passes from a node to its peer
	Isolate FaultKind = "isolate" // nothing passes between a node and all others
	Mute    FaultKind = "mute"    // nothing passes from a node to the others
	Deafen  FaultKind = "deafen"  // nothing passes from the others to a node
	Halves  FaultKind = "halves"  // nothing passes from one half of the nodes to the other
	Lag     FaultKind = "lag"     // a node's links take longer
	Narrow  FaultKind = "narrow"  // a node's links take few bytes
	Clog    FaultKind = "clog"    // no bulk passes from a node
	Unlink  FaultKind = "unlink"  // the connection between a node and its peer is reset

	Ring     FaultKind = "ring"      // each node reaches its two neighbours alone
	Bridge   FaultKind = "bridge"    // nothing passes from one half to the other, but one node reaches both
	Swizzle  FaultKind = "swizzle"   // a node's links are cut one after the other, and come back in another order
	Jitter   FaultKind = "jitter"    // a node's links take longer, each letter as long as it likes
	Starve   FaultKind = "starve"    // no credits come back to a node
	HalfOpen FaultKind = "half-open" // a connection is lost, and only the node hears of it: its peer finds out by the silence
	Drift    FaultKind = "drift"     // a node's clock goes wrong little by little
)

func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %d ms", f.Kind, f.AtMillis)
	switch {
	case f.Who != "":
		fmt.Fprintf(&b, ", of the %s", f.Who)
	case f.Node > 0:
		fmt.Fprintf(&b, ", of node %d", f.Node)
	}
	if f.Peer > 0 {
		fmt.Fprintf(&b, " to node %d", f.Peer)
	}
	if f.On != nil {
		fmt.Fprintf(&b, ", %d us after %s %s (%d more first)", f.On.Micros, f.On.Op, f.On.Path, f.On.Skip)
	}
	if f.Path != "" {
		fmt.Fprintf(&b, ", of %s", f.Path)
	}
	if f.ForMillis > 0 {
		fmt.Fprintf(&b, ", for %d ms", f.ForMillis)
	}
	if f.Times > 0 {
		fmt.Fprintf(&b, ", %d times", f.Times)
	}
	if f.Amount != 0 {
		fmt.Fprintf(&b, ", by %d", f.Amount)
	}
	return b.String()
}

// mixes are what goes wrong together in one world.
var mixes = [][]FaultKind{
	{},
	{Power},
	{Power, Kill, PowerLoop, KillAndPower},
	{Power, Kill, Restart, Pause, Clock, Cut},
	{Kill, Power, SyncError, SyncDirError},
	{Power, WriteError, ShortWrite, SyncError},
	{Power, Full, ReadOnly, Slow, Hung},
	{Cut, Pause, Slow},
	{Power, Cut, Slow},
	{Power, Power, Cut, Hung, Slow},
	{Rot, Garbled, Misdirected, Power},
	{ReadError, Power, Restart},
	{Backup, Power, Kill, Restart},
}

// shares says how often each mix is drawn.
var shares = []int{1, 5, 5, 3, 4, 3, 3, 1, 3, 3, 2, 1, 1}

func (s *Scenario) drawFaults(r *rand.Rand) {
	mix := mixes[weighted(r, shares)]
	if len(mix) == 0 {
		return
	}
	for range 1 + r.IntN(4) {
		s.Faults = append(s.Faults, s.drawFault(r, mix[r.IntN(len(mix))]))
	}
}

func weighted(r *rand.Rand, shares []int) int {
	sum := 0
	for _, n := range shares {
		sum += n
	}
	at := r.IntN(sum)
	for i, n := range shares {
		if at -= n; at < 0 {
			return i
		}
	}
	return 0
}

func (s *Scenario) drawFault(r *rand.Rand, kind FaultKind) Fault {
	f := Fault{Kind: kind, AtMillis: r.IntN(s.Millis), ForMillis: some(r, 1, 10, 50, 200)}
	switch kind {
	case Power, Blackout, Kill, PowerLoop, KillAndPower, SyncError, WriteError:
		if r.IntN(3) > 0 {
			f.On = drawProbe(r)
		}
	}
	switch kind {
	case KillAndPower:
		f.ForMillis = 1 + r.IntN(40)
		if r.IntN(2) == 0 {
			f.On = &Probe{Op: vfs.OpWrite, Path: "journal/", Skip: some(r, 0, 1, 3, 10)}
		}
	case PowerLoop:
		f.Times = 1 + r.IntN(4)
	case Clock:
		f.Amount = some(r, -2000, -100, 100, 1000, 3000)
	case SyncError, SyncDirError, WriteError, ShortWrite, ReadError:
		f.Times = some(r, 1, 1, 2, 5)
		f.Path = pick(r, "", "", "journal/", "topics/", "metadata/", ".log")
	case Full:
		f.Amount = some(r, 0, 1000, 20000)
	case Slow:
		f.Amount = some(r, 5, 50, 200)
	case Hung:
		f.Amount, f.ForMillis = 1000, some(r, 50, 300)
	case Rot, Garbled, Misdirected:
		f.Times = 1 + r.IntN(3)
		f.Path = pick(r, ".log", ".log", ".log", ".index", "epochs", "producers", "journal/", "checkpoint", "metadata/")
	}
	return f
}

// news is the moment at which a client is told of a change that must last: a topic is there, or gone, or larger, a config
// has changed, records are deleted.
const news vfs.Op = "news"

// Moments in the life of a cluster.
const (
	leads     vfs.Op = "leads"     // a node becomes the leader of a partition
	changing  vfs.Op = "isr"       // a leader has asked for another in-sync set
	snapshots vfs.Op = "snapshots" // the quorum's leader sends a snapshot
	adding    vfs.Op = "adding"    // a reassignment adds a replica
)

// gatherings are those moments, and the one between a cut and its sync.
var gatherings = []Probe{{Op: leads}, {Op: leads}, {Op: changing}, {Op: changing}, {Op: snapshots}, {Op: adding}, {Op: vfs.OpTruncate, Path: "topics/"}}

// families are moments at which a broker is in the middle of something, by what it is; each is drawn equally often.
var families = [][]Probe{
	{{}}, // what was just acknowledged is what must not be lost
	{{Op: news}},
	{{Op: vfs.OpWrite, Path: "journal/"}}, // what is torn there is what recovery rests on
	{{Op: vfs.OpSync, Path: "journal/"}, {Op: vfs.OpCreate, Path: "journal/"}, {Op: vfs.OpRename, Path: "checkpoint"}},
	{{Op: vfs.OpSync, Path: "topics/"}, {Op: vfs.OpWrite, Path: "topics/"}, {Op: vfs.OpCreate, Path: "topics/"}},
	{{Op: vfs.OpRename, Path: "topics/"}, {Op: vfs.OpRemove, Path: "topics/"}, {Op: vfs.OpTruncate}, {Op: vfs.OpSyncDir}},
	{{Op: vfs.OpRename, Path: "metadata/"}, {Op: vfs.OpWrite, Path: "metadata/"}},
}

func drawProbe(r *rand.Rand) *Probe {
	family := families[r.IntN(len(families))]
	p := family[r.IntN(len(family))]
	p.Skip, p.Micros = some(r, 0, 0, 1, 3, 10), some(r, 0, 0, 0, 1, 50, 1000)
	return &p
}
