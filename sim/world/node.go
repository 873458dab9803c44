package world

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/node"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/transport/kafka"
)

// Node is one broker of a world: a disk that outlives crashes, and the incarnation that runs on it, if there is one.
type Node struct {
	ID message.NodeID
	// Disk is the disk as it is now. A crash replaces it.
	Disk *vfs.MemoryFS
	// Stage is the incarnation that runs; nil while the node is down.
	Stage *stage.Simulated
	// Incarnation numbers the starts, from 1 on.
	Incarnation uint64

	world   *World
	config  *node.Config
	serving bool
	paused  bool
	ahead   time.Duration
	slow    float64
	options vfs.MemoryOptions // of its disks
	drive   byte              // the number of the one that it has
	drives  byte              // how many it had before its newest
	founded bool              // it has had a part in that, and may not again
}

// filesOpenMax is how many files a simulated node keeps open unless files.open.max says otherwise: few, so that they are
// closed and opened again in the midst of things.
const filesOpenMax = 24

// Add makes a node that is down. settings are a broker's; what names it is filled in. disk must take its chance from a
// stream of the world; if it does not say how long it takes, it is a fast one.
func (w *World) Add(id message.NodeID, settings map[string]string, disk vfs.MemoryOptions) (*Node, error) {
	given := maps.Clone(settings)
	if given == nil {
		given = map[string]string{}
	}
	given["node.id"] = strconv.Itoa(int(id))
	given["listeners"] = "PLAINTEXT://127.0.0.1:9092"
	config, err := node.NewConfig(given)
	if err != nil {
		return nil, err
	}
	disk.Now = w.Time.Now
	disk = timed(disk)
	n := &Node{ID: id, Disk: vfs.Memory(disk), world: w, config: config, options: disk}
	w.nodes = append(w.nodes, n)
	return n, nil
}

// Nodes are the world's, in the order they were added.
func (w *World) Nodes() []*Node { return w.nodes }

// Up says that the node runs, paused or not.
func (n *Node) Up() bool { return n.Stage != nil }

// Serving says that the running incarnation has said that every partition is started.
func (n *Node) Serving() bool { return n.Stage != nil && n.serving }

// servingPatience is how long a node may take until it serves; a real one gives up after as long.
const servingPatience = 2 * time.Minute

// Start starts the node: it takes its directory, raises its actors and lets clients in. An error is the directory's, and the
// node is down still.
func (n *Node) Start() error {
	if n.Up() {
		return nil
	}
	if err := n.claim(); err != nil {
		return fmt.Errorf("node %d: %w", n.ID, err)
	}
	n.Incarnation++
	s := n.newStage()
	s.SetDelay(n.Disk.TakeDelay)
	s.SetClock(n.ahead)
	s.Slow(n.slow)
	n.Stage, n.serving = s, false
	node.Raise(s, node.Parts{Config: n.config, Parallel: 1, Contacts: n.world.contacts(), Directory: n.Directory()})
	n.world.Net.Open(s, n.door(), n.limits())
	n.awaitServing(s)
	return nil
}

// claim takes the disk. The first one of a founder is founded at its first start; an empty one that comes in its place is not.
func (n *Node) claim() error {
	if _, err := node.Claim(n.Disk, n.ID, n.Directory()); err != nil || n.founded {
		return err
	}
	n.founded = true
	if voters := n.world.voters(n); voters != nil {
		return controller.Found(n.Disk, voters)
	}
	return nil
}

// Directory is the id of the data directory: another on every disk.
func (n *Node) Directory() message.TopicID { return directory(n.ID, n.drive) }

func directory(id message.NodeID, drive byte) message.TopicID {
	return message.TopicID{0: 'd', 1: byte(id), 3: drive}
}

// newStage is the next incarnation's, with its way to the other nodes if there are any.
func (n *Node) newStage() *stage.Simulated {
	o := stage.Options{Node: n.ID, FS: n.files(), Log: n.log()}
	if n.world.opts.Cluster <= 1 {
		return stage.NewSimulated(n.world.Time, o, n.Incarnation)
	}
	port := n.world.Mesh.Port(n.ID)
	o.Post = port
	s := stage.NewSimulated(n.world.Time, o, n.Incarnation)
	port.Join(s)
	return s
}

func (n *Node) files() vfs.FS {
	most := filesOpenMax
	if v := n.config.Layers().Number("files.open.max"); v > 0 {
		most = int(v)
	}
	return vfs.Cached(n.Disk, most)
}

func (n *Node) log() *slog.Logger {
	if n.world.opts.Log == nil {
		return nil
	}
	return n.world.opts.Log.With("node", n.ID, "incarnation", n.Incarnation)
}

func (n *Node) door() kafka.Options {
	l := n.config.Layers()
	log := n.log()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return kafka.Options{Node: n.ID, Listener: n.config.Listeners[0].Name, Static: n.config.Values, Log: log,
		Sessions: kafka.NewSessions(int(l.Number("max.incremental.fetch.session.cache.slots")))}
}

func (n *Node) limits() kafka.Limits {
	return kafka.Limits{RequestBytes: int(n.config.Layers().Number("socket.request.max.bytes"))}
}

// awaitServing asks until it is so: the broker actor may fail and start again meanwhile.
func (n *Node) awaitServing(s *stage.Simulated) {
	s.Ask(message.BrokerAt(n.ID), &message.AwaitServing{}, servingPatience, func(answer any) {
		if n.Stage != s {
			return
		}
		said, ok := answer.(*message.Serving)
		if n.serving = ok && said.Code == message.OK; !n.serving {
			n.world.After(100*time.Millisecond, func() {
				if n.Stage == s {
					n.awaitServing(s)
				}
			})
		}
	})
}

// PowerOff is a loss of power: the incarnation is gone in the middle of whatever it did, its disk has lost what was not
// synced, or some of it, and its clients hear nothing.
func (n *Node) PowerOff() {
	n.gone(true)
	n.Disk = n.Disk.Crash(n.world.Rand(fmt.Sprintf("power of %d", n.ID)))
}

// Kill ends the process: what it wrote is in the page cache, and its clients hear that it is gone.
func (n *Node) Kill() {
	n.gone(false)
	n.Disk = n.Disk.Keep()
}

func (n *Node) gone(silent bool) {
	n.world.Net.Close(n.ID, silent)
	n.world.Mesh.Leave(n.ID, silent)
	if n.Stage != nil {
		n.Stage.Crash()
	}
	n.Stage, n.serving, n.paused = nil, false, false
}

// Drive is a disk with what is on it, in the node or out of it.
type Drive struct {
	disk   *vfs.MemoryFS
	number byte
}

// Drive is the disk that the node has.
func (n *Node) Drive() Drive { return Drive{n.Disk, n.drive} }

// Wipe puts an empty disk into the place of that of a node that is down.
func (n *Node) Wipe() {
	n.drives++
	n.Mount(Drive{vfs.Memory(n.options), n.drives})
}

// Mount puts a disk into the place of that of a node that is down: one that it had before.
func (n *Node) Mount(d Drive) { n.Disk, n.drive, n.founded = d.disk, d.number, true }

// timed is a disk that takes its time: like a fast one, unless it says itself how long it takes.
func timed(disk vfs.MemoryOptions) vfs.MemoryOptions {
	if disk.Latency == nil {
		disk.Latency = latency
	}
	return disk
}

func latency(op vfs.Op, _ string, n int) time.Duration {
	switch op {
	case vfs.OpSync, vfs.OpSyncDir:
		return 300 * time.Microsecond
	case vfs.OpRead, vfs.OpWrite:
		return time.Microsecond + time.Duration(n)*time.Nanosecond
	case vfs.OpClose:
		return 0
	}
	return 5 * time.Microsecond
}

// Pause stops the process until Resume, or its end.
func (n *Node) Pause() {
	if n.Up() && !n.paused {
		n.paused = true
		n.Stage.Pause()
		n.world.Mesh.Stop(n.ID, true)
	}
}

// Resume lets a paused process go on.
func (n *Node) Resume() {
	if n.Up() && n.paused {
		n.paused = false
		n.Stage.Resume()
		n.world.Mesh.Stop(n.ID, false)
	}
}

// SetClock sets the node's clock that far ahead of the world's, or behind it; a restart does not change that.
func (n *Node) SetClock(ahead time.Duration) {
	n.ahead = ahead
	if n.Up() {
		n.Stage.SetClock(ahead)
	}
}

// Slow makes what the node does in the background, syncs above all, take that many times as long.
func (n *Node) Slow(factor float64) {
	n.slow = factor
	if n.Up() {
		n.Stage.Slow(factor)
	}
}

// Image is the metadata image that the node publishes; nil if there is none.
func (n *Node) Image() *image.Image {
	if !n.Up() {
		return nil
	}
	img, _ := n.Stage.Published(message.BrokerAt(n.ID)).(*image.Image)
	return img
}

// View is what a partition's replica publishes; nil if there is nothing.
func (n *Node) View(p message.PartitionID) message.View {
	if !n.Up() {
		return nil
	}
	v, _ := n.Stage.Published(message.PartitionAt(n.ID, p)).(message.View)
	return v
}

// Rest ends the node as SIGTERM does: clients first, then the broker actor, the partitions and the controller, then the disk with
// everything it was given. done is told when the node is down, with what the disk has to say, or when a fault came first; what has
// not come to rest within patience is killed.
func (n *Node) Rest(patience time.Duration, done func(error)) {
	if !n.Up() {
		done(nil)
		return
	}
	n.Resume()
	s := n.Stage
	over := false
	end := func(err error) {
		if over {
			return
		}
		if over = true; n.Stage == s {
			n.Kill()
		}
		done(err)
	}
	n.world.After(patience, func() { end(fmt.Errorf("node %d did not come to rest within %v", n.ID, patience)) })
	n.world.Net.Close(n.ID, false)
	s.Stop(message.BrokerAt(n.ID))
	n.restLogs(s, patience, func() {
		s.Ask(message.DiskAt(n.ID), &message.Flushed{}, patience, func(answer any) {
			if flushed, ok := answer.(*message.FlushDone); ok {
				end(flushed.Err)
			}
		})
	})
}

// restLogs calls done when every replica and the controller are gone: what is asked of one behind its stop is answered with Down.
func (n *Node) restLogs(s *stage.Simulated, patience time.Duration, done func()) {
	left := 1
	gone := func(any) {
		if left--; left == 0 {
			done()
		}
	}
	for _, at := range s.Actors() {
		if at.Kind == message.KindPartition || at.Kind == message.KindController {
			left++
			s.Stop(at)
			s.Ask(at, &message.DescribeProducers{}, patience, gone)
		}
	}
	gone(nil)
}

// Shutdown is Rest for those who step the world, and so not for the world's own events: it steps until the node is down.
func (n *Node) Shutdown(patience time.Duration) error {
	var result error
	down := false
	s := n.Stage
	n.Rest(patience, func(err error) { result, down = err, true })
	n.world.RunUntil(func() bool { return down || n.Stage != s }, 2*patience, n.world.Time.Steps()+1_000_000)
	if !down {
		return errors.New("the shutdown did not come to an end")
	}
	return result
}
